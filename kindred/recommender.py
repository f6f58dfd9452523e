"""The pipeline of a recommendation: profile, query, search, gather, score, filter, explain.

Many requests share one engine call. The steps are numbered as in docs/recipes.md; each has a module of its own:
opinions.py (1, 2), neighbors.py (3, 4), scoring.py (5, 6), composer.py (7, 8).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import time_ns
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kindred.asker_cache import AskerCache
from kindred.attribute_filter import AttributeFilter
from kindred.attribute_names import AttributeNames
from kindred.boosts import too_strong_together, unknown_in_boosts
from kindred.catalog import Catalog
from kindred.composer import Composer
from kindred.drafts import Segment, Task
from kindred.errors import FieldViolation, InvalidArgumentError, ItemNotFoundError, KindredError, PreconditionError
from kindred.filter_effect import FilterEffect
from kindred.neighborhood import Neighborhood, Query
from kindred.neighbors import NeighborFinder, NeighborQuery
from kindred.opinions import OpinionReader
from kindred.profile_cache import ProfileCache
from kindred.ratings import EMPTY_PROFILE, Attributes
from kindred.recipes import Recipe, default_recipe, wrong_numbers
from kindred.recommendation import Counterfactual, Explained, RecommendationAnswer, RecommendationRequest
from kindred.stores.port import Hits, Store, StoredUser, point_id_of
from kindred.timing import Step, lap

_ASKERS_BYTES = 32 * 2**20
_OPINIONS_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Requests up to their search.

    Args:
        prepared: Every request, or what is wrong with it; one that asks for a counterfactual has a second task.
        searching: The tasks that a search was made for.
        hits: What it found for each of these.
    """

    prepared: Sequence[tuple[Task, ...] | KindredError]
    searching: Sequence[Task]
    hits: Sequence[Hits]


class SegmentCounter(Protocol):
    """Counts what people with the same attributes like: see kindred/segments.py."""

    async def segment_counts(
        self, attributes: Attributes
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], AttributeFilter] | None:
        """How many of them have rated and like each item, by row, and who they are; None if nobody can tell."""


