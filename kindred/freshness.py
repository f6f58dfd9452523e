"""Reading your own writes: tokens that say where in the log an answer has to be, and waiting until it is there.

Nobody looks again and again: whoever applies events announces whose they were, in this process or through a topic of
notices (kindred/notices.py), and only then the store is asked, once for everybody who waits. Over a shared store it is
also asked now and then, since a notice may be lost.
"""

import asyncio
import base64
import binascii
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, Protocol, Self, TypeVar

from google.protobuf.message import DecodeError

from kindred.errors import FieldViolation, FreshnessError, InvalidArgumentError, UnavailableError
from kindred.stores.port import LogPosition, Store, StoredUser, point_id_of
from kindred.v1.freshness_token_pb2 import FreshnessToken as TokenMessage

_LAST_CHECK_SHARE = 0.05
"""The part of a wait's time that a last, thorough check may take beyond it."""
_WATCH_LOOKS = 10
"""Watchers, whom nothing holds up, are looked at with every tenth look."""
_LOOK_USERS = 1_000
"""Users that one look asks for at most."""

T = TypeVar("T")


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


@dataclass(eq=False, slots=True)
class Watch:
    """Somebody who wants to know when a user changes.

    Args:
        changed: Set when the user may have changed.
        revision: The user's revision that the watcher has seen; 0 if nothing is stored.
    """

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    revision: int = 0


@dataclass(eq=False, slots=True)
class _Wait:
    """Somebody who waits for an event to be applied.

    Args:
        position: The event's place.
        reached: Gets the user with the event, and the store that was looked at.
        failure: What the last look failed with.
    """

    position: LogPosition
    reached: asyncio.Future[tuple[Store, StoredUser | None]]
    failure: UnavailableError | None = None


class Check(Protocol):
    """Raises if an event will never be applied."""

    async def __call__(self, position: LogPosition, *, thoroughly: bool) -> None:
        """Checks the place of an event."""


