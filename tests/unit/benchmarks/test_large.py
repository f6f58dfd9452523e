import numpy as np
import pytest

from benchmarks.large import EMPTY, KINDS, ROUNDS, SEARCH, Answers, answers_table
from kindred.v1.recommendation_service_pb2 import RECIPE_DEFAULT, RECIPE_RIDGE


def answers(call: list[float]) -> Answers:
    """What answering took, if an empty call and a bare search took a millisecond each."""
    one = np.ones(len(call))
    return Answers("1M", {EMPTY: one, SEARCH: one, **{kind: np.array(call) for kind in KINDS}}, 120.0, 90.0)


def test_the_floor_is_an_empty_call_and_a_bare_search() -> None:
    """A call is compared with both together, over all rounds and within each."""
    found = answers([2.0, 3.0] * ROUNDS)
    assert found.floor == 2.0
    assert found.median("default") / found.floor == 1.25
    assert found.ratios == pytest.approx([1.25] * ROUNDS)


def test_a_slow_round_shows_in_the_ratios() -> None:
    """What the noise was is told by the rounds."""
    found = answers([2.0] * (ROUNDS - 1) + [4.0])
    assert found.ratios == pytest.approx([1.0] * (ROUNDS - 1) + [2.0])


def test_the_table_has_a_line_for_each_size() -> None:
    """Medians, the ratio to the floor, the tail against the median, and memory."""
    assert answers_table([answers([3.0] * ROUNDS)]).splitlines()[2:] == [
        "| 1M | 1.00 | 1.00 | 3.00 | 3.00 | 3.00 | 1.50 | 1.00 | 120 |"
    ]


def test_the_kinds_of_calls_are_what_they_are_called() -> None:
    """The default recipe and ridge with their own numbers of neighbors, and ridge with the default recipe's."""
    assert {kind: (call.recipe, call.neighbors.k) for kind, call in KINDS.items()} == {
        "default": (RECIPE_DEFAULT, 0),
        "ridge, K = 200": (RECIPE_RIDGE, 200),
        "ridge": (RECIPE_RIDGE, 0),
    }
