from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kindred.recipes import RIDGE, Fit
from kindred.ridge import LocalLeastSquares, affinity

ROWS = 9
assert RIDGE.fit is not None
FIT = RIDGE.fit
AFFINITIES = st.sampled_from([0.2, 0.35, 1.0, 1.2])
PROFILES = st.lists(st.dictionaries(st.integers(0, ROWS - 1), AFFINITIES, min_size=1), min_size=1, max_size=6)


def ragged(profiles: list[dict[int, float]]) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.intp]]:
    """Rows, values and starts of profiles."""
    rows = np.array([row for profile in profiles for row in profile], np.int32)
    values = np.array([value for profile in profiles for value in profile.values()])
    lengths = np.array([len(profile) for profile in profiles])
    return rows, values, np.cumsum(lengths) - lengths


def equations(
    profiles: list[dict[int, float]], similarities: list[float], raters: NDArray[np.float64], fit: Fit = FIT
) -> LocalLeastSquares:
    """The equations of neighbors."""
    rows, values, starts = ragged(profiles)
    costs = np.maximum(raters, 1) ** -fit.damping
    return LocalLeastSquares(rows, values, starts, similarities=np.array(similarities), costs=costs, fit=fit)


def minimum(
    profiles: list[dict[int, float]],
    similarities: list[float],
    raters: NDArray[np.float64],
    fit: Fit,
    query: dict[int, float],
) -> NDArray[np.float64]:
    """The weights that minimize what the module's docstring says, solved exactly from dense matrices."""
    y = np.zeros((len(profiles), ROWS))
    for line, profile in zip(y, profiles, strict=True):
        line[[*profile]] = [*profile.values()]
    x = np.zeros(ROWS)
    x[[*query]] = [*query.values()]
    c = np.diag(np.maximum(raters, 1) ** -fit.damping)
    t = (np.array(similarities) / max(similarities)) ** fit.trust
    m = sum(t[v] ** 2 * y[v] @ c @ y[v] for v in range(len(profiles))) / len(profiles)
    penalty = fit.penalty * m * (1 + 20 / len(query))
    weights: NDArray[np.float64] = np.linalg.solve(y @ c @ y.T + penalty * np.diag(t**-2.0), y @ c @ x)
    return weights


def test_affinity_goes_through_its_knots() -> None:
    """V is 0.2 up to two stars, then rises through (3, 0.35) and (4, 1) to 1.2 at five."""
    stars = np.array([0.5, 2, 2.5, 3, 3.5, 4, 4.5, 5])
    assert affinity(stars) == pytest.approx([0.2, 0.2, 0.275, 0.35, 0.675, 1.0, 1.1, 1.2])


@settings(deadline=None)
@given(
    profiles=PROFILES,
    query=st.dictionaries(st.integers(0, ROWS - 1), AFFINITIES, min_size=1),
    penalty=st.sampled_from([0.5, 4.3]),
    data=st.data(),
)
def test_steps_enough_reach_the_minimum(
    profiles: list[dict[int, float]], query: dict[int, float], penalty: float, data: st.DataObject
) -> None:
    """With as many steps as there are neighbors, the weights are those that minimize the penalised squares."""
    similarities = data.draw(st.lists(st.floats(0.1, 2), min_size=len(profiles), max_size=len(profiles)))
    raters = np.array(data.draw(st.lists(st.integers(0, 500), min_size=ROWS, max_size=ROWS)), np.float64)
    fit = replace(FIT, penalty=penalty, steps=len(profiles) + 3)
    found = equations(profiles, similarities, raters, fit).solve(np.array([*query]), np.array([*query.values()]))
    assert found.weights == pytest.approx(minimum(profiles, similarities, raters, fit, query), abs=1e-8)


@settings(deadline=None)
@given(
    profiles=PROFILES,
    query=st.dictionaries(st.integers(0, ROWS - 1), AFFINITIES, min_size=1),
    steps=st.integers(1, 4),
)
def test_parts_add_up_to_the_weights(profiles: list[dict[int, float]], query: dict[int, float], steps: int) -> None:
    """After however many steps, what came through each item of the query adds up to each weight."""
    least = equations(profiles, [1.0] * len(profiles), np.arange(ROWS) * 7.0, replace(FIT, steps=steps))
    rows, values = np.array([*query]), np.array([*query.values()])
    found = least.solve(rows, values)
    assert least.parts(found, rows, values).sum(axis=1) == pytest.approx(found.weights, abs=1e-10)


def test_parts_are_linear_in_the_query() -> None:
    """At the minimum, an item's parts are the weights of a query that has this item alone, penalised alike."""
    profiles = [{0: 1.0, 1: 1.2, 5: 0.2}, {0: 0.35, 2: 1.0}, {1: 1.0, 2: 1.2, 7: 1.0}]
    raters, fit = np.arange(ROWS) * 7.0, replace(FIT, steps=6)
    least = equations(profiles, [1.0, 0.7, 0.4], raters, fit)
    rows, values = np.array([0, 1, 2]), np.array([1.2, 1.0, 0.2])
    parts = least.parts(least.solve(rows, values), rows, values)
    alike = replace(fit, penalty=fit.penalty * (1 + 20 / 3) / (1 + 20))
    for place, (row, value) in enumerate(zip(rows.tolist(), values.tolist(), strict=True)):
        assert parts[:, place] == pytest.approx(minimum(profiles, [1.0, 0.7, 0.4], raters, alike, {row: value}))


def test_who_says_the_same_shares_the_weight() -> None:
    """Two neighbors with the same ratings weigh the same, and less each than one of them would alone."""
    alone = equations([{0: 1.0, 3: 1.0}, {1: 1.0, 4: 1.0}], [1.0, 1.0], np.zeros(ROWS)).solve(
        np.array([0, 1]), np.ones(2)
    )
    twice = equations([{0: 1.0, 3: 1.0}, {0: 1.0, 3: 1.0}, {1: 1.0, 4: 1.0}], [1.0] * 3, np.zeros(ROWS)).solve(
        np.array([0, 1]), np.ones(2)
    )
    assert twice.weights[0] == pytest.approx(twice.weights[1])
    assert twice.weights[0] < alone.weights[0]
    assert twice.weights[2] == pytest.approx(alone.weights[1], rel=0.05)


def test_nothing_in_common_weighs_nothing() -> None:
    """Neighbors who share no item with the query weigh 0."""
    found = equations([{0: 1.0}, {1: 1.0}], [1.0, 1.0], np.zeros(ROWS)).solve(np.array([5]), np.ones(1))
    assert found.weights.tolist() == [0.0, 0.0]


@settings(deadline=None)
@given(
    profiles=PROFILES,
    query=st.dictionaries(st.integers(0, ROWS - 1), AFFINITIES, min_size=1),
    steps=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_terms_are_values_times_parts(
    profiles: list[dict[int, float]], query: dict[int, float], steps: int, seed: int
) -> None:
    """What came to some items through the query's items is the neighbors' values times the parts of their weights."""
    similarities = [1.0 - place / 9 for place in range(len(profiles))]
    least = equations(profiles, similarities, np.arange(ROWS) * 7.0, replace(FIT, steps=steps))
    rows, values = np.array([*query]), np.array([*query.values()])
    found = least.solve(rows, values)
    ratings = np.random.default_rng(seed).random((len(profiles), 4))
    expected = ratings.T @ least.parts(found, rows, values)
    assert least.terms(found, rows, values, ratings) == pytest.approx(expected, abs=1e-10)
