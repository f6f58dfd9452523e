"""Follows what other processes do to a shared store: items that change, and a collection that is swapped in."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from kindred.backend import Backend, Current
from kindred.errors import KindredError, PreconditionError, StoreNotLoadedError, UnavailableError
from kindred.settings import Settings

log = structlog.get_logger(__name__)

_FIRST_PAUSE, _LAST_PAUSE = 0.2, 5.0
_MISSED_LOOKS = 3
"""Looks in a row that must fail before the store counts as away: one lost call is no outage."""


class StoppedError(Exception):
    """The process was told to stop before its store could be opened."""


async def open_in_time(settings: Settings, stop: asyncio.Event) -> Backend:
    """Opens the backend; waits for a shared store that is away or not loaded yet, and says so.

    Args:
        settings: The settings.
        stop: Ends the waiting.

    Raises:
        PreconditionError: The store cannot be used as it is; for an embedded one also that it is not loaded.
        StoppedError: It was told to stop while it waited.
        UnavailableError: The embedded engine cannot read it.
    """
    pause, said = _FIRST_PAUSE, ""
    while not stop.is_set():
        try:
            return await Backend.open(settings)
        except (StoreNotLoadedError, UnavailableError) as error:
            if not settings.qdrant_url:
                raise
            if str(error) != said:
                said = str(error)
                log.warning("waiting for the store", url=settings.qdrant_url, error=said)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await stop.wait()
        pause = min(2 * pause, _LAST_PAUSE)
    raise StoppedError


async def follow(current: Current, settings: Settings, tell: Callable[[bool], Awaitable[None]] | None = None) -> None:
    """Keeps the current backend current, for as long as the task lives; at once done if the store is not shared.

    Args:
        current: What is kept current.
        settings: The settings.
        tell: Is told when the store goes away (false) and when it is back (true).
    """
    if not current.backend.store.shared:
        return
    presence = _Presence(tell)
    closing: set[asyncio.Task[None]] = set()
    since_counts = 0.0
    while True:
        await asyncio.sleep(settings.swap_interval)
        since_counts += settings.swap_interval
        try:
            if not await current.backend.store.is_current():
                await _swap(current, settings, closing)
            await current.backend.follower.look()
            if since_counts >= settings.recount_interval:
                await current.backend.follower.take_counts()
                since_counts = 0.0
        except (UnavailableError, PreconditionError) as error:
            # Also a collection that was swapped in and is not for us: the old one goes soon.
            await presence.missed(error)
        except Exception:  # the top of a loop: logged, and no reason to serve an old collection for ever
            log.exception("could not look at the store")
        else:
            await presence.seen()


class _Presence:
    """Whether the store is there, told when that changes."""

    def __init__(self, tell: Callable[[bool], Awaitable[None]] | None) -> None:
        self._tell = tell
        self._missed = 0

    async def missed(self, error: KindredError) -> None:
        self._missed += 1
        if self._missed == _MISSED_LOOKS:
            log.warning("the store is away", error=str(error))
            if self._tell is not None:
                await self._tell(False)

    async def seen(self) -> None:
        if self._missed >= _MISSED_LOOKS:
            log.info("the store is back")
            if self._tell is not None:
                await self._tell(True)
        self._missed = 0


async def _swap(current: Current, settings: Settings, closing: set[asyncio.Task[None]]) -> None:
    old = current.backend
    new = await Backend.open(settings, old.freshness)
    if new.store.generation == old.store.generation:  # it was swapped back meanwhile
        await new.store.close()
        return
    log.info("following the collection that was swapped in", old=old.store.generation, new=new.store.generation)
    current.adopt(new, settings.swap_grace)

    async def close_later() -> None:
        await asyncio.sleep(settings.swap_grace)  # calls under way end on the store that they began with
        await old.store.close()

    task = asyncio.create_task(close_later())
    closing.add(task)
    task.add_done_callback(closing.discard)
