"""A request made ready to answer, and its answer while it is being made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kindred.attribute_filter import AttributeFilter
from kindred.neighbors import NeighborQuery
from kindred.opinions import Opinions
from kindred.recipes import Recipe
from kindred.recommendation import RecommendationRequest, RecommendedItem
from kindred.stores.port import StoredUser


class Segment(NamedTuple):
    """People with something in common: how many of them like each item, shape (rows,), and who they are."""

    liked: NDArray[np.float64]
    among: AttributeFilter


@dataclass(frozen=True, slots=True)
class Task:
    """A request made ready to answer.

    Args:
        request: The request.
        recipe: The recipe with its overrides.
        stored: The user as stored, if they are.
        opinions: What they think of items.
        asked: Whose neighbors to find; K is 0 for none.
        excluded: Rows that may not be returned. Shape (n,).
        now: Milliseconds since 1970.
        segment: Whose likes popular items are counted from; None for everyone's.
    """

    request: RecommendationRequest
    recipe: Recipe
    stored: StoredUser | None
    opinions: Opinions
    asked: NeighborQuery
    excluded: NDArray[np.int32]
    now: int
    segment: Segment | None = None

    @property
    def searches(self) -> bool:
        """Whether there is anything to find neighbors by."""
        return bool(self.asked.k and self.asked.query.values.any())


@dataclass(slots=True)
class Draft:
    """An answer that is being made.

    Args:
        allowed: The rows that may be taken. Shape (rows,).
        boosts: Each boost's factor, and which rows it multiplies: shape (rows,).
        factors: What all boosts together multiply each row by; None if there are none. Shape (rows,).
        items: The items so far, best first.
    """

    allowed: NDArray[np.bool_]
    boosts: Sequence[tuple[float, NDArray[np.bool_]]]
    factors: NDArray[np.float64] | None
    items: list[RecommendedItem] = field(default_factory=list)

    def left(self) -> NDArray[np.bool_]:
        """The rows that may be taken, without those that were. Shape (rows,)."""
        self.allowed[[item.row for item in self.items]] = False
        return self.allowed
