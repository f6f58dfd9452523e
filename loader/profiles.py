"""Makes profiles of ratings: many users' at once, each user's items ascending and once."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loader.options import Duplicates
from loader.rating_buffer import Ratings


@dataclass(frozen=True, slots=True)
class ProfileColumns:
    """The profiles of some users, one after the other.

    Args:
        users: The users' codes. Shape (n_users,).
        starts: Where each user's ratings begin; one more entry for their end. Shape (n_users + 1,).
        items: The rated items' ranks, ascending within a user. Shape (n_ratings,).
        values: The ratings. Shape (n_ratings,).
        times: Milliseconds since 1970. Shape (n_ratings,).
        merged: How many ratings were merged into others.
        capped: How many sums were beyond the maximum.
    """

    users: NDArray[np.uint32]
    starts: NDArray[np.int64]
    items: NDArray[np.uint32]
    values: NDArray[np.float32]
    times: NDArray[np.int64]
    merged: int
    capped: int = 0


def profiles_of(
    ratings: Ratings, ranks: NDArray[np.uint32], duplicates: Duplicates, maximum: float = math.inf
) -> ProfileColumns:
    """Sorts ratings into profiles.

    Args:
        ratings: All ratings of some users, in the order of the input.
        ranks: By an item's code its place among all items, ascending by index. Shape (n_items,).
        duplicates: What becomes of repeated pairs of user and item.
        maximum: What a larger sum becomes.
    """
    capped = 0
    rows, users, items = ratings, np.ascontiguousarray(ratings["user"]), ranks[ratings["item"]]
    if not _in_order(users, items):  # MovieLens' newer sets are
        order = _order(users, items)
        rows = ratings.take(order)  # many times faster than an index: a row is copied at once, not field by field
        users, items = users[order], items[order]
    first, last = np.ones(users.size, np.bool_), np.ones(users.size, np.bool_)
    first[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    last[:-1] = first[1:]
    values = rows["value"]
    if not first.all():
        repeated = np.flatnonzero(~(first & last))  # rare: only these need to be in the order of their times
        rows = rows.copy()  # they may be the caller's
        values = rows["value"]
        rows[repeated] = rows[repeated][np.lexsort((rows["time"][repeated], items[repeated], users[repeated]))]
        if duplicates == "latest":
            values = values[last]
        else:
            starts = np.flatnonzero(first)
            sums = np.add.reduceat(values.astype(np.float64), starts)
            if duplicates == "mean":
                values = (sums / np.diff(starts, append=ratings.size)).astype(np.float32)
            else:
                capped = int(np.count_nonzero(sums > maximum))
                values = np.minimum(sums, maximum).astype(np.float32)
        rows, users, items = rows.compress(last), users[last], items[last]
    starts = np.flatnonzero(np.diff(users, prepend=users[:1] + np.uint32(1)))
    return ProfileColumns(
        users=users[starts],
        starts=np.append(starts, users.size),
        items=items,
        values=np.ascontiguousarray(values),
        times=np.ascontiguousarray(rows["time"]),
        merged=int(ratings.size - users.size),
        capped=capped,
    )


def _in_order(users: NDArray[np.uint32], items: NDArray[np.uint32]) -> bool:
    """Whether ratings are sorted by user and item already."""
    same = users[1:] == users[:-1]
    return bool(np.all((users[1:] > users[:-1]) | (same & (items[1:] >= items[:-1]))))


def _order(users: NDArray[np.uint32], items: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The order by user and item that keeps the order of the input within a pair."""
    if max(users.max(initial=0), items.max(initial=0)) < 2**16:  # numpy sorts 16 bits by radix, several times faster
        return np.lexsort((items.astype(np.uint16), users.astype(np.uint16)))
    return np.argsort((users.astype(np.uint64) << np.uint64(32)) | items, kind="stable")
