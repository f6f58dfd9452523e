"""The services that tests run on, and real data."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loader.datasets import fetch_dataset

pytest.register_assert_rewrite("tests.support")

from tests.support.services import CHOICES, Services  # noqa: E402  # its asserts are rewritten if that was said before


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --services."""
    parser.addoption(
        "--services",
        choices=CHOICES,
        default="auto",
        help="What the integration tests run on; see tests/support/services.py.",
    )


_SERVICES = pytest.StashKey[Services]()


def pytest_report_collectionfinish(config: pytest.Config) -> str:
    """Says what the services of the integration tests are."""
    try:
        config.stash[_SERVICES] = Services(config.getoption("--services"))
    except LookupError as error:
        raise pytest.UsageError(str(error)) from None
    return config.stash[_SERVICES].header


@pytest.fixture(scope="session")
def services(pytestconfig: pytest.Config) -> Services:
    """What the tests run on."""
    return pytestconfig.stash[_SERVICES]


@pytest.fixture(scope="session")
def kafka(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker's address. Its topics are whatever a test names: `fresh_names` gives names that no other test uses."""
    with services.kafka(tmp_path_factory.mktemp("kafka")) as address:
        yield address


@pytest.fixture(scope="session")
def qdrant(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Qdrant server's URL."""
    with services.qdrant(tmp_path_factory.mktemp("qdrant")) as url:
        yield url


@pytest.fixture(scope="session")
def ml100k() -> Path:
    """A folder with MovieLens 100K as RecBole's atomic files, from the cache or the package index."""
    return fetch_dataset("ml-100k", mirror="package-index")
