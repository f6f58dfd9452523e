import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from kindred.catalog import Catalog
from kindred.errors import UnavailableError
from kindred.items import CatalogEntry, Item
from kindred.recount import keep_counts, recount
from kindred.stores.port import Store, StoredUser
from kindred.user_filter import UserFilter
from tests.support.edge import EdgeBackend
from tests.support.stores import build, profile_of, scanned, write
from tests.support.watched_store import WatchedStore

USERS = 450
"""More than two pages of users."""
ITEMS = [*range(1, 30), 2**31 + 5, 2**32 - 1]
BOUND = 30.0
"""Seconds after which a wait has failed."""

Counts = dict[int, tuple[int, int]]


class ScannedStore(WatchedStore):
    """A watched store that can do something between the pages of users."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.between: Callable[[], Awaitable[None]] | None = None

    async def scan_users(self, page: int, allowed: UserFilter | None = None) -> AsyncIterator[list[StoredUser]]:
        """See `Store.scan_users`."""
        self.calls["scan_users"] += 1
        async for users in self.inner.scan_users(page, allowed):
            yield users
            if self.between is not None:
                between, self.between = self.between, None
                await between()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ScannedStore]:
    """A store whose items have never been counted."""
    random = np.random.default_rng(11)
    users = []
    for user in range(USERS):
        rated = random.choice(ITEMS[:-1], 8, replace=False).tolist()
        values = random.choice([0.5, 3.5, 4.0, 5.0], 8).tolist()
        ratings = dict(zip(rated, values, strict=True)) | {77: 5.0}  # no item of the catalog has the index 77
        users.append(write(str(user) if user % 2 else f"user-{user}", profile_of(ratings)))
    users.append(write("silent"))
    build(backend := EdgeBackend(tmp_path / "data"), users, [CatalogEntry(index, Item(f"i{index}")) for index in ITEMS])
    opened = await backend.open()
    yield ScannedStore(opened)
    await opened.close()


@pytest.fixture
async def catalog(store: ScannedStore) -> Catalog:
    """The store's items in memory."""
    return Catalog(await store.items())


async def counted_by_hand(store: Store) -> Counts:
    """By index how many rate and how many like it, a rating at a time."""
    counts = dict.fromkeys(ITEMS, (0, 0))
    for user in await scanned(store.scan_users(1_000)):
        for index, value in zip(user.profile.items.tolist(), user.profile.values.tolist(), strict=True):
            if index in counts and value == value:  # noqa: PLR0124  # a retraction is NaN
                rated, liked = counts[index]
                counts[index] = (rated + 1, liked + (value >= 4))
    return counts


def in_memory(catalog: Catalog) -> Counts:
    """The catalog's counts by index."""
    entries = [catalog.entry(row) for row in np.flatnonzero(catalog.listed).tolist()]
    return {entry.index: (entry.rated_count, entry.liked_count) for entry in entries}


async def in_store(store: Store) -> Counts:
    """The stored counts by index."""
    return {entry.index: (entry.rated_count, entry.liked_count) for entry in await store.items()}


