"""The adapter of a Qdrant server keeps the promises of every store."""

from collections.abc import Iterator

import pytest

from tests.support.collection_contract import CollectionContract
from tests.support.filter_contract import FilterContract
from tests.support.place import on_qdrant
from tests.support.qdrant import QdrantBackend
from tests.support.store_contract import StoreContract


class _OnQdrant:
    @pytest.fixture
    def backend(self, qdrant: str) -> Iterator[QdrantBackend]:
        """A name under which nothing is loaded."""
        with on_qdrant(qdrant) as place:
            yield QdrantBackend(qdrant, place.options["collection"])


class TestQdrantStore(_OnQdrant, StoreContract):
    pass


class TestQdrantCollection(_OnQdrant, CollectionContract):
    pass


class TestQdrantFilters(_OnQdrant, FilterContract):
    pass
