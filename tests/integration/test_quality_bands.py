"""The recipes recommend MovieLens 100K as well as they were measured to, and no step of theirs can go unnoticed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import kindred.ridge
import kindred.weighting
from kindred.recipes import DEFAULT, POPULAR, RIDGE, TUTORIAL_RATINGS, TUTORIAL_SIMILARITY, Recipe
from kindred.settings import Settings
from loader.evaluation.options import EvaluationOptions, ProductSpec, SplitOptions
from loader.evaluation.reading import read_source
from loader.evaluation.run import evaluate
from loader.evaluation.table import RatingTable
from loader.progress import NoProgress
from loader.readers.movielens import open_movielens

pytestmark = pytest.mark.timeout(600)

RANDOM, TIME, COLD = SplitOptions(), SplitOptions("time"), SplitOptions("cold", likes=(1, 3))
NDCG_BAND, COVERAGE_BAND = 0.0005, 0.001
"""How far a figure may be off. Run again it is the same to the digit: this is for another library's rounding."""


class Quality(NamedTuple):
    """NDCG@10, and the share of the catalog that is in anybody's list."""

    ndcg: float
    coverage: float

    def is_like(self, other: "Quality") -> bool:
        """Whether both figures are within the bands."""
        return abs(self.ndcg - other.ndcg) <= NDCG_BAND and abs(self.coverage - other.coverage) <= COVERAGE_BAND


MEASURED: Mapping[str, Mapping[str, Quality]] = {
    "random": {
        "default": Quality(0.3565, 0.1397),
        "ridge": Quality(0.3934, 0.2140),
        "tutorial-similarity": Quality(0.2306, 0.1819),
        "tutorial-ratings": Quality(0.1904, 0.1492),
        "popular": Quality(0.1803, 0.0291),
    },
    "time": {
        "default": Quality(0.1232, 0.1599),
        "ridge": Quality(0.1481, 0.2598),
    },
    "cold, 1 like": {
        "default": Quality(0.5127, 0.0809),
        "ridge": Quality(0.5051, 0.0761),
    },
    "cold, 3 likes": {
        "default": Quality(0.5518, 0.0612),
        "ridge": Quality(0.5470, 0.0702),
    },
}
"""By task and recipe."""


class Recipes(Settings):
    """Settings with other recipes."""

    others: dict[str, Recipe]

    def recipes(self) -> dict[str, Recipe]:
        """The recipes by name."""
        return super().recipes() | self.others


@pytest.fixture(scope="module")
def table(ml100k: Path) -> RatingTable:
    """MovieLens 100K."""
    return read_source(open_movielens(ml100k), NoProgress())


async def measured(
    table: RatingTable, split: SplitOptions, *recipes: Recipe, shrinkage: float = 5.0
) -> dict[str, dict[str, Quality]]:
    """The quality by task and recipe."""
    options = EvaluationOptions(
        split, [ProductSpec(recipe.name) for recipe in recipes], resamples=1, shrinkage=shrinkage
    )
    settings = Recipes(others={recipe.name: recipe for recipe in recipes})
    found: dict[str, dict[str, Quality]] = {}
    for each in (await evaluate(table, options, settings, NoProgress())).results:
        found.setdefault(each.task, {})[each.contestant] = Quality(each.means["ndcg"].mean, each.coverage)
    return found


def assert_like(found: Mapping[str, Mapping[str, Quality]]) -> None:
    """Asserts that every figure is the one that was measured."""
    off = {
        (task, recipe): (quality, MEASURED[task][recipe])
        for task, recipes in found.items()
        for recipe, quality in recipes.items()
        if not quality.is_like(MEASURED[task][recipe])
    }
    assert off == {}


def fitted(**numbers: Any) -> Recipe:
    """RIDGE with another fit."""
    assert RIDGE.fit is not None
    return replace(RIDGE, fit=replace(RIDGE.fit, **numbers))


