"""How sure a mean over users is: percentile intervals from seeded resamples of the users. Pure.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
_RESAMPLING = 2


class Estimate(NamedTuple):
    """A mean over users, and the interval that it would be in with other users like them: NaN if there is none."""

    mean: float
    low: float
    high: float


def estimates(values: Mapping[str, NDArray[np.float64]], resamples: int = 1_000, seed: int = 0) -> dict[str, Estimate]:
    """Means with their 95 % intervals.

    The same seed draws the same users, whatever is measured: differences between contestants can be estimated, too.

    Args:
        values: By name one number a user; NaN for users who have none. Each of shape (n_users,), n_users at least 1.
        resamples: How often users are drawn; at least 1.
        seed: Of the draws.
    """
    columns = np.stack(list(values.values()), axis=1)
    there = ~np.isnan(columns)
    numbers = np.where(there, columns, 0.0)
    random = np.random.default_rng([seed, _RESAMPLING])
    means = np.empty((resamples, columns.shape[1]))
    for place in range(resamples):  # one at a time: all draws at once would take resamples x users of memory
        drawn = random.integers(0, columns.shape[0], columns.shape[0])
        means[place] = _means(numbers[drawn], there[drawn])
    found = {}
    for place, (name, mean) in enumerate(zip(values, _means(numbers, there).tolist(), strict=True)):
        drawn_means = means[~np.isnan(means[:, place]), place]
        if drawn_means.size:
            low, high = np.percentile(drawn_means, [50 * (1 - LEVEL), 50 * (1 + LEVEL)]).tolist()
            found[name] = Estimate(mean, low, high)
        else:
            found[name] = Estimate(np.nan, np.nan, np.nan)
    return found


def _means(numbers: NDArray[np.float64], there: NDArray[np.bool_]) -> NDArray[np.float64]:
    counts = there.sum(axis=0)
    means: NDArray[np.float64] = numbers.sum(axis=0) / np.where(counts, counts, np.nan)
    return means
