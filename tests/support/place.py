"""A place for one collection, in either kind of store, as the settings name it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from qdrant_client import QdrantClient

from kindred.settings import Settings
from kindred.stores.choice import new_builder, open_store
from kindred.stores.port import CollectionBuilder, Store


@dataclass(frozen=True, slots=True)
class Place:
    """Where a collection is.

    Args:
        options: The settings that name it.
    """

    options: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """The same for another process."""
        return {f"KINDRED_{name.upper()}": str(value) for name, value in self.options.items()}

    def settings(self, **more: Any) -> Settings:
        """Settings that name it, and more."""
        return Settings(**self.options, **more)

    def builder(self, *, replace: bool = False) -> CollectionBuilder:
        """Begins a new collection there."""
        return new_builder(self.settings(), replace=replace)

    async def open(self) -> Store:
        """Opens the collection there."""
        return await open_store(self.settings())


def data_dir(path: Path) -> Place:
    """A data directory of the embedded store."""
    return Place({"data_dir": path})


@contextmanager
def on_qdrant(url: str, **options: Any) -> Iterator[Place]:
    """A name on a Qdrant server under which nothing is; in the end nothing is there again."""
    name = f"test-{uuid4().hex}"
    yield Place({"qdrant_url": url, "collection": name, "swap_interval": 0.1, "swap_grace": 1.0, **options})
    host, _, port = url.rpartition("/")[2].rpartition(":")
    client = QdrantClient(host=host, grpc_port=int(port), prefer_grpc=True, check_compatibility=False)
    try:
        for collection in client.get_collections().collections:
            if collection.name.startswith(name):
                client.delete_collection(collection.name)
    finally:
        client.close()
