"""What the recommender is asked and what it answers. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from kindred.attribute_filter import AttributeFilter
from kindred.boosts import Boost
from kindred.filter_effect import FilterEffect
from kindred.item_filter import ItemFilter
from kindred.rating_period import RatingPeriod
from kindred.ratings import Reaction
from kindred.user_filter import UserFilter


@dataclass(frozen=True, slots=True)
class InlineRating:
    """An opinion for one request: a rating on the catalog's scale or a reaction."""

    item_id: str
    opinion: float | Reaction


class Explained(Enum):
    """How much of the reasons to give; see the contract."""

    NONE = "none"
    SUMMARY = "summary"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class RecommendationRequest:
    """What to recommend to whom.

    Args:
        user_id: A stored user, or None.
        ratings: Ratings that overlay the stored ones.
        limit: How many items.
        excluded: Ids of items never to return.
        include_rated: Whether rated items may be returned.
        items: Which items may be returned.
        k: How many neighbors; None for the recipe's own.
        min_overlap: How many of the query's items a neighbor has rated, at least.
        neighbors: Who may be a neighbor.
        period: Which of the neighbors' ratings count; None for all alike.
        recipe: The recipe's name; None for the default of the collection's weighting.
        overrides: Numbers to use instead of the recipe's own, by name.
        boosts: What multiplies the scores of some items.
        diversity: How much the items are to differ, 0 to 1.
        new_item_share: The share of the answer for items that few have rated, 0 to 0.5.
        without: Ids of rated items: what would the answer be without these ratings?
        explained: How much of the reasons to give.
    """

    user_id: str | None = None
    ratings: Sequence[InlineRating] = ()
    limit: int = 10
    excluded: Sequence[str] = ()
    include_rated: bool = False
    items: ItemFilter = field(default_factory=ItemFilter)
    k: int | None = None
    min_overlap: int = 1
    neighbors: UserFilter = field(default_factory=UserFilter)
    period: RatingPeriod | None = None
    recipe: str | None = None
    overrides: Mapping[str, float] = field(default_factory=dict)
    boosts: Sequence[Boost] = ()
    diversity: float = 0.0
    new_item_share: float = 0.0
    without: Sequence[str] = ()
    explained: Explained = Explained.NONE


class Strategy(Enum):
    """What answered; see the contract."""

    PERSONALIZED = "personalized"
    MIXED = "mixed"
    POPULAR_FALLBACK = "popular fallback"
    POPULAR = "popular"


class Source(Enum):
    """Where an item comes from; see the contract."""

    NEIGHBORS = "neighbors"
    POPULAR = "popular"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Reason:
    """An item of the query, by row, and the share of the score that came through it."""

    row: int
    share: float


@dataclass(frozen=True, slots=True)
class NeighborTerm:
    """What one neighbor contributes to a score.

    Args:
        user_id: Who it is.
        rating: What they rate the item, on the catalog's scale.
        similarity: g_v.
        weight: w_v.
        contribution: Their part of the score.
        shared: By row what comes through the items that they share with the query, the largest first.
        other_shared: What comes through the rest of these, and through the query's other items.
    """

    user_id: str
    rating: float
    similarity: float
    weight: float
    contribution: float
    shared: Sequence[tuple[int, float]]
    other_shared: float


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What changed a score after the neighbors' terms were added up, and by how much."""

    reason: str
    contribution: float


@dataclass(frozen=True, slots=True)
class FullExplanation:
    """Every term of a score: neighbors, the rest of the neighbors, and adjustments add up to it."""

    neighbors: Sequence[NeighborTerm]
    other_neighbors: float
    other_neighbors_count: int
    adjustments: Sequence[Adjustment]


class RecommendedItem(NamedTuple):
    """One item of an answer.

    Args:
        row: The item's row in the catalog.
        score: The recipe's score, or how many users like the item if it is popular.
        support: How many neighbors have rated it.
        source: Where it comes from.
        predicted: What the user may rate it, on the catalog's scale; None if nobody can tell.
        reasons: If asked for: the items that carried most of its score.
        explanation: If asked for: every term of its score.
    """

    row: int
    score: float
    support: int = 0
    source: Source = Source.NEIGHBORS
    predicted: float | None = None
    reasons: Sequence[Reason] = ()
    explanation: FullExplanation | None = None


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What the answer would be without some ratings; `lost` and `gained` are rows."""

    items: Sequence[RecommendedItem]
    lost: Sequence[int]
    gained: Sequence[int]
    strategy: Strategy


@dataclass(frozen=True, slots=True)
class RecommendationAnswer:
    """The items, best first, and how they came about.

    Args:
        items: The items.
        strategy: What answered.
        recipe: The recipe's name.
        neighbors_used: How many neighbors there were.
        filter_effects: If there are fewer items than asked for: what the filters have left out.
        counterfactual: If asked for.
        popular_among: Whose likes popular items were counted from; None for everyone's.
        profile_revision: The revision of the stored user; 0 if there is none.
        stored_ratings: How many ratings they have.
        freshness_token: Stands for the last event of theirs.
    """

    items: Sequence[RecommendedItem]
    strategy: Strategy
    recipe: str
    neighbors_used: int
    filter_effects: Sequence[FilterEffect] = ()
    counterfactual: Counterfactual | None = None
    popular_among: AttributeFilter | None = None
    profile_revision: int = 0
    stored_ratings: int = 0
    freshness_token: str = ""
