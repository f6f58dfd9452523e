"""Kindred's commands as processes of their own."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from tests.support.system import BOUND, Client, connected

KINDRED = Path(sys.executable).parent / "kindred"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def process(*arguments: object, **environment: object) -> Iterator[subprocess.Popen[str]]:
    """Runs the command; kills it in the end if it still runs. It imports what these tests import."""
    inherited = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    started = subprocess.Popen(  # noqa: S603  # our own command
        [KINDRED, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=inherited | {name: str(value) for name, value in environment.items()},
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


@asynccontextmanager
async def serving(port: int) -> AsyncIterator[Client]:
    """A client of the server on a port, once it serves."""
    async with connected(f"127.0.0.1:{port}") as client:
        check = HealthStub(client.channel).Check
        async with asyncio.timeout(BOUND):
            status = None
            while status != HealthCheckResponse.SERVING:
                try:
                    status = (await check(HealthCheckRequest(), wait_for_ready=True)).status
                except grpc.aio.AioRpcError:
                    continue
        yield client
