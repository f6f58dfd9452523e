"""The adapter of a Qdrant server keeps the promises of every store."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.collection_contract import CollectionContract
from tests.support.qdrant import QdrantBackend
from tests.support.qdrant_over_edge import RunningQdrant, qdrant_over_edge
from tests.support.store_contract import StoreContract


@pytest.fixture(scope="module")
def qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningQdrant]:
    """A server for the module."""
    with qdrant_over_edge(tmp_path_factory.mktemp("qdrant")) as running:
        yield running


class _OnQdrant:
    @pytest.fixture
    def backend(self, qdrant: RunningQdrant) -> QdrantBackend:
        """A name under which nothing is loaded."""
        return QdrantBackend(qdrant.url, f"test-{uuid4().hex}")


class TestQdrantStore(_OnQdrant, StoreContract):
    pass


class TestQdrantCollection(_OnQdrant, CollectionContract):
    pass
