"""A cache that is bounded by bytes, the least recently used dropped first. Pure."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class BoundedCache(Generic[KeyT, ValueT]):
    """What was used last, as much of it as fits. What is kept, and how large it is, the caches made of it say.

    Args:
        capacity: Bytes that it may hold.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[KeyT, tuple[int, ValueT]] = OrderedDict()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """What it holds."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def _drop(self, key: KeyT) -> None:
        if (old := self._entries.pop(key, None)) is not None:
            self._bytes -= old[0]

    def _keep(self, key: KeyT, value: ValueT, size: int) -> None:
        self._drop(key)
        self._entries[key] = (size, value)
        self._bytes += size
        while self._bytes > self._capacity and self._entries:
            _, (dropped, _) = self._entries.popitem(last=False)
            self._bytes -= dropped
