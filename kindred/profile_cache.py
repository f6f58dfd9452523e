"""Neighbors' profiles in memory, bounded by bytes; what was not used for a long time goes first."""

from collections import deque
from collections.abc import Sequence
from operator import itemgetter
from typing import cast

from kindred.neighborhood import PackedProfile
from kindred.stores.port import PointId
from kindred.telemetry import (
    PROFILE_CACHE_BYTES,
    PROFILE_CACHE_CAPACITY_BYTES,
    PROFILE_CACHE_HITS,
    PROFILE_CACHE_MISSES,
)

_OVERHEAD = 600
"""Bytes by which a process grows for an entry, beside its columns: 540 if the user id is a number, else 650."""

_CROWDED, _NOTED = 0.75, 1_000
"""How full a cache is when an entry that comes makes it note what is used, and for how many lookups. Where everything
fits, none comes, and to note would be in vain: with 25 million ratings it takes a quarter of a lookup's time."""

_version = itemgetter(PackedProfile._fields.index("version"))


class ProfileCache:
    """Neighbors' packed profiles by point. An entry is good for one version of its point: a write makes it a miss.

    Room is made by second chances (the "clock" of Corbato 1968): the entry that has waited for the longest goes, unless
    it was used since it began to wait; then it waits again. So a hit moves nothing.

    Args:
        capacity: Bytes that it may hold.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._bytes = 0
        self._profiles: dict[PointId, PackedProfile] = {}
        self._waiting: deque[PointId] = deque()
        self._used: set[PointId] = set()
        self._noting = 0
        # A process uses one cache; while a collection is swapped it makes another, and that is the one to tell of.
        PROFILE_CACHE_CAPACITY_BYTES.set(capacity)
        PROFILE_CACHE_BYTES.set(0)
        self._told_bytes = 0

    @property
    def bytes(self) -> int:
        """What it holds."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._profiles)

    def __contains__(self, point_id: PointId) -> bool:
        return point_id in self._profiles

    def get(
        self, point_ids: Sequence[PointId], versions: Sequence[int], *, timed: bool = False
    ) -> list[PackedProfile | None]:
        """The profiles of points, where they are there in the version asked for.

        Args:
            point_ids: The points.
            versions: The versions that the search saw.
            timed: Whether those without times will not do.
        """
        found = self.peek(point_ids, versions, timed=timed)
        self._tell(len(found), 0 if all(found) else found.count(None))
        return found

    def peek(
        self, point_ids: Sequence[PointId], versions: Sequence[int], *, timed: bool = False
    ) -> list[PackedProfile | None]:
        """As `get`, without a word to the metrics: for whoever has asked before, and others may have read since."""
        used: Sequence[PointId] = point_ids
        found = list(map(self._profiles.get, point_ids))
        # Nearly always all are there, and that is told fast: any profile is true.
        if timed or not all(found) or list(map(_version, cast("list[PackedProfile]", found))) != versions:
            found = [
                profile if profile and profile.version == version and (profile.times or not timed) else None
                for profile, version in zip(found, versions, strict=True)
            ]
            used = [point_id for point_id, profile in zip(point_ids, found, strict=True) if profile is not None]
        if self._noting:
            self._noting -= 1
            self._used.update(used)
        return found

    def put(self, point_id: PointId, profile: PackedProfile) -> None:
        """Keeps a profile, in place of any other that its point has.

        Args:
            point_id: The point.
            profile: The profile; it may be newer than its version, never older.
        """
        size = _size(profile)
        if size > self._capacity:
            return
        if (replaced := self._profiles.get(point_id)) is None:
            self._waiting.append(point_id)
        else:
            self._bytes -= _size(replaced)
        self._profiles[point_id] = profile
        self._bytes += size
        if self._bytes > self._capacity * _CROWDED:
            self._noting = _NOTED
        while self._bytes > self._capacity:
            longest = self._waiting.popleft()
            if longest in self._used:
                self._used.remove(longest)
                self._waiting.append(longest)
            else:
                self._bytes -= _size(self._profiles.pop(longest))

    def _tell(self, asked: int, missed: int) -> None:
        """Tells the metrics of a lookup: once for all its profiles, as a counter costs as much as finding ten."""
        PROFILE_CACHE_HITS.inc(asked - missed)
        if missed:
            PROFILE_CACHE_MISSES.inc(missed)
        if self._told_bytes != self._bytes:
            self._told_bytes = self._bytes
            PROFILE_CACHE_BYTES.set(self._bytes)


def _size(profile: PackedProfile) -> int:
    return profile.nbytes + _OVERHEAD
