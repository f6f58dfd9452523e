"""Finds the users nearest to a vector, and reads their profiles through the cache that recommendations use, too."""

from collections.abc import Sequence

import numpy as np

from kindred.catalog import Catalog
from kindred.profile_cache import ProfileCache
from kindred.scoring import DecodedProfile
from kindred.stores.port import Hits, PointId, Store, StoredUser
from kindred.user_filter import EVERY_USER, UserFilter
from kindred.weighting import SparseVector

_MARGIN = 16
_TIE = 1e-6
_MAX_CANDIDATES = 16_384


class NearestUsers:
    """Searches and gathers.

    Args:
        store: The users.
        catalog: The items.
        cache: Decoded profiles.
    """

    def __init__(self, store: Store, catalog: Catalog, cache: ProfileCache) -> None:
        self._store = store
        self._catalog = catalog
        self._cache = cache

    async def find(self, query: SparseVector, k: int, users: UserFilter = EVERY_USER) -> list[DecodedProfile]:
        """The users with the highest dot products, by user id, with everyone who may tie with the last one.

        Args:
            query: The query's vector, not empty.
            k: How many.
            users: Who may be found.

        Raises:
            UnavailableError: The store is away.
        """
        limit = k + _MARGIN
        [hits] = await self._store.search([query], limit, [users or None])
        while len(hits.scores) == limit and limit < _MAX_CANDIDATES and _may_tie(hits.scores, k):
            limit *= 4
            [hits] = await self._store.search([query], limit, [users or None])
        profiles = await self._gather(hits)
        return sorted(profiles, key=lambda profile: profile.user_id)

    async def _gather(self, hits: Hits) -> list[DecodedProfile]:
        profiles = self._cache.get(hits.point_ids, hits.versions)
        missing = {
            point_id: (place, version)
            for place, (point_id, version, profile) in enumerate(zip(*hits[:2], profiles, strict=True))
            if profile is None
        }
        if missing:
            await self._read(missing, profiles)
        return [profile for profile in profiles if profile is not None]

    async def _read(self, missing: dict[PointId, tuple[int, int]], profiles: list[DecodedProfile | None]) -> None:
        users = await self._store.users(list(missing))
        for (point_id, (place, version)), user in zip(missing.items(), users, strict=True):
            if user is not None and user.profile.rating_count:
                profiles[place] = profile = self._decode(user)
                self._cache.put(point_id, version, profile)

    def _decode(self, user: StoredUser) -> DecodedProfile:
        weighting = self._store.metadata.weighting
        current = user.profile.current
        preferences = weighting.preferences(user.profile.values[current])
        [norm] = weighting.norms(np.array([np.dot(preferences, preferences)]))
        rows = self._catalog.rows_of(user.profile.items[current])
        return DecodedProfile(user.user_id, rows, preferences, float(norm))


def _may_tie(scores: Sequence[float], k: int) -> bool:
    return scores[k - 1] - scores[-1] <= _TIE * abs(scores[0])