class Recommender:
    """Answers requests from a store.

    Args:
        store: The users.
        catalog: The items.
        recipes: Recipes by name.
        cache: Decoded profiles of neighbors.
        segments: What is popular among people with the same attributes; None if nobody is asked.
        default: The recipe of requests that name none; empty for the weighting's own.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        recipes: Mapping[str, Recipe],
        cache: ProfileCache,
        *,
        segments: SegmentCounter | None = None,
        default: str = "",
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._recipes = recipes
        self._default = default_recipe(recipes, store.metadata.weighting.name, default)
        self._finder = NeighborFinder(store, catalog, cache)
        self._segments = segments
        self._names = AttributeNames(store)
        self._askers: AskerCache[str] = AskerCache(_ASKERS_BYTES)
        metadata = store.metadata
        self._weighting = metadata.weighting.name
        memory = 0 if store.shared else _OPINIONS_BYTES  # a shared store gives every caller a profile of their own
        self._reader = OpinionReader(catalog, metadata.weighting, metadata.scale, memory)
        self._composer = Composer(catalog, metadata.scale, predicts=self._weighting == "default")

    @property
    def finder(self) -> NeighborFinder:
        """Finds neighbors, with the cache that all requests share."""
        return self._finder

    @property
    def reader(self) -> OpinionReader:
        """Reads opinions."""
        return self._reader

    async def recommend(self, request: RecommendationRequest) -> RecommendationAnswer:
        """Answers one request.

        Raises:
            InvalidArgumentError: A rating is off the scale, an item is rated twice, a filter names what nobody has, or
                a number is none of the recipe's.
            ItemNotFoundError: A rated item, or a candidate, is not in the catalog.
            PreconditionError: The recipe needs another weighting than the collection has.
            UnavailableError: The store is away.
        """
        [answer] = await self.recommend_many([request])
        if isinstance(answer, KindredError):
            raise answer
        return answer

    async def recommend_many(
        self, requests: Sequence[RecommendationRequest]
    ) -> list[RecommendationAnswer | KindredError]:
        """Answers many requests with one search and one read; each answers or fails by itself.

        Raises:
            UnavailableError: The store is away.
        """
        unknown = [await self._names.check(request.neighbors, "neighbors.filter") for request in requests]
        lap(Step.CHECK)
        user_ids = [request.user_id for request in requests if request.user_id is not None]
        asked_before = self._askers.get(user_ids) if user_ids and self._store.shared else None
        if asked_before is None:
            known = await self._stored(user_ids)
            lap(Step.PROFILE)
            attempt = await self._attempt(requests, unknown, known)
        else:
            guess = dict(zip(user_ids, asked_before, strict=True))
            # One round trip instead of two: searches with what they rated when they last asked, and reads what they
            # rate now. Only if that is the same does the answer count.
            known, attempt = await asyncio.gather(self._stored(user_ids), self._attempt(requests, unknown, guess))
            lap(Step.PROFILE)
            if not _are_the_same(known, guess):
                attempt = await self._attempt(requests, unknown, known)
        answers = iter(await self._answer(attempt))
        return [tasks if isinstance(tasks, KindredError) else next(answers) for tasks in attempt.prepared]

    async def _attempt(
        self,
        requests: Sequence[RecommendationRequest],
        unknown: Sequence[Sequence[FieldViolation]],
        known: Mapping[str, StoredUser],
    ) -> "_Attempt":
        """Steps 1 to 3, with the users' profiles as they are given, and what is wrong with filters of neighbors."""
        prepared: list[tuple[Task, ...] | KindredError] = []
        now = time_ns() // 1_000_000
        for request, violations in zip(requests, unknown, strict=True):
            try:
                recipe = self._checked(request, violations)
                lap(Step.CHECK)
                prepared.append(self._prepare(request, recipe, known.get(request.user_id or ""), now))
                lap(Step.QUERY)
            except KindredError as error:
                prepared.append(error)
            if len(requests) > 1:
                await asyncio.sleep(0)  # other calls get their turn: a request may name thousands of items
        searching = [
            task for tasks in prepared if not isinstance(tasks, KindredError) for task in tasks if task.searches
        ]
        return _Attempt(prepared, searching, await self._finder.search([task.asked for task in searching]))

    async def _stored(self, user_ids: Sequence[str]) -> dict[str, StoredUser]:
        if not user_ids:
            return {}
        stored = await self._store.users([point_id_of(user_id) for user_id in user_ids])
        known = {user_id: user for user_id, user in zip(user_ids, stored, strict=True) if user is not None}
        if self._store.shared:
            for user_id, user in known.items():
                self._askers.put(user_id, user)
        return known

    def _checked(self, request: RecommendationRequest, unknown: Sequence[FieldViolation]) -> Recipe:
        """The recipe of a request that makes sense for this collection; everything that is wrong is named at once."""
        masks, recipe = self._catalog.masks, self._recipe(request)
        violations = [
            *_wrong_for(recipe, request),
            *masks.check(request.items),
            *unknown,
            *wrong_numbers(recipe, request.overrides),
            *(unknown_in_boosts(request.boosts, masks) or too_strong_together(request.boosts, masks)),
        ]
        if violations:
            raise InvalidArgumentError(violations)
        if request.items.candidates:
            masks.candidate_rows(request.items.candidates)
        return recipe.with_numbers(request.overrides) if request.overrides else recipe

    def _prepare(
        self, request: RecommendationRequest, recipe: Recipe, stored: StoredUser | None, now: int
    ) -> tuple[Task, ...]:
        """Steps 1 and 2: the opinions and the query."""
        catalog = self._catalog
        profile = EMPTY_PROFILE if stored is None else stored.profile
        opinions = self._reader.read(profile, request.ratings)
        excluded = opinions.rows[: 0 if request.include_rated else None]
        if request.excluded:
            named = [row for item_id in request.excluded if (row := catalog.row_of(item_id)) is not None]
            excluded = np.concatenate([excluded, np.array(named, np.int32)])
        asked = _neighbor_query(request, recipe, opinions.query(recipe, catalog), stored)
        task = Task(request, recipe, stored, opinions, asked, excluded, now)
        if not request.without:
            return (task,)
        left_out = self._left_out(request, set(opinions.rows.tolist()))
        fewer = opinions.without(left_out)
        twin = replace(
            task,
            request=replace(request, explained=Explained.NONE),
            opinions=fewer,
            asked=replace(asked, query=fewer.query(recipe, catalog)),
            # The items of these ratings are no answer to what would be recommended instead of what they brought.
            excluded=np.concatenate([excluded, np.array(left_out, np.int32)]),
        )
        return task, twin

    def _left_out(self, request: RecommendationRequest, rated: set[int]) -> list[int]:
        rows, violations = [], []
        for place, item_id in enumerate(request.without):
            row = self._catalog.row_of(item_id)
            if row is None:
                raise ItemNotFoundError(item_id)
            if row not in rated:
                message = "names an item that the user has not rated: there is nothing to leave out"
                violations.append(FieldViolation(f"without_item_ids[{place}]", message))
            rows.append(row)
        if violations:
            raise InvalidArgumentError(violations)
        return rows

    def _recipe(self, request: RecommendationRequest) -> Recipe:
        weighting = self._weighting
        name = request.recipe or self._default.name
        recipe = self._recipes.get(name)
        if recipe is None:
            known = ", ".join(sorted(self._recipes))
            raise InvalidArgumentError([FieldViolation("recipe_name", f"there is no recipe {name!r}; known: {known}")])
        if recipe.weighting not in ("", weighting):
            raise PreconditionError(
                "WEIGHTING",
                recipe.name,
                f"recipe {recipe.name!r} needs a collection loaded with --weighting {recipe.weighting}, this one has "
                f"{weighting}; use recipe {self._default.name!r} or load again with --replace",
            )
        return recipe

    async def _answer(self, attempt: "_Attempt") -> list[RecommendationAnswer]:
        """Steps 4 to 8 for the requests that are right."""
        found = await self._finder.gather([task.asked for task in attempt.searching], attempt.hits)
        hoods = dict(zip(map(id, attempt.searching), found, strict=True))
        right = [tasks for tasks in attempt.prepared if not isinstance(tasks, KindredError)]
        answers = []
        for task, *twins in right:
            answer = await self._compose(task, hoods.get(id(task)))
            for twin in twins:
                answer = _compared(answer, await self._compose(twin, hoods.get(id(twin))))
            answers.append(answer)
            if len(right) > 1:
                await asyncio.sleep(0)  # other calls get their turn between the answers of a batch
                lap(Step.WAIT)
        return answers

    async def _compose(self, task: Task, hood: Neighborhood | None) -> RecommendationAnswer:
        if hood is None and self._segments is not None and task.stored is not None and not task.opinions.rows.size:
            found = await self._segments.segment_counts(task.stored.profile.attributes)
            lap(Step.POPULAR)
            if found is not None:
                task = replace(task, segment=Segment(found[1].astype(np.float64), found[2]))
        answer = self._composer.compose(task, hood)
        allowed = task.request.neighbors
        if allowed and (hood is None or len(answer.items) < task.request.limit):
            # It costs a count, but only where somebody wonders why there is so little.
            total, passed = await self._store.count_users(), await self._store.count_users(allowed)
            lap(Step.FILTER)
            effect = FilterEffect("neighbors.filter", total - passed, total)
            answer = replace(answer, filter_effects=(*answer.filter_effects, effect))
        return answer


