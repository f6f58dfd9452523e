from pathlib import Path

import pytest

from loader.datasets import fetch_dataset

pytest.register_assert_rewrite("tests.support")


@pytest.fixture(scope="session")
def ml100k() -> Path:
    """A folder with MovieLens 100K as RecBole's atomic files, from the cache or the package index."""
    return fetch_dataset("ml-100k", mirror="package-index")
