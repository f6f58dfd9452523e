import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from itertools import count

import pytest
import pytest_asyncio

from consumers.app import consume_events
from consumers.dead_letters import DeadLetters
from consumers.membership import Membership
from kindred.backend import Current
from kindred.errors import UnavailableError
from kindred.eventlog.client import prepare_topics
from kindred.eventlog.consumer import EventConsumer
from kindred.eventlog.producer import EventProducer
from kindred.events import now_ms, to_message
from kindred.stores.port import point_id_of
from kindred.v1 import rating_event_pb2 as pb
from kindred.v1.reaction_pb2 import REACTION_LIKE
from tests.support.consuming import Consuming, consuming, line, rating_consumer, ratings_of, settings_of, until
from tests.support.films import FILMS, SPACE
from tests.support.kafka_log import Raw, committed, write_records
from tests.support.place import Place
from tests.support.system import BOUND
from tests.support.watched_store import watched_backend

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(90),
]

_numbers = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def consumer(kafka: str, films: Place) -> AsyncIterator[Consuming]:
    """A consumer that has joined, shared by the tests that do not stop it."""
    async with consuming(settings_of(films, kafka)) as running:
        yield running


@pytest.fixture
def user() -> str:
    """A user whom no other test knows."""
    return f"user-{next(_numbers)}"


def packed(user_id: str, **kind: object) -> Raw:
    """An event as Kindred itself writes it."""
    event = pb.RatingEvent(user_id=user_id, **kind)
    event.occurred_at.FromMilliseconds(now_ms())
    message = to_message(event, "test")
    return Raw(message.key, message.value, [*message.headers])


class TestEvents:
    async def test_json_lines_are_applied(self, consumer: Consuming, user: str) -> None:
        """What kcat sends, a bare JSON line, is a rating at the record's own time."""
        await consumer.write(line(user, "50", 5), line(user, "imdb:tt0080684", 2.5))
        await consumer.applied(user, {"50": 5.0, "172": 2.5})
        profile = await consumer.profile(user)
        assert profile is not None
        assert abs(int(profile.rated_at.max()) - now_ms()) < 60_000

    async def test_every_kind_of_protobuf_event_is_applied(self, consumer: Consuming, user: str) -> None:
        """Ratings, reactions, retractions, attributes and forgetting are applied in the order of the log."""
        await consumer.write(
            packed(user, rated=pb.Rated(item_id="50", value=1)),
            packed(user, attributes_set=pb.AttributesSet(attributes={"age": {"number_value": 4}})),
            packed(user, forgotten=pb.Forgotten()),
        )
        await until(lambda: _forgotten(consumer, user), wanted=True, task=consumer.task)
        later = now_ms() + 10_000
        ratings = [line(user, film, 4, occurredAt=_iso(later + place)) for place, film in enumerate(SPACE[:2])]
        like = pb.RatingEvent(user_id=user, rated=pb.Rated(item_id="amélie", reaction=REACTION_LIKE))
        like.occurred_at.FromMilliseconds(later)
        gone = pb.RatingEvent(user_id=user, retracted=pb.Retracted(item_id=SPACE[0]))
        gone.occurred_at.FromMilliseconds(later + 100)
        await consumer.write(*ratings, *(Raw(user.encode(), event.SerializeToString()) for event in (like, gone)))
        await consumer.applied(user, {SPACE[1]: 4.0, "amélie": 5.0})

    @pytest.mark.parametrize("compression", [None, "gzip", "lz4", "snappy", "zstd"])
    async def test_records_of_every_compression_are_applied(
        self, consumer: Consuming, user: str, compression: str | None
    ) -> None:
        """Whatever codec a producer uses, its events are applied."""
        await consumer.write(*(line(user, film, 4) for film in SPACE), compression_type=compression, linger_ms=50)
        await consumer.applied(user, dict.fromkeys(SPACE, 4.0))

    async def test_a_thousand_events_of_one_user_are_few_writes(self, consumer: Consuming, user: str) -> None:
        """Events of one user that arrive together are written together."""
        consumer.store.calls.clear()
        films = [film.item_id for film in FILMS]
        await consumer.write(
            *(line(user, films[number % 12], 0.5 + number % 10 / 2) for number in range(1_000)), linger_ms=50
        )
        await consumer.applied(user, {films[number % 12]: 0.5 + number % 10 / 2 for number in range(988, 1_000)})
        assert consumer.store.calls["write_users"] < 50

    async def test_users_in_every_partition_are_applied(self, consumer: Consuming, user: str) -> None:
        """One consumer reads all partitions."""
        places = await consumer.write(*(line(f"{user}-{number}", "50", 4) for number in range(40)))
        assert {partition for partition, _ in places} == set(range(6))
        for number in range(40):
            await consumer.applied(f"{user}-{number}", {"50": 4.0})