class TestRecount:
    async def test_counts_are_those_of_a_count_by_hand(self, store: ScannedStore, catalog: Catalog) -> None:
        """Every item's raters and likers are counted over all users, in memory and in the store."""
        expected = await counted_by_hand(store.inner)
        assert expected[2**32 - 1] == (0, 0)
        assert all(rated > liked > 0 for index, (rated, liked) in expected.items() if index != 2**32 - 1)
        assert await recount(store, catalog) == len(ITEMS) - 1
        assert in_memory(catalog) == expected
        assert await in_store(store) == expected

    async def test_counting_again_writes_nothing(self, store: ScannedStore, catalog: Catalog) -> None:
        """Where nothing has changed nothing is written."""
        await recount(store, catalog)
        writes = store.calls["write_counts"]
        assert await recount(store, catalog) == 0
        assert store.calls["write_counts"] == writes

    async def test_new_ratings_are_counted(self, store: ScannedStore, catalog: Catalog) -> None:
        """What has changed since the last count is counted, and told in items."""
        await recount(store, catalog)
        await store.write_users([write("new", profile_of({1: 5.0, 2**32 - 1: 1.0, 77: 1.0}))])
        assert await recount(store, catalog) == 2
        expected = await counted_by_hand(store.inner)
        assert in_memory(catalog) == expected
        assert await in_store(store) == expected

    async def test_retracted_ratings_count_no_more(self, store: ScannedStore, catalog: Catalog) -> None:
        """What a user took back goes from the counts."""
        await store.write_users([write("new", profile_of({1: 5.0, 2: 5.0}))])
        await recount(store, catalog)
        before = in_memory(catalog)
        await store.write_users([write("new", profile_of({1: float("nan"), 2: 3.0}), revision=2)])
        await recount(store, catalog)
        assert in_memory(catalog)[1] == (before[1][0] - 1, before[1][1] - 1)
        assert in_memory(catalog)[2] == (before[2][0], before[2][1] - 1)

    async def test_users_may_be_written_meanwhile(self, store: ScannedStore, catalog: Catalog) -> None:
        """Users who are written during a count are counted as before or after, and right the next time."""

        async def meanwhile() -> None:
            writes = [write(str(user), profile_of({3: 4.0}), revision=2) for user in (1, USERS - 1)]
            assert await store.write_users([*writes, write("new", profile_of({3: 4.0}))]) == [True] * 3

        before = await counted_by_hand(store.inner)
        store.between = meanwhile
        await recount(store, catalog)
        after = await counted_by_hand(store.inner)
        for index, counts in in_memory(catalog).items():
            for now, old, new in zip(counts, before[index], after[index], strict=True):
                assert min(old, new) - 3 <= now <= max(old, new) + 3
        await recount(store, catalog)
        assert in_memory(catalog) == after
        assert await in_store(store) == after

    async def test_items_may_come_meanwhile(self, store: ScannedStore, catalog: Catalog) -> None:
        """Items that come or change during a count stay as they are, and are counted the next time."""
        changed = CatalogEntry(1, Item("i1", "Changed"))

        async def meanwhile() -> None:
            await store.inner.insert_items([CatalogEntry(77, Item("77"))])
            await store.inner.replace_items([changed])
            catalog.put([CatalogEntry(77, Item("77")), changed])

        expected = await counted_by_hand(store.inner)
        store.between = meanwhile
        await recount(store, catalog)
        assert in_memory(catalog) == expected | {77: (0, 0)}
        assert catalog.item(catalog.row_of("i1")).title == "Changed"
        assert await recount(store, catalog) == 1
        assert await in_store(store) == in_memory(catalog) == expected | {77: (USERS, USERS)}
        assert {entry.item.title for entry in await store.items()} == {"", "Changed"}

    async def test_items_that_no_catalog_has_are_counted_in_memory(self, store: ScannedStore, catalog: Catalog) -> None:
        """An index that only ratings know is counted for the scores, and never written."""
        [row] = catalog.rows_of(np.array([77], np.uint32)).tolist()
        await recount(store, catalog)
        assert (catalog.counts.rated[row], catalog.counts.liked[row]) == (USERS, USERS)
        assert 77 not in await in_store(store)

    async def test_a_failed_count_is_made_up_for(self, store: ScannedStore, catalog: Catalog) -> None:
        """If the store cannot be written, the next count writes what this one could not."""
        store.away("write_counts")
        with pytest.raises(UnavailableError):
            await recount(store, catalog)
        store.back()
        await recount(store, catalog)
        assert await in_store(store) == in_memory(catalog) == await counted_by_hand(store.inner)


class Writes:
    """How many users have been written, and how often that was asked."""

    def __init__(self) -> None:
        self.count = 0
        self._asked = asyncio.Semaphore(0)

    async def __call__(self) -> int:
        """Gives the number."""
        self._asked.release()
        return self.count

    async def asked(self, times: int) -> None:
        """Waits until it was asked so often again."""
        for _ in range(times):
            await self._asked.acquire()


class TestKeepCounts:
    async def test_it_counts_when_users_were_written(self, store: ScannedStore, catalog: Catalog) -> None:
        """Without writes nothing is counted; after one the counts follow by themselves, until two find nothing new."""
        writes = Writes()
        async with asyncio.timeout(BOUND), _running(keep_counts(lambda: (store, catalog), writes, 0.0001)):
            await writes.asked(10)
            assert store.calls["scan_users"] == 0
            writes.count = 1
            await store.until("write_counts", 1)
            assert in_memory(catalog) == await counted_by_hand(store.inner)
            await writes.asked(6)
        assert store.calls["scan_users"] == 3  # two more to see that nothing else comes

    async def test_it_outlives_a_store_that_is_away(self, store: ScannedStore, catalog: Catalog) -> None:
        """While the store is away it tries again, and when the store is back the counts get there."""
        writes = Writes()
        store.away("write_counts")
        async with asyncio.timeout(BOUND), _running(keep_counts(lambda: (store, catalog), writes, 0.0001)):
            await writes.asked(1)
            writes.count = 1
            await store.reached.wait()
            assert store.calls["scan_users"] == 1
            store.back()
            await writes.asked(8)  # the look that led to the failed count, those of three more, and some to be sure
        assert store.calls["scan_users"] == 4
        assert await in_store(store) == await counted_by_hand(store.inner)


class _running:  # noqa: N801  # reads as what it does
    """Runs a coroutine beside a block."""

    def __init__(self, work: Awaitable[None]) -> None:
        self._task = asyncio.ensure_future(work)

    async def __aenter__(self) -> asyncio.Future[None]:
        return self._task

    async def __aexit__(self, *exc_info: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
