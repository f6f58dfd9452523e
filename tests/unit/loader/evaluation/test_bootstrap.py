import numpy as np
import pytest

from loader.evaluation.bootstrap import Estimate, estimates, pooled_estimates


def test_the_interval_is_that_of_the_mean() -> None:
    """For many users the 95 % interval is about 1.96 standard errors to either side of the mean."""
    values = np.random.default_rng(0).normal(3.0, 2.0, 10_000)
    found = estimates({"x": values})["x"]
    assert found.mean == pytest.approx(values.mean())
    error = values.std() / 100
    assert found.low == pytest.approx(found.mean - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(found.mean + 1.96 * error, abs=0.15 * error)


def test_the_seed_says_everything() -> None:
    """The same seed gives the same numbers to the last bit, whatever else is measured; another one does not."""
    values = np.arange(20.0)
    alone = estimates({"x": values}, seed=1)["x"]
    assert estimates({"y": -values, "x": values}, seed=1)["x"] == alone
    assert estimates({"x": values}, seed=2)["x"] != alone


def test_users_who_agree_leave_no_doubt() -> None:
    """A number that all users share is the whole interval."""
    assert estimates({"x": np.full(5, 0.25)})["x"] == Estimate(0.25, 0.25, 0.25)


def test_users_without_a_number_do_not_count() -> None:
    """NaN is left out of the mean; where nobody has a number there is no estimate."""
    found = estimates({"x": np.array([1.0, np.nan, 1.0]), "none": np.full(3, np.nan)})
    assert found["x"] == Estimate(1.0, 1.0, 1.0)
    assert np.isnan(found["none"]).all()


def test_pooled_means_are_over_everything_that_users_have() -> None:
    """A user with more counts more, and whole users are drawn: two who differ give an interval between them."""
    sums, counts = {"x": np.array([9.0, 1.0, 0.0])}, np.array([3, 1, 0])
    found = pooled_estimates(sums, counts)["x"]
    assert found == Estimate(2.5, 1.0, 3.0)
    assert np.isnan(pooled_estimates(sums, np.zeros(3, np.int64))["x"]).all()
