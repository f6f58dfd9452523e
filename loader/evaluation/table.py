"""All ratings of a data set as columns, in an order that does not depend on where they came from. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kindred.items import Item
from kindred.ratings import RatingScale
from kindred.star_curve import LIKED_FROM


class Profiles(NamedTuple):
    """Some users' ratings, one user after the other.

    Args:
        starts: Where each user's begin, and where the last one's end. Shape (n_users + 1,), int64.
        items: Item codes, ascending within a user. Shape (n_ratings,), int32.
        values: Ratings on the catalog's scale. Shape (n_ratings,), float32.
    """

    starts: NDArray[np.int64]
    items: NDArray[np.int32]
    values: NDArray[np.float32]

    @property
    def owners(self) -> NDArray[np.int64]:
        """By rating, the place of its user. Shape (n_ratings,)."""
        return np.repeat(np.arange(self.starts.size - 1), np.diff(self.starts))

    def part(self, first: int, after: int) -> "Profiles":
        """The users from one place to before another one."""
        begin, end = self.starts[first], self.starts[after]
        return Profiles(self.starts[first : after + 1] - begin, self.items[begin:end], self.values[begin:end])


@dataclass(frozen=True, slots=True, eq=False)
class RatingTable:
    """Ratings, sorted by user and item, each pair once. A code is a place in `user_ids` or `items`.

    Args:
        name: Where they come from, for people.
        scale: Their scale.
        user_ids: The users' ids, ascending.
        items: The catalog, ascending by id.
        users: User codes. Shape (n,), int32.
        codes: Item codes. Shape (n,), int32.
        values: Ratings on the scale. Shape (n,), float32.
        times: Milliseconds since 1970. Shape (n,), int64.
    """

    name: str
    scale: RatingScale
    user_ids: Sequence[str]
    items: Sequence[Item]
    users: NDArray[np.int32]
    codes: NDArray[np.int32]
    values: NDArray[np.float32]
    times: NDArray[np.int64]

    @property
    def liked(self) -> NDArray[np.bool_]:
        """Which ratings are likes: four stars or more. Shape (n,)."""
        return self.scale.stars(self.values) >= LIKED_FROM

    @property
    def rated_counts(self) -> NDArray[np.int64]:
        """How many users have rated each item. Shape (n_items,)."""
        return np.bincount(self.codes, minlength=len(self.items))

    @property
    def liked_counts(self) -> NDArray[np.int64]:
        """How many users like each item. Shape (n_items,)."""
        return np.bincount(self.codes[self.liked], minlength=len(self.items))

    @property
    def rating_counts(self) -> NDArray[np.int64]:
        """How many items each user has rated. Shape (n_users,)."""
        return np.bincount(self.users, minlength=len(self.user_ids))

    def where(self, chosen: NDArray[np.bool_]) -> "RatingTable":
        """Some of the ratings, with the codes as they are.

        Args:
            chosen: Which ones. Shape (n,).
        """
        return replace(
            self,
            users=self.users[chosen],
            codes=self.codes[chosen],
            values=self.values[chosen],
            times=self.times[chosen],
        )

    def profiles(self, users: NDArray[np.int32], chosen: NDArray[np.bool_]) -> Profiles:
        """Some users' ratings.

        Args:
            users: User codes. Shape (n_users,).
            chosen: Which ratings count. Shape (n,).
        """
        places = np.flatnonzero(chosen)
        owners = self.users[places]
        begins, ends = np.searchsorted(owners, users, "left"), np.searchsorted(owners, users, "right")
        starts = np.concatenate([[0], np.cumsum(ends - begins)])
        taken = places[np.arange(starts[-1]) + np.repeat(begins - starts[:-1], ends - begins)]
        return Profiles(starts, self.codes[taken], self.values[taken])
