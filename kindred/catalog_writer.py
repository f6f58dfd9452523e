"""Adds and replaces items in the store and the catalog."""

from collections.abc import Sequence

from kindred.catalog import Catalog
from kindred.item_index import first_probe, natural_index, next_probe
from kindred.items import CatalogEntry, Item
from kindred.stores.port import Store


async def upsert_items(store: Store, catalog: Catalog, items: Sequence[Item]) -> tuple[int, int]:
    """Adds items that are new and replaces those that are there.

    Args:
        store: Where they are kept.
        catalog: The items in memory.
        items: Items, each id once.

    Returns:
        How many are new, and how many were replaced.

    Raises:
        UnavailableError: The store is away. Some of the items may have been written; doing it again is right.
    """
    new, known = [], []
    for item in items:
        row = catalog.row_of_own_id(item.item_id)
        if row is None:
            new.append(item)
        else:
            old = catalog.entry(row)
            known.append(CatalogEntry(old.index, item, old.rated_count, old.liked_count))
    if known:
        await store.replace_items(known)
        catalog.put(known)
    await _insert(store, catalog, new)
    return len(new), len(known)


async def _insert(store: Store, catalog: Catalog, items: Sequence[Item]) -> None:
    """Gives each item the first free index of its probes; an insert that finds its index taken tries the next one."""
    pending = []
    for item in items:
        natural = natural_index(item.item_id)
        pending.append(CatalogEntry(first_probe(item.item_id) if natural is None else natural, item))
    while pending:
        inserted = await store.insert_items(pending)
        catalog.put([entry for entry, done in zip(pending, inserted, strict=True) if done])
        pending = [
            CatalogEntry(next_probe(entry.index), entry.item)
            for entry, done in zip(pending, inserted, strict=True)
            if not done
        ]
