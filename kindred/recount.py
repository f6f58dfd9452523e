"""Counts again who rates and likes each item, in the background: the counts may lag, the answers stay fast."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import structlog

from kindred.catalog import Catalog
from kindred.errors import UnavailableError
from kindred.popularity import count_ratings
from kindred.stores.port import Store

log = structlog.get_logger(__name__)

_PAGE = 200
_REST = 20
"""At most one part in so many of the time goes into counting."""


async def recount(store: Store, catalog: Catalog) -> int:
    """Counts from the stored profiles, and puts the counts into the catalog and the store.

    Args:
        store: The users and items.
        catalog: The items in memory.

    Returns:
        How many items' counts have changed.

    Raises:
        UnavailableError: The store is away.
    """
    order = np.argsort(catalog.indexes)
    indexes = catalog.indexes[order]
    rated, liked = np.zeros(indexes.size, np.int64), np.zeros(indexes.size, np.int64)
    async for page in store.scan_users(_PAGE):
        page_rated, page_liked = count_ratings([user.profile for user in page], indexes, store.metadata.scale)
        rated += page_rated
        liked += page_liked
        await asyncio.sleep(0)  # calls go first
    changed = np.flatnonzero((catalog.counts.rated[order] != rated) | (catalog.counts.liked[order] != liked))
    for start in range(0, changed.size, _PAGE):
        places = changed[start : start + _PAGE]
        # The store first: what it did not take is still a difference the next time.
        entries = [
            replace(catalog.entry(row), rated_count=int(rated[place]), liked_count=int(liked[place]))
            for row, place in zip(order[places].tolist(), places.tolist(), strict=True)
            if catalog.listed[row]
        ]
        await store.replace_items(entries)
        catalog.counts.put(order[places], rated[places], liked[places])
        await asyncio.sleep(0)
    return int(changed.size)


async def keep_counts(store: Store, catalog: Catalog, writes: Callable[[], int], interval: float) -> None:
    """Recounts whenever users have been written, for as long as the task lives.

    Args:
        store: The users and items.
        catalog: The items in memory.
        writes: How many users have been written so far.
        interval: Seconds between counts, at least.
    """
    counted = writes()
    loop = asyncio.get_running_loop()
    rest = interval
    while True:
        await asyncio.sleep(rest)
        if (now := writes()) == counted:
            continue
        start = loop.time()
        try:
            changed = await recount(store, catalog)
        except UnavailableError as error:
            log.warning("could not recount", error=str(error))
            continue
        counted = now
        rest = max(interval, _REST * (loop.time() - start))
        log.debug("recounted", changed=changed, seconds=round(loop.time() - start, 3))
