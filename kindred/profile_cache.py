"""Profiles in memory, bounded by bytes, the least recently used dropped first."""

from collections.abc import Sequence
from sys import getsizeof

from kindred.bounded_cache import BoundedCache
from kindred.scoring import DecodedProfile
from kindred.stores.port import PointId, StoredUser

_OVERHEAD = 600
"""Bytes that an entry takes beside its arrays: objects, keys and the user id; measured with sys.getsizeof."""


class ProfileCache(BoundedCache[PointId, tuple[int, DecodedProfile]]):
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
        self._keep(point_id, (version, profile), profile.nbytes + _OVERHEAD)


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
