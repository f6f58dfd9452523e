"""Makes profiles of ratings: many users' at once, each user's items ascending and once."""

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
        item_codes: The rated items' codes. Shape (n_ratings,).
        items: Their indexes, ascending within a user. Shape (n_ratings,).
        values: The ratings. Shape (n_ratings,).
        times: Milliseconds since 1970. Shape (n_ratings,).
        merged: How many ratings were merged into others.
    """

    users: NDArray[np.uint32]
    starts: NDArray[np.int64]
    item_codes: NDArray[np.uint32]
    items: NDArray[np.uint32]
    values: NDArray[np.float32]
    times: NDArray[np.int64]
    merged: int


def profiles_of(ratings: Ratings, indexes: NDArray[np.uint32], duplicates: Duplicates) -> ProfileColumns:
    """Sorts ratings into profiles.

    Args:
        ratings: All ratings of some users, in the order of the input.
        indexes: The items' indexes by code. Shape (n_items,).
        duplicates: What becomes of repeated pairs of user and item.
    """
    keys = (ratings["user"].astype(np.uint64) << np.uint64(32)) | indexes[ratings["item"]]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first, last = np.ones(keys.size, np.bool_), np.ones(keys.size, np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    last[:-1] = first[1:]
    repeated = np.flatnonzero(~(first & last))
    if repeated.size:  # rare: only the repeated pairs need to be in the order of their times
        within = np.lexsort((ratings["time"][order[repeated]], keys[repeated]))
        order[repeated] = order[repeated[within]]
    rows = ratings.take(order)  # many times faster than an index: a row is copied at once, not field by field
    values = rows["value"]
    if repeated.size and duplicates == "mean":
        starts = np.flatnonzero(first)
        sums = np.add.reduceat(values.astype(np.float64), starts)
        values = (sums / np.diff(starts, append=keys.size)).astype(np.float32)
    elif repeated.size:
        values = values[last]
    if repeated.size:
        rows, keys = rows.compress(last), keys[last]
    users = (keys >> np.uint64(32)).astype(np.uint32)
    starts = np.flatnonzero(np.diff(users, prepend=users[:1] + np.uint32(1)))
    return ProfileColumns(
        users=users[starts],
        starts=np.append(starts, users.size),
        item_codes=rows["item"],
        items=keys.astype(np.uint32),
        values=np.ascontiguousarray(values),
        times=np.ascontiguousarray(rows["time"]),
        merged=int(ratings.size - keys.size),
    )
