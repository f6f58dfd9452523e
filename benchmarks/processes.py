"""Kindred's own processes, for measuring them from outside."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

_START_SECONDS = 60.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(data_dir: Path, address: str) -> Iterator[None]:
    """Runs `kindred serve` over a data directory."""
    with _kindred("serve", data_dir, address, []):
        yield


@contextmanager
def up(data_dir: Path, address: str, broker_port: int) -> Iterator[None]:
    """Runs `kindred up` over a data directory."""
    with _kindred("up", data_dir, address, ["--broker-port", str(broker_port)]):
        yield


@contextmanager
def _kindred(command: str, data_dir: Path, address: str, options: Sequence[str]) -> Iterator[None]:
    kindred = Path(sys.executable).parent / "kindred"
    port = address.rpartition(":")[2]
    arguments = [kindred, command, "--data-dir", data_dir, "--port", port, *options]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)  # noqa: S603  # our own command
    try:
        _wait_until_serving(process, address)
        yield
    finally:
        process.terminate()
        process.wait(30)


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
