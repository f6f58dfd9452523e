"""The pipeline of a recommendation: profile, query, search, gather, score, filter, explain.

Many requests share one engine call. The steps are numbered as in docs/recipes.md.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from kindred.catalog import Catalog
from kindred.errors import FieldViolation, InvalidArgumentError, ItemNotFoundError, KindredError, PreconditionError
from kindred.freshness import FreshnessToken
from kindred.profile_cache import AskerCache, ProfileCache
from kindred.ratings import EMPTY_PROFILE, Reaction
from kindred.recipes import DEFAULT_OF_WEIGHTING, Recipe
from kindred.recommendation import (
    InlineRating,
    Reason,
    RecommendationAnswer,
    RecommendationRequest,
    RecommendedItem,
    Strategy,
)
from kindred.scoring import NOTHING, DecodedProfile, Neighborhood, top_items
from kindred.stores.port import Hits, PointId, Store, StoredUser, point_id_of
from kindred.weighting import SparseVector

_MARGIN = 16
"""Candidates beyond k: the engine's single-precision order near the last place is not the exact one."""
_TIE = 1e-6
"""Single-precision sums closer than this, relative to the largest, may be ties."""
_MAX_CANDIDATES = 16_384
_ASKERS_BYTES = 32 * 2**20
_REASONS = 3
_USER_ID = attrgetter("user_id")


