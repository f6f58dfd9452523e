"""A builder that keeps what it is given."""

from collections.abc import Iterable
from typing import Self

import numpy as np

from kindred.items import CatalogEntry
from kindred.stores.port import CollectionMetadata, UserWrite


class KeepingBuilder:
    """See `kindred.stores.port.CollectionBuilder`."""

    engine_seconds = 0.0

    def __init__(self) -> None:
        self.items: dict[str, CatalogEntry] = {}
        self.users: dict[str, UserWrite] = {}
        self.metadata: CollectionMetadata | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def add_items(self, entries: Iterable[CatalogEntry]) -> None:
        """See `CollectionBuilder.add_items`."""
        self.items |= {entry.item.item_id: entry for entry in entries}

    def add_users(self, users: Iterable[UserWrite]) -> None:
        """See `CollectionBuilder.add_users`; each user comes once."""
        for write in users:
            assert write.user.user_id not in self.users
            self.users[write.user.user_id] = write

    def commit(self, metadata: CollectionMetadata) -> None:
        """See `CollectionBuilder.commit`."""
        self.metadata = metadata

    def ratings_of(self, user_id: str) -> dict[str, tuple[float, int]]:
        """By item id the value and the time."""
        profile = self.users[user_id].user.profile
        assert np.all(np.diff(profile.items.astype(np.int64)) > 0)
        ids = {entry.index: item_id for item_id, entry in self.items.items()}
        columns = zip(profile.items.tolist(), profile.values.tolist(), profile.rated_at.tolist(), strict=True)
        return {ids[item]: (value, at) for item, value, at in columns}