async def _forgotten(consumer: Consuming, user: str) -> bool:
    profile = await consumer.profile(user)
    return profile is not None and profile.forgotten_at is not None and not profile.items.size


def _iso(milliseconds: int) -> str:
    event = pb.RatingEvent()
    event.occurred_at.FromMilliseconds(milliseconds)
    return event.occurred_at.ToJsonString()


async def _offset(consumer: Consuming, partition: int) -> int | None:
    return (await consumer.committed()).get(partition)


class TestFailures:
    @pytest.mark.parametrize("method", ["users", "write_users"])
    async def test_while_the_store_is_away_nothing_is_lost_or_skipped(
        self, consumer: Consuming, user: str, method: str
    ) -> None:
        """A batch is tried again until the store is back; nothing is committed before it is applied."""
        consumer.store.away(method)
        consumer.store.reached.clear()
        [(partition, offset), _] = await consumer.write(line(user, "50", 4), Raw(user.encode(), b"poison"))
        async with asyncio.timeout(BOUND):
            await consumer.store.until(method, consumer.store.calls[method] + 3)
        assert (await _offset(consumer, partition) or 0) <= offset
        assert await consumer.ratings(user) == {}
        consumer.store.back()
        await consumer.applied(user, {"50": 4.0})
        await until(lambda: _offset(consumer, partition), offset + 2, consumer.task)
        assert len([each for each in await consumer.dead() if each.key == user.encode()]) == 1

    async def test_an_unexpected_error_of_the_store_does_not_skip(
        self, own_films: Place, kafka: str, user: str
    ) -> None:
        """A defect stops the consumer, loudly, and leaves its batch to the next one: nothing is committed."""
        settings = settings_of(own_films, kafka, session_timeout=2)

        async def consume() -> None:
            async with consuming(settings) as running:
                running.store.failing["write_users"] = ZeroDivisionError("a defect")
                await running.write(line(user, "50", 4))
                async with asyncio.timeout(BOUND):
                    await asyncio.wait([running.task])

        with pytest.raises(ZeroDivisionError):
            await consume()
        assert await committed(kafka, settings.group, settings.topic) == {}


