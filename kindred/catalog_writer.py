"""Adds and replaces items in the store and the catalog."""

import asyncio
from collections.abc import Sequence

from kindred.catalog import Catalog
from kindred.catalog_follower import CatalogFollower
from kindred.item_index import first_probe, natural_index, next_probe
from kindred.items import CatalogEntry, Item
from kindred.stores.port import Store


class CatalogWriter:
    """Writes items, one call after the other: what a call finds new is not new to the next.

    Args:
        store: Where they are kept.
        catalog: The items in memory.
        follower: Sees what other processes have written, which is not new either.
    """

    def __init__(self, store: Store, catalog: Catalog, follower: CatalogFollower) -> None:
        self._store = store
        self._catalog = catalog
        self._follower = follower
        self._turn = asyncio.Lock()

    async def upsert(self, items: Sequence[Item]) -> tuple[int, int]:
        """Adds items that are new and replaces those that are there.

        Args:
            items: Items, each id once.

        Returns:
            How many are new, and how many were replaced.

        Raises:
            UnavailableError: The store is away. Some of the items may have been written; doing it again is right.
        """
        async with self._turn:
            await self._follower.look()
            new, known = [], []
            for item in items:
                row = self._catalog.row_of_own_id(item.item_id)
                if row is None:
                    new.append(item)
                else:
                    old = self._catalog.entry(row)
                    known.append(CatalogEntry(old.index, item, old.rated_count, old.liked_count))
            if known:
                await self._store.replace_items(known)
                self._catalog.put(known)
            await self._insert(new)
            return len(new), len(known)

    async def add_missing(self, item_ids: Sequence[str]) -> int:
        """Adds items of which only the id is known; those that are there stay as they are.

        Args:
            item_ids: Ids of items, each once.

        Returns:
            How many were added.

        Raises:
            UnavailableError: The store is away.
        """
        async with self._turn:
            await self._follower.look()
            new = [Item(item_id) for item_id in item_ids if self._catalog.row_of(item_id) is None]
            await self._insert(new)
            return len(new)

    async def _insert(self, items: Sequence[Item]) -> None:
        """Gives each item the first free index of its probes; one whose index is taken tries the next."""
        pending = []
        for item in items:
            natural = natural_index(item.item_id)
            pending.append(CatalogEntry(first_probe(item.item_id) if natural is None else natural, item))
        while pending:
            inserted = await self._store.insert_items(pending)
            self._catalog.put([entry for entry, done in zip(pending, inserted, strict=True) if done])
            pending = [
                CatalogEntry(next_probe(entry.index), entry.item)
                for entry, done in zip(pending, inserted, strict=True)
                if not done
            ]
