"""Waiting for what another process applies: notices through the log, and no looking in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from cli.local_broker import LOCAL_SETTINGS
from kindred.eventlog.broker import Broker, Message
from kindred.eventlog.client import prepare_applied_topic
from kindred.eventlog.producer import EventProducer
from kindred.freshness import Freshness, FreshnessToken
from kindred.notices import Notifier, listen
from kindred.ratings import Rated
from kindred.settings import Settings
from kindred.stores.port import LogPosition
from kindred.telemetry import NOTICES
from kindred.updater import ProfileUpdater, UserEvent
from tests.support.edge import EdgeBackend
from tests.support.kafka_log import read_records
from tests.support.stores import build
from tests.support.system import BOUND, fresh_names
from tests.support.watched_store import WatchedStore

pytestmark = pytest.mark.timeout(60)

NEVER = 3_600.0
"""Seconds between looks that nothing was announced for: only a notice wakes who waits."""
FETCH_WAIT: float = LOCAL_SETTINGS["fetch_wait"]


@pytest.fixture
def broker(kafka: str) -> Broker:
    """Topics of this test's own."""
    settings = Settings(kafka=kafka, qdrant_url="http://127.0.0.1:1", partitions=1, **fresh_names())
    return settings.broker()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[WatchedStore]:
    """A store that other processes write, too."""
    backend = EdgeBackend(tmp_path / "data")
    build(backend, [])
    store = WatchedStore(await backend.open())
    store.shared = True
    yield store
    await store.close()


@asynccontextmanager
async def listening(broker: Broker, freshness: Freshness) -> AsyncIterator[None]:
    """A server's task."""
    task = asyncio.create_task(listen(broker, freshness, FETCH_WAIT))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def notifying(broker: Broker) -> AsyncIterator[Notifier]:
    """A consumer's notifier."""
    producer = EventProducer(broker)
    notifier = Notifier(producer, broker.applied_topic, 10)
    try:
        yield notifier
    finally:
        await notifier.close()
        await producer.close()


async def apply(store: WatchedStore, user: str, offset: int) -> None:
    """What another process's consumer does."""
    updater = ProfileUpdater(store.inner, lambda _: None)
    await updater.apply([UserEvent(user, Rated(offset, 4.0, offset), LogPosition("topic", 0, offset))])


def heard() -> float:
    """How many notices were heard so far."""
    return NOTICES.labels("heard")._value.get()


async def test_a_notice_wakes_who_waits(broker: Broker, store: WatchedStore) -> None:
    """Who waits for another process's write is woken by its notice; the store is asked twice, not again and again."""
    freshness = Freshness(store, NEVER)
    async with listening(broker, freshness), notifying(broker) as notifier:
        before = heard()
        async with asyncio.timeout(BOUND):
            while heard() == before:  # the server listens from its own beginning on
                notifier.tell(["somebody"])
                await asyncio.sleep(0.05)
        token = FreshnessToken("ann", LogPosition("topic", 0, 5))
        calls = store.calls["users"]
        waiting = asyncio.create_task(freshness.wait(token, BOUND))
        await store.until("users", calls + 1)
        await apply(store, "ann", 5)
        notifier.tell(["ann"])
        assert await waiting
        assert store.calls["users"] == calls + 2


async def test_what_was_missed_is_made_up_for_when_it_listens_again(broker: Broker, store: WatchedStore) -> None:
    """A server that begins to listen looks at everybody who waits: their notices may have gone before."""
    freshness = Freshness(store, NEVER)
    waiting = asyncio.create_task(freshness.wait(FreshnessToken("ann", LogPosition("topic", 0, 5)), BOUND))
    await store.until("users", 1)
    await apply(store, "ann", 5)
    async with listening(broker, freshness):
        assert await waiting


async def test_notices_of_a_burst_are_few(broker: Broker) -> None:
    """What comes while a notice is under way goes into the next one; every user is told."""
    await asyncio.to_thread(prepare_applied_topic, broker)
    async with notifying(broker) as notifier:
        for number in range(3_000):
            notifier.tell([f"user-{number}", "often"])
    records = await read_records(broker.bootstrap, broker.applied_topic)
    assert 1 <= len(records) <= 4
    assert b"user-2999" in records[-1].value + records[-2].value


async def test_what_is_no_notice_harms_nobody(broker: Broker, store: WatchedStore) -> None:
    """Bytes of somebody else's in the topic are counted and passed over."""
    freshness = Freshness(store, NEVER)
    unreadable = NOTICES.labels("unreadable")._value.get()
    async with listening(broker, freshness), notifying(broker) as notifier:
        producer = EventProducer(broker)
        async with asyncio.timeout(BOUND):
            while NOTICES.labels("unreadable")._value.get() == unreadable:
                await producer.send(broker.applied_topic, [Message(None, b"\xff\xff", ())], 10)
                await asyncio.sleep(0.05)
            before = heard()
            while heard() == before:
                notifier.tell(["ann"])
                await asyncio.sleep(0.05)
        await producer.close()


async def test_a_broker_that_is_away_stops_nobody(store: WatchedStore) -> None:
    """Without a broker a consumer's notices are lost, which is counted, and a server waits for it."""
    broker = Broker("127.0.0.1:1", applied_topic="applied", timeout=0.3)
    lost = NOTICES.labels("lost")._value.get()
    async with listening(broker, Freshness(store, NEVER)):
        async with notifying(broker) as notifier:
            notifier.tell(["ann"])
        assert NOTICES.labels("lost")._value.get() == lost + 1
