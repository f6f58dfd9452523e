"""Applies events to the store: read, merge, write on condition, until every one is in.

A batch costs one read and one write of its users, however many events each has. Reading an event twice changes nothing:
what a user's point says it has applied is not applied again, and the merge would lead to the same profile anyway.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from kindred.errors import UnavailableError
from kindred.ratings import EMPTY_PROFILE, Forgotten, ProfileEvent, UserProfile, merge
from kindred.stores.port import LogPosition, Removal, Store, StoredUser, UserWrite, point_id_of
from kindred.weighting import stored_vectors

log = structlog.get_logger(__name__)

_ATTEMPTS = 20
_BACKOFF = 0.005


class UserEvent(NamedTuple):
    """An event of a user and its place in the log."""

    user_id: str
    event: ProfileEvent
    position: LogPosition


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a batch.

    Args:
        events: Events that were merged now.
        replayed: Events that had been applied before.
        users: Users that were written.
        conflicts: Writes that another writer was faster with, and that were done again.
    """

    events: int
    replayed: int
    users: int
    conflicts: int


class ProfileUpdater:
    """Applies events.

    Args:
        store: The users.
        announce: Called with the ids of users after they were written.
    """

    def __init__(self, store: Store, announce: Callable[[Sequence[str]], None]) -> None:
        self._store = store
        self._announce = announce
        self.users_written = 0

    async def apply(self, batch: Sequence[UserEvent]) -> Applied:
        """Applies a batch. When it returns, all of it is in the store.

        Args:
            batch: Events in log order; those of one user stay in that order.

        Returns:
            What became of it.

        Raises:
            UnavailableError: The store is away, or other writers were faster again and again. Some of the batch may be
                in the store; applying all of it again is right.
        """
        pending: dict[str, list[UserEvent]] = {}
        for event in batch:
            pending.setdefault(event.user_id, []).append(event)
        users, events, conflicts = len(pending), 0, 0
        written = 0
        for attempt in range(_ATTEMPTS):
            if not pending:
                break
            if attempt:
                await asyncio.sleep(random.uniform(0, _BACKOFF * 2 ** min(attempt, 8)))  # noqa: S311  # jitter
            merged = await self._merge(pending)
            events += sum(count for _, count in merged.values())
            for user_id in pending.keys() - merged.keys():
                del pending[user_id]  # every event of theirs had been applied before
            writes = {user_id: write for user_id, (write, _) in merged.items()}
            done = await self._store.write_users(list(writes.values())) if writes else []
            for (user_id, (_, count)), success in zip(merged.items(), done, strict=True):
                if success:
                    del pending[user_id]
                    written += 1
                else:
                    conflicts += 1
                    events -= count
        if pending:
            raise UnavailableError("store", f"{len(pending)} of {users} users kept changing under the writes")
        self.users_written += written
        self._announce(list({event.user_id for event in batch}))
        return Applied(events, len(batch) - events, written, conflicts)

    async def _merge(self, pending: dict[str, list[UserEvent]]) -> dict[str, tuple[UserWrite, int]]:
        """By user the write that applies their events, and how many these are; without those who have them all."""
        points = [point_id_of(user_id) for user_id in pending]
        stored = await self._store.users(points)
        written: dict[str, tuple[StoredUser, int]] = {}
        for (user_id, events), point_id, user in zip(pending.items(), points, stored, strict=True):
            source = user.source if user else None
            new = [event for event in events if source is None or not source.includes(event.position)]
            if not new:
                continue
            old = user.profile if user else EMPTY_PROFILE
            profile, removal = _apply(old, [event.event for event in new])
            revision = (user.revision if user else 0) + 1
            removal = removal or (user.removal if user else None)
            written[user_id] = (StoredUser(user_id, profile, revision, new[-1].position, removal, point_id), len(new))
        vectors = stored_vectors(self._store.metadata.weighting, [user.profile for user, _ in written.values()])
        return {
            user_id: (UserWrite(user, vector), count)
            for (user_id, (user, count)), vector in zip(written.items(), vectors, strict=True)
        }


def _apply(profile: UserProfile, events: Sequence[ProfileEvent]) -> tuple[UserProfile, Removal | None]:
    """Merges events, and says what the last forgetting among them removed."""
    forgettings = [place for place, event in enumerate(events) if isinstance(event, Forgotten)]
    if not forgettings:
        return merge(profile, events), None
    before = merge(profile, events[: forgettings[-1]])
    return merge(before, events[forgettings[-1] :]), Removal(before.rating_count, len(before.attributes))
