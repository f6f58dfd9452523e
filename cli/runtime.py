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
from kindred.backend import Backend
from kindred.eventlog import EventProducer
from kindred.recount import keep_counts
from kindred.settings import Settings
from kindred.telemetry import serve_metrics
from server.app import KindredServer

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

    async def until_signal(self, when_joined: Callable[[], None] = lambda: None) -> None:
        """Waits for SIGTERM or Ctrl-C, or for the consumer to fail.

        Args:
            when_joined: Called once the consumer has partitions to read.

        Raises:
            Exception: What the consumer failed with.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        stopping, joining = asyncio.create_task(stop.wait()), asyncio.create_task(self.joined.wait())
        ends = {stopping, *([self.consumer] if self.consumer else [])}
        await asyncio.wait({joining, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if joining.done():
            when_joined()
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (stopping, joining):
            waiting.cancel()


@asynccontextmanager
async def running(settings: Settings, *, serve: bool, consume: bool, drain: bool = False) -> AsyncIterator[Running]:
    """Runs a server, a consumer or both over one embedded store. Leaving it stops them in order.

    Args:
        settings: The settings.
        serve: Whether to answer calls.
        consume: Whether to apply events.
        drain: Whether to apply what the log still holds before stopping: for a log that does not outlive the process.

    Yields:
        What runs.

    Raises:
        PreconditionError: The store is in use, not loaded or of another form.
        OSError: The server's address is taken.
    """
    _keep_freed_memory()
    # Stopping goes from the last line of this to the first: no calls, then no events, then the store, then the log.
    async with AsyncExitStack() as stack:
        serve_metrics(settings.metrics_port)
        producer = EventProducer(settings.broker())
        stack.push_async_callback(producer.close)
        server = KindredServer(settings.host, settings.port, producer, settings.topic)
        if serve:
            await server.start()
            stack.push_async_callback(server.stop, 0)
        backend = await Backend.open(settings)
        gc.freeze()  # the catalog is there to stay: the collector need not look at it again and again
        stack.push_async_callback(backend.store.close)
        joined = asyncio.Event()
        task = None
        if consume:
            stop = asyncio.Event()
            task = asyncio.create_task(consume_events(settings, backend, producer, joined, stop, drain=drain))
            stack.push_async_callback(_finish, task, stop)
            counting = keep_counts(
                backend.store, backend.catalog, lambda: backend.updater.users_written, settings.recount_interval
            )
            stack.push_async_callback(_cancel, asyncio.create_task(counting))
        if serve:
            await server.open(backend)
            stack.push_async_callback(server.stop, settings.drain_grace)
        yield Running(server.address if serve else "", joined, task)


def _keep_freed_memory() -> None:
    """Keeps the memory of an answer's arrays for the next one: glibc would give it back and fault it in each time.

    See mallopt(3). Measured: a fifth of the time of a Recommend on MovieLens 100K.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
        libc.mallopt(_M_TRIM_THRESHOLD, 256 * 2**20)


async def _finish(task: asyncio.Task[None], stop: asyncio.Event) -> None:
    stop.set()
    await task


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
