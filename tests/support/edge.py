"""The embedded store as a backend of the contract."""

from collections.abc import Mapping
from pathlib import Path

from kindred.stores.edge import EdgeBuilder, EdgeStore
from kindred.stores.indexes import NO_INDEXES, IndexKind


class EdgeBackend:
    """A data directory. See `tests.support.stores.StoreBackend`."""

    def __init__(self, path: Path, indexed: Mapping[str, IndexKind] = NO_INDEXES) -> None:
        self.path = path
        self.indexed = indexed
        """The attributes that have an index, from the next builder or store on."""
        self.opening = (
            f"__import__('kindred.stores.edge').stores.edge.EdgeStore.open(__import__('pathlib').Path({str(path)!r}))"
        )

    def builder(self, *, replace: bool = False) -> EdgeBuilder:
        """Begins a new generation."""
        return EdgeBuilder(self.path, replace=replace, indexed=self.indexed)

    async def open(self) -> EdgeStore:
        """Opens the current generation."""
        return EdgeStore.open(self.path, indexed=self.indexed)
