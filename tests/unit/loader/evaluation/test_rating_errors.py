from math import sqrt

import numpy as np
import pytest

from loader.evaluation.rating_errors import rating_errors
from loader.evaluation.table import Profiles

HELD_OUT = Profiles(np.array([0, 2, 3]), np.array([4, 7, 4], np.int32), np.array([5.0, 3.0, 1.0], np.float32))


def test_errors_are_over_what_was_predicted() -> None:
    """RMSE and MAE are over all ratings that have a prediction, and their share is told."""
    found = rating_errors(HELD_OUT, np.array([4.0, np.nan, 4.0]))
    assert found.rmse.mean == pytest.approx(sqrt((1 + 9) / 2))
    assert found.mae.mean == 2.0
    assert (found.mae.low, found.mae.high) == (1.0, 3.0)
    assert found.predicted == pytest.approx(2 / 3)


def test_right_predictions_have_no_error() -> None:
    """Predicting what was given leaves nothing."""
    found = rating_errors(HELD_OUT, np.array([5.0, 3.0, 1.0]))
    assert (found.rmse.mean, found.mae.mean, found.predicted) == (0.0, 0.0, 1.0)


def test_no_prediction_has_no_error() -> None:
    """Where nothing is predicted there is no number."""
    found = rating_errors(HELD_OUT, np.full(3, np.nan))
    assert np.isnan([*found.rmse, *found.mae]).all()
    assert found.predicted == 0.0
