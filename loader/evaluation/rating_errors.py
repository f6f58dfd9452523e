"""How far predicted ratings are from those that were held out. Pure."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from loader.evaluation.bootstrap import Estimate, pooled_estimates
from loader.evaluation.table import Profiles


@dataclass(frozen=True, slots=True)
class RatingErrors:
    """Errors on the catalog's scale, over all ratings that were predicted.

    Args:
        rmse: The root of the mean squared error.
        mae: The mean absolute error.
        predicted: The share of the held-out ratings for which there was a prediction.
    """

    rmse: Estimate
    mae: Estimate
    predicted: float


def rating_errors(
    held_out: Profiles, predicted: NDArray[np.float64], resamples: int = 1_000, seed: int = 0
) -> RatingErrors:
    """Compares predictions with ratings.

    Args:
        held_out: The users' held-out ratings, at least one.
        predicted: What was predicted for each; NaN where nothing was. Shape (n_held_out,).
        resamples: How often the bootstrap draws.
        seed: Of the draws.

    Returns:
        The errors; NaN where nothing was predicted at all.
    """
    there = ~np.isnan(predicted)
    errors = np.where(there, predicted - held_out.values, 0.0)
    owners, users = held_out.owners, held_out.starts.size - 1
    sums = {
        "squared": np.bincount(owners, errors * errors, users).astype(np.float64),
        "absolute": np.bincount(owners, np.abs(errors), users).astype(np.float64),
    }
    found = pooled_estimates(sums, np.bincount(owners[there], minlength=users), resamples, seed)
    return RatingErrors(Estimate(*map(sqrt, found["squared"])), found["absolute"], float(there.mean()))
