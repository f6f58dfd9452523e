"""Kindred's own processes, for measuring them from outside."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from cli.local_broker import LOCAL_SETTINGS
from tests.support.services import qdrant_process

_START_SECONDS = 60.0
_KINDRED = (sys.executable, "-c", "from cli.main import main; main()")
"""The command of this tree, whichever one is installed."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(address: str, *options: object, **environment: str) -> Iterator[int]:
    """Runs `kindred serve` with options that name a store, and with more environment; its process id."""
    with _kindred("serve", address, options, environment) as pid:
        yield pid


@contextmanager
def up(data_dir: Path, address: str, broker_port: int, **environment: str) -> Iterator[int]:
    """Runs `kindred up` over a data directory, with more environment; its process id."""
    with _kindred("up", address, ["--data-dir", data_dir, "--broker-port", broker_port], environment) as pid:
        yield pid


@contextmanager
def qdrant(folder: Path) -> Iterator[tuple[str, str]]:
    """A Qdrant server's URL, and what it is: the one that KINDRED_BENCH_QDRANT_URL names, or the tests' helper.

    Args:
        folder: An empty folder for what the helper keeps.
    """
    if url := os.environ.get("KINDRED_BENCH_QDRANT_URL"):
        yield url, f"the server at {url}"
        return
    with qdrant_process(folder) as url:
        yield url, "Edge behind Qdrant's gRPC API, one Python process on the same cores"


@contextmanager
def consuming(*options: object) -> Iterator[int]:
    """Runs `kindred consume` with options that name a store and a local broker; its process id."""
    process = _start("consume", options)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _kindred(
    command: str, address: str, options: Sequence[object], environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[int]:
    process = _start(command, ["--port", address.rpartition(":")[2], *options], environment)
    try:
        _wait_until_serving(process, address)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _start(
    command: str, options: Sequence[object], environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[bytes]:
    """Starts a command with the settings that make the local broker quick."""
    local = {f"KINDRED_{name.upper()}": str(value) for name, value in LOCAL_SETTINGS.items()}
    arguments = [*_KINDRED, command, *map(str, options)]
    return subprocess.Popen(  # noqa: S603  # our own command
        arguments, stdout=subprocess.DEVNULL, env={**os.environ, **local, **environment}
    )


def _wait_until_serving(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with grpc.insecure_channel(address) as channel:
        health = HealthStub(channel)
        while time.monotonic() < deadline and process.poll() is None:
            try:
                answer = health.Check(HealthCheckRequest(), timeout=1, wait_for_ready=True)
            except grpc.RpcError:
                continue
            if answer.status == HealthCheckResponse.SERVING:
                return
            time.sleep(0.01)
    raise RuntimeError(f"{process.args!r} did not start")


def memory(process: int) -> dict[str, float]:
    """Figures of a process in MB; none if it has ended, or this is no Linux."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":") for line in lines if line.startswith(("VmHWM", "RssAnon")))
    return {key: int(value.split()[0]) * 1024 / 1_000_000 for key, value in pairs}


@contextmanager
def steady_events(kafka: str, rate: int, pairs: Path | None = None) -> Iterator[None]:
    """Ratings at a steady rate, from a process of its own.

    Args:
        kafka: The bootstrap server.
        rate: Ratings a second; 0 for none.
        pairs: A JSON list of [user id, item id] to take them from; None for a crowd of users of their own.
    """
    if not rate:
        yield
        return
    command = [sys.executable, "-m", "benchmarks.steady_events", kafka, "kindred.ratings.v1", str(rate)]
    process = subprocess.Popen([*command, *([] if pairs is None else [str(pairs)])])  # noqa: S603  # our own module
    try:
        yield
        if process.poll() is not None:
            raise RuntimeError("the steady events ended early")
    finally:
        process.kill()
        process.wait()
