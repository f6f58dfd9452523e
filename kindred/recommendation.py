"""What the recommender is asked and what it answers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from kindred.ratings import Reaction


@dataclass(frozen=True, slots=True)
class InlineRating:
    """An opinion for one request: a rating on the catalog's scale or a reaction."""

    item_id: str
    opinion: float | Reaction


@dataclass(frozen=True, slots=True)
class RecommendationRequest:
    """What to recommend to whom.

    Args:
        user_id: A stored user, or None.
        ratings: Ratings that overlay the stored ones.
        limit: How many items.
        excluded: Ids of items never to return.
        include_rated: Whether rated items may be returned.
        k: How many neighbors; None for the recipe's own.
        recipe: The recipe's name; None for the default of the collection's weighting.
        explained: Whether to give reasons.
    """

    user_id: str | None = None
    ratings: Sequence[InlineRating] = ()
    limit: int = 10
    excluded: Sequence[str] = ()
    include_rated: bool = False
    k: int | None = None
    recipe: str | None = None
    explained: bool = False


class Strategy(Enum):
    """What answered; see the contract."""

    PERSONALIZED = "personalized"
    MIXED = "mixed"
    POPULAR_FALLBACK = "popular fallback"
    POPULAR = "popular"


@dataclass(frozen=True, slots=True)
class Reason:
    """An item of the query, by row, and the share of the score that came through it."""

    row: int
    share: float


@dataclass(frozen=True, slots=True)
class RecommendedItem:
    """One item of an answer.

    Args:
        row: The item's row in the catalog.
        score: The recipe's score, or how many users like the item if it is popular.
        support: How many neighbors have rated it.
        popular: Whether it comes from popularity, not from neighbors.
        reasons: If asked for: the items that carried most of its score.
    """

    row: int
    score: float
    support: int = 0
    popular: bool = False
    reasons: Sequence[Reason] = ()


@dataclass(frozen=True, slots=True)
class RecommendationAnswer:
    """The items, best first, and how they came about.

    The last three say what of the stored user it includes; `freshness_token` stands for the last event of theirs.
    """

    items: Sequence[RecommendedItem]
    strategy: Strategy
    recipe: str
    neighbors_used: int
    profile_revision: int = 0
    stored_ratings: int = 0
    freshness_token: str = ""
