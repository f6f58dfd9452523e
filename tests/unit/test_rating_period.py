import numpy as np
import pytest

from kindred.rating_period import RatingPeriod

NOW = 1_700_000_000_000
TIMES = np.array([-5, 0, 999, 1_000, 1_999, 2_000, NOW, NOW + 1_000], np.int64)


def weights(period: RatingPeriod) -> list[float]:
    """How much ratings of these times count now."""
    return period.weights(TIMES, NOW).tolist()


def test_every_rating_counts_by_default() -> None:
    """A period that says nothing leaves every rating as it is."""
    assert weights(RatingPeriod()) == [1.0] * 8


def test_the_beginning_belongs_to_a_period_and_its_end_does_not() -> None:
    """A rating counts from the very time of the beginning on, and not at that of the end."""
    assert weights(RatingPeriod(since=1_000)) == [0, 0, 0, 1, 1, 1, 1, 1]
    assert weights(RatingPeriod(until=2_000)) == [1, 1, 1, 1, 1, 0, 0, 0]
    assert weights(RatingPeriod(1_000, 2_000)) == [0, 0, 0, 1, 1, 0, 0, 0]


def test_a_rating_counts_half_for_each_half_life() -> None:
    """Ages are counted from the end of the period, or from now."""
    found = RatingPeriod(until=2_000, half_life=1_000.0).weights(np.array([2_000 - 3_000, 0, 1_000, 1_500, 2_000]), NOW)
    assert found.tolist() == pytest.approx([1 / 8, 1 / 4, 1 / 2, 0.5**0.5, 0])
    found = RatingPeriod(half_life=60_000.0).weights(np.array([NOW - 120_000, NOW - 60_000, NOW, NOW + 60_000]), NOW)
    assert found.tolist() == [0.25, 0.5, 1, 1]


def test_extreme_half_lives_are_numbers() -> None:
    """The shortest half-life leaves nothing of an old rating, and there is no warning about it."""
    assert RatingPeriod(half_life=1e-6).weights(np.array([-(10**13), NOW]), NOW).tolist() == [0.0, 1.0]
    assert RatingPeriod(since=0, half_life=1e12).weights(np.empty(0, np.int64), NOW).size == 0
