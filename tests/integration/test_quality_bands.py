"""The recipes recommend MovieLens 100K as well as they were measured to, and no step of theirs can go unnoticed."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from kindred.recipes import RIDGE, Fit, Recipe
from kindred.settings import Settings
from loader.evaluation.options import EvaluationOptions, ProductSpec, SplitOptions
from loader.evaluation.reading import read_source
from loader.evaluation.run import evaluate
from loader.evaluation.table import RatingTable
from loader.progress import NoProgress
from loader.readers.movielens import open_movielens

RANDOM, TIME = SplitOptions(), SplitOptions("time")
COLD = SplitOptions("cold", likes=(1, 3, 5))
NDCG_BAND, COVERAGE_BAND = 0.002, 0.01
"""How far a figure may be off: what is left to another library's rounding. Every step moves one of them farther."""

assert RIDGE.fit is not None
FIT: Fit = RIDGE.fit

BANDS: Mapping[tuple[str, str], tuple[float, float]] = {}
"""NDCG@10 and coverage by task and recipe."""


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
    table: RatingTable, split: SplitOptions, recipes: Mapping[str, Recipe], *, shrinkage: float = 5.0
) -> dict[tuple[str, str], tuple[float, float]]:
    """NDCG@10 and coverage by task and recipe."""
    specs = [ProductSpec(name) for name in recipes]
    options = EvaluationOptions(split, specs, resamples=1, shrinkage=shrinkage)
    found = await evaluate(table, options, Recipes(others=dict(recipes)), NoProgress())
    return {(each.task, each.contestant): (each.means["ndcg"].mean, each.coverage) for each in found.results}
