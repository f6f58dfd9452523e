"""How active users are and how popular items, fitted to MovieLens 100K and latest-small.

Activity: 20 and a log-normal with a sigma of 1.6, bent down where a user has rated a good part of the catalog.
Popularity: the share of users who rate the item of rank r is s exp(-c r^g), a stretched exponential. c and g follow
from the sizes: the shares add up to the mean activity, and the last item is rated about once.
"""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from benchmarks.generated.shape import Shape

FEWEST = 20
"""MovieLens has nobody with fewer ratings."""

_SIGMA = 1.6
_MOST_KNOWN = 0.4
"""The share of a catalog where the activity bends: at most anybody rates 2,698 of 9,742 items, and 737 of 1,682."""
_TOP_SHARE = 0.56
"""The share of users who rate the most popular item: 0.62 in 100K, 0.54 in latest-small."""
_STEPS = 60


def activity(shape: Shape) -> NDArray[np.int64]:
    """How many ratings users have, ascending, `shape.ratings` in all. Shape (n_users,)."""
    normal = NormalDist()
    grid = np.linspace(-5, 5, 2_001)  # the quantiles of the normal distribution, by interpolation
    quantiles = (np.arange(shape.users) + 0.5) / shape.users
    spread = np.exp(_SIGMA * np.interp(quantiles, [normal.cdf(z) for z in grid.tolist()], grid))
    most, extra = _MOST_KNOWN * shape.items, shape.ratings - FEWEST * shape.users

    def beyond(scale: float) -> NDArray[np.float64]:
        return scale * spread / (1 + scale * spread / most)

    low, high = 1e-9, 1e9
    for _ in range(_STEPS * 2):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if beyond(middle).sum() < extra else (low, middle)
    counts = FEWEST + np.floor(np.cumsum(beyond(low)) + 0.5).astype(np.int64)
    counts = np.diff(counts, prepend=FEWEST) + FEWEST  # rounded so that nothing is lost on the way
    counts[-1] += shape.ratings - counts.sum()
    return np.sort(counts)


def popularity(shape: Shape) -> NDArray[np.float64]:
    """The share of users who rate each item, descending. Shape (n_items,)."""
    ranks = np.arange(shape.items, dtype=np.float64)
    mean = shape.ratings / shape.users
    depth = np.log(_TOP_SHARE * shape.users)  # the last item is rated about once
    low, high = 0.01, 5.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        total = (_TOP_SHARE * np.exp(-depth * (ranks / shape.items) ** middle)).sum()
        low, high = (middle, high) if total < mean else (low, middle)
    return _TOP_SHARE * np.exp(-depth * (ranks / shape.items) ** low)
