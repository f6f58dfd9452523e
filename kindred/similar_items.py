"""Items that the people who like an item like, too; where these are few, items with the same genres and tags.

The people: the K users whose stored vectors have the highest value s_vi for the item i: who like it most, of all that
they rate. An item j's score is sum_v s_vi phi(r_vj) / (d_j + 1)^beta: what DEFAULT would give it for somebody who likes
i and nothing else, with all similarities counting in proportion. docs/lists.md has what it was measured to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kindred.catalog import Catalog
from kindred.errors import InvalidArgumentError, ItemNotFoundError
from kindred.filter_effect import FilterEffect
from kindred.item_filter import EVERY_ITEM, ItemFilter
from kindred.nearest_users import NearestUsers
from kindred.recipes import Recipe
from kindred.scoring import DecodedProfile, Neighborhood, top_items
from kindred.weighting import SparseVector

SIMILAR = Recipe(name="similar items", weighting="", k=1_000, sharpness=1.0, relative=True, score_damping=0.4)
"""The formula. beta weighs hits against popular items: see docs/lists.md."""
LEAST_SUPPORT = 5
"""So many of the people must have rated an item, or genres and tags say more: see docs/lists.md."""


class Similarity(Enum):
    """What a similarity is computed from."""

    RATERS = "raters"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class SimilarItem:
    """One similar item.

    Args:
        row: Its row in the catalog.
        score: Comparable within one kind of similarity of one answer.
        similarity: What the score is computed from.
        support: How many of the people have rated it.
    """

    row: int
    score: float
    similarity: Similarity
    support: int = 0


@dataclass(frozen=True, slots=True)
class SimilarItemsRequest:
    """What to find similar items to.

    Args:
        item_id: The item, by its own id or an external one.
        limit: How many items at most.
        items: Which items may be returned.
    """

    item_id: str
    limit: int = 10
    items: ItemFilter = EVERY_ITEM


@dataclass(frozen=True, slots=True)
class SimilarItemsAnswer:
    """Similar items.

    Args:
        items: The most similar first.
        raters_used: How many people were asked.
        filter_effects: If there are too few items: what the filter has left out.
    """

    items: Sequence[SimilarItem]
    raters_used: int
    filter_effects: Sequence[FilterEffect] = ()


class SimilarItems:
    """Finds similar items.

    Args:
        nearest: Finds the people.
        catalog: The items.
    """

    def __init__(self, nearest: NearestUsers, catalog: Catalog) -> None:
        self._nearest = nearest
        self._catalog = catalog

    async def similar(self, request: SimilarItemsRequest) -> SimilarItemsAnswer:
        """The items most similar to an item: those that share raters, then those that share genres and tags only.

        Raises:
            InvalidArgumentError: The filter names what no item has.
            ItemNotFoundError: The catalog lacks the item, or a candidate of the filter.
            UnavailableError: The store is away.
        """
        catalog, limit = self._catalog, request.limit
        row = catalog.row_of(request.item_id)
        if row is None:
            raise ItemNotFoundError(request.item_id)
        if violations := catalog.masks.check(request.items):
            raise InvalidArgumentError(violations)
        people = await self._nearest.find(SparseVector(catalog.indexes[[row]], np.ones(1, np.float32)), SIMILAR.k)
        rank, damping = catalog.counts.rank, catalog.counts.damping(SIMILAR.score_damping)
        others = catalog.listed.copy()
        others[row] = False
        allowed = others & catalog.masks.allowed(request.items) if request.items else others.copy()
        items, raters_used = by_raters(people, row, damping, Wanted(allowed, rank, limit))
        if len(items) < limit:
            allowed[[item.row for item in items]] = False
            likeness = catalog.content.likeness(np.array([row]), np.ones(1))
            items += by_content(likeness, Wanted(allowed, rank, limit - len(items)))
        effects = catalog.masks.effects(request.items, others) if len(items) < limit else ()
        return SimilarItemsAnswer(items, raters_used, effects)


class Wanted(NamedTuple):
    """What an answer may have.

    Args:
        allowed: Which rows may be returned. Shape (rows,).
        rank: Each row's place by popularity, which breaks ties. Shape (rows,).
        limit: How many at most.
    """

    allowed: NDArray[np.bool_]
    rank: NDArray[np.int64]
    limit: int


def by_raters(
    people: Sequence[DecodedProfile], row: int, damping: NDArray[np.float64], wanted: Wanted
) -> tuple[list[SimilarItem], int]:
    """The items that people who like an item like, too, and how many of these people there are.

    Args:
        people: Users who rate the item, by user id.
        row: The item.
        damping: (d_j + 1)^beta. Shape (rows,).
        wanted: What may be returned.
    """
    if not people:
        return [], 0
    query = np.zeros(damping.size)
    query[row] = 1.0
    hood = Neighborhood(people, query, SIMILAR, SIMILAR.k, SIMILAR.sharpness)
    if not hood.neighbors.size:
        return [], 0
    scores = hood.scores(damping)
    supports = hood.support(np.arange(damping.size))
    rows = top_items(scores, wanted.allowed & (supports >= LEAST_SUPPORT), wanted.rank, wanted.limit)
    found = zip(rows.tolist(), scores[rows].tolist(), supports[rows].tolist(), strict=True)
    return [SimilarItem(each, score, Similarity.RATERS, support) for each, score, support in found], hood.neighbors.size


def by_content(likeness: NDArray[np.float64], wanted: Wanted) -> list[SimilarItem]:
    """The items that share most with an item in genres and tags; of those that share as much, the most liked first.

    Args:
        likeness: How much each is like the item. Shape (rows,).
        wanted: What may be returned.
    """
    rows = top_items(likeness, wanted.allowed, wanted.rank, wanted.limit)
    found = zip(rows.tolist(), likeness[rows].tolist(), strict=True)
    return [SimilarItem(row, score, Similarity.CONTENT) for row, score in found]
