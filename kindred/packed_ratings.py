"""Neighbors' ratings as memory holds them: two bytes each for the item, one for the rating, four for when. Pure numpy.

A catalog has few different ratings: ten on the scale of MovieLens. What each of them means is worked out once, and a
profile holds which of them was given: in a byte each, or in two after the first 256. If there are more than two bytes
can tell, it holds the ratings themselves, and what they mean is worked out each time.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from kindred.ratings import RatingScale
from kindred.ridge import affinity
from kindred.weighting import Weighting

Number = TypeVar("Number", bound=np.generic)

BYTE_CODES, MOST_CODES = 2**8, 2**16
"""How many different ratings have codes of a byte, and how many have any."""
_CODES = {1: np.uint8, 2: np.uint16}
_SHORT_ROWS = 2**16
_SECOND = 1_000
_LAST_SECOND = 2**32 - 1


class Meanings(NamedTuple):
    """What different ratings mean.

    Args:
        preferences: The weighting's preferences for them, exact: equal sums are ties. Shape (n,), float64.
        affinities: v of their stars, for recipes that fit. Shape (n,), float64.
        stars: They on the five-star scale. Shape (n,), float32.
    """

    preferences: NDArray[np.float64]
    affinities: NDArray[np.float64]
    stars: NDArray[np.float32]


class RatingCodes:
    """Numbers the different ratings of a collection as they come up.

    Args:
        weighting: The collection's weighting.
        scale: Its scale.
    """

    def __init__(self, weighting: Weighting, scale: RatingScale) -> None:
        self._weighting = weighting
        self._scale = scale
        self._values = np.empty(0, np.float32)
        self._meanings = self.meanings_of(self._values)
        self._ascending = self._values
        self._codes = np.empty(0, np.uint16)
        self._full = False

    def meanings_of(self, values: NDArray[np.float32]) -> Meanings:
        """What ratings mean.

        Args:
            values: On the catalog's scale. Shape (n,).
        """
        stars = self._scale.stars(values)
        return Meanings(self._weighting.preferences(values), affinity(stars), stars.astype(np.float32))

    def pack(self, values: NDArray[np.float32]) -> bytes:
        """Ratings as a profile holds them.

        Args:
            values: On the catalog's scale. Shape (n,).

        Returns:
            A byte each, or two, or four: those of the float32 values.
        """
        codes = self._codes_of(values)
        if codes is None:
            self._add(values)
            codes = self._codes_of(values)
        if codes is None:
            return values.tobytes()
        return (codes.astype(np.uint8) if codes.max() < BYTE_CODES else codes).tobytes()

    def unpack(
        self, packed: Sequence[bytes], lengths: NDArray[np.intp], count: int
    ) -> tuple[NDArray[np.integer], Meanings]:
        """Ratings of profiles, one after the other.

        Args:
            packed: What `pack` gave for each.
            lengths: How many ratings each has, at least one. Shape (K,).
            count: How many all have together: m.

        Returns:
            For each rating its place in the meanings, integers of shape (m,), and the meanings.
        """
        codes = joined(packed, np.uint8)
        if codes.size == count:  # a byte each, nearly always
            return codes, self._meanings
        widths = [len(each) // length for each, length in zip(packed, lengths.tolist(), strict=True)]
        columns = [
            np.frombuffer(each, _CODES.get(width, np.float32)) for each, width in zip(packed, widths, strict=True)
        ]
        if max(widths) <= max(_CODES):
            return np.concatenate(columns), self._meanings
        values = np.concatenate(
            [self._values[column] if width in _CODES else column for column, width in zip(columns, widths, strict=True)]
        )
        return np.arange(values.size), self.meanings_of(values)

    def _add(self, values: NDArray[np.float32]) -> None:
        """Gives codes to ratings that have none, if there are enough for all of these. Others keep theirs."""
        if self._full:
            return
        new = np.setdiff1d(values, self._values)
        self._full = self._values.size + new.size > MOST_CODES
        if self._full:
            return
        self._values = np.concatenate([self._values, new])
        self._meanings = self.meanings_of(self._values)
        order = np.argsort(self._values)
        self._ascending, self._codes = self._values[order], order.astype(np.uint16)

    def _codes_of(self, values: NDArray[np.float32]) -> NDArray[np.uint16] | None:
        """The codes of ratings, if all of them have one."""
        if not self._values.size:
            return None
        places = np.minimum(np.searchsorted(self._ascending, values), self._values.size - 1)
        return self._codes[places] if (self._ascending[places] == values).all() else None


def pack_rows(rows: NDArray[np.int32]) -> bytes:
    """Rows of rated items, as a profile holds them.

    Args:
        rows: Shape (n,).

    Returns:
        Two bytes each; or four, if one of them needs that.
    """
    return (rows.astype(np.uint16) if rows.max(initial=0) < _SHORT_ROWS else rows).tobytes()


def unpack_rows(packed: Sequence[bytes], lengths: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Rows of the items that profiles have rated, one profile after the other.

    Args:
        packed: What `pack_rows` gave for each.
        lengths: How many ratings each has, at least one. Shape (K,).
        count: How many all have together: m.

    Returns:
        As numpy's own index type: gathering with any other one converts it each time. Shape (m,).
    """
    rows = joined(packed, np.uint16)
    if rows.size == count:
        return rows.astype(np.intp)
    if rows.size == 2 * count:
        return rows.view(np.int32).astype(np.intp)
    return np.concatenate(
        [
            np.frombuffer(each, np.uint16 if len(each) == 2 * length else np.int32)
            for each, length in zip(packed, lengths.tolist(), strict=True)
        ]
    ).astype(np.intp)


def pack_times(times: NDArray[np.int64]) -> bytes:
    """When ratings were given, as a profile holds it.

    Args:
        times: Milliseconds since 1970. Shape (n,).

    Returns:
        Four bytes each for whole seconds; or eight, if one of them is none, or too far away for that.
    """
    seconds, rest = np.divmod(times, _SECOND)
    if rest.any() or not ((seconds >= 0) & (seconds <= _LAST_SECOND)).all():
        return times.tobytes()
    return seconds.astype(np.uint32).tobytes()


def unpack_times(packed: Sequence[bytes], lengths: NDArray[np.intp]) -> NDArray[np.int64]:
    """When ratings of profiles were given, one after the other.

    Args:
        packed: What `pack_times` gave for each.
        lengths: How many ratings each has, at least one. Shape (K,).

    Returns:
        Milliseconds since 1970. Shape (m,).
    """
    seconds = joined(packed, np.uint32)
    if seconds.size == lengths.sum():
        return seconds.astype(np.int64) * _SECOND
    wide = np.dtype(np.int64).itemsize
    return np.concatenate(
        [
            np.frombuffer(each, np.int64)
            if len(each) == length * wide
            else np.frombuffer(each, np.uint32).astype(np.int64) * _SECOND
            for each, length in zip(packed, lengths.tolist(), strict=True)
        ]
    )


def joined(packed: Sequence[bytes | bytearray], dtype: type[Number]) -> NDArray[Number]:
    """Columns one after the other, in a sixth of the time that np.concatenate takes for two hundred short ones.

    Args:
        packed: The bytes of each.
        dtype: Of what.

    Returns:
        Read-only.
    """
    return np.frombuffer(b"".join(packed), dtype)
