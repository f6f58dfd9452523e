"""The embedded store as a backend of the contract."""

from pathlib import Path

from kindred.stores.edge import EdgeBuilder, EdgeStore


class EdgeBackend:
    """A data directory. See `tests.support.stores.StoreBackend`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opening = (
            f"__import__('kindred.stores.edge').stores.edge.EdgeStore.open(__import__('pathlib').Path({str(path)!r}))"
        )

    def builder(self, *, replace: bool = False) -> EdgeBuilder:
        """Begins a new generation."""
        return EdgeBuilder(self.path, replace=replace)

    async def open(self) -> EdgeStore:
        """Opens the current generation."""
        return EdgeStore.open(self.path)
