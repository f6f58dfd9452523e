"""A consumer of the event log that takes one step when it is told to, and can be killed at any of them.

The steps are those of `consumers.rating_consumer`: poll, decode, fetch, merge, write each user on condition, dead
letters, commit. The decoder, the updater and the store are the real ones.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from kindred.catalog import Catalog
from kindred.errors import UnavailableError
from kindred.eventlog.broker import Record
from kindred.events import EventDecoder, EventError
from kindred.stores.port import LogPosition, PointId, Store, StoredUser, UserWrite
from kindred.updater import ProfileUpdater, UserEvent
from kindred.weighting import SparseVector
from tests.support.stores import SCALE, entry
from tests.support.watched_store import WatchedStore

NOW = 1_700_000_000_000
TOPIC_ID = "topic"
ITEMS = {"1": 1, "2": 2, "3": 3, "fargo": 2**31 + 5}

DEFECTS = [
    "does not look",
    "is one off",
    "has no positions",
    "loses the order",
    "commits first",
    "weighs wrongly",
    "skips too much",
    "skips nothing",
]
"""What a consumer can be told to do wrong."""


class Gone(BaseException):  # what a killed process does is no error
    """The consumer's process is no more."""


class GatedStore(WatchedStore):
    """The real store as one consumer sees it: it stops before each call, and may be told to break off there."""

    def __init__(self, inner: Store, gate: Callable[[str], Any], defect: str) -> None:
        super().__init__(inner)
        self._gate = gate
        self._defect = defect

    async def users(self, point_ids: Sequence[PointId]) -> list[StoredUser | None]:
        """See `Store.users`."""
        await self._gate("fetch")
        users = await self.inner.users(point_ids)
        return [user and replace(user, source=None) for user in users] if self._defect == "skips nothing" else users

    async def write_users(self, writes: Sequence[UserWrite]) -> list[bool]:
        """See `Store.write_users`; whoever breaks off here may have written some of them."""
        if (broken := await self._gate("write")) is not None:
            after, error = broken
            await self.inner.write_users(writes[:after])
            raise error
        if self._defect == "weighs wrongly":
            writes = [UserWrite(user, SparseVector(indexes, values + 2e-6)) for user, (indexes, values) in writes]
        if self._defect == "does not look":
            stored = await self.inner.users([write.user.point_id for write in writes])
            writes = [
                UserWrite(replace(write.user, revision=(old.revision if old else 0) + 1), write.vector)
                for write, old in zip(writes, stored, strict=True)
            ]
        return await self.inner.write_users(writes)


@dataclass(slots=True)
class Group:
    """What the broker knows."""

    log: list[list[Record]]
    owner: list["Consumer | None"]
    committed: list[int]
    letters: set[tuple[int, int]]


class Consumer:
    """A consumer that takes one step when it is told to.

    Args:
        store: The real store.
        group: The log and the group.
        defect: What it does wrong; empty for nothing.
    """

    def __init__(self, store: Store, group: Group, defect: str) -> None:
        self._group = group
        self._defect = defect
        self._store = store
        self._decoder = EventDecoder(
            Catalog([entry(index, "", name) for name, index in ITEMS.items()]), SCALE, lambda: NOW
        )
        self._go = asyncio.Event()
        self._parked = asyncio.Event()
        self._broken: tuple[int, BaseException] | None = None
        self.positions = [0, 0]
        self.batch_size = 4
        self.task: asyncio.Task[None] | None = None
        self.place = ""

    async def step(self, broken: tuple[int, BaseException] | None = None) -> None:
        """Goes on to the next gate.

        Args:
            broken: How many users the write at this gate does, if it is at one, and what happens then.
        """
        self._broken = broken
        self._parked.clear()
        if self.task is None:
            self.task = asyncio.create_task(self._process())
            self.task.add_done_callback(lambda _: self._parked.set())
        self._go.set()
        await self._parked.wait()
        if self.task.done():
            task, self.task, self.place = self.task, None, ""
            with suppress(Gone):
                task.result()

    async def until(self, place: str) -> None:
        """Goes on until it stands at a gate, if it gets there in a while."""
        for _ in range(20):
            if self.task is not None and self.place == place:
                return
            await self.step()

    async def batch(self) -> None:
        """Ends the batch that it is at, or does one."""
        await self.step()
        while self.task is not None:
            await self.step()

    async def crash(self, written: int) -> None:
        """Its process ends here, with some users written if it was about to write; another one starts over."""
        if self.task is not None:
            await self.step((written, Gone()))
            assert self.task is None
        self.positions = [*self._group.committed]

    async def _gate(self, place: str) -> tuple[int, BaseException] | None:
        self.place = place
        self._go.clear()
        self._parked.set()
        await self._go.wait()
        broken, self._broken = self._broken, None
        if broken is not None and (place != "write" or (isinstance(broken[1], UnavailableError) and not broken[0])):
            raise broken[1]
        return broken

    async def _process(self) -> None:
        records = self._poll()
        if not records:
            return
        if self._defect == "commits first":
            self._commit(records)
        while True:
            try:
                await self._apply(records)
                break
            except UnavailableError:
                await self._gate("again")
        await self._gate("commit")
        self._commit(records)

    def _poll(self) -> list[Record]:
        records = []
        for partition, owner in enumerate(self._group.owner):
            if owner is self:
                records += self._group.log[partition][self.positions[partition] :][: self.batch_size]
        for record in records:
            self.positions[record.partition] = record.offset + 1
        return records

    async def _apply(self, records: Sequence[Record]) -> None:
        await self._gate("decode")
        batch, letters = [], []
        for record in records:
            try:
                user_id, event = self._decoder.decode(record)
            except EventError:
                letters.append((record.partition, record.offset))
            else:
                offset = record.offset + (self._defect == "is one off")
                batch.append(UserEvent(user_id, event, LogPosition(TOPIC_ID, record.partition, offset)))
        if self._defect == "skips too much":  # of a batch that begins with what was applied
            first = [event.position for event in batch[:1]]
            batch = [event._replace(position=first[0]) for event in batch]
        if self._defect == "has no positions":
            batch = [event._replace(position=LogPosition("", 0, 0)) for event in batch]
        if self._defect == "loses the order":
            batch.sort(key=lambda event: -event.event.at)
        store = GatedStore(self._store, self._gate, self._defect)
        await ProfileUpdater(store, lambda _: None).apply(batch)
        await self._gate("dead letters")
        self._group.letters.update(letters)

    def _commit(self, records: Sequence[Record]) -> None:
        for record in records:
            if self._group.owner[record.partition] is self or self._defect == "commits as a zombie":  # no zombie
                self._group.committed[record.partition] = record.offset + 1
