"""Finds the people who rate like a query: search, gather, compare. Steps 3 and 4.

Many queries share one engine call.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

import numpy as np

from kindred.catalog import Catalog
from kindred.neighborhood import Neighborhood, PackedProfile, Query, packed_numbers, term_sums_of
from kindred.packed_ratings import RatingCodes, pack_rows, pack_times
from kindred.profile_cache import ProfileCache
from kindred.stores.port import Hits, PointId, Store, StoredUser
from kindred.timing import Step, lap
from kindred.user_filter import UserFilter
from kindred.weighting import SparseVector

_MARGIN = 16
"""Candidates beyond k: the engine's single-precision order near the last place is not the exact one."""
_TIE = 1e-6
"""Single-precision sums closer than this, relative to the largest, may be ties."""
_APART = 1e-5
"""Single-precision sums further apart than this, relative to the largest, are in the exact order."""
_MAX_CANDIDATES = 16_384
_WIDER = 4
_ONE = np.zeros(1, np.intp)
"""Where the ratings of one user begin."""
_PAGE = 64
"""Profiles read and packed in one go, on the event loop: it takes about as long as scoring does."""
_PAGES_AHEAD = 1
"""Pages on their way from a store elsewhere while one is packed. More take more memory, and were not faster."""


@dataclass(frozen=True, slots=True)
class NeighborQuery:
    """Whose neighbors to find.

    Args:
        query: What they are compared with.
        k: How many neighbors.
        min_overlap: How many of the query's items they have rated, at least.
        own: The user's own point, which is no neighbor.
        allowed: Who may be one.
        timed: Whether it will be asked when they rated.
    """

    query: Query
    k: int
    min_overlap: int = 1
    own: PointId | None = None
    allowed: UserFilter | None = None
    timed: bool = False


