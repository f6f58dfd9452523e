"""A collection on a Qdrant server as a backend of the contract."""

from collections.abc import Mapping

from kindred.stores.indexes import NO_INDEXES, IndexKind
from kindred.stores.qdrant.builder import QdrantBuilder
from kindred.stores.qdrant.collections import Layout
from kindred.stores.qdrant.server import QdrantServer
from kindred.stores.qdrant.store import QdrantStore


class QdrantBackend:
    """A name on a server. See `tests.support.stores.StoreBackend`."""

    def __init__(self, url: str, name: str, indexed: Mapping[str, IndexKind] = NO_INDEXES, **options: object) -> None:
        # Patient: a machine that is busy with something else is no defect.
        self.server = QdrantServer(url, **{"timeout": 30.0, **options})  # type: ignore[arg-type]  # as it has them
        self.name = name
        self.indexed = indexed
        """The attributes that have an index, from the next builder or store on."""
        self.opening = (
            "__import__('kindred.stores.qdrant.store').stores.qdrant.store.QdrantStore.open("
            f"__import__('kindred.stores.qdrant.server').stores.qdrant.server.QdrantServer({url!r}), {name!r})"
        )

    def builder(self, *, replace: bool = False) -> QdrantBuilder:
        """Begins a new generation."""
        return QdrantBuilder(self.server, self.name, Layout(indexed=self.indexed), replace=replace)

    async def open(self) -> QdrantStore:
        """Opens the current generation."""
        return await QdrantStore.open(self.server, self.name, indexed=self.indexed)