class TestCommit:
    @pytest.mark.parametrize("fails", ["commit", "dead letters"])
    async def test_a_crash_before_the_commit_changes_nothing(
        self, own_films: Place, kafka: str, user: str, fails: str
    ) -> None:
        """A batch that was applied and not committed is read again by the next consumer, to the same effect."""
        settings = settings_of(own_films, kafka, session_timeout=2)
        records = [*(line(user, film, 4) for film in SPACE), Raw(user.encode(), b"poison"), line(user, "50", 1)]
        wanted = {**dict.fromkeys(SPACE, 4.0), "50": 1.0}
        await asyncio.to_thread(prepare_topics, settings.broker())
        await write_records(kafka, settings.topic, records)
        producer = EventProducer(settings.broker())
        async with watched_backend(settings) as (backend, store):
            member = EventConsumer(
                settings.broker(),
                settings.group,
                session_timeout=settings.session_timeout,
                max_records=100,
                fetch_wait=settings.fetch_wait,
            )
            crashing = _Crashing(member) if fails == "commit" else member
            letters = DeadLetters(
                _CrashingProducer() if fails == "dead letters" else producer, settings.dead_letter_topic, 10
            )
            async with member:
                loop = rating_consumer(crashing, backend, letters)
                with pytest.raises(_CrashError):
                    await loop.run(asyncio.Event())
            [stored] = await store.users([point_id_of(user)])
            assert stored is not None
            assert ratings_of(stored.profile) == wanted
        assert await committed(kafka, settings.group, settings.topic) == {}
        async with consuming(settings) as running:
            await until(lambda: _total(running), len(records), running.task)
            [again] = await running.store.users([point_id_of(user)])
            assert again is not None
            assert (again.profile, again.revision, again.source) == (stored.profile, stored.revision, stored.source)
            assert len(await running.dead()) == (2 if fails == "commit" else 1)
        await producer.close()


async def _total(running: Consuming) -> int:
    return sum((await running.committed()).values())


class _CrashError(Exception):
    """The process is gone."""


class _CrashingProducer:
    async def send(self, *args: object) -> None:
        """Crashes."""
        raise _CrashError


class _Crashing:
    """A member that crashes where it would commit."""

    def __init__(self, member: EventConsumer) -> None:
        self._member = member

    def __getattr__(self, name: str) -> object:
        return getattr(self._member, name)

    async def commit(self, records: object) -> bool:
        """Crashes."""
        raise _CrashError


