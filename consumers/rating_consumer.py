"""The loop: poll, decode, apply, write dead letters, and only then commit.

Delivery is at least once, the effect idempotent: whatever fails between two steps, reading the records again leads to
the same store. A record is never skipped: what cannot be decoded goes to the dead letters, and while the store or the
broker is away the batch is tried again.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import perf_counter, time
from typing import TypeVar

import structlog

from consumers.dead_letters import DeadLetters
from kindred.backend import Backend, Current
from kindred.errors import UnavailableError
from kindred.eventlog.broker import Record
from kindred.eventlog.consumer import EventConsumer
from kindred.events import UNKNOWN_ITEM, EventError
from kindred.stores.port import LogPosition
from kindred.telemetry import BATCH_SECONDS, CONFLICTS, EVENTS, FRESHNESS_SECONDS, LAG
from kindred.updater import UserEvent

log = structlog.get_logger(__name__)
T = TypeVar("T")


_POLL_SECONDS = 0.5
_LAG_INTERVAL = 10.0
_TOPIC_INTERVAL = 60.0
_MAX_BACKOFF = 5.0


class RatingConsumer:
    """Applies the events of the partitions that the group gives it.

    Args:
        consumer: The member of the group.
        current: What events are applied to; between two batches it may be another one.
        backend: The one that the member begins with.
        dead_letters: Takes what cannot be decoded.
        joined: Set once the group has given it partitions.
    """

    def __init__(
        self,
        consumer: EventConsumer,
        current: Current,
        backend: Backend,
        dead_letters: DeadLetters,
        joined: asyncio.Event,
    ) -> None:
        self._consumer = consumer
        self._current = current
        self._backend = backend
        self._dead_letters = dead_letters
        self._joined = joined
        self._topic_seen = perf_counter()

    async def run(self, stop: asyncio.Event) -> None:
        """Reads until it is told to stop or the topic was made anew; the batch under way is finished first.

        Args:
            stop: Tells it to stop.
        """
        looked = 0.0
        while not stop.is_set():
            if self._swapped():
                self._backend = self._current.backend
                await self._insist(partial(self._consumer.follow, self._backend.applied_to), stop)
            records = await self._insist(partial(self._consumer.poll, _POLL_SECONDS), stop)
            if records:
                # What is not committed when another collection comes is read again for that one.
                await self._insist(partial(self.process, records), stop, unless=self._swapped)
            if self._consumer.partitions:
                self._joined.set()
            if (now := perf_counter()) - looked > _LAG_INTERVAL and self._joined.is_set():
                looked = now
                if not await self._look_after():
                    return

    async def drain(self, timeout: float) -> int:
        """Applies what the log still holds for this member's partitions, once it has some.

        Args:
            timeout: Seconds that it may take.

        Returns:
            How many records are left: 0 if all was applied.
        """
        left = -1
        try:
            async with asyncio.timeout(timeout):
                while not self._consumer.partitions:
                    await self.process(await self._consumer.poll(_POLL_SECONDS))
                while left := sum((await self._consumer.lag()).values()):
                    await self.process(await self._consumer.poll(_POLL_SECONDS))
        except (TimeoutError, UnavailableError) as error:
            log.warning("stopped before the log was read to its end", left=left, error=str(error))
        return left

    async def process(self, records: Sequence[Record]) -> None:
        """Applies a batch of records and commits it.

        Args:
            records: In log order within each partition.

        Raises:
            UnavailableError: The store or the broker is away; nothing was committed.
        """
        start = perf_counter()
        events, letters = self._decode(records)
        if self._backend.store.shared and _has_unknown_item(letters):
            await self._backend.follower.look()  # another process may have added it a moment ago
            events, letters = self._decode(records)
            if _has_unknown_item(letters) and (self._current.settling or not await self._backend.store.is_current()):
                # Servers may have followed already, and what was written last may not have been brought over yet.
                raise UnavailableError("store", "an item may be in the collection that was swapped in")
        applied = await self._backend.updater.apply(events)
        await self._dead_letters.write(letters)
        offsets: dict[int, int] = {}
        for record in records:
            offsets[record.partition] = max(offsets.get(record.partition, 0), record.offset + 1)
        if offsets and not await self._consumer.commit(offsets):
            log.info("partitions went to another member before the commit; it reads their records again")
        self._count(records, applied.events, applied.replayed, letters)
        CONFLICTS.inc(applied.conflicts)
        BATCH_SECONDS.observe(perf_counter() - start)

    def _decode(self, records: Sequence[Record]) -> tuple[list[UserEvent], list[tuple[Record, EventError]]]:
        """The events in records, and the records that hold none."""
        events: list[UserEvent] = []
        letters: list[tuple[Record, EventError]] = []
        for record in records:
            try:
                user_id, event = self._backend.decoder.decode(record)
            except EventError as error:
                letters.append((record, error))
                continue
            position = LogPosition(self._consumer.topic_id, record.partition, record.offset)
            events.append(UserEvent(user_id, event, position))
        return events, letters

    @staticmethod
    def _count(
        records: Sequence[Record], applied: int, replayed: int, letters: Sequence[tuple[Record, EventError]]
    ) -> None:
        EVENTS.labels("applied").inc(applied)
        EVENTS.labels("replayed").inc(replayed)
        EVENTS.labels("dead letter").inc(len(letters))
        now = time()
        for record in records:
            FRESHNESS_SECONDS.observe(max(0.0, now - record.timestamp / 1000))
        for record, error in letters:
            log.warning(
                "dead letter",
                reason=error.reason,
                error=str(error),
                partition=record.partition,
                offset=record.offset,
            )

    async def _look_after(self) -> bool:
        """Reports the lag, and tells whether the topic is still the one that it was. Neither may hold up the events."""
        try:
            lags = await self._consumer.lag()
            LAG.clear()  # partitions that went to others have no lag here
            for partition, lag in lags.items():
                LAG.labels(partition).set(lag)
            if (now := perf_counter()) - self._topic_seen < _TOPIC_INTERVAL:
                return True
            self._topic_seen = now
            if await self._consumer.topic_is_the_same():
                return True
            log.warning("the topic was made anew: joining the group again", topic_id=self._consumer.topic_id)
        except UnavailableError as error:
            log.warning("cannot tell the lag", error=str(error))
            return True
        return False

    def _swapped(self) -> bool:
        return self._current.backend is not self._backend

    @staticmethod
    async def _insist(
        call: Callable[[], Awaitable[T]], stop: asyncio.Event, unless: Callable[[], bool] = lambda: False
    ) -> T | None:
        """Makes a call again and again until it succeeds, more slowly each time, or until there is no point in it."""
        backoff = 0.1
        while not unless():
            try:
                return await call()
            except UnavailableError as error:
                log.warning("trying again", error=str(error), seconds=round(backoff, 1))
            if stop.is_set():
                return None
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311  # jitter
            backoff = min(backoff * 2, _MAX_BACKOFF)
        return None


def _has_unknown_item(letters: Sequence[tuple[Record, EventError]]) -> bool:
    return any(error.reason == UNKNOWN_ITEM for _, error in letters)
