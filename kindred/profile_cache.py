"""Profiles in memory, bounded by bytes; what was not used for the longest time goes first."""

from collections.abc import Sequence
from sys import getsizeof

from kindred.bounded_cache import BoundedCache
from kindred.neighborhood import DecodedProfile
from kindred.stores.port import PointId, StoredUser

_OVERHEAD = 600
"""Bytes that an entry takes beside its arrays: objects, keys and the user id; measured with sys.getsizeof."""


class ProfileCache:
    """Neighbors' decoded profiles by point. An entry is good for one version of its point: a write makes it a miss.

    Two generations of half the capacity each: what is used is in the young one, and when that is full the old one is
    dropped for it. So what was used lately stays, and a hit moves nothing.

    Args:
        capacity: Bytes that it may hold.
    """

    def __init__(self, capacity: int) -> None:
        self._most = capacity // 2
        self._young: dict[PointId, tuple[int, DecodedProfile]] = {}
        self._old: dict[PointId, tuple[int, DecodedProfile]] = {}
        self._young_bytes = self._old_bytes = 0

    @property
    def bytes(self) -> int:
        """What it holds."""
        return self._young_bytes + self._old_bytes

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, point_ids: Sequence[PointId], versions: Sequence[int]) -> list[DecodedProfile | None]:
        """The profiles of points, where they are there in the version asked for.

        Args:
            point_ids: The points.
            versions: The versions that the search saw.
        """
        entries = map(self._young.get, point_ids)
        found = [
            entry[1] if entry is not None and entry[0] == version else None
            for entry, version in zip(entries, versions, strict=True)
        ]
        if None in found and self._old:
            for place, profile in enumerate(found):
                if profile is None:
                    found[place] = self._aged(point_ids[place], versions[place])
        return found

    def put(self, point_id: PointId, version: int, profile: DecodedProfile) -> None:
        """Keeps a profile.

        Args:
            point_id: The point.
            version: The version that the search saw; the profile may be newer, never older.
            profile: The profile.
        """
        size = _size(profile)
        if (replaced := self._young.pop(point_id, None)) is not None:
            self._young_bytes -= _size(replaced[1])
        if (replaced := self._old.pop(point_id, None)) is not None:
            self._old_bytes -= _size(replaced[1])
        if size > self._most:
            return
        if self._young_bytes + size > self._most:
            self._old, self._old_bytes = self._young, self._young_bytes
            self._young, self._young_bytes = {}, 0
        self._young[point_id] = (version, profile)
        self._young_bytes += size

    def _aged(self, point_id: PointId, version: int) -> DecodedProfile | None:
        """A profile of the old generation, which is young again."""
        entry = self._old.get(point_id)
        if entry is None or entry[0] != version:
            return None
        self.put(point_id, version, entry[1])
        return entry[1]


def _size(profile: DecodedProfile) -> int:
    return profile.nbytes + _OVERHEAD


class AskerCache(BoundedCache[str, StoredUser]):
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
        for name, value in profile.attributes.items():
            size += getsizeof(name) + getsizeof(value)
        self._keep(user_id, user, size)
