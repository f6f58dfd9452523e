"""Profiles in memory, bounded by bytes, the least recently used dropped first."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from kindred.scoring import DecodedProfile
from kindred.stores.port import PointId, StoredUser

_OVERHEAD = 600
"""Bytes that an entry takes beside its arrays: objects, keys and the user id; measured with sys.getsizeof."""

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class _BoundedCache(Generic[KeyT, ValueT]):
    """What was used last, as much of it as fits.

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

    def _keep(self, key: KeyT, value: ValueT, size: int) -> None:
        if (old := self._entries.pop(key, None)) is not None:
            self._bytes -= old[0]
        self._entries[key] = (size, value)
        self._bytes += size
        while self._bytes > self._capacity and self._entries:
            _, (dropped, _) = self._entries.popitem(last=False)
            self._bytes -= dropped


class ProfileCache(_BoundedCache[PointId, tuple[int, DecodedProfile]]):
    """Neighbors' decoded profiles by point. An entry is good for one version of its point: a write makes it a miss."""

    def get(self, point_ids: Sequence[PointId], versions: Sequence[int]) -> list[DecodedProfile | None]:
        """The profiles of points, where they are there in the version asked for.

        Args:
            point_ids: The points.
            versions: The versions that the search saw.
        """
        found: list[DecodedProfile | None] = []
        entries, touch = self._entries, self._entries.move_to_end
        for point_id, version in zip(point_ids, versions, strict=True):
            entry = entries.get(point_id)
            if entry is None or entry[1][0] != version:
                found.append(None)
            else:
                touch(point_id)
                found.append(entry[1][1])
        return found

    def put(self, point_id: PointId, version: int, profile: DecodedProfile) -> None:
        """Keeps a profile.

        Args:
            point_id: The point.
            version: The version that the search saw; the profile may be newer, never older.
            profile: The profile.
        """
        self._keep(point_id, (version, profile), profile.rows.nbytes + profile.preferences.nbytes + _OVERHEAD)


class AskerCache(_BoundedCache[str, StoredUser]):
    """Users as they were when they last asked: what to search with while their profile is read again."""

    def get(self, user_ids: Sequence[str]) -> dict[str, StoredUser] | None:
        """The users by id, if every one of them is there; else None."""
        found = {}
        for user_id in user_ids:
            if (entry := self._entries.get(user_id)) is None:
                return None
            self._entries.move_to_end(user_id)
            found[user_id] = entry[1]
        return found

    def put(self, user_id: str, user: StoredUser) -> None:
        """Keeps a user."""
        profile = user.profile
        size = profile.items.nbytes + profile.values.nbytes + profile.rated_at.nbytes + _OVERHEAD
        self._keep(user_id, user, size)
