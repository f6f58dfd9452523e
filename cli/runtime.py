"""The composition root: makes the parts of a process, runs them until it is told to stop, and stops them in order."""

import asyncio
import ctypes
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from consumers.app import consume_events
from consumers.membership import Membership
from kindred.backend import Current
from kindred.eventlog.producer import EventProducer
from kindred.following import follow, open_in_time
from kindred.notices import listen
from kindred.recount import keep_counts
from kindred.settings import Settings
from kindred.telemetry import serve_metrics
from server.app import KindredServer
from server.watches import Watches

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


@dataclass(frozen=True, slots=True)
class Running:
    """What runs.

    Args:
        address: Where the server listens; empty without one.
        joined: Set once the consumer has partitions to read.
        consumer: The consumer's task; None without one.
    """

    address: str
    joined: asyncio.Event
    consumer: asyncio.Task[None] | None

    async def until(self, stop: asyncio.Event, when_joined: Callable[[], None] = lambda: None) -> None:
        """Waits until it is told to stop, or for the consumer to fail.

        Args:
            stop: Tells it to stop.
            when_joined: Called once the consumer has partitions to read.

        Raises:
            Exception: What the consumer failed with.
        """
        stopping, joining = asyncio.create_task(stop.wait()), asyncio.create_task(self.joined.wait())
        ends = {stopping, *([self.consumer] if self.consumer else [])}
        await asyncio.wait({joining, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if joining.done():
            when_joined()
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (stopping, joining):
            waiting.cancel()


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and Ctrl-C set. As process 1 of a container, one without handlers ignores SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


@asynccontextmanager
async def running(
    settings: Settings, *, serve: bool, consume: bool, drain: bool = False, stop: asyncio.Event | None = None
) -> AsyncIterator[Running]:
    """Runs a server, a consumer or both over one store. Leaving it stops them in order.

    Args:
        settings: The settings.
        serve: Whether to answer calls.
        consume: Whether to apply events.
        drain: Whether to apply what the log still holds before stopping: for a log that does not outlive the process.
        stop: Ends the waiting for a store that is away.

    Yields:
        What runs.

    Raises:
        PreconditionError: The store is in use, not loaded or of another form.
        StoppedError: It was told to stop before its store was open.
        OSError: The server's address is taken.
    """
    calm_memory()
    # Stopping goes from the last line of this to the first: no calls, then no events, then the store, then the log.
    async with AsyncExitStack() as stack:
        producer = EventProducer(settings.broker())
        stack.push_async_callback(producer.close)
        server = KindredServer(
            settings.host,
            settings.port,
            producer,
            settings.topic,
            share_port=settings.workers > 1,
            max_connection_age=settings.max_connection_age,
            watches=Watches(settings.max_watches, settings.max_watches_per_caller),
            accept_unknown=settings.unknown_items == "accept",
            max_queue_seconds=settings.max_queue_seconds,
        )
        membership = Membership(settings.unready_after)
        serve_metrics(settings.metrics_port, lambda: (not serve or server.ready) and (not consume or membership.ready))
        # Alone it listens at once, to tell that it is not ready. One of several workers does not take connections from
        # those that are.
        if serve and settings.workers == 1:
            await server.start()
            stack.push_async_callback(server.stop, 0)
        current = Current(await open_in_time(settings, stop or asyncio.Event()))
        gc.freeze()  # the catalog is there to stay: the collector need not look at it again and again
        stack.push_async_callback(_close, current)
        task = None
        if consume:
            stop_consumer = asyncio.Event()
            task = asyncio.create_task(consume_events(settings, current, membership, stop_consumer, drain=drain))
            stack.push_async_callback(_finish, task, stop_consumer)
            counting = keep_counts(
                lambda: (current.backend.store, current.backend.catalog),
                lambda: membership.progress(current.backend.updater.users_written),
                settings.recount_interval,
            )
            stack.push_async_callback(_cancel, asyncio.create_task(counting))
        if serve:
            if settings.workers > 1:
                await server.start()
            await server.open(current)
            stack.push_async_callback(server.stop, settings.drain_grace)
        if serve and settings.broker().applied_topic:
            hearing = listen(settings.broker(), current.backend.freshness, settings.fetch_wait)
            stack.push_async_callback(_cancel, asyncio.create_task(hearing))
        following = asyncio.create_task(follow(current, settings, server.set_ready if serve else None))
        stack.push_async_callback(_cancel, following)
        yield Running(server.address if serve else "", membership.joined, task)


def calm_memory() -> None:
    """Keeps the memory of an answer's arrays for the next one: glibc would give it back and fault it in each time.

    See mallopt(3). Measured: a fifth of the time of a Recommend on MovieLens 100K. And lets the collector of cycles
    look less often: a batch of events makes thousands of objects and no cycle; looking took a seventh of its time.
    """
    gc.set_threshold(20_000, 20, 20)
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
        libc.mallopt(_M_TRIM_THRESHOLD, 256 * 2**20)


async def _close(current: Current) -> None:
    await current.backend.store.close()


async def _finish(task: asyncio.Task[None], stop: asyncio.Event) -> None:
    stop.set()
    await task


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
