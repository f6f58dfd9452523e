"""Users as they were when they last asked, in memory, bounded by bytes."""

from collections.abc import Hashable, Iterable, Sequence
from sys import getsizeof
from typing import TypeVar

from kindred.bounded_cache import BoundedCache
from kindred.stores.port import StoredUser

KeyT = TypeVar("KeyT", bound=Hashable)

_OVERHEAD = 600
"""Bytes that an entry takes beside its arrays and attributes: objects, keys and the user id."""


class AskerCache(BoundedCache[KeyT, StoredUser]):
    """Whoever keeps it knows whether they may have changed since.

    The embedded store, which alone writes them, drops them then. With a shared one they are a guess: what to search
    with while their profile is read again.
    """

    def get(self, keys: Sequence[KeyT]) -> list[StoredUser] | None:
        """The users in the order of their keys, if every one of them is there; else None."""
        found = []
        for key in keys:
            if (entry := self._entries.get(key)) is None:
                return None
            self._entries.move_to_end(key)
            found.append(entry[1])
        return found

    def put(self, key: KeyT, user: StoredUser) -> None:
        """Keeps a user."""
        profile = user.profile
        size = profile.items.nbytes + profile.values.nbytes + profile.rated_at.nbytes + _OVERHEAD
        for name, value in profile.attributes.items():
            size += getsizeof(name) + getsizeof(value)
        self._keep(key, user, size)

    def drop(self, keys: Iterable[KeyT]) -> None:
        """Forgets users."""
        for key in keys:
            self._drop(key)
