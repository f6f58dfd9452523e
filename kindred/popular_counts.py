"""Counts likes and ratings of each item within a span of time, a page of users after the other. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kindred.ratings import RatingScale, UserProfile
from kindred.star_curve import LIKED_FROM


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time, in milliseconds since 1970.

    Args:
        since: The first moment in it; None for no beginning.
        until: The first moment after it; None for no end.
    """

    since: int | None = None
    until: int | None = None

    def includes(self, moments: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which moments are in it.

        Args:
            moments: Milliseconds since 1970. Shape (n,).
        """
        inside = np.ones(moments.size, np.bool_)
        if self.since is not None:
            inside &= moments >= self.since
        if self.until is not None:
            inside &= moments < self.until
        return inside


@dataclass(frozen=True, slots=True, eq=False)
class PopularCounts:
    """What was counted.

    Args:
        rated: How many of the users have rated each item. Shape (rows,).
        liked: How many of them like it. Shape (rows,).
        users: How many users have a rating that was counted.
        counted_at: When the counting began, milliseconds since 1970; None for counts that are kept along.
    """

    rated: NDArray[np.int64]
    liked: NDArray[np.int64]
    users: int
    counted_at: int | None

    def over(self, rows: int) -> "PopularCounts":
        """The same with room for rows that came after the counting.

        Args:
            rows: How many rows there are.
        """
        new = rows - self.rated.size
        if not new:
            return self
        return replace(self, rated=np.pad(self.rated, (0, new)), liked=np.pad(self.liked, (0, new)))


class Tally:
    """Counts.

    Args:
        scale: The scale of the ratings.
        span: The ratings given within it count.
        rows_of: The rows of item indexes.
    """

    def __init__(
        self, scale: RatingScale, span: Span, rows_of: Callable[[NDArray[np.uint32]], NDArray[np.int32]]
    ) -> None:
        self._scale = scale
        self._span = span
        self._rows_of = rows_of
        self._rated = np.zeros(0, np.int64)
        self._liked = np.zeros(0, np.int64)
        self._users = 0

    def add(self, profiles: Iterable[UserProfile]) -> None:
        """Counts the ratings of some users, each user once.

        Args:
            profiles: Their profiles.
        """
        profiles = list(profiles)
        if not profiles:
            return
        values = np.concatenate([profile.values for profile in profiles])
        counts = ~np.isnan(values)
        counts &= self._span.includes(np.concatenate([profile.rated_at for profile in profiles]))
        owners = np.repeat(np.arange(len(profiles)), [profile.values.size for profile in profiles])
        self._users += np.unique(owners[counts]).size
        rows = self._rows_of(np.concatenate([profile.items for profile in profiles])[counts])
        likes = self._scale.stars(values[counts]) >= LIKED_FROM
        self._rated = _sum(self._rated, np.bincount(rows))
        self._liked = _sum(self._liked, np.bincount(rows[likes]))

    def counts(self, rows: int, counted_at: int) -> PopularCounts:
        """What was counted.

        Args:
            rows: How many rows there are.
            counted_at: When the counting began, milliseconds since 1970.
        """
        room = np.zeros(rows, np.int64)
        return PopularCounts(_sum(room, self._rated), _sum(room, self._liked), self._users, counted_at)


def _sum(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of two arrays, of which the shorter one has zeros where it ends."""
    size = max(left.size, right.size)
    return np.pad(left, (0, size - left.size)) + np.pad(right, (0, size - right.size))


def most_liked(
    counts: PopularCounts, allowed: NDArray[np.bool_], ids: NDArray[np.int64], limit: int
) -> NDArray[np.intp]:
    """The rows that most users like; ties by item id. What nobody likes is not popular.

    Args:
        counts: The counts.
        allowed: Which rows may be returned. Shape (rows,).
        ids: Each row's place by item id. Shape (rows,).
        limit: How many at most.
    """
    rows = np.flatnonzero(allowed & (counts.liked > 0))
    return rows[np.lexsort((ids[rows], -counts.liked[rows]))][:limit]
