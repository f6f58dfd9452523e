"""What a reader makes of a data set: the same for every format."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kindred.items import Item
from kindred.ratings import Attributes, RatingScale
from loader.bad_rows import BadRows

HALF_STARS = RatingScale(0.5, 5.0)
WHOLE_STARS = RatingScale(1.0, 5.0)
"""MovieLens's scales: the newer one, and that of the 100K and 1M sets."""


class Ids(NamedTuple):
    """A column of ids: row i has `distinct[places[i]]`. `places` has shape (n,)."""

    distinct: list[str]
    places: NDArray[np.integer]


class RatingChunk(NamedTuple):
    """Some ratings, in the order of the file.

    Args:
        users: Who rated.
        items: What.
        values: Ratings on the scale. Shape (n,).
        times: Milliseconds since 1970. Shape (n,).
    """

    users: Ids
    items: Ids
    values: NDArray[np.float64]
    times: NDArray[np.int64]


class RatingPart(NamedTuple):
    """A part of the ratings that was read: its chunk (none if every row of it was bad) and its share of `size`."""

    chunk: RatingChunk | None
    size: int


class DataSource(Protocol):
    """A data set that can be loaded. Every method raises `DataError` for what cannot be read."""

    @property
    def name(self) -> str:
        """What the collection is called, for people."""

    @property
    def scale(self) -> RatingScale:
        """The scale of the ratings."""

    @property
    def size(self) -> int:
        """How much there is to read of the ratings, in bytes or rows, for the progress."""

    def items(self, bad_rows: BadRows) -> list[Item] | None:
        """Reads the catalog, each item once; None if there is none, and the ratings say what items there are."""

    def user_attributes(self, bad_rows: BadRows) -> Mapping[str, Attributes]:
        """Reads the attributes of users by id."""

    def ratings(self, bad_rows: BadRows) -> Iterator[RatingPart]:
        """Reads the ratings, a part at a time."""
