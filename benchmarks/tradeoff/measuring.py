"""Measures settings: on a data set quality and time, on a large collection time."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.tradeoff.asking import CuttingStore, ask_all
from benchmarks.tradeoff.figures import Figures, differences, figures_of
from benchmarks.tradeoff.settings import Setting, grid
from kindred.backend import Backend
from kindred.catalog import Catalog
from kindred.errors import KindredError
from kindred.recommendation import RecommendationRequest
from kindred.settings import Settings
from kindred.stores.edge import EdgeBuilder
from loader.errors import DataError
from loader.evaluation.metrics import judge, popularity_of, user_metrics
from loader.evaluation.options import ProductSpec, SplitKind, SplitOptions
from loader.evaluation.product import ProductStore, TableSource
from loader.evaluation.reading import read_source
from loader.evaluation.splits import sample_users, split
from loader.evaluation.table import RatingTable
from loader.load import load
from loader.progress import NoProgress
from loader.readers.movielens import open_movielens

DEPTH = 10
_CACHE_BYTES = 4 * 2**30
"""Room for everybody's profile: what is compared is not how often one has to be read."""
_WIDEST = max(grid(), key=lambda setting: setting.k)
"""Whose neighbors are nearly everybody in a small data set."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured in one place.

    Args:
        name: Which.
        users: How many were asked for.
        figures: By setting.
    """

    name: str
    users: int
    figures: Sequence[Figures]


def read_table(path: Path, name: str) -> RatingTable:
    """Reads a data set.

    Args:
        path: A MovieLens folder or archive.
        name: What it is called.
    """
    return read_source(open_movielens(path, name), NoProgress())


async def measure_quality(
    table: RatingTable, kind: SplitKind, seed: int = 0, *, least: int = 0, most: int | None = None
) -> Measured:
    """Quality and time on the validation part of a split: the test part is for judging what was chosen.

    Args:
        table: All ratings.
        kind: How to split.
        seed: Of the split.
        least: How many stored ratings a user has who is asked for, at least.
        most: For how many users to ask, at most; None for all.

    Raises:
        DataError: Nobody can be asked for.
    """
    found = split(table, SplitOptions(kind, validation=True, seed=seed))
    [task] = found.tasks
    stored = found.table.where(found.train).rating_counts
    task = sample_users(replace(task, users=task.users[stored[task.users] >= least]), most, seed)
    if not task.users.size:
        raise DataError(table.name, None, f"has no user with {least} ratings to ask for")
    with tempfile.TemporaryDirectory(prefix="kindred-tradeoff-") as folder:
        data_dir, start = Path(folder) / "data", perf_counter()
        with EdgeBuilder(data_dir) as builder:
            load(TableSource(found.table.where(found.train)), builder)
        store = CuttingStore.open(data_dir)
        try:
            backend = await _backend(store)
            product = ProductStore(backend, found.table, perf_counter() - start)

            async def ask(setting: Setting, user: int) -> NDArray[np.int32]:
                alone = replace(task, users=task.users[user : user + 1])
                lists = await product.rank(ProductSpec(setting.recipe, setting.k), alone, DEPTH, NoProgress())
                return lists.reshape(-1)

            answered = await ask_all(store, grid(), task.users.size, ask, first=[_WIDEST])
        finally:
            await store.close()
    relevant = found.table.profiles(task.users, task.held_out & found.table.liked)
    train = found.table.where(found.train)
    popularity = popularity_of(train.rated_counts, np.unique(train.users).size)
    ndcg = {
        each.setting: user_metrics(judge(each.lists, relevant.starts, relevant.items), DEPTH, popularity)["ndcg"]
        for each in answered
    }
    compared = differences(ndcg, {each.setting: each.was_cut for each in answered})
    figures = []
    for each in figures_of(answered):
        mean, difference, of_cut = compared[each.setting]
        figures.append(replace(each, ndcg=mean, difference=difference, of_cut=of_cut))
    return Measured(f"{table.name}, {kind}", task.users.size, figures)


async def measure_time(data_dir: Path, users: int) -> Measured:
    """Time on a collection.

    Args:
        data_dir: Its data directory, which nobody else has open; it may be written to.
        users: For how many users to ask: the first ones.
    """
    store = CuttingStore.open(data_dir)
    try:
        backend = await _backend(store)
        user_ids: list[str] = []
        async for page in store.scan_users(users):
            user_ids += [user.user_id for user in page if user.profile.rating_count]
            if len(user_ids) >= users:
                break
        asked = user_ids[:users]

        async def ask(setting: Setting, user: int) -> NDArray[np.int32]:
            request = RecommendationRequest(asked[user], recipe=setting.recipe, k=setting.k, limit=DEPTH)
            [answer] = await backend.recommender.recommend_many([request])
            if isinstance(answer, KindredError):
                raise answer
            rows = np.full(DEPTH, -1, np.int32)
            rows[: len(answer.items)] = [item.row for item in answer.items]
            return rows

        # Twice: the first time a profile may have to be read.
        answered = await ask_all(store, grid(unprunable=True), len(asked), ask, rounds=2)
        return Measured(store.metadata.name, len(asked), figures_of(answered))
    finally:
        await store.close()


async def _backend(store: CuttingStore) -> Backend:
    return Backend.over(store, Catalog(await store.items()), Settings(cache_bytes=_CACHE_BYTES))
