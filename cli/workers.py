"""`kindred serve --workers N`: server processes that share one port, watched by a parent that serves nothing itself.

The kernel spreads connections over the sockets of one port (SO_REUSEPORT, see socket(7)). The processes are forked from
a clean one that has imported the code but made no gRPC object and no thread: gRPC does not survive a fork.
"""

import asyncio
import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Self

import typer

from kindred.errors import PreconditionError
from kindred.settings import Settings

_LOOK_SECONDS = 0.2
_STUCK_SECONDS = 10.0
_AGAIN_SECONDS = 1.0
"""A worker that ended is started again after so long: one that ends at once is not to keep a core busy."""


def run_workers(settings: Settings) -> None:
    """Runs the workers until SIGTERM or Ctrl-C; one that ends is started again.

    Args:
        settings: The settings, with more than one worker.

    Raises:
        PreconditionError: The store is an embedded one, which serves one process only.
        OSError: The address is taken.
    """
    if not settings.qdrant_url:
        raise PreconditionError(
            "WORKERS",
            "workers",
            f"--workers {settings.workers} needs a Qdrant server: an embedded store serves one process at a time; "
            "set KINDRED_QDRANT_URL, or serve with one worker",
        )
    with ExitStack() as stack:
        held, port = _hold_port(settings)
        stack.callback(held.close)
        forget = None
        if settings.metrics_port:
            forget = stack.enter_context(_shared_metrics(settings.metrics_port)).forget
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["cli.runtime"])
        own = settings.model_copy(update={"port": port, "metrics_port": 0})
        _Workers(context, own, forget).run()


def _hold_port(settings: Settings) -> tuple[socket.socket, int]:
    """Takes the port for the workers: without listening, so no connection comes here. Somebody else's is refused."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    held = socket.socket(family)
    try:
        # First without sharing: another server's port, even one that shares it, is not ours to join.
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
            port = int(probe.getsockname()[1])
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((settings.host, port))
    except OSError as error:
        held.close()
        raise OSError(
            f"cannot listen on {settings.host}:{settings.port}: taken by another process, or no address of this machine"
        ) from error
    return held, port


class _shared_metrics:  # noqa: N801  # reads as what it does
    """Serves the sum of all workers' metrics on one port, from files that they share."""

    def __init__(self, port: int) -> None:
        self._folder = tempfile.mkdtemp(prefix="kindred-metrics-")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = self._folder  # the workers inherit it, before they import the library
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        from kindred.telemetry import serve_metrics

        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        try:
            serve_metrics(port, None, registry)
        except OSError:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def forget(self, pid: int) -> None:
        """Takes what a process that ended had (streams, memory) out of the sums; what it has counted stays."""
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid, self._folder)


class _Workers:
    """The worker processes, and watching them."""

    def __init__(
        self,
        context: multiprocessing.context.ForkServerContext,
        settings: Settings,
        forget: Callable[[int], None] | None,
    ) -> None:
        self._context = context
        self._settings = settings
        self._forget = forget
        self._stopping = False

    def run(self) -> None:
        """Runs them until a signal comes."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        workers = [self._start() for _ in range(self._settings.workers)]
        typer.echo(f"gRPC   {self._settings.host}:{self._settings.port}, {len(workers)} workers")
        self._watch(workers)
        refused = any(worker.exitcode == _REFUSED for worker in workers)
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
        for worker in workers:
            worker.join(self._settings.drain_grace + _STUCK_SECONDS)
            worker.kill()
        typer.echo("stopped")
        if refused:
            raise typer.Exit(1)

    def _watch(self, workers: list[BaseProcess]) -> None:
        """Starts another worker for each that ends, until it is told to stop or one cannot work at all."""
        not_before = monotonic() + _AGAIN_SECONDS
        while not self._stopping:
            time.sleep(_LOOK_SECONDS)
            ended = [place for place, worker in enumerate(workers) if worker.exitcode is not None]
            if self._stopping or any(workers[place].exitcode == _REFUSED for place in ended):
                return  # Ctrl-C reaches the workers, too; and what one refuses the next one would
            for place in ended:
                if monotonic() >= not_before:
                    worker = workers[place]
                    typer.echo(f"worker {worker.pid} ended with {worker.exitcode}; starting another one", err=True)
                    not_before = monotonic() + _AGAIN_SECONDS
                    if self._forget is not None and worker.pid is not None:
                        self._forget(worker.pid)
                    workers[place] = self._start()

    def _stop(self) -> None:
        self._stopping = True

    def _start(self) -> BaseProcess:
        worker = self._context.Process(target=_work, args=(self._settings,), name="kindred-worker")
        worker.start()
        return worker


_REFUSED = 3
"""Exit code of a worker that cannot work at all."""


def _work(settings: Settings) -> None:
    """One worker's life."""
    import sys

    import structlog

    from cli.runtime import running, stop_on_signals
    from kindred.following import StoppedError
    from kindred.telemetry import configure_logging

    configure_logging(settings.log_level, settings.log_format)

    async def run() -> None:
        stop = stop_on_signals()
        if (parent := multiprocessing.parent_process()) is not None:  # a parent that is killed stops its workers, too
            asyncio.get_running_loop().add_reader(parent.sentinel, stop.set)
        async with running(settings, serve=True, consume=False, stop=stop) as parts:
            structlog.get_logger(__name__).info("ready", address=parts.address, pid=os.getpid())
            await parts.until(stop)

    try:
        asyncio.run(run())
    except StoppedError:
        pass
    except (PreconditionError, OSError) as error:
        sys.stderr.write(f"kindred: {error}\n")
        sys.exit(_REFUSED)
