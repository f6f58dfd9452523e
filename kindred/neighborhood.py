"""The neighbors of a query, and all their ratings as columns. Pure numpy: no loop over neighbors or ratings.

The engine finds candidates with single-precision sums in an order of its own. Here similarities are computed again from
the neighbors' exact ratings in double precision, so that the same data gives the same answer on every engine.
Notation as in docs/recipes.md: q the query, s_v a stored vector, g_v = q . s_v.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import frexp
from struct import Struct
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from kindred.packed_ratings import RatingCodes, joined, unpack_rows, unpack_times

Number = TypeVar("Number", bound=np.generic)

TIE_DIGITS = 10
"""Numbers that agree to this many digits of the largest one are ties: sums in another order differ by less."""
NOTHING = 1e-13
"""What is this small against the largest one is what rounding left of terms that cancel out."""

_COUNT, _NORM, _STARS, _TERMS, _VERSION = range(5)
"""What a profile's numbers are."""
_NUMBERS = Struct("=5d")
_MEMO = Struct("=2d")


class PackedProfile(NamedTuple):
    """A user's ratings, ready for scoring. A tuple: those of hundreds of neighbors are transposed in one step.

    Args:
        version: The version of the user's point that it was read for.
        user_id: Whose they are.
        rows: Rows of the rated items, as `pack_rows` gives them.
        ratings: What they were given, as `RatingCodes.pack` gives it.
        times: When, as `pack_times` gives it; empty if nobody has asked for that.
        numbers: How many they are; what the preferences are divided by in the stored vector; the sum of the stars; the
            sum of the items' terms (see kindred/prediction.py), and the version of the counts that it is of: the only
            ones that ever change. Five float64.
    """

    version: int
    user_id: str
    rows: bytes
    ratings: bytes
    times: bytes
    numbers: bytearray

    @property
    def nbytes(self) -> int:
        """What its columns take in memory."""
        return sum(map(len, self[2:]))


def packed_numbers(count: int, norm: float, stars: float, term_sum: float, version: int) -> bytearray:
    """The numbers of a profile."""
    return bytearray(_NUMBERS.pack(count, norm, stars, term_sum, version))