WITHOUT = {
    "default without the query's damping": replace(DEFAULT, query_damping=0.0),
    "default without sharpness": replace(DEFAULT, sharpness=1.0),
    "default without the scores' damping": replace(DEFAULT, score_damping=0.0),
    "default with fewer neighbors": replace(DEFAULT, k=100),
    "ridge without the query's damping": replace(RIDGE, query_damping=0.0),
    "ridge without recency": replace(RIDGE, recency_half_life=None),
    "ridge without the scores' damping": replace(RIDGE, score_damping=0.0),
    "ridge without the fit's damping": fitted(damping=0.0),
    "ridge without trust": fitted(trust=0.0),
    "ridge with less penalty": fitted(penalty=3.0),
    "ridge with a step more": fitted(steps=4),
    "ridge with fewer neighbors": replace(RIDGE, k=200),
}
"""What dropping a step of a formula makes of a recipe."""


async def test_recipes_are_as_good_as_measured(table: RatingTable) -> None:
    """With a fifth of everybody's ratings held out, each recipe finds as many of them as it did."""
    assert_like(await measured(table, RANDOM, DEFAULT, RIDGE, TUTORIAL_SIMILARITY, TUTORIAL_RATINGS, POPULAR))


async def test_recipes_are_as_good_at_what_comes_next(table: RatingTable) -> None:
    """With everybody's last five ratings held out, each recipe finds as many of them as it did."""
    assert_like(await measured(table, TIME, DEFAULT, RIDGE))


async def test_recipes_are_as_good_for_newcomers(table: RatingTable) -> None:
    """With one and with three likes of users who are not stored, each recipe finds as much as it did."""
    assert_like(await measured(table, COLD, DEFAULT, RIDGE))


async def test_no_step_can_be_dropped_unnoticed(table: RatingTable) -> None:
    """Leaving out any step of a formula takes its figures out of the bands."""
    found = await measured(table, TIME, *(recipe.named(name.replace(" ", "-")) for name, recipe in WITHOUT.items()))
    [qualities] = found.values()
    [task] = found
    unnoticed = [name for name, quality in qualities.items() if quality.is_like(MEASURED[task][name.partition("-")[0]])]
    assert unnoticed == []


async def test_no_rule_for_newcomers_can_be_dropped_unnoticed(table: RatingTable) -> None:
    """Leaving out a recipe's rules for short profiles takes its figures for newcomers out of the bands."""
    plain = [replace(recipe, short_profiles=()) for recipe in (DEFAULT, RIDGE)]
    [one_like, _] = (await measured(table, COLD, *plain)).values()
    like_before = MEASURED["cold, 1 like"]
    assert [name for name, quality in one_like.items() if quality.is_like(like_before[name])] == []


async def test_the_shrinkage_of_vectors_cannot_be_dropped_unnoticed(table: RatingTable) -> None:
    """Without h, similar users are others."""
    [found] = (await measured(table, TIME, DEFAULT, shrinkage=0.01)).values()
    assert not found["default"].is_like(MEASURED["time"]["default"])


async def test_the_curves_cannot_be_dropped_unnoticed(table: RatingTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """With straight lines instead of phi and of v, and without more penalty for short profiles, lists are others."""

    def straight(stars: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.asarray((stars - 2.5) / 2.5, np.float64)

    with monkeypatch.context() as patch:
        patch.setattr(kindred.weighting, "liking", straight)
        [found] = (await measured(table, TIME, DEFAULT)).values()
    assert not found["default"].is_like(MEASURED["time"]["default"])
    for name, value in {"_AFFINITY": (0.4, 0.6, 0.8, 1.0), "_SHORT": 0.0}.items():
        with monkeypatch.context() as patch:
            patch.setattr(kindred.ridge, name, value)
            [found] = (await measured(table, TIME, RIDGE)).values()
        assert not found["ridge"].is_like(MEASURED["time"]["ridge"])
