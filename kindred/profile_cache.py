"""Decoded profiles of users, bounded by bytes, the least recently used dropped first."""

from collections import OrderedDict
from collections.abc import Sequence

from kindred.scoring import DecodedProfile
from kindred.stores.port import PointId

_OVERHEAD = 600
"""Bytes that an entry takes beside its arrays: objects, keys and the user id; measured with sys.getsizeof."""


class ProfileCache:
    """Profiles by point. An entry is good for one version of its point: a write makes it a miss.

    Args:
        capacity: Bytes that it may hold.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[PointId, tuple[int, DecodedProfile]] = OrderedDict()
        self._bytes = 0

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
            if entry is None or entry[0] != version:
                found.append(None)
            else:
                touch(point_id)
                found.append(entry[1])
        return found

    def put(self, point_id: PointId, version: int, profile: DecodedProfile) -> None:
        """Keeps a profile.

        Args:
            point_id: The point.
            version: The version that the search saw; the profile may be newer, never older.
            profile: The profile.
        """
        if (old := self._entries.pop(point_id, None)) is not None:
            self._bytes -= _size(old[1])
        self._entries[point_id] = (version, profile)
        self._bytes += _size(profile)
        while self._bytes > self._capacity and self._entries:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._bytes -= _size(dropped)

    @property
    def bytes(self) -> int:
        """What it holds."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)


def _size(profile: DecodedProfile) -> int:
    return profile.rows.nbytes + profile.preferences.nbytes + _OVERHEAD
