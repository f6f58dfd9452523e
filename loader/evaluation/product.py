"""The product as a contestant: the real loader fills a temporary embedded store, the real recommender answers from it.

Nothing of the formula is here: what is measured is what a server would have answered.
"""

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred.backend import Backend
from kindred.errors import FieldViolation, InvalidArgumentError, KindredError
from kindred.item_filter import ItemFilter
from kindred.items import Item
from kindred.ratings import Attributes, RatingScale, Reaction
from kindred.recipes import Recipe, wrong_numbers
from kindred.recommendation import InlineRating, RecommendationAnswer, RecommendationRequest
from kindred.settings import Settings
from kindred.stores.choice import new_builder
from loader.bad_rows import BadRows
from loader.evaluation.metrics import NOTHING
from loader.evaluation.options import REQUEST_NUMBERS, ProductSpec
from loader.evaluation.splits import Task
from loader.evaluation.table import RatingTable
from loader.load import load
from loader.options import LoadOptions, WeightingName
from loader.progress import NoProgress, Progress
from loader.source import Ids, RatingChunk, RatingPart

_BATCH = 100
_CHUNK = 1_000_000


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table as a data set to load. See `loader.source.DataSource`.

    Args:
        table: The ratings, with the whole catalog.
    """

    table: RatingTable

    @property
    def name(self) -> str:
        """See `DataSource.name`."""
        return self.table.name

    @property
    def scale(self) -> RatingScale:
        """See `DataSource.scale`."""
        return self.table.scale

    @property
    def size(self) -> int:
        """See `DataSource.size`: ratings."""
        return self.table.users.size

    def items(self, bad_rows: BadRows) -> list[Item] | None:  # noqa: ARG002 - as in the protocol
        """See `DataSource.items`."""
        return list(self.table.items)

    def user_attributes(self, bad_rows: BadRows) -> Mapping[str, Attributes]:  # noqa: ARG002 - as in the protocol
        """See `DataSource.user_attributes`: none are used."""
        return {}

    def ratings(self, bad_rows: BadRows) -> Iterator[RatingPart]:  # noqa: ARG002 - as in the protocol
        """See `DataSource.ratings`."""
        table = self.table
        user_ids, item_ids = list(table.user_ids), [item.item_id for item in table.items]
        for first in range(0, self.size, _CHUNK):
            part = slice(first, first + _CHUNK)
            chunk = RatingChunk(
                Ids(user_ids, table.users[part]),
                Ids(item_ids, table.codes[part]),
                table.values[part].astype(np.float64),
                table.times[part],
            )
            yield RatingPart(chunk, chunk.values.size)


def check_spec(spec: ProductSpec, recipes: Mapping[str, Recipe]) -> None:
    """Checks what can be checked of a contestant before anything is loaded.

    Args:
        spec: What is asked for.
        recipes: The recipes by name.

    Raises:
        InvalidArgumentError: There is no such recipe, it has no such number, or a number is out of its range.
    """
    if spec.recipe not in recipes:
        raise InvalidArgumentError(
            [FieldViolation(f"recipe {spec.recipe!r}", f"is unknown; known: {', '.join(sorted(recipes))}")]
        )
    wrong = wrong_numbers(recipes[spec.recipe], _overrides(spec), f"recipe {spec.name!r}")
    if wrong:
        raise InvalidArgumentError(wrong)


def _overrides(spec: ProductSpec) -> Mapping[str, float]:
    return {name: number for name, number in spec.numbers.items() if name not in REQUEST_NUMBERS}


class ProductStore:
    """The train part in a store, which any number of contestants ask.

    Args:
        backend: The product over the store.
        table: All ratings, for the codes.
        seconds: How long the load took.
    """

    def __init__(self, backend: Backend, table: RatingTable, seconds: float) -> None:
        self.seconds = seconds
        self._backend = backend
        self._table = table
        code_of = {item.item_id: code for code, item in enumerate(table.items)}
        catalog = backend.catalog
        # The last one is for nothing: row -1.
        codes = [code_of[catalog.item(row).item_id] for row in range(catalog.rows)]
        self._code_of_row = np.array([*codes, NOTHING], np.int32)

    async def rank(self, spec: ProductSpec, task: Task, depth: int, progress: Progress) -> NDArray[np.int32]:
        """See `Contestant.rank`.

        Raises:
            KindredError: What the recommender says is wrong.
        """
        rows = np.full((task.users.size, depth), NOTHING)
        requests = [*self._requests(spec, task, depth)]
        for first in range(0, len(requests), _BATCH):
            answers = await self._ask(requests[first : first + _BATCH])
            for place, answer in enumerate(answers, first):
                rows[place, : len(answer.items)] = [item.row for item in answer.items]
            progress.advance(len(answers))
        ranked: NDArray[np.int32] = self._code_of_row[rows]
        return ranked

    async def predict(self, spec: ProductSpec, task: Task, progress: Progress) -> NDArray[np.float64]:
        """Asks for exactly what is held out, to see what ratings the answers predict.

        Args:
            spec: The recipe and its constants.
            task: The users.
            progress: Is told of every user.

        Returns:
            Ratings on the catalog's scale, NaN where the answer lacks the item or its prediction; in the order of
            `RatingTable.profiles` of the users' held-out ratings. Shape (n_held_out,).

        Raises:
            KindredError: What the recommender says is wrong.
        """
        starts, codes, _ = self._table.profiles(task.users, task.held_out)
        found = np.full(codes.size, np.nan)
        bounds = list(pairwise(starts.tolist()))
        requests = []
        for request, (begin, end) in zip(self._requests(spec, task, 1), bounds, strict=True):
            candidates = tuple(self._table.items[code].item_id for code in codes[begin:end].tolist())
            requests.append(replace(request, items=ItemFilter(candidates=candidates), limit=len(candidates)))
        for first in range(0, len(requests), _BATCH):
            answers = await self._ask(requests[first : first + _BATCH])
            for answer, (begin, end) in zip(answers, bounds[first : first + _BATCH], strict=True):
                told = [(item.row, item.predicted) for item in answer.items if item.predicted is not None]
                if told:
                    rows, ratings = zip(*told, strict=True)
                    # A user's codes ascend, and every item of the answer is one of them.
                    found[begin + np.searchsorted(codes[begin:end], self._code_of_row[list(rows)])] = ratings
            progress.advance(len(answers))
        return found

    async def _ask(self, requests: Sequence[RecommendationRequest]) -> list[RecommendationAnswer]:
        answers = []
        for answer in await self._backend.recommender.recommend_many(requests):
            if isinstance(answer, KindredError):
                raise answer
            answers.append(answer)
        return answers

    def _requests(self, spec: ProductSpec, task: Task, depth: int) -> Iterator[RecommendationRequest]:
        of_request: dict[str, Any] = {name: spec.numbers[name] for name in REQUEST_NUMBERS if name in spec.numbers}
        if "min_overlap" in of_request:
            of_request["min_overlap"] = int(of_request["min_overlap"])
        shared = {"recipe": spec.recipe, "k": spec.k, "limit": depth, "overrides": _overrides(spec)} | of_request
        if task.given is None:
            for code in task.users.tolist():
                yield RecommendationRequest(self._table.user_ids[code], **shared)
            return
        ids = [item.item_id for item in self._table.items]
        given = self._table.profiles(task.users, task.given)
        kept_back = self._table.profiles(task.users, task.kept_back)
        for place in range(task.users.size):
            likes = [InlineRating(ids[code], Reaction.LIKE) for code in given.part(place, place + 1).items.tolist()]
            excluded = [ids[code] for code in kept_back.part(place, place + 1).items.tolist()]
            yield RecommendationRequest(ratings=likes, excluded=excluded, **shared)


@dataclass(frozen=True, slots=True)
class ProductContestant:
    """A recipe over a store. See `loader.evaluation.contestants.Contestant`.

    Args:
        spec: The recipe and its constants.
        store: The store.
    """

    spec: ProductSpec
    store: ProductStore

    @property
    def name(self) -> str:
        """See `Contestant.name`."""
        return self.spec.name

    @property
    def prepare_seconds(self) -> float:
        """See `Contestant.prepare_seconds`: the load, which others of its weighting share."""
        return self.store.seconds

    async def rank(self, task: Task, depth: int, progress: Progress) -> NDArray[np.int32]:
        """See `Contestant.rank`."""
        return await self.store.rank(self.spec, task, depth, progress)

    async def predict(self, task: Task, progress: Progress) -> NDArray[np.float64] | None:
        """See `Contestant.predict`."""
        return await self.store.predict(self.spec, task, progress)


@asynccontextmanager
async def product_store(
    table: RatingTable, train: NDArray[np.bool_], weighting: WeightingName, shrinkage: float, settings: Settings
) -> AsyncIterator[ProductStore]:
    """Loads the train part into a temporary embedded store, which is gone afterwards.

    Args:
        table: All ratings.
        train: Which of them are loaded. Shape (n,).
        weighting: What the vectors are made with.
        shrinkage: The default weighting's h.
        settings: The constants of the recipes; where they say that the collection is does not matter.

    Yields:
        The store.

    Raises:
        DataError: The weighting cannot be made from these ratings.
    """
    with tempfile.TemporaryDirectory(prefix="kindred-evaluate-") as folder:
        own = settings.model_copy(update={"data_dir": Path(folder) / "data", "qdrant_url": ""})
        options = LoadOptions(weighting=weighting, shrinkage=shrinkage, spill_folder=Path(folder))
        start = perf_counter()
        with new_builder(own) as builder:
            load(TableSource(table.where(train)), builder, options, NoProgress())
        seconds = perf_counter() - start
        backend = await Backend.open(own)
        try:
            yield ProductStore(backend, table, seconds)
        finally:
            await backend.store.close()
