"""Apache Kafka's jars: resolved once by Maven and kept in the cache folder."""

import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from loader.datasets import default_cache_dir

_POM = Path(__file__).with_name("pom.xml")
_JAVA = 17
"""Kafka 4 brokers need at least this."""
_ASK_SECONDS = 20.0
_LOCK_POLL_SECONDS = 0.1


class KafkaUnavailableError(Exception):
    """Apache Kafka cannot be had on this machine; the message says why."""


def java() -> str:
    """Finds a Java that can run the broker.

    Returns:
        Its path.

    Raises:
        KafkaUnavailableError: There is none on the PATH, or it is too old.
    """
    path = _tool("java", f"Java {_JAVA} or newer")
    try:
        asked = subprocess.run(  # noqa: S603  # what the PATH calls java
            [path, "-version"], capture_output=True, text=True, timeout=_ASK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KafkaUnavailableError(f"java does not say its version: {error}") from error
    said = asked.stdout + asked.stderr
    found = re.search(r'version "(\d+)', said)
    if found is None:
        raise KafkaUnavailableError(f"java does not say its version but {said.strip()!r}")
    if int(found[1]) < _JAVA:
        raise KafkaUnavailableError(f"Apache Kafka needs Java {_JAVA} or newer, java is {found[1]}")
    return path


def kafka_jars(cache_dir: Path | None = None, *, seconds: float = 100.0) -> Path:
    """Finds the broker's jars in the cache, or has Maven fetch them into the cache.

    Only one process fetches; the others wait for it. What Maven had when the time was up it keeps for the next time.

    Args:
        cache_dir: The cache folder; by default that of the data sets, `loader.datasets.default_cache_dir`.
        seconds: How long it may take, the wait for another process included.

    Returns:
        A folder with the jars and nothing else.

    Raises:
        KafkaUnavailableError: There is no Maven, the registry cannot be reached, or the time is up.
    """
    cache = cache_dir or default_cache_dir()
    # Another pom.xml, another folder: nobody ever runs with the jars of a former version.
    folder = cache / f"apache-kafka-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"
    if folder.exists():
        return folder
    maven = _tool("mvn", "Maven")
    deadline = time.monotonic() + seconds
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock"), deadline):
            if not folder.exists():
                _resolve(maven, folder, deadline)
    except OSError as error:
        raise KafkaUnavailableError(f"the jars cannot be kept in {cache} ({error}); set KINDRED_CACHE_DIR") from error
    return folder


def _tool(name: str, what: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise KafkaUnavailableError(f"{what} is needed, and there is no {name} on the PATH")
    return path


@contextmanager
def _locked(path: Path, deadline: float) -> Iterator[None]:
    """Keeps other processes out. The system takes the lock off a process that ends, however it ends."""
    with path.open("w") as file:
        while not _lock(file):
            if time.monotonic() > deadline:
                raise KafkaUnavailableError("another process is still fetching the jars of Apache Kafka")
            time.sleep(_LOCK_POLL_SECONDS)
        yield


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _resolve(maven: str, folder: Path, deadline: float) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as part:
        jars = Path(part) / "jars"
        command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "--update-snapshots", "--file", str(_POM)]
        command += ["validate", f"-Djars={jars}"]
        try:
            done = subprocess.run(  # noqa: S603  # what the PATH calls mvn, with our own arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=max(1.0, deadline - time.monotonic()),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise KafkaUnavailableError(f"Maven did not fetch the jars within {error.timeout:.0f} s") from error
        if done.returncode or not jars.is_dir():
            raise KafkaUnavailableError(f"Maven cannot fetch the jars: {_first_error(done.stdout)}")
        jars.replace(folder)


def _first_error(output: str) -> str:
    """What went wrong, without Maven's advice below it."""
    found = re.search(r"\[ERROR\]\S*\s*(.+?)(?: -> \[Help 1\].*)?$", output, re.MULTILINE)
    return found[1] if found else output.strip() or "it does not say why"
