"""Generates ratings, some users at a time, from a seed: the same seed gives the same ratings."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from benchmarks.generated.catalog import Catalog, make_catalog
from benchmarks.generated.choices import choose
from benchmarks.generated.curves import activity
from benchmarks.generated.shape import Shape
from benchmarks.generated.tastes import draw_tastes

SHARES_OF_HALF_STARS = (0.0136, 0.0279, 0.0178, 0.0749, 0.0550, 0.1988, 0.1303, 0.2660, 0.0848, 0.1310)
"""Of all ratings, 0.5 to 5 stars: those of MovieLens latest-small."""
SHARES_OF_STARS = (0.0611, 0.1137, 0.2715, 0.3417, 0.2120)
"""The same, 1 to 5 stars: those of MovieLens 100K."""

_USER, _ITEM, _TASTE = 0.40, 0.42, 0.25
"""Parts of a rating's deviation that are the user's, the item's, and that of the user's taste; the rest is noise."""
_DRAWS_AT_ONCE = 2_000_000
_FIRST_DAY, _LAST_DAY = 852_076_800, 1_704_067_200
"""1997 to the end of 2023, in seconds since 1970."""
_ONE_SITTING = 0.55
_SECONDS_A_RATING = 13.0
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class RatingRows:
    """Ratings by user and item.

    Args:
        users: Ids from 1 on, ascending. Shape (n,).
        items: Ids, ascending within a user. Shape (n,).
        values: Stars. Shape (n,).
        times: Seconds since 1970. Shape (n,).
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    values: NDArray[np.float64]
    times: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Community:
    """Users and items from a seed, before anybody has rated.

    Args:
        shape: The sizes.
        seed: The seed.
        catalog: The items.
        counts: How many ratings each user has. Shape (n_users,).
        expected: How many draws that takes, see `benchmarks.generated.tastes.draw_weights`. Shape (n_users,).
    """

    shape: Shape
    seed: int
    catalog: Catalog
    counts: NDArray[np.int64]
    expected: NDArray[np.float64]

    @classmethod
    def of(cls, shape: Shape, seed: int = 1) -> "Community":
        """Makes it."""
        random = np.random.default_rng([seed, 0])
        counts = activity(shape)
        catalog, expected = make_catalog(shape, counts, random)
        order = random.permutation(counts.size)
        return cls(shape, seed, catalog, counts[order], expected[order])

    def ratings(self) -> Iterator[RatingRows]:
        """All ratings, some users at a time, in bounded memory."""
        work = np.cumsum(np.minimum(self.expected, self.shape.items))
        chunks = int(np.ceil(work[-1] / _DRAWS_AT_ONCE))  # as equal as can be
        cuts = np.searchsorted(work, np.linspace(0, work[-1], chunks + 1)[1:-1])
        bounds = np.unique(np.concatenate([[0], cuts, [self.shape.users]])).tolist()
        for number, (first, after) in enumerate(pairwise(bounds), 1):
            yield self._rows(first, after, np.random.default_rng([self.seed, number]))

    def _rows(self, first: int, after: int, random: np.random.Generator) -> RatingRows:
        catalog, counts = self.catalog, self.counts[first:after]
        factors = draw_tastes(counts.size, random)
        users, items, turns = choose(catalog, factors, counts, self.expected[first:after], random)
        tastes = factors * catalog.shares
        tastes /= tastes.sum(axis=1, keepdims=True)
        fondness = np.tanh(np.log(factors) / 2)
        fondness -= (tastes * fondness).sum(axis=1, keepdims=True)
        fondness /= np.sqrt((tastes * fondness * fondness).sum(axis=1).mean())
        kindness = random.standard_normal(counts.size)
        noise = (1 - _USER**2 - _ITEM**2 - _TASTE**2) ** 0.5
        liking = noise * random.standard_normal(users.size)
        liking += _USER * kindness[users] + _ITEM * catalog.quality[items]
        liking += _TASTE * fondness[users, catalog.cells[items]]
        liking = (liking - liking.mean()) / liking.std()
        times = _times(counts, random)[users] + self._pace(counts, users, turns, random)
        ids = catalog.ids[items]
        order = np.argsort(users * (ids.size + catalog.ids.size + 1) + ids)
        return RatingRows(users[order] + first + 1, ids[order], self._stars(liking)[order], times[order])

    def _stars(self, liking: NDArray[np.float64]) -> NDArray[np.float64]:
        whole = self.shape.whole_stars
        shares = np.cumsum(SHARES_OF_STARS if whole else SHARES_OF_HALF_STARS)
        bounds = [NormalDist().inv_cdf(share) for share in (shares[:-1] / shares[-1]).tolist()]
        steps = np.searchsorted(bounds, liking) + 1
        return steps.astype(np.float64) if whole else steps / 2

    @staticmethod
    def _pace(
        counts: NDArray[np.int64], users: NDArray[np.int64], turns: NDArray[np.int64], random: np.random.Generator
    ) -> NDArray[np.int64]:
        """Seconds from a user's first rating to each: one sitting for half of them, some over years for the others."""
        sittings = np.where(random.random(counts.size) < _ONE_SITTING, 1, 2 + random.geometric(0.1, counts.size))
        gaps = _DAY * np.exp(random.normal(2.0, 2.0, counts.size)).clip(0.5, 400)
        sitting = turns * sittings[users] // counts[users]
        return (sitting * gaps[users] + turns * _SECONDS_A_RATING).astype(np.int64)


def _times(counts: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    return random.integers(_FIRST_DAY, _LAST_DAY, counts.size)
