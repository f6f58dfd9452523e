"""Mean and standard deviation of numbers that come in chunks."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class Moments:
    """Count, mean and sum of squared deviations, merged chunk by chunk.

    The update is that of Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances" (1979): it loses no digits however many chunks there are.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: NDArray[np.float64]) -> None:
        """Takes a chunk that is not empty, any shape."""
        mean = float(values.mean())
        count = self.count + values.size
        shift = mean - self.mean
        self.squares += float(np.square(values - mean).sum()) + shift * shift * self.count * values.size / count
        self.mean += shift * values.size / count
        self.count = count

    @property
    def std(self) -> float:
        """The sample standard deviation; 0 for less than two values."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0