@dataclass(frozen=True, eq=False)
class Query:
    """What the neighbors are compared with.

    Args:
        rows: The rows of the rated items, each once. Shape (n,).
        values: q of these. Shape (n,).
        affinities: x of these, for a recipe that fits. Shape (n,).
        size: How many rows there are in all.
    """

    rows: NDArray[np.int32]
    values: NDArray[np.float64]
    affinities: NDArray[np.float64]
    size: int

    def among(self, rows: int) -> "Query":
        """The same where there are so many rows, of which those that came later are in no query."""
        return self if rows == self.size else replace(self, size=rows)

    @cached_property
    def sparse(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The rows that weigh anything, and what they weigh to the engine; one at least does. Shapes (m,)."""
        [weighs] = self.values.nonzero()
        values = self.values.take(weighs)
        # The order is the same at every scale, and what decays a lot is 0 in single precision: a power of two brings
        # the largest value near 1, and changes no digit.
        _, exponent = frexp(np.abs(values).max())
        return self.rows.take(weighs), np.ldexp(values, -exponent).astype(np.float32)

    def dense(self) -> NDArray[np.float64]:
        """Q by row. Shape (size,)."""
        by_row = np.zeros(self.size)
        by_row[self.rows] = self.values
        return by_row


class _Columns(NamedTuple):
    """What stands in many profiles, field by field."""

    versions: Sequence[int] = ()
    user_ids: Sequence[str] = ()
    rows: Sequence[bytes] = ()
    ratings: Sequence[bytes] = ()
    times: Sequence[bytes] = ()
    numbers: Sequence[bytes | bytearray] = ()


class Neighborhood:
    """The neighbors of a query and their ratings, as ragged columns: one neighbor after the other.

    Whatever order the users come in, the neighbors stand by similarity, ties by user id: so sums over them are the same
    to the last bit.

    Args:
        profiles: The users found, at least one, each with at least one rating.
        query: The query.
        codes: How the profiles' ratings are packed.
        k: How many of them are neighbors, at most: the most similar, of those with a positive similarity.
        min_overlap: How many items a neighbor shares with the query, at least.
    """

    def __init__(
        self, profiles: Sequence[PackedProfile], query: Query, codes: RatingCodes, *, k: int, min_overlap: int = 1
    ) -> None:
        self._codes = codes
        self.query = query
        self._take(profiles)
        products = query.dense().take(self.rows)
        products *= self.preferences
        similarities = np.add.reduceat(products, self.starts)
        similarities /= self._numbers[:, _NORM]
        if min_overlap > 1:
            shared = np.zeros(query.size, np.int64)
            shared[query.rows] = 1
            similarities[np.add.reduceat(shared[self.rows], self.starts) < min_overlap] = 0.0
        chosen = _ranking(similarities, profiles, k)
        self.similarities = similarities if chosen is None else similarities[chosen]
        """g_v = sum_i q_i s_vi, all above 0. Shape (K,)."""
        if chosen is not None:
            self._take([profiles[place] for place in chosen.tolist()])

    def _take(self, profiles: Sequence[PackedProfile]) -> None:
        self.profiles = profiles
        """The neighbors, the most similar first: the order of every column here."""
        self._columns = _Columns(*zip(*profiles, strict=True))
        self._numbers: NDArray[np.float64] = joined(self._columns.numbers, np.float64).reshape(-1, 5)
        self.lengths = self._numbers[:, _COUNT].astype(np.intp)
        """How many ratings each neighbor has. Shape (K,)."""
        ends: NDArray[np.intp] = self.lengths.cumsum()
        self.starts: NDArray[np.intp] = ends - self.lengths
        """Where each neighbor's ratings begin. Shape (K,)."""
        count = int(ends[-1]) if ends.size else 0
        self.rows = unpack_rows(self._columns.rows, self.lengths, count)
        """The rows of the ratings. Shape (m,)."""
        self._in_meanings, self._meanings = self._codes.unpack(self._columns.ratings, self.lengths, count)
        self.preferences = self._meanings.preferences.take(self._in_meanings)
        """The weighting's preferences for the ratings. Shape (m,)."""

    def __len__(self) -> int:
        return len(self.profiles)

    def make_room(self, rows: int) -> None:
        """Makes room for rows that came after the neighbors were found, who have rated none of them.

        Args:
            rows: How many rows there are.
        """
        self.query = self.query.among(rows)

    def owners_of(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Whose ratings some are, by the neighbor's place.

        Args:
            places: Where they stand in the columns, ascending. Shape (n,).

        Returns:
            Shape (n,).
        """
        firsts = places.searchsorted(self.starts)  # rather than each place among the starts: there are more of these
        return np.arange(len(self)).repeat(np.append(firsts[1:], places.size) - firsts)

    def repeated(self, numbers: NDArray[Number]) -> NDArray[Number]:
        """A number of each neighbor, repeated for each of their ratings.

        Args:
            numbers: Shape (K,).

        Returns:
            Shape (m,).
        """
        return numbers.repeat(self.lengths)

    @property
    def affinities(self) -> NDArray[np.float64]:
        """What a fit makes of the ratings, v of their stars. Shape (m,)."""
        return self._meanings.affinities.take(self._in_meanings)

    def stars_at(self, places: NDArray[np.intp]) -> NDArray[np.float32]:
        """Some of the ratings, on the five-star scale.

        Args:
            places: Where they stand in the columns. Shape (n,).

        Returns:
            Shape (n,).
        """
        return self._meanings.stars.take(self._in_meanings.take(places))

    @property
    def rated_at(self) -> NDArray[np.int64]:
        """When they were given, milliseconds since 1970: only where the profiles were read with times. Shape (m,)."""
        return unpack_times(self._columns.times, self.lengths)

    def term_sums(self, terms: NDArray[np.float64], version: int) -> NDArray[np.float64]:
        """The sum of the terms of all items that each neighbor has rated, remembered in their profiles.

        Args:
            terms: B. Shape (rows,).
            version: The version of the counts that they are of.

        Returns:
            Shape (K,).
        """
        if (self._numbers[:, _VERSION] == version).all():
            return self._numbers[:, _TERMS]
        sums = term_sums_of(self.rows, self.starts, terms)
        for profile, total in zip(self.profiles, sums.tolist(), strict=True):
            _MEMO.pack_into(profile.numbers, _TERMS * 8, total, version)
        return sums

    @property
    def star_sums(self) -> NDArray[np.float64]:
        """The sum of each neighbor's ratings in stars. Shape (K,)."""
        return self._numbers[:, _STARS]


def term_sums_of(
    rows: NDArray[np.integer], starts: NDArray[np.integer], terms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The sum of the terms of all items that each of some users has rated: the same bits, whoever is with them.

    Args:
        rows: The rows that they have rated, user by user. Shape (m,).
        starts: Where each user's begin, ascending; each has one at least. Shape (n,).
        terms: B. Shape (rows,).

    Returns:
        Shape (n,).
    """
    sums: NDArray[np.float64] = np.add.reduceat(terms.take(rows), starts)
    return sums


def _ranking(similarities: NDArray[np.float64], profiles: Sequence[PackedProfile], k: int) -> NDArray[np.intp] | None:
    """The places of the neighbors, the most similar first, ties by user id; None if that is everyone as they stand."""
    top = similarities[0]
    if similarities.size <= k and similarities[-1] > top * NOTHING:
        gaps = similarities[:-1] - similarities[1:]
        if gaps.min(initial=np.inf) > 2.0 * 10.0**-TIE_DIGITS * top:
            return None  # as the engine found them, nearly always: in order, without ties
    top = similarities.max()
    if top <= 0:
        return np.empty(0, np.intp)
    rounded = np.round(similarities / top, TIE_DIGITS)
    order = np.argsort(-rounded, kind="stable")
    ranked = rounded[order]
    if not (ranked[1:] < ranked[:-1]).all():
        by_id = sorted(range(len(profiles)), key=lambda place: profiles[place].user_id)
        order = np.array(by_id, np.intp)[np.argsort(-rounded[by_id], kind="stable")]
    order = order[:k]
    chosen: NDArray[np.intp] = order[similarities[order] > top * NOTHING]
    return chosen
