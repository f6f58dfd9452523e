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
from kindred.neighborhood import Neighborhood, Query
from kindred.neighbors import NeighborFinder, NeighborQuery
from kindred.recipes import Recipe
from kindred.scoring import top_items, votes_of

SIMILAR = Recipe("similar items", base="default", weighting="", k=1_000, relative=True, score_damping=0.4)
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
        finder: Finds the people.
        catalog: The items.
    """

    def __init__(self, finder: NeighborFinder, catalog: Catalog) -> None:
        self._finder = finder
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
        people = await self._people(row)
        rank, damping = catalog.counts.rank, catalog.counts.damping(SIMILAR.score_damping)
        others = catalog.listed.copy()
        others[row] = False
        allowed = others & catalog.masks.allowed(request.items) if request.items else others.copy()
        items = by_raters(people, damping, Wanted(allowed, rank, limit)) if people is not None else []
        if len(items) < limit:
            allowed[[item.row for item in items]] = False
            likeness = catalog.content.likeness(np.array([row]), np.ones(1))
            items += by_content(likeness, Wanted(allowed, rank, limit - len(items)))
        effects = catalog.masks.effects(request.items, others) if len(items) < limit else ()
        return SimilarItemsAnswer(items, 0 if people is None else len(people), effects)

    async def _people(self, row: int) -> Neighborhood | None:
        """Those who like an item most."""
        one = np.ones(1)
        asked = NeighborQuery(Query(np.array([row], np.int32), one, one, self._catalog.rows), SIMILAR.k)
        [hood] = await self._finder.gather([asked], await self._finder.search([asked]))
        return hood


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


def by_raters(hood: Neighborhood, damping: NDArray[np.float64], wanted: Wanted) -> list[SimilarItem]:
    """The items that people who like an item like, too.

    Args:
        hood: The people.
        damping: (d_j + 1)^beta. Shape (rows,).
        wanted: What may be returned.
    """
    votes = votes_of(hood, SIMILAR, sharpness=SIMILAR.sharpness)
    scores = votes.sums() / damping
    supports = np.bincount(hood.rows, minlength=damping.size)
    rows = top_items(scores, wanted.allowed & (supports >= LEAST_SUPPORT), wanted.rank, wanted.limit)
    found = zip(rows.tolist(), scores[rows].tolist(), supports[rows].tolist(), strict=True)
    return [SimilarItem(row, score, Similarity.RATERS, support) for row, score, support in found]


def by_content(likeness: NDArray[np.float64], wanted: Wanted) -> list[SimilarItem]:
    """The items that share most with an item in genres and tags; of those that share as much, the most liked first.

    Args:
        likeness: How much each is like the item. Shape (rows,).
        wanted: What may be returned.
    """
    rows = top_items(likeness, wanted.allowed, wanted.rank, wanted.limit)
    found = zip(rows.tolist(), likeness[rows].tolist(), strict=True)
    return [SimilarItem(row, score, Similarity.CONTENT) for row, score in found]
