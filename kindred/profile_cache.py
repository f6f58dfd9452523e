"""Neighbors' profiles in memory, bounded by bytes; what was not used for the longest time goes first."""

from collections.abc import Sequence
from typing import cast

from kindred.neighborhood import DecodedProfile
from kindred.stores.port import PointId
from kindred.telemetry import (
    PROFILE_CACHE_BYTES,
    PROFILE_CACHE_CAPACITY_BYTES,
    PROFILE_CACHE_HITS,
    PROFILE_CACHE_MISSES,
)

_OVERHEAD = 660
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
        # A process uses one cache; while a collection is swapped it makes another, and that is the one to tell of.
        PROFILE_CACHE_CAPACITY_BYTES.set(capacity)
        PROFILE_CACHE_BYTES.set(0)
        self._told_bytes = 0

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
        found = self.peek(point_ids, versions)
        self._tell(len(found), found.count(None))
        return found

    def peek(self, point_ids: Sequence[PointId], versions: Sequence[int]) -> list[DecodedProfile | None]:
        """As `get`, without a word to the metrics: for whoever has asked before, and others may have read since.

        Args:
            point_ids: The points.
            versions: The versions that the search saw.
        """
        entries = list(map(self._young.get, point_ids))
        if entries and None not in entries:
            held, profiles = zip(*cast("list[tuple[int, DecodedProfile]]", entries), strict=True)
            if held == tuple(versions):  # nearly always, and fast
                return list(profiles)
        return [
            entry[1] if entry is not None and entry[0] == version else self._aged(point_id, version)
            for point_id, entry, version in zip(point_ids, entries, versions, strict=True)
        ]

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

    def _tell(self, asked: int, missed: int) -> None:
        """Tells the metrics of a lookup: once for all its profiles, as a counter costs as much as finding ten."""
        PROFILE_CACHE_HITS.inc(asked - missed)
        if missed:
            PROFILE_CACHE_MISSES.inc(missed)
        if self._told_bytes != self.bytes:
            self._told_bytes = self.bytes
            PROFILE_CACHE_BYTES.set(self._told_bytes)

    def _aged(self, point_id: PointId, version: int) -> DecodedProfile | None:
        """A profile of the old generation, which is young again."""
        entry = self._old.get(point_id)
        if entry is None or entry[0] != version:
            return None
        self.put(point_id, version, entry[1])
        return entry[1]


def _size(profile: DecodedProfile) -> int:
    return profile.nbytes + _OVERHEAD
