"""Reading your own writes: tokens that say where in the log an answer has to be, and waiting until it is there."""

import asyncio
import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from google.protobuf.message import DecodeError

from kindred.errors import FieldViolation, FreshnessError, InvalidArgumentError, UnavailableError
from kindred.stores.port import LogPosition, Store, StoredUser, point_id_of
from kindred.v1.freshness_token_pb2 import FreshnessToken as TokenMessage

_FIRST_LOOK = 0.01
"""Seconds until the first look: about as long as an event takes to be applied by another process."""

_LAST_LOOK = 0.1
"""A look that fails with less time than this left has run out of it."""


@dataclass(frozen=True, slots=True)
class FreshnessToken:
    """The last event of a call: whose it is and where in the log."""

    user_id: str
    position: LogPosition

    def encode(self) -> str:
        """As text without spaces, for a header, a URL or a command line. Not secret, not signed."""
        message = TokenMessage(
            user_id=self.user_id,
            topic_id=self.position.topic_id,
            partition=self.position.partition,
            offset=self.position.offset,
        )
        return base64.urlsafe_b64encode(message.SerializeToString()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, field: str) -> Self:
        """Reads what `encode` made.

        Args:
            text: The token.
            field: The path of its field, for the error.

        Raises:
            InvalidArgumentError: It is no token.
        """
        try:
            message = TokenMessage.FromString(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
        except (binascii.Error, DecodeError, ValueError):
            message = TokenMessage()
        if not message.user_id:
            raise InvalidArgumentError([FieldViolation(field, "is no freshness token of a rating call")])
        return cls(message.user_id, LogPosition(message.topic_id, message.partition, message.offset))


class Freshness:
    """Waits until the store has applied an event.

    Args:
        store: The users.
        check_interval: Seconds between looks at the store at most, for writes that another process makes; the first
            looks at a shared one come sooner. Writes of this process are announced and need no look.
    """

    def __init__(self, store: Store, check_interval: float = 0.5) -> None:
        self._store = store
        self._check_interval = check_interval
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def follow(self, store: Store) -> None:
        """From now on events are applied to another store: who waits looks there."""
        self._store = store
        for events in self._waiting.values():
            for event in events:
                event.set()

    def announce(self, user_ids: Iterable[str]) -> None:
        """Wakes those who wait for these users, whose events have just been applied."""
        if self._waiting:
            for user_id in user_ids:
                for event in self._waiting.get(user_id, ()):
                    event.set()

    async def wait(self, token: FreshnessToken, timeout: float) -> StoredUser:
        """Waits for an event to be applied.

        Args:
            token: Which.
            timeout: Seconds to wait at most.

        Returns:
            The user with the event applied.

        Raises:
            FreshnessError: It was not applied in time.
            UnavailableError: The store is away.
        """
        changed = asyncio.Event()
        waiters = self._waiting.setdefault(token.user_id, set())
        waiters.add(changed)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        looked = False
        pause = min(_FIRST_LOOK, self._check_interval) if self._store.shared else self._check_interval
        try:
            while True:
                changed.clear()
                store = self._store
                try:
                    [user] = await store.users([point_id_of(token.user_id)])
                except UnavailableError as error:
                    if looked and deadline - loop.time() < _LAST_LOOK:  # the time is over, the store is not away
                        raise FreshnessError(token.user_id) from error
                    raise
                looked = True
                if user is not None and user.source is not None and user.source.includes(token.position):
                    if store is self._store:
                        return user
                    continue  # it was replaced during the look: the answer will come from the new one
                remaining = deadline - loop.time()
                if remaining <= 0:
                    raise FreshnessError(token.user_id)
                try:
                    async with asyncio.timeout(min(pause, remaining)):
                        await changed.wait()
                except TimeoutError:
                    pause = min(1.5 * pause, self._check_interval)
        finally:
            waiters.discard(changed)
            if not waiters:
                self._waiting.pop(token.user_id, None)
