"""The loop: poll, decode, apply, write dead letters, and only then commit.

Delivery is at least once, the effect idempotent: whatever fails between two steps, reading the records again leads to
the same store. A record is never skipped: what cannot be decoded goes to the dead letters, and while the store or the
broker is away the batch is tried again, and the member stays in its group.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from time import perf_counter, time
from typing import TypeVar

import structlog

from consumers.dead_letters import DeadLetters
from consumers.membership import Membership
from consumers.poison_guard import PoisonGuard
from kindred.backend import Backend, Current
from kindred.errors import PoisonedLogError, UnavailableError
from kindred.eventlog.broker import Record
from kindred.eventlog.consumer import EventConsumer
from kindred.events import REASONS, EventError, UnknownItemError
from kindred.notices import Notifier
from kindred.stores.port import LogPosition
from kindred.telemetry import (
    BATCH_EVENTS,
    BATCH_SECONDS,
    CONFLICTS,
    DEAD_LETTERS,
    EVENTS,
    FRESHNESS_SECONDS,
    LAG,
)
from kindred.updater import UserEvent

log = structlog.get_logger(__name__)
T = TypeVar("T")
Letters = list[tuple[Record, EventError]]


for _reason in REASONS:
    DEAD_LETTERS.labels(_reason)  # there from the beginning: an alert on an increase would miss the first one

_POLL_SECONDS = 0.5
_LAG_INTERVAL = 10.0
_MAX_BACKOFF = 5.0
_DRAIN_PAUSE = 0.2


class RatingConsumer:
    """Applies the events of the partitions that the group gives it.

    Args:
        consumer: The member of the group.
        current: What events are applied to; between two batches it may be another one.
        backend: The one that the member begins with.
        dead_letters: Takes what cannot be decoded.
        notifier: Tells other processes what was applied; None if there are none.
        membership: Is told how it goes.
        guard: Stops it before it makes dead letters of everything.
        accept_unknown: Whether an event about an item that the catalog lacks adds the item.
    """

    def __init__(
        self,
        consumer: EventConsumer,
        current: Current,
        backend: Backend,
        *,
        dead_letters: DeadLetters,
        notifier: Notifier | None,
        membership: Membership,
        guard: PoisonGuard,
        accept_unknown: bool = False,
    ) -> None:
        self._consumer = consumer
        self._current = current
        self._backend = backend
        self._dead_letters = dead_letters
        self._notifier = notifier
        self._membership = membership
        self._guard = guard
        self._accept_unknown = accept_unknown
        self._in_hand: Sequence[Record] = ()
        self._lag_told = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Reads until it is told to stop or the topic was made anew; the batch under way is finished first.

        Args:
            stop: Tells it to stop.

        Raises:
            PoisonedLogError: Most of what it reads can never be applied.
        """
        while not stop.is_set():
            if self._swapped():
                self._in_hand = ()  # it is read again for the collection that was swapped in
                self._backend = self._current.backend
                await self._insist(partial(self._consumer.follow, self._backend.applied_to), stop)
            records = await self._insist(partial(self._consumer.poll, _POLL_SECONDS), stop)
            if self._consumer.made_anew:
                log.warning("the topic was made anew: joining the group again", topic_id=self._consumer.topic_id)
                return
            if records:
                self._in_hand = records
                self._membership.begins(min(record.timestamp for record in records))
                await self._insist(self._process_in_hand, stop, unless=self._swapped)
            if not self._in_hand:
                self._membership.works()
            if self._consumer.partitions:
                self._membership.joined.set()
            await self._report_lag()

    async def drain(self, timeout: float) -> int:
        """Applies what it has in hand and what the log still holds for this member's partitions, once it has some.

        Args:
            timeout: Seconds that it may take.

        Returns:
            How many records are left: 0 if all was applied.
        """
        left = -1
        try:
            async with asyncio.timeout(timeout):
                await self._persist(self._process_in_hand)
                while not self._consumer.partitions:
                    await self._persist(self._poll_and_process)
                while left := sum((await self._persist(self._consumer.lag)).values()):
                    await self._persist(self._poll_and_process)
        except (TimeoutError, PoisonedLogError) as error:
            log.warning("stopped before the log was read to its end", left=left, error=str(error))
        return left

    async def process(self, records: Sequence[Record]) -> None:
        """Applies a batch of records and commits it.

        Args:
            records: In log order within each partition.

        Raises:
            PoisonedLogError: Most of what it reads can never be applied; nothing was done.
            UnavailableError: The store or the broker is away; nothing was committed.
        """
        if not records:
            return
        start = perf_counter()
        events, letters = await self._read(records)
        self._guard.check(records, letters)
        applied = await self._backend.updater.apply(events)
        if self._notifier is not None:
            self._notifier.tell(event.user_id for event in events)
        await self._dead_letters.write(letters)
        if not await self._consumer.commit(records):
            log.info("partitions go to other members: what is not committed by then, these read again")
        self._guard.passed(records, letters)
        self._count(records, applied.events, applied.replayed, letters)
        CONFLICTS.inc(applied.conflicts)
        BATCH_SECONDS.observe(perf_counter() - start)
        BATCH_EVENTS.observe(len(records))

    async def _poll_and_process(self) -> None:
        if not self._in_hand:  # else it was tried before, and comes first
            self._in_hand = await self._consumer.poll(_POLL_SECONDS)
        await self._process_in_hand()

    @staticmethod
    async def _persist(call: Callable[[], Awaitable[T]]) -> T:
        """Makes a call until it succeeds: who stops has set a time for it."""
        while True:
            try:
                return await call()
            except UnavailableError:
                await asyncio.sleep(_DRAIN_PAUSE)

    async def _process_in_hand(self) -> None:
        """Processes what of the last batch is still this member's: meanwhile partitions may have gone to others."""
        await self.process(self._consumer.still_mine(self._in_hand))
        self._in_hand = ()

    async def _read(self, records: Sequence[Record]) -> tuple[list[UserEvent], Letters]:
        """The events in records, and the records that hold none. An unknown item is looked for, or added."""
        events, letters = self._decode(records)
        if (unknown := _unknown_items(letters)) and self._backend.store.shared:
            await self._backend.follower.look()  # another process may have added it a moment ago
            events, letters = self._decode(records)
            unknown = _unknown_items(letters)
            if unknown and (self._current.settling or not await self._backend.store.is_current()):
                # Servers may have followed already, and what was written last may not have been brought over yet.
                raise UnavailableError("store", "an item may be in the collection that was swapped in")
        if unknown and self._accept_unknown:
            log.info("adding items that events name", items=await self._backend.items.add_missing(unknown))
            events, letters = self._decode(records)
        return events, letters

    def _decode(self, records: Sequence[Record]) -> tuple[list[UserEvent], Letters]:
        """The events in records, and the records that hold none."""
        events: list[UserEvent] = []
        letters: Letters = []
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
    def _count(records: Sequence[Record], applied: int, replayed: int, letters: Letters) -> None:
        EVENTS.labels("applied").inc(applied)
        EVENTS.labels("replayed").inc(replayed)
        EVENTS.labels("dead letter").inc(len(letters))
        now = time()
        for record in records:
            FRESHNESS_SECONDS.observe(max(0.0, now - record.timestamp / 1000))
        for record, error in letters:
            DEAD_LETTERS.labels(error.reason).inc()
            log.warning(
                "dead letter",
                reason=error.reason,
                error=str(error),
                partition=record.partition,
                offset=record.offset,
            )

    async def _report_lag(self) -> None:
        """Reports the lag, every ten seconds. That it cannot be told may not hold up the events."""
        if not self._consumer.partitions or perf_counter() - self._lag_told < _LAG_INTERVAL:
            return
        self._lag_told = perf_counter()
        try:
            lags = await self._consumer.lag()
        except UnavailableError as error:
            log.warning("cannot tell the lag", error=str(error))
            return
        LAG.clear()  # partitions that went to others have no lag here
        for partition, lag in lags.items():
            LAG.labels(partition).set(lag)

    def _swapped(self) -> bool:
        return self._current.backend is not self._backend

    async def _insist(
        self, call: Callable[[], Awaitable[T]], stop: asyncio.Event, unless: Callable[[], bool] = lambda: False
    ) -> T | None:
        """Makes a call again and again until it succeeds, more slowly each time, or until there is no point in it.

        Between two tries the member shows the group that it lives: without polls it would lose its partitions.
        """
        backoff = 0.1
        while not unless():
            try:
                return await call()
            except UnavailableError as error:
                self._membership.fails(error)
            if stop.is_set():
                return None
            pause = min(backoff, self._consumer.poll_interval / 4)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # jitter
            with suppress(UnavailableError):
                await self._consumer.stay()
            await self._report_lag()
            backoff = min(backoff * 2, _MAX_BACKOFF)
        return None


def _unknown_items(letters: Letters) -> list[str]:
    """The items that the catalog lacks, each once."""
    return list(dict.fromkeys(error.item_id for _, error in letters if isinstance(error, UnknownItemError)))
