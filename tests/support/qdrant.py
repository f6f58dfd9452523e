"""A collection on a Qdrant server as a backend of the contract."""

from kindred.stores.qdrant.builder import QdrantBuilder
from kindred.stores.qdrant.collections import Layout
from kindred.stores.qdrant.server import QdrantServer
from kindred.stores.qdrant.store import QdrantStore


class QdrantBackend:
    """A name on a server. See `tests.support.stores.StoreBackend`."""

    def __init__(self, url: str, name: str, **options: object) -> None:
        # Patient: a machine that is busy with something else is no defect.
        self.server = QdrantServer(url, **{"timeout": 30.0, **options})  # type: ignore[arg-type]  # as it has them
        self.name = name
        self.opening = (
            "__import__('kindred.stores.qdrant.store').stores.qdrant.store.QdrantStore.open("
            f"__import__('kindred.stores.qdrant.server').stores.qdrant.server.QdrantServer({url!r}), {name!r})"
        )

    def builder(self, *, replace: bool = False) -> QdrantBuilder:
        """Begins a new generation."""
        return QdrantBuilder(self.server, self.name, Layout(), replace=replace)

    async def open(self) -> QdrantStore:
        """Opens the current generation."""
        return await QdrantStore.open(self.server, self.name)