class Freshness:
    """Waits until the store has applied an event, and tells who changed.

    Args:
        store: The users.
        look_interval: Seconds between looks that nothing was announced for; only over a shared store.
    """

    def __init__(self, store: Store, look_interval: float = 0.5) -> None:
        self._store = store
        self._look_interval = look_interval
        self._waits = _Interest[_Wait]()
        self._watches = _Interest[Watch]()
        self._due: set[str] = set()
        self._looking: asyncio.Task[None] | None = None
        self._ticking: asyncio.Task[None] | None = None

    def follow(self, store: Store) -> None:
        """From now on events are applied to another store: who waits looks there."""
        self._store = store
        self.announce_all()

    def announce(self, user_ids: Iterable[str]) -> None:
        """Tells those who wait for these users, whose events have just been applied, and those who watch them."""
        if not self._waits and not self._watches:
            return
        for user_id in user_ids:
            for watch in self._watches.of(user_id):
                watch.changed.set()
            if self._waits.of(user_id):
                self._due.add(user_id)
        self._look_soon()

    def announce_all(self) -> None:
        """Tells everybody: announcements may have been missed."""
        self.announce({*self._waits.users(), *self._watches.users()})

    @contextmanager
    def watch(self, user_id: str) -> Iterator[Watch]:
        """Watches a user for as long as the context lasts."""
        watch = Watch()
        with self._watches.have(user_id, watch):
            self._tick()
            yield watch

    async def wait(
        self,
        token: FreshnessToken,
        timeout: float,
        check: Check | None = None,
    ) -> StoredUser | None:
        """Waits for an event to be applied.

        Args:
            token: Which.
            timeout: Seconds to wait at most.
            check: Asked if the event is not there at once, and thoroughly when the time is over: raises if it never
                will be.

        Returns:
            The user with the event applied; None if there is nobody of this id in a collection that includes it.

        Raises:
            FreshnessError: It was not applied in time.
            UnavailableError: The store is away.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        wait = _Wait(token.position, loop.create_future())
        with self._waits.have(token.user_id, wait):
            store = self._store
            [user] = await store.users([point_id_of(token.user_id)])
            if store is self._store:
                if _includes(store, user, token.position):
                    return user
            else:  # it was replaced during the look: the answer will come from the new one
                self._due.add(token.user_id)
                self._look_soon()
            self._tick()
            try:
                async with asyncio.timeout_at(deadline):
                    if check is not None:
                        await check(token.position, thoroughly=False)
                    while True:
                        store, user = await wait.reached
                        if store is self._store:  # also when it is this task's turn again
                            return user
                        wait.reached = loop.create_future()
                        self._due.add(token.user_id)
                        self._look_soon()
            except TimeoutError:
                if wait.failure is not None:
                    raise wait.failure from None
                if check is not None:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LAST_CHECK_SHARE * timeout):
                            await check(token.position, thoroughly=True)
                raise FreshnessError(token.user_id) from None

    def _look_soon(self) -> None:
        """Looks at those who are due: one look at a time, so that a burst of announcements is few of them."""
        if self._due and (self._looking is None or self._looking.done()):
            # In a context of its own: the deadline of whoever happened to announce is not that of those who wait.
            self._looking = asyncio.create_task(self._look(), context=Context())

    async def _look(self) -> None:
        while self._due:
            due = list(islice(self._due, _LOOK_USERS))
            self._due.difference_update(due)
            store = self._store
            try:
                users = await store.users([point_id_of(user_id) for user_id in due])
            except UnavailableError as error:
                for user_id in due:
                    for wait in self._waits.of(user_id):
                        wait.failure = error
                await asyncio.sleep(self._look_interval)
                self._due.update(user_id for user_id in due if self._waits.of(user_id) or self._watches.of(user_id))
                continue
            if store is not self._store:
                self._due.update(due)
                continue
            for user_id, user in zip(due, users, strict=True):
                self._tell(store, user_id, user)

    def _tell(self, store: Store, user_id: str, user: StoredUser | None) -> None:
        for wait in self._waits.of(user_id):
            wait.failure = None
            if not wait.reached.done() and _includes(store, user, wait.position):
                wait.reached.set_result((store, user))
        for watch in self._watches.of(user_id):
            if (user.revision if user else 0) != watch.revision:
                watch.changed.set()

    def _tick(self) -> None:
        """Looks now and then, for as long as anybody waits or watches."""
        if self._store.shared and (self._ticking is None or self._ticking.done()):
            self._ticking = asyncio.create_task(self._keep_looking(), context=Context())

    async def _keep_looking(self) -> None:
        looks = 0
        while self._waits or self._watches:
            await asyncio.sleep(self._look_interval)
            looks += 1
            self._due.update(self._waits.users())
            if looks % _WATCH_LOOKS == 0:
                self._due.update(self._watches.users())
            self._look_soon()


class _Interest(Generic[T]):
    """Who is interested in which user."""

    def __init__(self) -> None:
        self._by_user: dict[str, set[T]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_user)

    def users(self) -> Iterable[str]:
        """The users that somebody is interested in."""
        return self._by_user.keys()

    def of(self, user_id: str) -> Iterable[T]:
        """Who is interested in a user."""
        return self._by_user.get(user_id, ())

    @contextmanager
    def have(self, user_id: str, one: T) -> Iterator[None]:
        """Notes an interest for as long as the context lasts."""
        mine = self._by_user.setdefault(user_id, set())
        mine.add(one)
        try:
            yield
        finally:
            mine.discard(one)
            if not mine and self._by_user.get(user_id) is mine:
                del self._by_user[user_id]


def _includes(store: Store, user: StoredUser | None, position: LogPosition) -> bool:
    """Whether an event is in a collection: the user says so, or the collection for every event up to some place."""
    if user is not None and user.source is not None and user.source.includes(position):
        return True
    return store.metadata.includes(position)
