import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from kindred.errors import UnavailableError
from kindred.profile_cache import ProfileCache
from kindred.recipes import RECIPES
from kindred.recommendation import RecommendationRequest
from kindred.recommender import Recommender
from kindred.stores.port import PointId, Store, StoredUser
from tests.support.community import build_community, opened, text, twins
from tests.support.watched_store import WatchedStore


class Reading(WatchedStore):
    """A store elsewhere, which notes how it is read.

    Args:
        inner: The real store.
        fails_at: The number of the read that fails, from 1 on; 0 for none.
    """

    def __init__(self, inner: Store, fails_at: int = 0) -> None:
        super().__init__(inner)
        self.shared = True
        self.fails_at = fails_at
        self.sizes: list[int] = []
        self.most = self._under_way = 0

    async def users(self, point_ids: Sequence[PointId]) -> list[StoredUser | None]:
        """See `Store.users`."""
        self.sizes.append(len(point_ids))
        if len(self.sizes) == self.fails_at:
            raise UnavailableError("store", "the store is away")
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        await asyncio.sleep(0)
        self._under_way -= 1
        return await super().users(point_ids)


def twins_in(folder: Path) -> Path:
    """A collection of 300 people who are all as similar to each other."""
    build_community(folder / "data", twins(300))
    return folder / "data"


async def test_other_calls_get_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds nobody in the cache reads them some at a time, and lets others run in between."""
    turns, reads = 0, []

    async def another_call() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with opened(twins_in(tmp_path)) as backend:
        users = backend.store.users

        async def read(points: Sequence[PointId]) -> list[StoredUser | None]:
            reads.append((len(points), turns))
            return await users(points)

        monkeypatch.setattr(backend.store, "users", read)
        other = asyncio.create_task(another_call())
        await backend.recommender.recommend(RecommendationRequest("0"))
        other.cancel()
    _, *neighbors_ = reads
    assert sum(size for size, _ in neighbors_) >= 299
    assert max(size for size, _ in neighbors_) <= 64
    assert all(before < after for (_, before), (_, after) in pairwise(neighbors_))


async def test_calls_at_the_same_time_read_nobody_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one call reads another one that has begun, too, finds in the cache; both answer as one alone."""
    reads: Counter[PointId] = Counter()
    requests = [RecommendationRequest("0"), RecommendationRequest("1")]
    path = twins_in(tmp_path)
    async with opened(path) as backend:
        alone = [text(await backend.recommender.recommend(request)) for request in requests]
    async with opened(path) as backend:
        users = backend.store.users

        async def read(points: Sequence[PointId]) -> list[StoredUser | None]:
            reads.update(points)
            return await users(points)

        monkeypatch.setattr(backend.store, "users", read)
        answers = await asyncio.gather(*map(backend.recommender.recommend, requests))
    assert [text(answer) for answer in answers] == alone
    assert {point for point, count in reads.items() if count > 1} <= {0, 1}  # the askers
    assert len(reads) == 300


async def test_a_shared_store_is_read_ahead(tmp_path: Path) -> None:
    """Over a wire the next neighbors are on their way while some are packed, and never more than these."""
    async with opened(twins_in(tmp_path)) as backend:
        store = Reading(backend.store)
        recommender = Recommender(store, backend.catalog, RECIPES, ProfileCache(2**28), default="default")
        answer = await recommender.recommend(RecommendationRequest("0"))
        again = await backend.recommender.recommend(RecommendationRequest("0"))
    assert store.sizes[0] == 1  # who asks
    assert sum(store.sizes) >= 300
    assert max(store.sizes) <= 64
    assert store.most == 2
    assert text(answer) == text(again)


async def test_a_page_that_cannot_be_read_fails_the_call(tmp_path: Path) -> None:
    """Where the store is away in the middle of reading, the call says so, and leaves no reading behind."""
    async with opened(twins_in(tmp_path)) as backend:
        store = Reading(backend.store, fails_at=3)
        recommender = Recommender(store, backend.catalog, RECIPES, ProfileCache(2**28), default="default")
        with pytest.raises(UnavailableError):
            await recommender.recommend(RecommendationRequest("0"))
        assert asyncio.all_tasks() == {asyncio.current_task()}
        store.fails_at = 0
        assert (await recommender.recommend(RecommendationRequest("0"))).neighbors_used == 200
