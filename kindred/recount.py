"""Counts again who rates and likes each item, in the background: the counts may lag, the answers stay fast."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import structlog

from kindred.catalog import Catalog
from kindred.errors import UnavailableError
from kindred.popularity import count_ratings
from kindred.stores.port import RatingCounts, Store

log = structlog.get_logger(__name__)

_PAGE = 200
_REST = 20
"""At most one part in so many of the time goes into counting."""
_QUIET_COUNTS = 2


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
    if changed.size:
        # The store first: what it did not take is still a difference the next time.
        kept = catalog.listed[order] & (rated > 0)
        await store.write_counts(
            RatingCounts(indexes[kept], rated[kept].astype(np.uint32), liked[kept].astype(np.uint32))
        )
        catalog.counts.put(order[changed], rated[changed], liked[changed])
    return int(changed.size)


async def keep_counts(
    collection: Callable[[], tuple[Store, Catalog]], progress: Callable[[], Awaitable[int | None]], interval: float
) -> None:
    """Recounts whenever events have come, for as long as the task lives.

    Args:
        collection: The users and items, and the items in memory.
        progress: How far the events have come, any number that changes; None if it is another process's turn.
        interval: Seconds between counts, at least.
    """
    counted = await _asked(progress)
    loop = asyncio.get_running_loop()
    rest, quiet = interval, _QUIET_COUNTS
    while True:
        await asyncio.sleep(rest)
        now = await _asked(progress)
        if now is None or (now == counted and quiet >= _QUIET_COUNTS):
            continue
        start = loop.time()
        try:
            changed = await recount(*collection())
        except UnavailableError as error:
            log.warning("could not recount", error=str(error))
            continue
        except Exception:  # the top of a loop: logged, and tried again the next time
            log.exception("could not recount")
            continue
        # What the log holds may be applied later, and by another process: it is over when counts find nothing new.
        counted, quiet = now, 0 if changed or now != counted else quiet + 1
        rest = max(interval, _REST * (loop.time() - start))
        log.debug("recounted", changed=changed, seconds=round(loop.time() - start, 3))


async def _asked(progress: Callable[[], Awaitable[int | None]]) -> int | None:
    try:
        return await progress()
    except UnavailableError as error:
        log.warning("cannot tell whether to recount", error=str(error))
        return None
