"""Kindreds for the integration tests, over either kind of store; the services are in tests/conftest.py."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import pytest_asyncio

from cli.local_broker import LOCAL_SETTINGS
from cli.runtime import running
from tests.support.films import fill_with_films, load_films
from tests.support.place import Place, data_dir, on_qdrant
from tests.support.system import System, connected, fresh_names


@pytest.fixture(scope="module")
def films_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the films, shared by a module."""
    return load_films(tmp_path_factory.mktemp("films") / "data")


@pytest.fixture
def own_films_dir(tmp_path: Path) -> Path:
    """A data directory with the films, for one test."""
    return load_films(tmp_path / "data")


@pytest.fixture(scope="module", params=["embedded", "qdrant"])
def films(request: pytest.FixtureRequest, qdrant: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The films in either kind of store, shared by a module."""
    with _place(request.param, qdrant, tmp_path_factory.mktemp("films") / "data") as place:
        yield place


@pytest.fixture(params=["embedded", "qdrant"])
def own_films(request: pytest.FixtureRequest, qdrant: str, tmp_path: Path) -> Iterator[Place]:
    """The films in either kind of store, for one test."""
    with _place(request.param, qdrant, tmp_path / "data") as place:
        yield place


@pytest.fixture
def qdrant_films(qdrant: str) -> Iterator[Place]:
    """The films on the Qdrant server, for one test."""
    with _place("qdrant", qdrant, Path()) as place:
        yield place


@contextmanager
def _place(kind: str, qdrant: str, path: Path) -> Iterator[Place]:
    with nullcontext(data_dir(path)) if kind == "embedded" else on_qdrant(qdrant) as place:
        fill_with_films(place.builder())
        yield place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(kafka: str, films: Place) -> AsyncIterator[System]:
    """The whole system, shared by a module: server, broker and a consumer that has joined. Nothing is recounted."""
    settings = films.settings(port=0, kafka=kafka, recount_interval=86_400, **LOCAL_SETTINGS, **fresh_names())
    async with running(settings, serve=True, consume=True) as parts, connected(parts.address) as client:
        await parts.joined.wait()
        yield System(settings, parts.address, client)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(kafka: str, films: Place) -> AsyncIterator[System]:
    """A server with a broker and without a consumer, shared by a module: what it records is never applied."""
    settings = films.settings(port=0, kafka=kafka, **fresh_names())
    async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
        yield System(settings, parts.address, client)
