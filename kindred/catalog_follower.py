"""Brings the catalog in memory up to what other processes have written to the store."""

import asyncio
from collections.abc import Iterable, Sequence
from time import monotonic, time_ns

from kindred.catalog import Catalog
from kindred.errors import UnavailableError
from kindred.items import CatalogEntry
from kindred.stores.port import Store

OVERLAP_MS = 10_000
"""How far the clocks of writers may differ: so much of what was seen is looked at again."""
_PAUSE = 0.1
"""Seconds between looks for items that are unknown."""


class CatalogFollower:
    """Looks for items that have changed. An embedded store is written by its own process only: there is nothing to see.

    Args:
        store: The items.
        catalog: The items in memory.
    """

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog
        self._seen = 0
        self._looked = 0.0
        self._current = True
        self._turn = asyncio.Lock()
        self.settled_at = 0.0
        """When everything is here that was written to the collection before this one, by the monotonic clock."""

    async def look(self) -> int:
        """Takes over what has changed, and gives the number of items.

        Raises:
            UnavailableError: The store is away.
        """
        if not self._store.shared:
            return 0
        async with self._turn:
            return await self._look()

    async def look_for(self, item_ids: Iterable[str]) -> None:
        """Looks if an item is unknown here: at most ten times a second, and whoever asks for nonsense has to wait.

        Args:
            item_ids: Items that somebody names.

        Raises:
            UnavailableError: The store is away, or nobody can tell: another collection was swapped in a moment ago, and
                an item that is unknown in the one may be in the other.
        """
        item_ids = list(item_ids)
        if not self._store.shared or self._knows(item_ids):
            return
        asked = monotonic()
        async with self._turn:
            if self._looked < asked:  # else somebody looked meanwhile
                await asyncio.sleep(max(0.0, self._looked + _PAUSE - monotonic()))
                await self._look()
                self._current = await self._store.is_current()
        if (asked < self.settled_at or not self._current) and not self._knows(item_ids):
            raise UnavailableError("store", "an item may be in the collection that was swapped in")

    async def take_counts(self) -> None:
        """Takes over how many users rate and like each item.

        Raises:
            UnavailableError: The store is away.
        """
        if self._store.shared:
            counts = await self._store.counts()
            if counts.indexes.size:
                self._catalog.counts.put(self._catalog.rows_of(counts.indexes), counts.rated, counts.liked)

    def _knows(self, item_ids: Sequence[str]) -> bool:
        return all(self._catalog.row_of(item_id) is not None for item_id in item_ids)

    async def _look(self) -> int:
        looked, now = monotonic(), time_ns() // 1_000_000
        changed = await self._store.changed_items(self._seen - OVERLAP_MS)
        # By our own clock: one that is ahead must not hide what others write.
        self._looked, self._seen = looked, now
        entries = []
        for each in changed:
            row = self._catalog.row_of_own_id(each.item.item_id)
            if row is None:
                entries.append(CatalogEntry(each.index, each.item))
            elif self._catalog.item(row) != each.item:
                old = self._catalog.entry(row)
                entries.append(CatalogEntry(each.index, each.item, old.rated_count, old.liked_count))
        if entries:
            self._catalog.put(entries)
        return len(entries)
