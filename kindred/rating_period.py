"""Which ratings count, and how much, by when they were given. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_HALF_LIFE = 100 * 365.25 * 86_400_000
"""Milliseconds: 100 years."""


@dataclass(frozen=True, slots=True)
class RatingPeriod:
    """When a rating was given for it to count; all times in milliseconds since 1970.

    Args:
        since: At this time or later; None for any.
        until: Before this time; None for any so far.
        half_life: Milliseconds; a rating counts half for each of them between it and `until`, or now. None if all
            count alike.
    """

    since: int | None = None
    until: int | None = None
    half_life: float | None = None

    def weights(self, rated_at: NDArray[np.int64], now: int) -> NDArray[np.float64]:
        """How much ratings count.

        Args:
            rated_at: When they were given. Shape (n,).
            now: The present. A rating from after it, by another machine's clock, counts as one of now.

        Returns:
            0 to 1. Shape (n,).
        """
        weights = np.ones(rated_at.size)
        if self.half_life is not None:
            ages = (now if self.until is None else self.until) - rated_at
            weights = np.exp2(-(np.maximum(ages, 0) / self.half_life))
        if self.since is not None:
            weights[rated_at < self.since] = 0.0
        if self.until is not None:
            weights[rated_at >= self.until] = 0.0
        return weights