@dataclass(frozen=True, slots=True)
class _Query:
    """A request made ready to search.

    Args:
        rows: The rows of the rated items. Shape (n,).
        preferences: The weighting's preferences for them. Shape (n,).
        values: q, their values in the query. Shape (n,).
        excluded: Which rows may not be returned. Shape (rows,).
    """

    request: RecommendationRequest
    recipe: Recipe
    k: int
    stored: StoredUser | None
    rows: NDArray[np.int32]
    preferences: NDArray[np.float64]
    values: NDArray[np.float64]
    excluded: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Requests up to their search.

    Args:
        prepared: Every request, or what is wrong with it.
        searching: Those that a search was made for.
        hits: What it found for each of these.
    """

    prepared: Sequence[_Query | KindredError]
    searching: Sequence[_Query]
    hits: Sequence[Hits]


class Recommender:
    """Answers requests from a store.

    Args:
        store: The users.
        catalog: The items.
        recipes: Recipes by name.
        cache: Decoded profiles of neighbors.
    """

    def __init__(self, store: Store, catalog: Catalog, recipes: Mapping[str, Recipe], cache: ProfileCache) -> None:
        self._store = store
        self._catalog = catalog
        self._recipes = recipes
        self._cache = cache
        self._askers = AskerCache(_ASKERS_BYTES)
        self._weighting = store.metadata.weighting

    async def recommend(self, request: RecommendationRequest) -> RecommendationAnswer:
        """Answers one request.

        Raises:
            InvalidArgumentError: A rating is off the scale, or an item is rated twice.
            ItemNotFoundError: A rated item is not in the catalog.
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
        user_ids = [request.user_id for request in requests if request.user_id is not None]
        guess = self._askers.get(user_ids) if user_ids and self._store.shared else None
        if guess is None:
            attempt = await self._attempt(requests, await self._stored(user_ids))
        else:
            # One round trip instead of two: searches with what they rated when they last asked, and reads what they
            # rate now. Only if that is the same does the answer count.
            known, attempt = await asyncio.gather(self._stored(user_ids), self._attempt(requests, guess))
            if not _are_the_same(known, guess):
                attempt = await self._attempt(requests, known)
        answers = iter(await self._answer(attempt))
        return [query if isinstance(query, KindredError) else next(answers) for query in attempt.prepared]

    async def _attempt(self, requests: Sequence[RecommendationRequest], known: Mapping[str, StoredUser]) -> "_Attempt":
        """Steps 1 to 3, with the users' profiles as they are given."""
        prepared: list[_Query | KindredError] = []
        for request in requests:
            try:
                prepared.append(self._prepare(request, known.get(request.user_id or "")))
            except KindredError as error:
                prepared.append(error)
        searching = [query for query in prepared if isinstance(query, _Query) and query.k and np.any(query.values)]
        return _Attempt(prepared, searching, await self._search(searching))

    async def _stored(self, user_ids: Sequence[str]) -> dict[str, StoredUser]:
        if not user_ids:
            return {}
        stored = await self._store.users([point_id_of(user_id) for user_id in user_ids])
        known = {user_id: user for user_id, user in zip(user_ids, stored, strict=True) if user is not None}
        if self._store.shared:
            for user_id, user in known.items():
                self._askers.put(user_id, user)
        return known

    def _prepare(self, request: RecommendationRequest, stored: StoredUser | None) -> _Query:
        """Steps 1 and 2: the profile and the query's values."""
        recipe = self._recipe(request)
        profile = EMPTY_PROFILE if stored is None else stored.profile
        current = profile.current
        rows = self._catalog.rows_of(profile.items[current])
        liking = self._weighting.preferences(profile.values[current])
        if request.ratings:
            inline = self._inline_preferences(request.ratings)
            inline_rows = np.fromiter(inline, np.int32, len(inline))
            kept = ~np.isin(rows, inline_rows)
            rows = np.concatenate([rows[kept], inline_rows])
            liking = np.concatenate([liking[kept], np.fromiter(inline.values(), np.float64, len(inline))])
        excluded = np.zeros(self._catalog.rows, np.bool_)
        if not request.include_rated:
            excluded[rows] = True
        excluded[[row for item_id in request.excluded if (row := self._catalog.row_of(item_id)) is not None]] = True
        raters = np.maximum(self._catalog.counts.rated[rows], 1.0)
        values = liking / raters**recipe.query_damping if recipe.query_damping else liking
        k = (request.k or recipe.k) if recipe.k else 0
        return _Query(request, recipe, k, stored, rows, liking, values, excluded)

    def _recipe(self, request: RecommendationRequest) -> Recipe:
        weighting = self._weighting.name
        recipe = self._recipes[request.recipe or DEFAULT_OF_WEIGHTING[weighting]]
        if recipe.weighting not in ("", weighting):
            raise PreconditionError(
                "WEIGHTING",
                recipe.name,
                f"recipe {recipe.name!r} needs a collection loaded with --weighting {recipe.weighting}, this one has "
                f"{weighting}; use recipe {DEFAULT_OF_WEIGHTING[weighting]!r} or load again with --replace",
            )
        return recipe

    def _inline_preferences(self, ratings: Sequence[InlineRating]) -> dict[int, float]:
        scale = self._store.metadata.scale
        preferences: dict[int, float] = {}
        violations = []
        for place, rating in enumerate(ratings):
            row = self._catalog.row_of(rating.item_id)
            if row is None:
                raise ItemNotFoundError(rating.item_id)
            if row in preferences:
                violations.append(FieldViolation(f"ratings[{place}].item_id", "names an item that is rated already"))
            preferences[row] = 0.0
            if isinstance(rating.opinion, Reaction):
                preferences[row] = self._weighting.preference_of(rating.opinion)
            elif scale.contains(rating.opinion):
                preferences[row] = float(self._weighting.preferences(np.array([rating.opinion], np.float32))[0])
            else:
                violations.append(FieldViolation(f"ratings[{place}].value", f"must be {scale}"))
        if violations:
            raise InvalidArgumentError(violations)
        return preferences

    async def _answer(self, attempt: "_Attempt") -> list[RecommendationAnswer]:
        """Steps 4 to 6 for the requests that are right."""
        found = await self._gather(attempt.searching, attempt.hits)
        neighbors = dict(zip(map(id, attempt.searching), found, strict=True))
        queries = [query for query in attempt.prepared if isinstance(query, _Query)]
        answers = []
        for query in queries:
            answers.append(self._compose(query, neighbors.get(id(query), [])))
            if len(queries) > 1:
                await asyncio.sleep(0)  # other calls get their turn between the answers of a batch
        return answers

    async def _search(self, queries: Sequence[_Query]) -> list[Hits]:
        """Step 3: candidates for the neighbors, with everyone who may tie with the last one."""
        if not queries:
            return []
        vectors = [self._vector(query) for query in queries]
        limit = max(query.k for query in queries) + 1 + _MARGIN
        found = await self._store.search(vectors, limit)
        for place, query in enumerate(queries):
            size = limit
            while (
                len(found[place].scores) == size and size < _MAX_CANDIDATES and _may_tie(found[place].scores, query.k)
            ):
                size *= 4
                [found[place]] = await self._store.search([vectors[place]], size)
        return found

    def _vector(self, query: _Query) -> SparseVector:
        weighs = query.values != 0
        return SparseVector(self._catalog.indexes[query.rows[weighs]], query.values[weighs].astype(np.float32))

    async def _gather(self, queries: Sequence[_Query], found: Sequence[Hits]) -> list[list[DecodedProfile]]:
        """Step 4: the candidates' profiles, cached or read in one call, without the user and users gone meanwhile."""
        gathered = [self._cache.get(hits.point_ids, hits.versions) for hits in found]
        missing = {
            point_id: version
            for hits, profiles in zip(found, gathered, strict=True)
            if None in profiles
            for point_id, version, profile in zip(*hits[:2], profiles, strict=True)
            if profile is None
        }
        read: dict[PointId, DecodedProfile] = {}
        if missing:
            for point_id, user in zip(missing, await self._store.users(list(missing)), strict=True):
                if user is not None and user.profile.rating_count:
                    read[point_id] = self._decode(user)
                    self._cache.put(point_id, missing[point_id], read[point_id])
        for query, hits, profiles in zip(queries, found, gathered, strict=True):
            for place in [place for place, profile in enumerate(profiles) if profile is None] if read else ():
                profiles[place] = read.get(hits.point_ids[place])
            if query.request.user_id is not None and (own := point_id_of(query.request.user_id)) in hits.point_ids:
                profiles[hits.point_ids.index(own)] = None
        return [[profile for profile in profiles if profile is not None] for profiles in gathered]

    def _decode(self, user: StoredUser) -> DecodedProfile:
        current = user.profile.current
        preferences = self._weighting.preferences(user.profile.values[current])
        [norm] = self._weighting.norms(np.array([np.dot(preferences, preferences)]))
        return DecodedProfile(
            user.user_id, self._catalog.rows_of(user.profile.items[current]), preferences, float(norm)
        )

    def _compose(self, query: _Query, found: list[DecodedProfile]) -> RecommendationAnswer:
        """Steps 5 and 6: score, filter, fill, explain."""
        catalog, request = self._catalog, query.request
        # Decoding may have met an index that is new to the catalog, and so a row that is new since the query was made.
        excluded = np.pad(query.excluded, (0, catalog.rows - query.excluded.size))
        allowed = catalog.listed & ~excluded
        items: list[RecommendedItem] = []
        neighbors_used = 0
        if found:
            found.sort(key=_USER_ID)
            dense = np.zeros(catalog.rows)
            dense[query.rows] = query.values
            likes = int(np.count_nonzero(query.preferences >= 1.0))
            sharpness, damping = query.recipe.exponents(likes)
            hood = Neighborhood(found, dense, query.recipe, query.k, sharpness)
            neighbors_used = hood.neighbors.size
            scores = hood.scores(catalog.counts.damping(damping))
            rows = top_items(scores, allowed, catalog.counts.rank, request.limit)
            items = self._explained(query, hood, rows, scores)
            # What the neighbors dislike is not to fill the answer either.
            allowed &= scores >= -NOTHING * np.abs(scores).max(initial=0.0)
        personalized = len(items)
        allowed[[item.row for item in items]] = False
        items += self._popular(allowed, request.limit - personalized)
        if not query.k:
            strategy = Strategy.POPULAR
        elif not neighbors_used:
            strategy = Strategy.POPULAR_FALLBACK
        else:
            strategy = Strategy.MIXED if len(items) > personalized else Strategy.PERSONALIZED
        stored = query.stored
        return RecommendationAnswer(
            items=items,
            strategy=strategy,
            recipe=query.recipe.name,
            neighbors_used=neighbors_used,
            profile_revision=stored.revision if stored else 0,
            stored_ratings=stored.profile.rating_count if stored else 0,
            freshness_token=FreshnessToken(request.user_id or "", stored.source).encode()
            if stored and stored.source
            else "",
        )

    @staticmethod
    def _explained(
        query: _Query, hood: Neighborhood, rows: NDArray[np.intp], scores: NDArray[np.float64]
    ) -> list[RecommendedItem]:
        support = hood.support(rows)
        items = [
            RecommendedItem(row, score, count)
            for row, score, count in zip(rows.tolist(), scores[rows].tolist(), support.tolist(), strict=True)
        ]
        if not items or not query.request.explained:
            return items
        shares = hood.shares(rows, query.rows)
        # "Because you liked": shares that came through items the user does not like are no reason to show.
        shown = np.where(query.preferences > 0, shares, 0.0)
        best = np.argsort(-shown, axis=1, kind="stable")[:, :_REASONS]
        return [
            replace(item, reasons=[Reason(int(query.rows[j]), float(own[j])) for j in order if own[j] > 0])
            for item, own, order in zip(items, shown, best, strict=True)
        ]

    def _popular(self, allowed: NDArray[np.bool_], limit: int) -> list[RecommendedItem]:
        """What most users like, of what is allowed; items that nobody likes are not popular."""
        if limit <= 0:
            return []
        counts = self._catalog.counts
        rows = counts.order[(allowed & (counts.liked > 0))[counts.order]][:limit]
        return [
            RecommendedItem(row, likes, popular=True)
            for row, likes in zip(rows.tolist(), counts.liked[rows].tolist(), strict=True)
        ]


def _may_tie(scores: Sequence[float], k: int) -> bool:
    """Whether users beyond the last hit may be as similar as the k-th neighbor (the user may be one of the hits)."""
    return scores[k] - scores[-1] <= _TIE * abs(scores[0])


def _are_the_same(known: Mapping[str, StoredUser], guess: Mapping[str, StoredUser]) -> bool:
    """Whether users have not been written since: the revision tells, and the place in the log after a restore."""
    return known.keys() == guess.keys() and all(
        (user.revision, user.source) == (guess[user_id].revision, guess[user_id].source)
        for user_id, user in known.items()
    )
