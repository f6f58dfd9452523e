"""How many users rate and like each item: what damps the popular ones, breaks ties and answers strangers. Pure.

The counts are kept with the items, refreshed in the background (see kindred/recount.py), and may lag a little.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kindred.id_order import IdOrder
from kindred.prediction import item_terms
from kindred.ratings import RatingScale, UserProfile
from kindred.star_curve import LIKED_FROM

_MAX_EXPONENTS = 16
"""How many exponents' arrays are kept: requests may name any."""


class ItemCounts:
    """The counts of every row of a catalog, and what follows from them, computed once per change."""

    def __init__(self) -> None:
        self.version = 0
        """Another one after every change."""
        self.rated = np.empty(0)
        self.liked = np.empty(0)
        self._ids = IdOrder()
        self._order: NDArray[np.int64] | None = None
        self._rank: NDArray[np.int64] | None = None
        self._damping: dict[float, NDArray[np.float64]] = {}
        self._costs: dict[float, NDArray[np.float64]] = {}
        self._terms: NDArray[np.float64] | None = None

    def grow(self, item_ids: Sequence[str]) -> None:
        """Makes room for new rows, with counts of 0.

        Args:
            item_ids: The ids of the new rows.
        """
        none = np.zeros(len(item_ids))
        self.rated = np.concatenate((self.rated, none))
        self.liked = np.concatenate((self.liked, none))
        self._ids.append(item_ids)
        self._changed()

    def rename(self, item_ids: Mapping[int, str]) -> None:
        """Gives rows other ids than they had.

        Args:
            item_ids: The id of each such row.
        """
        self._ids.rename(item_ids)
        self._changed()

    def put(self, rows: NDArray[np.integer], rated: NDArray[np.number], liked: NDArray[np.number]) -> None:
        """Replaces the counts of some rows.

        Args:
            rows: Rows, shape (n,).
            rated: d_i, how many users have rated each. Shape (n,).
            liked: L_i, how many of them like it. Shape (n,).
        """
        if np.array_equal(self.rated[rows], rated) and np.array_equal(self.liked[rows], liked):
            return  # an item with a new title: what follows from the counts stays
        self.rated[rows] = rated
        self.liked[rows] = liked
        self._changed()

    @property
    def id_rank(self) -> NDArray[np.int64]:
        """Each row's place by item id. Shape (rows,)."""
        return self._ids.rank

    @property
    def order(self) -> NDArray[np.int64]:
        """The rows by likes, the most liked first; ties by item id. Shape (rows,)."""
        if self._order is None:
            # Both keys in one whole number: numpy sorts those ten times as fast as by two keys.
            likes = (self.liked.max(initial=0) - self.liked).astype(np.int64)
            self._order = np.argsort((likes << self.liked.size.bit_length()) | self._ids.rank)
        return self._order

    @property
    def rank(self) -> NDArray[np.int64]:
        """Each row's place in `order`: how ties of scores are broken. Shape (rows,)."""
        if self._rank is None:
            self._rank = np.empty(self.rated.size, np.int64)
            self._rank[self.order] = np.arange(self.rated.size)
        return self._rank

    def damping(self, exponent: float) -> NDArray[np.float64]:
        """(d_i + 1)^exponent, by which scores are divided. Shape (rows,)."""
        return self._kept(self._damping, exponent, lambda: (self.rated + 1.0) ** exponent)

    def costs(self, exponent: float) -> NDArray[np.float64]:
        """max(d_i, 1)^-exponent, what items weigh in queries and fits. Shape (rows,)."""
        return self._kept(self._costs, exponent, lambda: np.maximum(self.rated, 1.0) ** -exponent)

    @property
    def terms(self) -> NDArray[np.float64]:
        """How many stars each item is above or below the usual: see kindred/prediction.py. Shape (rows,)."""
        if self._terms is None:
            self._terms = item_terms(self.rated, self.liked)
        return self._terms

    @staticmethod
    def _kept(
        arrays: dict[float, NDArray[np.float64]], exponent: float, make: Callable[[], NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        if exponent not in arrays:
            if len(arrays) >= _MAX_EXPONENTS:
                del arrays[next(iter(arrays))]  # the oldest
            arrays[exponent] = make()
        return arrays[exponent]

    def _changed(self) -> None:
        self.version += 1
        self._order = self._rank = self._terms = None
        self._damping, self._costs = {}, {}


def count_ratings(
    profiles: Iterable[UserProfile], indexes: NDArray[np.uint32], scale: RatingScale
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts who rates and who likes each item.

    Args:
        profiles: Users' profiles.
        indexes: The indexes to count for, ascending. Shape (n,).
        scale: The scale of the ratings.

    Returns:
        d and L, both of shape (n,). Ratings of other indexes are left out.
    """
    columns = [profile.ratings for profile in profiles]
    if not columns or not indexes.size:
        return np.zeros(indexes.size, np.int64), np.zeros(indexes.size, np.int64)
    items = np.concatenate([ratings.items for ratings in columns])
    likes = scale.stars(np.concatenate([ratings.values for ratings in columns])) >= LIKED_FROM
    places = np.minimum(np.searchsorted(indexes, items), indexes.size - 1)
    known = indexes[places] == items
    rated = np.bincount(places[known], minlength=indexes.size)
    liked = np.bincount(places[known & likes], minlength=indexes.size)
    return rated, liked
