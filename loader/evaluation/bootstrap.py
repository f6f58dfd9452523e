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
    """Means over users with their 95 % intervals.

    The same seed draws the same users, whatever is measured: differences between contestants can be estimated, too.

    Args:
        values: By name one number a user; NaN for users who have none. Each of shape (n_users,), n_users at least 1.
        resamples: How often users are drawn; at least 1.
        seed: Of the draws.
    """
    columns = np.stack(list(values.values()), axis=1)
    there = ~np.isnan(columns)
    found = _ratios(np.where(there, columns, 0.0), there.astype(np.int64), resamples, seed)
    return dict(zip(values, found, strict=True))


def pooled_estimates(
    sums: Mapping[str, NDArray[np.float64]], counts: NDArray[np.int64], resamples: int = 1_000, seed: int = 0
) -> dict[str, Estimate]:
    """Means over everything that users have some of, with intervals from drawing whole users.

    Args:
        sums: By name the sum over each user's. Each of shape (n_users,).
        counts: How many each user has. Shape (n_users,).
        resamples: How often users are drawn; at least 1.
        seed: Of the draws.
    """
    columns = np.stack(list(sums.values()), axis=1)
    found = _ratios(columns, np.repeat(counts[:, None], columns.shape[1], axis=1), resamples, seed)
    return dict(zip(sums, found, strict=True))


def _ratios(sums: NDArray[np.float64], counts: NDArray[np.int64], resamples: int, seed: int) -> list[Estimate]:
    """By column the sum of sums over the sum of counts. Both of shape (n_users, n)."""
    random = np.random.default_rng([seed, _RESAMPLING])
    drawn_ratios = np.empty((resamples, sums.shape[1]))
    for place in range(resamples):  # one at a time: all draws at once would take resamples x users of memory
        drawn = random.integers(0, sums.shape[0], sums.shape[0])
        drawn_ratios[place] = _ratio(sums[drawn], counts[drawn])
    found = []
    for drawn_column, ratio in zip(drawn_ratios.T, _ratio(sums, counts).tolist(), strict=True):
        numbers = drawn_column[~np.isnan(drawn_column)]
        low, high = np.percentile(numbers, [50 * (1 - LEVEL), 50 * (1 + LEVEL)]) if numbers.size else (np.nan, np.nan)
        found.append(Estimate(ratio, float(low), float(high)))
    return found


def _ratio(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    counted = counts.sum(axis=0)
    ratios: NDArray[np.float64] = sums.sum(axis=0) / np.where(counted, counted, np.nan)
    return ratios
