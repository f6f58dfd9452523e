import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.rpc import code_pb2
from google.rpc.status_pb2 import Status

HEAVY = {"pandas", "pyarrow", "qdrant_edge", "kafka", "structlog", "numpy"}


def test_server_away(kindred: Any) -> None:
    """Where no server listens, the error names the address and how to start one."""
    result = kindred.run("search", "toy", "--server", "localhost:1")
    assert result.exit_code == 1
    assert result.stderr == (
        "kindred: no server at localhost:1; start one with `kindred up`, or name another: --server HOST:PORT\n"
    )


def test_server_says_why(kindred: Any) -> None:
    """An error of the server is its message, on one line, also if it is that something behind it is away."""
    status = Status(code=code_pb2.UNAVAILABLE, message="the log is away\n\x1b[2Jretry")
    kindred.failures["RecordRatings"] = status
    result = kindred.run("rate", "--user", "7", "50=5")
    assert (result.exit_code, result.stderr) == (1, "kindred: the log is away [2Jretry\n")


def test_another_server(kindred: Any) -> None:
    """A gRPC server without the call is said to be another kind of server."""
    kindred.failures["SearchItems"] = Status(code=code_pb2.UNIMPLEMENTED, message="Method not found!")
    result = kindred.run("search")
    assert result.exit_code == 1
    assert "is no Kindred server" in result.stderr


def test_slow_server(kindred: Any) -> None:
    """A call that takes too long is given up, and the error says how to wait longer."""
    kindred.hanging.add("SearchItems")
    result = kindred.run("search", "toy", "--timeout", "0.1")
    assert result.exit_code == 1
    assert result.stderr == f"kindred: no answer from {kindred.address} within 0.1 s; --timeout SECONDS waits longer\n"


@pytest.mark.parametrize(
    "options",
    [
        ["--server", "nowhere"],
        ["--server", ":50051"],
        ["--server", "host:port"],
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--timeout", "1e9"],
        ["--limit", "0"],
        ["--from-year", "99999999999"],
        ["--data-dir", "no-such-directory"],
    ],
)
def test_options_that_make_no_sense(kindred: Any, options: list[str]) -> None:
    """Options that make no sense are wrong usage, and the server is not asked."""
    result = kindred.run("search", *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr
    assert kindred.requests == []


@pytest.mark.parametrize("arguments", [["search"], ["ratings", "--user", "7"], ["recommend", "--user", "7"]])
def test_data_dir(kindred: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    """With --data-dir the command serves that directory for itself, whatever server the environment names."""
    seen: list[Path | str] = []

    @contextmanager
    def serve_in_background(data_dir: Path) -> Iterator[str]:
        seen.append(data_dir)
        yield kindred.address
        seen.append("stopped")

    server_app = ModuleType("server.app")
    monkeypatch.setattr(server_app, "serve_in_background", serve_in_background, raising=False)
    monkeypatch.setitem(sys.modules, "server.app", server_app)
    result = kindred.run(*arguments, "--data-dir", str(tmp_path), env={"KINDRED_SERVER": "localhost:1"})
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(kindred.requests) == 1
    assert seen == [tmp_path, "stopped"]


def test_data_dir_and_server(kindred: Any, tmp_path: Path) -> None:
    """A server and a data directory exclude each other."""
    result = kindred.run("search", "--data-dir", str(tmp_path), "--server", kindred.address)
    assert result.exit_code == 2
    assert "--server and --data-dir exclude each other" in result.stderr


def test_interrupt(kindred: Any, command: list[str]) -> None:
    """Ctrl-C while the server is thinking ends the command quietly with exit code 130."""
    kindred.hanging.add("SearchItems")
    with subprocess.Popen(  # noqa: S603  # our own command
        [*command, "search", "--server", kindred.address], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert kindred.reached.wait(60)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, (b"", b""))


def test_light_start(kindred: Any, command: list[str]) -> None:
    """A client command imports nothing of the engine, the loader and the consumer."""
    script = command[-1].replace("main()", "import sys, atexit; atexit.register(lambda: print(*sys.modules)); main()")
    done = subprocess.run(  # noqa: S603  # our own command
        [*command[:-1], script, "search", "toy", "--server", kindred.address],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    loaded = {module.partition(".")[0] for module in done.stdout.splitlines()[-1].split()}
    assert "grpc" in loaded
    assert not loaded & HEAVY


def test_bytes_that_are_no_text(kindred: Any, command: list[str]) -> None:
    """Bytes on the command line that are no text are one clear line, and wrong usage."""
    done = subprocess.run(  # noqa: S603  # our own command
        [*command, "recommend", "--user", b"a\xff", "--server", kindred.address],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"kindred: 'a\\udcff' is not UTF-8 text\n"
