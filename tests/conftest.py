from pathlib import Path

import pytest

from loader.datasets import fetch_dataset

pytest.register_assert_rewrite("tests.support")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --services."""
    parser.addoption(
        "--services",
        choices=("auto", "embedded", "kafka", "containers", "external"),
        default="auto",
        help="What the integration tests run on; see tests/support/services.py.",
    )


@pytest.fixture(scope="session")
def ml100k() -> Path:
    """A folder with MovieLens 100K as RecBole's atomic files, from the cache or the package index."""
    return fetch_dataset("ml-100k", mirror="package-index")
