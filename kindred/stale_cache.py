"""Keeps values that take long to make: what is old is answered at once and made again in the background."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

import structlog

from kindred.deadline import deadline_in, time_left
from kindred.errors import KindredError, OutOfTimeError, ResourceExhaustedError

log = structlog.get_logger(__name__)

_UNBOUNDED = 3_600.0
_REST = 20
"""At most one part in so many of the time goes into making one value."""

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


@dataclass(slots=True)
class _Entry(Generic[ValueT]):
    """What is known of a key.

    Args:
        value: The last value.
        made_at: When it was done.
        lasts: Seconds for which it is new.
        making: Who makes a new one.
    """

    value: ValueT | None = None
    made_at: float = float("-inf")
    lasts: float = 0.0
    making: asyncio.Task[ValueT] | None = None


class StaleCache(Generic[KeyT, ValueT]):
    """Values by key, each made by one task at a time. An answer is never older than twice the age of a new one.

    Args:
        make: Makes the value of a key; it may not return None.
        age: Seconds for which a value is new; longer for one that took long to make. For as long again it is answered
            while a new one is made.
        capacity: How many keys are kept; the least recently asked for goes first.
        most_making: How many values may be made at a time, whatever their keys.
        clock: Seconds that only ever grow.
    """

    def __init__(
        self,
        make: Callable[[KeyT], Awaitable[ValueT]],
        age: float,
        capacity: int,
        most_making: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._make = make
        self._age = age
        self._capacity = capacity
        self._most_making = most_making
        self._clock = clock
        self._entries: OrderedDict[KeyT, _Entry[ValueT]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def peek(self, key: KeyT) -> ValueT | None:
        """The value of a key, if there is one that `get` would answer at once."""
        entry = self._entries.get(key)
        return None if entry is None or self._age_of(entry) >= 2 * entry.lasts else entry.value

    async def get(self, key: KeyT, patience: float = _UNBOUNDED) -> ValueT:
        """The value of a key.

        Args:
            key: The key.
            patience: Seconds to wait for it at most; the deadline of the call bounds it, too.

        Raises:
            OutOfTimeError: It was not made in time. It goes on being made: who asks again finds it.
            ResourceExhaustedError: Too many others are being made.
            UnavailableError: The store is away.
        """
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        if (old := self.peek(key)) is not None and entry is not None:
            if self._age_of(entry) >= entry.lasts and entry.making is None and self._has_room():
                self._begin(key, entry)
            return old
        if entry is None or entry.making is None:
            if not self._has_room():
                message = f"{self._most_making} counts are being made already; ask again when one of them is done"
                raise ResourceExhaustedError(message, "TOO_MANY_COUNTS")
            entry = self._enter(key)
            making = self._begin(key, entry)
        else:
            making = entry.making
        # Shielded: whoever has no time left leaves the work to go on for those who come later.
        await asyncio.wait({making}, timeout=time_left(patience))
        if not making.done():
            raise OutOfTimeError(
                "the ratings are still being counted; the count goes on, so ask again a little later, or give the call "
                "a longer deadline"
            )
        return making.result()

    def _age_of(self, entry: _Entry[ValueT]) -> float:
        return self._clock() - entry.made_at

    def _has_room(self) -> bool:
        return sum(entry.making is not None for entry in self._entries.values()) < self._most_making

    def _enter(self, key: KeyT) -> _Entry[ValueT]:
        entry = self._entries.setdefault(key, _Entry())
        idle = [other for other, each in self._entries.items() if each.making is None and other != key]
        for other in idle[: max(0, len(self._entries) - self._capacity)]:
            del self._entries[other]
        return entry

    def _begin(self, key: KeyT, entry: _Entry[ValueT]) -> asyncio.Task[ValueT]:
        entry.making = asyncio.create_task(self._fill(key, entry))
        entry.making.add_done_callback(_look_at)
        return entry.making

    async def _fill(self, key: KeyT, entry: _Entry[ValueT]) -> ValueT:
        begun = self._clock()
        try:
            with deadline_in(None):  # the caller's deadline is not that of those who come later
                value = await self._make(key)
            entry.value, entry.made_at = value, self._clock()
            entry.lasts = max(self._age, _REST * (entry.made_at - begun))
            return value
        finally:
            entry.making = None


def _look_at(task: asyncio.Task[ValueT]) -> None:
    """Takes note of how a task ended: nobody may be waiting for it any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        if isinstance(error, KindredError):
            log.warning("could not count", error=str(error))
        else:
            log.error("could not count", exc_info=error)
