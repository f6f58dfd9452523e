from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.tradeoff.__main__ import main
from benchmarks.tradeoff.answered import Answered
from benchmarks.tradeoff.figures import differences, figures_of, quality_table, shared_items, time_table
from benchmarks.tradeoff.picture import by_dimensions, by_neighbors
from benchmarks.tradeoff.settings import OWN, WHOLE, Cut, Setting, grid, turns
from kindred.recipes import DEFAULT, RIDGE
from kindred.weighting import SparseVector

QUERY = SparseVector(np.array([3, 5, 8, 9], np.uint32), np.array([0.5, -0.25, 1.0, 0.1], np.float32))


def cut(part: Cut, query: SparseVector = QUERY) -> dict[int, float]:
    """What is left of a query, by dimension."""
    found = part.of(query)
    return dict(zip(found.indices.tolist(), found.values.tolist(), strict=True))


def answered(setting: Setting, *, lists: NDArray[np.int32], seconds: float, was_cut: tuple[bool, bool]) -> Answered:
    """Answers for two users that all took as long, a quarter of it the search."""
    return Answered(setting, lists, np.full(2, seconds), np.full(2, seconds / 4), np.array(was_cut))


OWN_LISTS = np.array([[1, 2], [3, -1]], np.int32)
OTHER = Setting("default", 200, Cut(16))
TWO = [
    answered(OWN["default"], lists=OWN_LISTS, seconds=0.004, was_cut=(False, False)),
    answered(OTHER, lists=np.array([[2, 7], [3, -1]], np.int32), seconds=0.003, was_cut=(True, False)),
]
CUT = {each.setting: each.was_cut for each in TWO}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (WHOLE, [3, 5, 8, 9]),
        (Cut(4), [3, 5, 8, 9]),
        (Cut(3), [3, 5, 8]),
        (Cut(1), [8]),
        (Cut(likes_only=True), [3, 8, 9]),
        (Cut(2, likes_only=True), [3, 8]),
    ],
)
def test_the_largest_weights_of_a_query_are_kept(part: Cut, expected: list[int]) -> None:
    """A cut keeps the weights that are largest whatever their sign, or the positive ones, in their order."""
    assert list(cut(part)) == expected


def test_of_equal_weights_the_first_are_kept() -> None:
    """A cut among equal weights is the same each time."""
    equal = SparseVector(np.arange(40, dtype=np.uint32), np.ones(40, np.float32))
    assert list(cut(Cut(16), equal)) == list(range(16))


def test_a_query_of_dislikes_stays_whole() -> None:
    """Where nothing is positive the engine gets all of it: an empty query finds nobody."""
    dislikes = SparseVector(np.array([1, 2], np.uint32), np.array([-0.25, -0.1], np.float32))
    assert list(cut(Cut(likes_only=True), dislikes)) == [1, 2]


def test_a_negative_weight_for_what_nobody_has_is_all_that_is_added() -> None:
    """Against pruning one more dimension is given, with a negative weight."""
    found = cut(Cut(likes_only=True, unprunable=True))
    assert {dimension: value for dimension, value in found.items() if value > 0} == cut(Cut(likes_only=True))
    assert [value < 0 for value in found.values()] == [False, False, False, True]


def test_settings_are_each_there_once_with_the_recipes_own_among_them() -> None:
    """The grid has no setting twice, and the recipes' own K with whole queries: what the rest is compared with."""
    settings = grid(unprunable=True)
    assert len(set(settings)) == len(settings)
    assert {Setting("default", DEFAULT.k), Setting("ridge", RIDGE.k)} <= set(settings)


@pytest.mark.parametrize(("users", "settings"), [(10, 3), (2, 5), (1, 1), (0, 3)])
def test_every_setting_has_every_user_once(users: int, settings: int) -> None:
    """Whatever their numbers, each pair of a user and a setting has one turn."""
    found = Counter(turns(users, settings))
    assert found == Counter((user, setting) for user in range(users) for setting in range(settings))


def test_no_turn_has_the_user_of_the_one_before() -> None:
    """Where there are more users than settings, each of a step's turns has another one."""
    found = [user for user, _ in turns(100, 7)]
    assert all(len(set(found[first : first + 7])) == 7 for first in range(0, 700, 7))


def test_differences_are_those_of_the_same_users_and_of_the_cut_ones() -> None:
    """NDCG is compared with the recipe's own setting user by user, and once more where a query lost something."""
    found = differences({OWN["default"]: np.array([0.5, 0.25]), OTHER: np.array([0.25, 0.5])}, CUT)
    mean, difference, of_cut = found[OTHER]
    assert (mean, difference.mean) == (0.375, 0.0)
    assert of_cut is not None
    assert of_cut.mean == -0.25
    assert found[OWN["default"]][2] is None


def test_shared_items_are_counted_wherever_they_stand() -> None:
    """An item at another place of the list is shared, what fills lists up is none, and empty lists share nothing."""
    assert shared_items(OWN_LISTS, TWO[1].lists) == pytest.approx(2 / 3)
    assert shared_items(np.full((1, 2), -1, np.int32), OWN_LISTS[:1]) == 0.0


def test_the_tables_have_a_row_for_each_setting() -> None:
    """A row has the setting, what was cut, and its figures beside their ratio to the recipe's own setting."""
    figures = figures_of(TWO)
    assert time_table(figures).splitlines()[2:] == [
        "| default | **200** | all | 0% | 100.0% | " + " | ".join(3 * ["1.0 (1.00)"] + 3 * ["4.0 (1.00)"]) + " |",
        "| default | 200 | the 16 largest | 50% | 66.7% | "
        + " | ".join(3 * ["0.8 (0.75)"] + 3 * ["3.0 (0.75)"])
        + " |",
    ]
    assert (
        quality_table(figures).splitlines()[3]
        == "| default | 200 | the 16 largest | 50% |  |  |  | 3.00 | 0.75 | 0.75 |"
    )


def test_curves_are_in_order_and_end_with_the_whole_query() -> None:
    """Whole queries are by K, those of a recipe's own K by dimensions."""
    empty = np.zeros((2, 1), np.int32)
    figures = figures_of(
        [
            answered(setting, lists=empty, seconds=0.001, was_cut=(False, False))
            for setting in reversed(grid(unprunable=True))
        ]
    )
    assert [each.setting.k for each in by_neighbors(figures, "default")] == [25, 50, 100, 200, 400]
    dimensions = [each.setting.cut.dimensions for each in by_dimensions(figures, "ridge")]
    assert dimensions == [16, 32, 64, 128, 256, 512, None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--splits", "time,cold"], "no split 'cold'"), (["--splits", ""], "nothing to measure")],
)
def test_wrong_arguments_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be measured ends the command before anything is read, and says what can."""
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err