class NeighborFinder:
    """Finds neighbors in a store.

    Args:
        store: The users.
        catalog: The items.
        cache: Decoded profiles.
    """

    def __init__(self, store: Store, catalog: Catalog, cache: ProfileCache) -> None:
        self._store = store
        self._catalog = catalog
        self._cache = cache
        self._weighting = store.metadata.weighting
        self._codes = RatingCodes(store.metadata.weighting, store.metadata.scale)
        self._keeps_times = False
        """Whether times are kept: four bytes of a rating's seven, which only a period needs."""

    async def search(self, queries: Sequence[NeighborQuery]) -> list[Hits]:
        """Candidates for the neighbors, with everyone who may tie with the last one.

        Args:
            queries: Each with a value that is not 0.

        Raises:
            UnavailableError: The store is away.
        """
        if not queries:
            return []
        limit = max(_candidates(query) for query in queries)
        found = await self._engine(queries, limit)
        for place, query in enumerate(queries):
            size = limit
            while (
                len(found[place].scores) == size and size < _MAX_CANDIDATES and _may_tie(found[place].scores, query.k)
            ):
                size = min(size * _WIDER, _MAX_CANDIDATES)
                [found[place]] = await self._engine([query], size)
                await asyncio.sleep(0)  # other calls get their turn: the embedded engine gives them none
        return found

    async def gather(self, queries: Sequence[NeighborQuery], hits: Sequence[Hits]) -> list[Neighborhood | None]:
        """The neighbors among the candidates; None where there is none.

        Args:
            queries: The queries.
            hits: What `search` found for each.

        Raises:
            UnavailableError: The store is away.
        """
        profiles = await self._profiles(queries, hits)
        hoods = []
        for query, found, own in zip(queries, hits, profiles, strict=True):
            hood = self._neighborhood(query, own)
            lap(Step.SCORE)
            size = len(found.scores)
            # Who shares too little with the query has to make room for others.
            while (
                1 < query.min_overlap <= query.query.rows.size  # nobody can share more than there is
                and (hood is None or len(hood) < query.k)
                and _candidates(query) <= size < _MAX_CANDIDATES
            ):
                await asyncio.sleep(0)
                [wider] = await self._engine([query], min(size * _WIDER, _MAX_CANDIDATES))
                if len(wider.scores) == size:
                    break
                size = len(wider.scores)
                [more] = await self._profiles([query], [wider])
                hood = self._neighborhood(query, more)
                lap(Step.SCORE)
            hoods.append(hood)
        return hoods

    def _neighborhood(self, query: NeighborQuery, profiles: list[PackedProfile]) -> Neighborhood | None:
        if not profiles:
            return None
        # Packing may have met an index that is new to the catalog, and so a row that is new since the query was made.
        now = query.query.among(self._catalog.rows)
        hood = Neighborhood(profiles, now, self._codes, k=query.k, min_overlap=query.min_overlap)
        return hood if len(hood) else None

    async def _engine(self, queries: Sequence[NeighborQuery], limit: int) -> list[Hits]:
        filters = [query.allowed for query in queries]
        found = await self._store.search([self._vector(query.query) for query in queries], limit, filters)
        lap(Step.SEARCH)
        return found

    def _vector(self, query: Query) -> SparseVector:
        rows, values = query.sparse
        return SparseVector(self._catalog.indexes.take(rows), values)

    async def _profiles(self, queries: Sequence[NeighborQuery], found: Sequence[Hits]) -> list[list[PackedProfile]]:
        """The candidates' profiles, cached or read in one call, without the user and users gone meanwhile."""
        nearest = [_nearest(query, hits) for query, hits in zip(queries, found, strict=True)]
        timed = any(query.timed for query in queries)
        self._keeps_times |= timed
        gathered = [self._cache.get(point_ids, versions, timed=timed) for point_ids, versions in nearest]
        lap(Step.CACHE)
        missing = {
            point_id: version
            for points, profiles in zip(nearest, gathered, strict=True)
            if not all(profiles)
            for point_id, version, profile in zip(*points, profiles, strict=True)
            if profile is None
        }
        if not missing:
            return cast("list[list[PackedProfile]]", gathered)
        read = await self._read(missing, timed=timed)
        for (point_ids, _), profiles in zip(nearest, gathered, strict=True):
            for place in [place for place, profile in enumerate(profiles) if profile is None]:
                profiles[place] = read.get(point_ids[place])
        lap(Step.FETCH)
        return [[profile for profile in profiles if profile is not None] for profiles in gathered]

    async def _read(self, missing: Mapping[PointId, int], *, timed: bool) -> dict[PointId, PackedProfile]:
        """Profiles that the cache lacked, a page at a time, so that other calls get their turn.

        Args:
            missing: The versions that the search saw, by point.
            timed: Whether those without times will not do.
        """
        points = list(missing)
        pages = [points[start : start + _PAGE] for start in range(0, len(points), _PAGE)]
        if self._store.shared:
            return await self._read_ahead(pages, missing)
        read: dict[PointId, PackedProfile] = {}
        for number, page in enumerate(pages):
            unknown = page
            if number:
                await asyncio.sleep(0)
                # Another call may have read them meanwhile.
                known = self._cache.peek(page, [missing[point_id] for point_id in page], timed=timed)
                read |= {each: profile for each, profile in zip(page, known, strict=True) if profile is not None}
                unknown = [point_id for point_id in page if point_id not in read]
            if unknown:
                read |= self._kept(await self._store.users(unknown), missing)
        return read

    async def _read_ahead(
        self, pages: Sequence[Sequence[PointId]], missing: Mapping[PointId, int]
    ) -> dict[PointId, PackedProfile]:
        """The pages of a store elsewhere: some are on their way while one is packed, and few at once in memory."""
        read: dict[PointId, PackedProfile] = {}
        requests = (asyncio.create_task(self._store.users(page)) for page in pages)
        coming = deque(islice(requests, 1 + _PAGES_AHEAD))
        try:
            while coming:
                users = await coming[0]
                coming.popleft()
                read |= self._kept(users, missing)
                coming.extend(islice(requests, 1))
        finally:
            for task in coming:
                task.cancel()
            await asyncio.gather(*coming, return_exceptions=True)
        return read

    def _kept(
        self, users: Sequence[StoredUser | None], versions: Mapping[PointId, int]
    ) -> dict[PointId, PackedProfile]:
        """Users' profiles, which are in the cache from now on; without users who are gone, or have no ratings."""
        packed = {
            user.point_id: self._packed(user, versions[user.point_id])
            for user in users
            if user is not None and user.profile.rating_count
        }
        for point_id, profile in packed.items():
            self._cache.put(point_id, profile)
        return packed

    def _packed(self, user: StoredUser, version: int) -> PackedProfile:
        items, values, rated_at = user.profile.ratings
        meanings, counts = self._codes.meanings_of(values), self._catalog.counts
        rows = self._catalog.rows_of(items)
        [norm] = self._weighting.norms(np.array([np.dot(meanings.preferences, meanings.preferences)]))
        [total] = term_sums_of(rows, _ONE, counts.terms)
        return PackedProfile(
            version,
            user.user_id,
            rows=pack_rows(rows),
            ratings=self._codes.pack(values),
            times=pack_times(rated_at) if self._keeps_times else b"",
            numbers=packed_numbers(rows.size, norm, meanings.stars.sum(dtype=np.float64), total, counts.version),
        )


def _candidates(query: NeighborQuery) -> int:
    """How many to search for: the neighbors, the user themself, and the margin."""
    return query.k + 1 + _MARGIN


def _nearest(query: NeighborQuery, hits: Hits) -> tuple[list[PointId], list[int]]:
    """Points and versions of the candidates that may be neighbors: not the user, and nobody who surely is too far."""
    ids, versions, scores = hits
    size = len(ids)
    own = ids.index(query.own) if query.own is not None and query.own in ids else size
    last, following = query.k - (own >= query.k), query.k + (own <= query.k)  # the user may stand before them
    if (
        query.min_overlap == 1
        and following < size
        and scores[last] - scores[following] > _APART * abs(scores[0])  # else only exact sums tell
    ):
        size = last + 1
    if own >= size:
        return ids[:size], versions[:size]
    return [*ids[:own], *ids[own + 1 : size]], [*versions[:own], *versions[own + 1 : size]]


def _may_tie(scores: Sequence[float], k: int) -> bool:
    """Whether users beyond the last hit may be as similar as the k-th neighbor (the user may be one of the hits)."""
    return scores[k] - scores[-1] <= _TIE * abs(scores[0])
