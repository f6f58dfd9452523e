"""What the services work with: nothing while the store is being opened, then the backend and the event log."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

from kindred.backend import Backend, Current
from kindred.errors import StaleTokenError, UnavailableError
from kindred.eventlog.producer import EventProducer
from kindred.events import to_message
from kindred.freshness import FreshnessToken
from kindred.items import Item
from kindred.stores.port import LogPosition, StoredUser
from kindred.timing import Step, lap
from kindred.v1.rating_event_pb2 import RatingEvent
from server.grpc_types import Context
from server.watches import Watches

_FOLLOW_SECONDS = 0.02
_ASK_SECONDS = 1.0
"""So often at most the broker is asked for the topic's id, whatever tokens are shown."""
_DEFAULT_PATIENCE = 10.0
"""Seconds that a call without a deadline waits for the log or for freshness."""
REPLY_SHARE = 0.9
"""The part of the time until the caller's deadline that may be spent waiting: the rest is for the answer."""


@dataclass(slots=True)
class ServerState:
    """The parts of a running server.

    Args:
        producer: Where ratings are written to; None if this server has no event log.
        topic: The topic.
        current: What calls are answered from, once the store is open.
        watches: The open streams.
        accept_unknown: Whether items that the catalog lacks may be rated.
    """

    producer: EventProducer | None = None
    topic: str = ""
    current: Current = field(default_factory=Current)
    watches: Watches = field(default_factory=lambda: Watches(1, 1))
    accept_unknown: bool = False
    _asking: asyncio.Task[str] | None = None
    _asked_from: float = 0.0
    _asked_at: float = float("-inf")

    @property
    def backend(self) -> Backend:
        """The open backend.

        Raises:
            UnavailableError: It is still being opened.
        """
        return self.current.backend

    async def record(self, events: Sequence[RatingEvent], timeout: float) -> FreshnessToken:
        """Writes events of one user to the log, in order.

        Args:
            events: At least one.
            timeout: Seconds until the broker must have acknowledged them.

        Returns:
            The token of the last one.

        Raises:
            UnavailableError: The broker is away, or this server has none.
        """
        positions = await self._send(events, timeout)
        return FreshnessToken(events[-1].user_id, positions[-1])

    async def record_many(self, events: Sequence[RatingEvent], timeout: float) -> dict[str, FreshnessToken]:
        """Writes events of any users to the log, those of one user in order.

        Returns:
            By user the token of the last one.

        Raises:
            UnavailableError: The broker is away, or this server has none.
        """
        positions = await self._send(events, timeout) if events else []
        return {
            event.user_id: FreshnessToken(event.user_id, position)
            for event, position in zip(events, positions, strict=True)
        }

    async def be_fresh(self, token: str, timeout: float) -> StoredUser | None:
        """Waits until the store includes what a token stands for.

        Args:
            token: As the caller gave it; empty for nothing to wait for.
            timeout: Seconds to wait at most.

        Raises:
            InvalidArgumentError: It is no token.
            FreshnessError: It was not reached in time.
            StaleTokenError: It never will be: the topic was made anew since.
        """
        if not token:
            return None
        decoded = FreshnessToken.decode(token, "at_least_as_fresh")
        try:
            return await self.backend.freshness.wait(decoded, timeout, self._check_topic)
        finally:
            lap(Step.WAIT)

    async def upsert(self, items: Sequence[Item], timeout: float) -> tuple[int, int]:
        """Adds and replaces items in the current collection, whichever that is when it returns.

        Args:
            items: Items, each id once.
            timeout: Seconds that it may take to follow a collection that is swapped in meanwhile.

        Returns:
            How many are new, and how many were replaced.

        Raises:
            UnavailableError: The store is away, or another collection was swapped in and not followed in time.
        """
        deadline = monotonic() + timeout
        while True:
            backend = self.backend
            counts = await backend.items.upsert(items)
            if await backend.store.is_current():
                return counts
            # Whoever builds the new one brings over what was written before the swap, and this may have been after.
            while self.backend is backend:
                if monotonic() > deadline:
                    raise UnavailableError("store", "another collection is being swapped in")
                await asyncio.sleep(_FOLLOW_SECONDS)

    async def _send(self, events: Sequence[RatingEvent], timeout: float) -> list[LogPosition]:
        if self.producer is None:
            raise UnavailableError("log", "this server reads only: it was started without an event log")
        messages = [to_message(event, "kindred/server") for event in events]
        return await self.producer.send(self.topic, messages, timeout)

    async def _check_topic(self, position: LogPosition, *, thoroughly: bool) -> None:
        """Asks the broker if a place may be in another topic than the one that is there.

        Args:
            position: The place.
            thoroughly: Also if it is in the topic that we write to, which may have been made anew a moment ago.

        Raises:
            StaleTokenError: It is in one that is not there any more.
        """
        if self.producer is None or not position.topic_id:
            return
        if position.topic_id == self.producer.known_topic_id and not thoroughly:
            return
        arrived = monotonic()
        while True:
            if self._asking is None or self._asking.done():
                self._asking, self._asked_from = asyncio.create_task(self._ask()), monotonic()
            asked_from = self._asked_from
            if await asyncio.shield(self._asking) in ("", position.topic_id):
                return
            if asked_from >= arrived:  # a question that was under way before may be older than the topic
                raise StaleTokenError(position.topic_id)

    async def _ask(self) -> str:
        """Asks the broker for the topic's id, at most once a second; empty if it does not tell."""
        await asyncio.sleep(self._asked_at + _ASK_SECONDS - monotonic())
        try:
            return await self.producer.topic_id() if self.producer is not None else ""
        except UnavailableError:
            return ""
        finally:
            self._asked_at = monotonic()


def patience(context: Context) -> float:
    """How many seconds a call may wait, so that the answer still reaches the caller before the deadline."""
    remaining = context.time_remaining()
    return _DEFAULT_PATIENCE if remaining is None else remaining * REPLY_SHARE
