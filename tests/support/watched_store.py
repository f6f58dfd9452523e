"""A store between Kindred and the real one: it counts calls, and fails, hangs or loses races when it is told to."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from kindred.backend import Backend
from kindred.errors import UnavailableError
from kindred.items import CatalogEntry
from kindred.settings import Settings
from kindred.stores.port import ChangedItem, Hits, PointId, RatingCounts, Store, StoredUser, UserWrite
from kindred.user_filter import UserFilter
from kindred.weighting import SparseVector

T = TypeVar("T")


class WatchedStore:
    """See `kindred.stores.port.Store`.

    Args:
        inner: The real store.
    """

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.metadata = inner.metadata
        self.generation = inner.generation
        self.shared = inner.shared
        self.calls: Counter[str] = Counter()
        """How often each method was called."""
        self.failing: dict[str, BaseException] = {}
        """What methods raise instead of doing anything, by name."""
        self.hanging: asyncio.Event | None = None
        """If it is there, every call waits for it."""
        self.reached = asyncio.Event()
        """Set when a call begins to wait or fails."""
        self.before_write: Callable[[Sequence[UserWrite]], Awaitable[None]] | None = None
        """Runs before every write of users: another writer who is faster."""
        self._called = asyncio.Event()

    def away(self, *methods: str) -> None:
        """Lets methods fail as if the engine were away."""
        for method in methods:
            self.failing[method] = UnavailableError("store", "the store is away")

    def back(self) -> None:
        """Ends all failures and waits."""
        self.failing.clear()
        if self.hanging is not None:
            self.hanging.set()
        self.hanging = None

    async def until(self, method: str, count: int) -> None:
        """Waits until a method has been called so often."""
        while self.calls[method] < count:
            self._called.clear()
            await self._called.wait()

    async def _call(self, name: str, call: Callable[..., Awaitable[T]], *args: Any) -> T:
        self.calls[name] += 1
        self._called.set()
        if name in self.failing:
            self.reached.set()
            raise self.failing[name]
        if self.hanging is not None:
            self.reached.set()
            await self.hanging.wait()
        return await call(*args)

    async def search(
        self, queries: Sequence[SparseVector], limit: int, filters: Sequence[UserFilter | None] = ()
    ) -> list[Hits]:
        """See `Store.search`."""
        return await self._call("search", self.inner.search, queries, limit, filters)

    async def users(self, point_ids: Sequence[PointId]) -> list[StoredUser | None]:
        """See `Store.users`."""
        return await self._call("users", self.inner.users, point_ids)

    async def write_users(self, writes: Sequence[UserWrite]) -> list[bool]:
        """See `Store.write_users`."""
        if self.before_write is not None:
            await self.before_write(writes)
        return await self._call("write_users", self.inner.write_users, writes)

    def scan_users(self, page: int, allowed: UserFilter | None = None) -> AsyncIterator[list[StoredUser]]:
        """See `Store.scan_users`."""
        return self.inner.scan_users(page, allowed)

    async def count_users(self, allowed: UserFilter | None = None) -> int:
        """See `Store.count_users`."""
        return await self._call("count_users", self.inner.count_users, allowed)

    async def has_attribute(self, name: str) -> bool:
        """See `Store.has_attribute`."""
        return await self._call("has_attribute", self.inner.has_attribute, name)

    async def some_attribute_names(self) -> frozenset[str]:
        """See `Store.some_attribute_names`."""
        return await self._call("some_attribute_names", self.inner.some_attribute_names)

    async def items(self) -> list[CatalogEntry]:
        """See `Store.items`."""
        return await self._call("items", self.inner.items)

    async def is_current(self) -> bool:
        """See `Store.is_current`."""
        return await self._call("is_current", self.inner.is_current)

    async def changed_items(self, since: int) -> list[ChangedItem]:
        """See `Store.changed_items`."""
        return await self._call("changed_items", self.inner.changed_items, since)

    async def counts(self) -> RatingCounts:
        """See `Store.counts`."""
        return await self._call("counts", self.inner.counts)

    async def write_counts(self, counts: RatingCounts) -> None:
        """See `Store.write_counts`."""
        await self._call("write_counts", self.inner.write_counts, counts)

    async def insert_items(self, entries: Sequence[CatalogEntry]) -> list[bool]:
        """See `Store.insert_items`."""
        return await self._call("insert_items", self.inner.insert_items, entries)

    async def replace_items(self, entries: Sequence[CatalogEntry]) -> None:
        """See `Store.replace_items`."""
        await self._call("replace_items", self.inner.replace_items, entries)

    async def close(self) -> None:
        """See `Store.close`."""
        await self.inner.close()


@asynccontextmanager
async def watched_backend(settings: Settings) -> AsyncIterator[tuple[Backend, WatchedStore]]:
    """An open backend whose every part works on a watched store."""
    opened = await Backend.open(settings)
    store = WatchedStore(opened.store)
    try:
        yield Backend.over(store, opened.catalog, settings), store
    finally:
        store.back()
        await store.close()
