"""A consumer that runs in this process over a watched store, and what tests ask it."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cli.local_broker import LOCAL_SETTINGS
from consumers.app import consume_events
from consumers.dead_letters import DeadLetters
from consumers.membership import Membership
from consumers.poison_guard import PoisonGuard
from consumers.rating_consumer import RatingConsumer
from kindred.backend import Backend, Current
from kindred.eventlog.broker import Record
from kindred.eventlog.consumer import EventConsumer
from kindred.ratings import UserProfile
from kindred.settings import Settings
from kindred.stores.port import point_id_of
from tests.support.films import INDEX
from tests.support.kafka_log import Raw, committed, read_records, write_records
from tests.support.place import Place
from tests.support.system import BOUND, fresh_names
from tests.support.watched_store import WatchedStore, watched_backend


@dataclass(frozen=True, slots=True)
class Consuming:
    """A consumer that runs, and what it works on."""

    settings: Settings
    backend: Backend
    store: WatchedStore
    membership: Membership
    task: asyncio.Task[None]

    async def write(self, *records: Raw, **options: object) -> list[tuple[int, int]]:
        """Writes records to its topic."""
        return await write_records(self.settings.kafka, self.settings.topic, records, **options)

    async def dead(self) -> list[Record]:
        """All dead letters so far."""
        return await read_records(self.settings.kafka, self.settings.dead_letter_topic)

    async def profile(self, user_id: str) -> UserProfile | None:
        """What is stored of a user."""
        [user] = await self.store.inner.users([point_id_of(user_id)])
        return None if user is None else user.profile

    async def ratings(self, user_id: str) -> dict[str, float]:
        """A user's ratings by item id."""
        return ratings_of(await self.profile(user_id))

    async def applied(self, user_id: str, wanted: dict[str, float]) -> None:
        """Waits until a user's ratings are these."""
        await until(lambda: self.ratings(user_id), wanted, self.task)

    async def committed(self) -> dict[int, int]:
        """The group's offsets."""
        return await committed(self.settings.kafka, self.settings.group, self.settings.topic)


def ratings_of(profile: UserProfile | None) -> dict[str, float]:
    """Ratings by item id."""
    if profile is None:
        return {}
    item_ids = {index: item_id for item_id, index in INDEX.items()}
    current = profile.current
    return {
        item_ids[item]: value
        for item, value in zip(profile.items[current].tolist(), profile.values[current].tolist(), strict=True)
    }


async def until(look: Callable[[], object], wanted: object, task: asyncio.Task[None] | None = None) -> None:
    """Looks until it sees what is wanted; fails with what it saw last, or with what the task fails with."""
    seen: object = None
    try:
        async with asyncio.timeout(BOUND):
            while True:
                seen = await look()
                if seen == wanted:
                    return
                if task is not None and task.done():
                    task.result()
                await asyncio.to_thread(threading.Event().wait, 0.01)
    except TimeoutError:
        assert seen == wanted  # shows the difference


async def becomes(condition: Callable[[], bool]) -> None:
    """Waits until a condition is true."""

    async def look() -> bool:
        return await asyncio.to_thread(condition)

    await until(look, wanted=True)


@asynccontextmanager
async def consuming(settings: Settings, *, drain: bool = False) -> AsyncIterator[Consuming]:
    """Runs a consumer over a watched store, joined; leaving it stops it as a signal does."""
    membership, stop = Membership(settings.unready_after), asyncio.Event()
    async with watched_backend(settings) as (backend, store):
        current = Current(backend)
        task = asyncio.create_task(consume_events(settings, current, membership, stop, drain=drain))
        try:
            async with asyncio.timeout(BOUND):
                await membership.joined.wait()
            yield Consuming(settings, backend, store, membership, task)
        finally:
            stop.set()
            await task


def rating_consumer(member: EventConsumer, backend: Backend, letters: DeadLetters) -> RatingConsumer:
    """The loop over a member of its own."""
    return RatingConsumer(
        member,
        Current(backend),
        backend,
        dead_letters=letters,
        notifier=None,
        membership=Membership(10),
        guard=PoisonGuard(1),
    )


def settings_of(films: Place, kafka: str, **changes: object) -> Settings:
    """Settings of a test of its own."""
    options = {**films.options, "kafka": kafka, **LOCAL_SETTINGS, **fresh_names(), "poison_share": 1}
    return Settings(**(options | changes))


def line(user_id: str, item_id: str, value: float, **more: object) -> Raw:
    """A rating as JSON without any header, as kcat sends it."""
    event = {"userId": user_id, "rated": {"itemId": item_id, "value": value}, **more}
    return Raw(user_id.encode(), json.dumps(event).encode())
