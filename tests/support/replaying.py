"""What the tests of replay share: a log of their own, and looks into collections."""

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.local_broker import LOCAL_SETTINGS
from cli.runtime import running
from kindred.eventlog.client import prepare_topics
from kindred.events import now_ms
from kindred.ratings import UserProfile
from kindred.settings import Settings
from kindred.stores.port import StoredUser
from loader.log_span import Moment
from tests.support.films import INDEX
from tests.support.kafka_log import Raw, committed, write_records
from tests.support.place import Place, data_dir
from tests.support.system import BOUND, fresh_names

T0 = 1_700_000_000_000
"""When the events of these tests happened; long after what was loaded."""


@dataclass(frozen=True, slots=True)
class Log:
    """A topic with two partitions, and the settings that name it."""

    settings: Settings
    topic_id: str

    async def write(self, *events: dict[str, Any], partition: int | None = None) -> list[tuple[int, int]]:
        """Writes events in order, each with its own time; gives partition and offset of each."""
        records = [Raw(each["userId"].encode(), json.dumps(each).encode(), partition=partition) for each in events]
        return await write_records(self.settings.kafka, self.settings.topic, records)


async def log_for(place: Place, kafka: str, **more: Any) -> Log:
    """A fresh log for a place."""
    options = LOCAL_SETTINGS | {"session_timeout": 3, "partitions": 2} | fresh_names() | more
    settings = place.settings(kafka=kafka, port=0, recount_interval=86_400, **options)
    return Log(settings, await asyncio.to_thread(prepare_topics, settings.broker()))


def event(user: str, at: int = 0, **kind: Any) -> dict[str, Any]:
    """An event some seconds after T0."""
    seconds = T0 // 1000 + at
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    return {"userId": user, "occurredAt": stamp, **kind}


def rated(user: str, film: str, value: float, at: int = 0) -> dict[str, Any]:
    """A rating."""
    return event(user, at, rated={"itemId": film, "value": value})


async def users_of(place: Place) -> dict[str, StoredUser]:
    """Everybody in a collection, by id."""
    store = await place.open()
    try:
        return {user.user_id: user async for page in store.scan_users(100) for user in page}
    finally:
        await store.close()


async def generation_of(place: Place) -> str:
    """The current generation."""
    store = await place.open()
    await store.close()
    return store.generation


async def built_at(place: Place) -> list[str]:
    """What there is of collections, current, being built or left over."""
    if "data_dir" in place.options:
        return sorted(each.name for each in (place.options["data_dir"] / "generations").iterdir())
    store = await place.open()
    client = store._server.client()  # to see all
    try:
        names = [each.name for each in client.get_collections().collections]
    finally:
        client.close()
        await store.close()
    return sorted(name for name in names if name.startswith(f"{place.options['collection']}_"))


def ratings_in(profile: UserProfile) -> dict[str, float]:
    """By item id the value of what is rated now."""
    ids = {index: film for film, index in INDEX.items()}
    pairs = zip(profile.items[profile.current].tolist(), profile.values[profile.current].tolist(), strict=True)
    return {ids[item]: value for item, value in pairs}


def elsewhere(place: Place, tmp_path: Path) -> Place:
    """Another place in the same kind of store."""
    if "data_dir" in place.options:
        return data_dir(tmp_path / "elsewhere")
    return Place(place.options | {"collection": f"{place.options['collection']}-past"})


async def consume(log: Log, records: int) -> None:
    """Runs a consumer until it has committed so many records."""
    async with running(log.settings, serve=False, consume=True), asyncio.timeout(BOUND):
        while sum((await committed(log.settings.kafka, log.settings.group, log.settings.topic)).values()) < records:
            pass


async def between() -> Moment:
    """A time after everything that was written, and before everything that will be."""
    moment = Moment(now_ms() + 1)
    while now_ms() <= moment.at:
        pass
    return moment