class TestStop:
    async def test_what_was_acknowledged_right_before_is_applied(self, own_films: Place, kafka: str, user: str) -> None:
        """With draining, everything that the broker had when the stop came is in the store when the consumer is."""
        async with consuming(settings_of(own_films, kafka, session_timeout=2, batch_size=50), drain=True) as running:
            store = running.store
            users = [f"{user}-{number}" for number in range(200)]
            await running.write(*(line(name, film, 4) for name in users for film in SPACE[:5]), linger_ms=50)
            inner = store.inner
            store.close = _nothing
        stored = await inner.users([point_id_of(name) for name in users])
        assert [ratings_of(each and each.profile) for each in stored] == [dict.fromkeys(SPACE[:5], 4.0)] * 200
        await inner.close()

    async def test_what_was_acknowledged_before_the_group_was_joined_is_applied(
        self, own_films: Place, kafka: str, user: str
    ) -> None:
        """A system that is told to stop while it still joins its group applies what it acknowledged all the same."""
        settings = settings_of(own_films, kafka, session_timeout=2)
        await asyncio.to_thread(prepare_topics, settings.broker())
        await write_records(kafka, settings.topic, [line(user, "50", 4)])
        producer = EventProducer(settings.broker())
        membership, stop = Membership(10), asyncio.Event()
        async with watched_backend(settings) as (backend, store):
            stop_soon = asyncio.get_running_loop().call_later(0.3, stop.set)
            await consume_events(settings, Current(backend), membership, stop, drain=True)
            stop_soon.cancel()
            [stored] = await store.users([point_id_of(user)])
            assert ratings_of(stored and stored.profile) == {"50": 4.0}
        await producer.close()

    @pytest.mark.parametrize("batches", [(1, 10), (3, 10, 10), (20,)])
    async def test_draining_reads_to_the_very_end(
        self, own_films: Place, kafka: str, user: str, batches: tuple[int, ...]
    ) -> None:
        """Draining ends when every record is applied, however many came together, and not much later."""
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=1)
        users = [f"{user}-{number}" for number in range(sum(batches))]
        await asyncio.to_thread(prepare_topics, settings.broker())
        start = 0
        for size in batches:
            own = users[start : start + size]
            await write_records(kafka, settings.topic, [line(name, "50", 4) for name in own], linger_ms=200)
            start += size
        producer = EventProducer(settings.broker())
        member = EventConsumer(
            settings.broker(), settings.group, session_timeout=2, max_records=2, fetch_wait=settings.fetch_wait
        )
        loop = asyncio.get_running_loop()
        async with watched_backend(settings) as (backend, store), member:
            letters = DeadLetters(producer, settings.dead_letter_topic, 10)
            draining = rating_consumer(member, backend, letters)
            begun = loop.time()
            assert await draining.drain(20) == 0
            assert loop.time() - begun < 10
            stored = await store.users([point_id_of(name) for name in users])
            assert all(stored)
        await producer.close()

    async def test_a_batch_that_fails_while_draining_comes_before_the_next(
        self, own_films: Place, kafka: str, user: str
    ) -> None:
        """While draining, a batch that the store did not take is tried again before another partition is read."""
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=2)
        await asyncio.to_thread(prepare_topics, settings.broker())
        records = [line(f"{user}-{number}", "50", 4) for number in range(12)]
        assert len({partition for partition, _ in await write_records(kafka, settings.topic, records)}) == 2
        member = EventConsumer(
            settings.broker(), settings.group, session_timeout=2, max_records=1, fetch_wait=settings.fetch_wait
        )
        producer = EventProducer(settings.broker())
        async with watched_backend(settings) as (backend, store), member:

            async def away_every_other_time(_: object) -> None:
                store.before_write = back_next_time
                raise UnavailableError("store", "away for a moment")

            async def back_next_time(_: object) -> None:
                store.before_write = away_every_other_time

            store.before_write = away_every_other_time
            draining = rating_consumer(member, backend, DeadLetters(producer, settings.dead_letter_topic, 10))
            assert await draining.drain(20) == 0
            stored = await store.users([point_id_of(f"{user}-{number}") for number in range(12)])
            assert all(stored)
        await producer.close()

    async def test_without_draining_it_stops_at_once(self, own_films: Place, kafka: str, user: str) -> None:
        """A consumer of a log that outlives it stops after the batch under way; the rest is read by the next one."""
        settings = settings_of(own_films, kafka, session_timeout=2, batch_size=1)
        users = [f"{user}-{number}" for number in range(300)]
        async with consuming(settings) as running:
            await running.write(*(line(name, "50", 4) for name in users), linger_ms=50)
            async with asyncio.timeout(BOUND):
                await running.store.until("write_users", 1)
        assert sum((await committed(kafka, settings.group, settings.topic)).values()) < 300
        async with consuming(settings) as running:
            await until(lambda: _total(running), 300, running.task)
            stored: Sequence[object] = await running.store.users([point_id_of(name) for name in users])
            assert all(stored)


async def _nothing() -> None:
    """Does nothing."""


class TestOddTopics:
    async def test_another_number_of_partitions_is_fine(self, own_films: Place, kafka: str, user: str) -> None:
        """A topic that somebody made with other partitions is read whole."""
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=17)
        await asyncio.to_thread(prepare_topics, settings.broker())
        async with consuming(settings.model_copy(update={"partitions": 3})) as running:
            places = await running.write(*(line(f"{user}-{number}", "50", 4) for number in range(100)))
            assert len({partition for partition, _ in places}) > 6
            for number in range(100):
                await running.applied(f"{user}-{number}", {"50": 4.0})

    async def test_a_broker_that_is_away_is_waited_for(self, own_films: Place, kafka: str) -> None:
        """A consumer whose broker is not there tries again, and stops at once when it is told to."""
        settings = settings_of(own_films, "127.0.0.1:1", kafka_timeout=0.5)
        producer = EventProducer(settings.broker())
        membership, stop = Membership(10), asyncio.Event()
        async with watched_backend(settings) as (backend, _):
            task = asyncio.create_task(consume_events(settings, Current(backend), membership, stop, drain=True))
            with pytest.raises(UnavailableError):
                await producer.connect()
            stop.set()
            async with asyncio.timeout(5):
                await task
            assert not membership.joined.is_set()
        await producer.close()
        gc.collect()
