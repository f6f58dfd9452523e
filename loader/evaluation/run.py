"""One evaluation from beginning to end: split, let everybody rank for the same users, measure."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from kindred.recipes import Recipe
from kindred.settings import Settings
from loader.errors import DataError
from loader.evaluation.bootstrap import Estimate, estimates
from loader.evaluation.contestants import Contestant
from loader.evaluation.metrics import coverage, judge, popularity_of, user_metrics
from loader.evaluation.options import EvaluationOptions, SplitOptions
from loader.evaluation.peers import PEERS
from loader.evaluation.peers.base import PeerContestant
from loader.evaluation.product import ProductContestant, check_spec, product_store
from loader.evaluation.rating_errors import RatingErrors, rating_errors
from loader.evaluation.splits import Split, Task, sample_users, split
from loader.evaluation.table import RatingTable
from loader.options import WeightingName
from loader.progress import Progress


@dataclass(frozen=True, slots=True)
class Result:
    """How one contestant did in one task, at one cutoff.

    Args:
        task: The task's name.
        contestant: The contestant's name.
        at: How many places of a list counted.
        means: The metrics of users, by name.
        coverage: The share of the catalog that was in anybody's list.
        errors: How far predicted ratings were off; None if none were asked for.
        curve: The recipe of whose curve this is a point; empty for a contestant that was asked for.
        k: With how many neighbors, on a curve.
        prepare_seconds: How long it took to load or to train.
        milliseconds: How long a user took.
    """

    task: str
    contestant: str
    at: int
    means: Mapping[str, Estimate]
    coverage: float
    errors: RatingErrors | None
    curve: str
    k: int | None
    prepare_seconds: float
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out.

    Args:
        table: The ratings, all of them.
        split: How they were split.
        tasks: What was asked, with the users that were.
        options: What was evaluated.
        results: By task, contestant and cutoff.
    """

    table: RatingTable
    split: Split
    tasks: Sequence[Task]
    options: EvaluationOptions
    results: Sequence[Result]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A contestant, and where it stands on a curve."""

    contestant: Contestant
    curve: str = ""
    k: int | None = None


async def evaluate(
    table: RatingTable, options: EvaluationOptions, settings: Settings, progress: Progress
) -> Evaluation:
    """Evaluates.

    Args:
        table: The ratings.
        options: What, and how.
        settings: The constants of the recipes.
        progress: Is told how far it is.

    Raises:
        DataError: The ratings cannot be split like this.
        InvalidArgumentError: There is no such recipe, or its constants cannot be replaced.
        PreconditionError: What a peer needs is not installed.
    """
    recipes = settings.recipes()
    for spec in options.products:
        check_spec(spec, recipes)
    if options.split.kind == "time" and not np.any(table.times):
        raise DataError(table.name, None, "the ratings have no times to split by; use --split random")
    found = split(table, options.split)
    if not found.tasks or not found.train.any():
        raise DataError(table.name, None, _nothing_to_ask(options.split))
    tasks = [sample_users(task, options.most_users, options.split.seed) for task in found.tasks]
    results: list[Result] = []
    async with _entries(found, options, settings, recipes, progress) as entries:
        for task in tasks:
            for entry in entries:
                results += await _measure(entry, task, found, options, progress)
    return Evaluation(table, found, tasks, options, results)


@asynccontextmanager
async def _entries(
    found: Split,
    options: EvaluationOptions,
    settings: Settings,
    recipes: Mapping[str, Recipe],
    progress: Progress,
) -> AsyncIterator[list[_Entry]]:
    """Everybody who takes part, ready."""
    entries: list[_Entry] = []
    async with AsyncExitStack() as stack:
        stores = {}
        for weighting in dict.fromkeys(_weighting(recipes[spec.recipe]) for spec in options.products):
            progress.stage(f"Loading with weighting {weighting}", None)
            opening = product_store(found.table, found.train, weighting, options.shrinkage, settings)
            stores[weighting] = await stack.enter_async_context(opening)
        for spec in options.products:
            store = stores[_weighting(recipes[spec.recipe])]
            entries.append(_Entry(ProductContestant(spec, store)))
            if spec.k is None and recipes[spec.recipe].k:
                points = [replace(spec, k=k) for k in options.k_curve]
                entries += [_Entry(ProductContestant(point, store), spec.name, point.k) for point in points]
        for name in options.peers:
            progress.stage(f"Learning: {name}", None)
            peer = PEERS[name]()
            start = perf_counter()
            peer.fit(found.table.where(found.train), options.split.seed)
            entries.append(_Entry(PeerContestant(peer, found.table, found.train, perf_counter() - start)))
        yield entries


async def _measure(
    entry: _Entry, task: Task, found: Split, options: EvaluationOptions, progress: Progress
) -> list[Result]:
    contestant = entry.contestant
    progress.stage(f"{contestant.name}: {task.name}", task.users.size)
    start = perf_counter()
    lists = await contestant.rank(task, max(options.cutoffs), progress)
    milliseconds = (perf_counter() - start) * 1_000 / task.users.size
    errors = await _rating_errors(entry, task, found, options, progress)
    relevant = found.table.profiles(task.users, task.held_out & found.table.liked)
    judged = judge(lists, relevant.starts, relevant.items)
    train = found.table.where(found.train)
    popularity = popularity_of(train.rated_counts, np.unique(train.users).size)
    return [
        Result(
            task=task.name,
            contestant=contestant.name,
            at=at,
            means=estimates(user_metrics(judged, at, popularity), options.resamples, options.split.seed),
            coverage=coverage(judged, at, len(found.table.items)),
            errors=errors,
            curve=entry.curve,
            k=entry.k,
            prepare_seconds=contestant.prepare_seconds,
            milliseconds=milliseconds,
        )
        for at in options.cutoffs
    ]


async def _rating_errors(
    entry: _Entry, task: Task, found: Split, options: EvaluationOptions, progress: Progress
) -> RatingErrors | None:
    if not options.predictions or entry.curve:
        return None
    progress.stage(f"{entry.contestant.name}: {task.name}, predictions", task.users.size)
    predicted = await entry.contestant.predict(task, progress)
    if predicted is None:
        return None
    held_out = found.table.profiles(task.users, task.held_out)
    return rating_errors(held_out, predicted, options.resamples, options.split.seed)


def _weighting(recipe: Recipe) -> WeightingName:
    return "zscore" if recipe.weighting == "zscore" else "default"


def _nothing_to_ask(options: SplitOptions) -> str:
    if options.kind == "cold":
        return "has too few users with 20 likes or more to take any of them out; use --split random"
    if options.kind == "time":
        return f"no user has more than {options.n_out} ratings with a like among the last; lower --n-out"
    return "no user has enough ratings for a like to be held out"