def _wrong_for(recipe: Recipe, request: RecommendationRequest) -> list[FieldViolation]:
    """What a recipe needs and the request lacks, or the other way round: it depends on whether it asks neighbors."""
    if recipe.k:
        if request.user_id is not None or request.ratings:
            return []
        return [
            FieldViolation("user_id", "give a user_id, ratings, or both (or recipe 'popular', which needs neither)")
        ]
    about_neighbors = request.k is not None or request.min_overlap > 1 or bool(request.neighbors)
    useless = {"neighbors": about_neighbors, "period": request.period is not None}
    message = f"is of no use with recipe {recipe.name!r}, which asks no neighbors: leave one of them out"
    return [FieldViolation(field, message) for field, given in useless.items() if given]


def _neighbor_query(
    request: RecommendationRequest, recipe: Recipe, query: Query, stored: StoredUser | None
) -> NeighborQuery:
    own = None
    if request.user_id is not None:  # also one who is not stored yet: they may be when the search comes to it
        own = point_id_of(request.user_id) if stored is None else stored.point_id
    return NeighborQuery(
        query,
        k=(request.k or recipe.k) if recipe.k else 0,
        min_overlap=request.min_overlap,
        own=own,
        allowed=request.neighbors or None,
        timed=request.period is not None,
    )


def _compared(answer: RecommendationAnswer, without: RecommendationAnswer) -> RecommendationAnswer:
    """An answer with what it would be without some ratings."""
    rows, others = [item.row for item in answer.items], [item.row for item in without.items]
    counterfactual = Counterfactual(
        items=without.items,
        lost=[row for row in rows if row not in others],
        gained=[row for row in others if row not in rows],
        strategy=without.strategy,
    )
    return replace(answer, counterfactual=counterfactual)


def _are_the_same(known: Mapping[str, StoredUser], guess: Mapping[str, StoredUser]) -> bool:
    """Whether users have not been written since: the revision tells, and the place in the log after a restore."""
    return known.keys() == guess.keys() and all(
        (user.revision, user.source) == (guess[user_id].revision, guess[user_id].source)
        for user_id, user in known.items()
    )
