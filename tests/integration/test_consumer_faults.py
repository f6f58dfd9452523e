"""What may happen to a consumer between two steps of its loop: it keeps its promise, on a real broker."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.structs import TopicPartition

from cli.local_broker import LOCAL_SETTINGS
from cli.runtime import running
from consumers.app import consume_events
from consumers.membership import Membership
from kindred.backend import Backend, Current
from kindred.catalog import Catalog
from kindred.eventlog.consumer import EventConsumer
from kindred.freshness import FreshnessToken
from kindred.ratings import UserProfile
from kindred.settings import Settings
from kindred.stores.port import LogPosition, UserWrite, point_id_of
from kindred.telemetry import PARTITION_MOVES
from kindred.v1 import catalog_service_pb2 as catalog
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as recommendation
from tests.support.consuming import Consuming, becomes, consuming, line, settings_of, until
from tests.support.films import INDEX, SPACE
from tests.support.kafka_log import BrokenName, Raw, committed, read_records, write_records
from tests.support.place import Place
from tests.support.processes import free_port, process
from tests.support.services import Services
from tests.support.system import BOUND, connected, failure_of, fresh_names

pytestmark = pytest.mark.timeout(90)

USERS = [f"user-{number}" for number in range(60)]


@asynccontextmanager
async def another(first: Consuming, **changes: object) -> AsyncIterator[Membership]:
    """Another member of the group, over the store itself and not through the watched one."""
    settings = first.settings.model_copy(update=changes)
    store = first.store.inner
    backend = Backend.over(store, Catalog(await store.items()), settings)
    membership, stop = Membership(settings.unready_after), asyncio.Event()
    task = asyncio.create_task(consume_events(settings, Current(backend), membership, stop, drain=False))
    try:
        async with asyncio.timeout(BOUND):
            await membership.joined.wait()
        yield membership
    finally:
        stop.set()
        await task


async def all_committed(settings: Settings, records: int) -> None:
    """Waits until the group has committed so many records."""

    async def total() -> int:
        return sum((await committed(settings.kafka, settings.group, settings.topic)).values())

    await until(total, records)


def moves(how: str) -> float:
    """How many partitions have come and gone so far, in this process."""
    return PARTITION_MOVES.labels(how)._value.get()


class TestZombies:
    async def test_a_member_that_took_too_long_harms_nobody(self, own_films: Place, kafka: str) -> None:
        """Its partitions go to another member; when it goes on, its conditional writes fail, and nothing is undone."""
        settings = settings_of(own_films, kafka, session_timeout=3, poll_interval=1.5, partitions=4)
        lost = moves("lost")
        async with consuming(settings) as slow:
            woken, writing = asyncio.Event(), asyncio.Event()

            async def sleep(_: list[UserWrite]) -> None:
                writing.set()
                await woken.wait()

            slow.store.before_write = sleep
            await slow.write(*(line(user, "50", 4) for user in USERS))
            async with asyncio.timeout(BOUND):
                await writing.wait()
            async with another(slow, poll_interval=300):
                # Later events of the same users, so that what the sleeper is about to write is old.
                await slow.write(*(line(user, "50", 2) for user in USERS))
                await all_committed(settings, 2 * len(USERS))
                before = [await slow.profile(user) for user in USERS]
                woken.set()
                slow.store.before_write = None
                # It has gone on once it is in the group again, and has its share.
                await becomes(lambda: moves("lost") > lost and slow.membership.ready)
                await all_committed(settings, 2 * len(USERS))
                after = [await slow.profile(user) for user in USERS]
        assert [ratings(profile) for profile in after] == [{INDEX["50"]: 2.0}] * len(USERS)
        assert before == after

    async def test_what_it_had_read_does_not_come_back_after_forgetting(self, own_films: Place, kafka: str) -> None:
        """A sleeper that wakes with a rating in hand does not bring back a user whom another member has forgotten."""
        settings = settings_of(own_films, kafka, session_timeout=3, poll_interval=1.5, partitions=1)
        async with consuming(settings) as slow:
            woken, writing = asyncio.Event(), asyncio.Event()

            async def sleep(_: list[UserWrite]) -> None:
                writing.set()
                await woken.wait()

            slow.store.before_write = sleep
            await slow.write(line("ghost", "50", 4))
            async with asyncio.timeout(BOUND):
                await writing.wait()
            async with another(slow, poll_interval=300):
                await slow.write(Raw(b"ghost", json.dumps({"userId": "ghost", "forgotten": {}}).encode()))
                await all_committed(settings, 2)
                slow.store.before_write = None
                woken.set()
                await slow.store.until("write_users", 1)
                await all_committed(settings, 2)
                profile = await slow.profile("ghost")
        assert profile is not None
        assert ratings(profile) == {}
        assert profile.forgotten_at is not None


def ratings(profile: UserProfile | None) -> dict[int, float]:
    """Ratings by item index."""
    assert profile is not None
    current = profile.current
    return dict(zip(profile.items[current].tolist(), profile.values[current].tolist(), strict=True))


class TestRebalance:
    async def test_partitions_that_go_in_mid_batch_are_read_by_their_next_owner(
        self, own_films: Place, kafka: str
    ) -> None:
        """While a member cannot write its batch another one joins: each commits its own, and nothing is missing."""
        settings = settings_of(own_films, kafka, session_timeout=3, partitions=6)
        async with consuming(settings) as first:
            first.store.away("write_users")
            await first.write(*(line(user, "50", 4) for user in USERS))
            async with asyncio.timeout(BOUND):
                await first.store.reached.wait()
            async with another(first) as second:
                members = [first.membership.member, second.member]
                await becomes(lambda: _share(members))
                theirs, mine = second.member.partitions, first.membership.member.partitions
                await until(lambda: _count_of(settings, theirs), await _held(settings, theirs))
                assert await _count_of(settings, mine) == 0
                first.store.back()
                await all_committed(settings, len(USERS))
                stored = [await first.profile(user) for user in USERS]
        assert [ratings(profile) for profile in stored] == [{INDEX["50"]: 4.0}] * len(USERS)

    async def test_a_store_that_is_away_for_long_costs_no_membership(self, own_films: Place, kafka: str) -> None:
        """Longer than the group waits for a poll the store is away; the member stays, is not ready, and ready again."""
        settings = settings_of(own_films, kafka, session_timeout=3, poll_interval=2, unready_after=1)
        lost, revoked = moves("lost"), moves("revoked")
        async with consuming(settings) as running_:
            assert running_.membership.ready
            running_.store.away("users")
            loop = asyncio.get_running_loop()
            await running_.write(line("patient", "50", 4))
            async with asyncio.timeout(BOUND):
                await running_.store.reached.wait()
            await becomes(lambda: not running_.membership.ready)
            assert running_.membership.oldest_unapplied > 0
            begun = loop.time()
            calls = running_.store.calls["users"]
            while loop.time() - begun < 5:  # more than twice the poll interval
                await running_.store.until("users", (calls := calls + 1))
            assert not running_.membership.ready
            running_.store.back()
            await running_.applied("patient", {"50": 4.0})
            await becomes(lambda: running_.membership.ready)
            assert running_.membership.oldest_unapplied == 0
            assert (moves("lost"), moves("revoked")) == (lost, revoked)


def _share(members: list[EventConsumer]) -> bool:
    """Whether two members have partitions, and none of them in common."""
    one, other = (member.partitions for member in members)
    return bool(one and other and not one & other)


async def _count_of(settings: Settings, partitions: frozenset[int]) -> int:
    offsets = await committed(settings.kafka, settings.group, settings.topic)
    return sum(offset for partition, offset in offsets.items() if partition in partitions)


async def _held(settings: Settings, partitions: frozenset[int]) -> int:
    records = await read_records(settings.kafka, settings.topic)
    return sum(record.partition in partitions for record in records)


async def _stopped(settings: Settings, writes: list[list[Raw]]) -> None:
    """Runs a consumer until it stops by itself; it does not end before it is told to."""
    async with consuming(settings) as running_:
        for records in writes:
            await running_.write(*records, linger_ms=100)
            if running_.membership.stopped:
                break
        await becomes(lambda: running_.membership.stopped)
        assert not running_.membership.ready
        assert not running_.task.done()


class TestPoisonedLog:
    async def test_a_wrong_topic_stops_the_consumer(self, own_films: Place, kafka: str) -> None:
        """When most events are unusable it stops; nothing of them is committed or a dead letter, restarts or not."""
        settings = settings_of(own_films, kafka, session_timeout=2, poison_share=0.5, partitions=1)
        bad = [Raw(b"u", b"poison %d" % number) for number in range(150)]
        await _stopped(settings, [bad])
        for _ in range(2):
            await _stopped(settings, [])
        assert await read_records(kafka, settings.dead_letter_topic) == []
        assert await committed(kafka, settings.group, settings.topic) == {}
        # Told to, it makes dead letters of them all.
        async with consuming(settings.model_copy(update={"poison_share": 1.0})) as running_:
            await running_.write(line("u", "50", 4))
            await running_.applied("u", {"50": 4.0})
            await all_committed(settings, 151)
            assert len(await running_.dead()) == 150

    async def test_a_trickle_of_poison_counts_over_batches(self, own_films: Place, kafka: str) -> None:
        """Batches of few events add up: a producer gone wrong is found however slowly it writes."""
        settings = settings_of(own_films, kafka, session_timeout=2, poison_share=0.5, partitions=1, batch_size=7)
        good = [line("u", "50", 4)]
        await _stopped(settings, [good, *[[Raw(b"u", b"poison")] * 7] * 30])
        assert 50 <= sum((await committed(kafka, settings.group, settings.topic)).values()) < 110

    async def test_some_poison_among_good_events_stops_nobody(self, own_films: Place, kafka: str) -> None:
        """As long as most events are good, the bad ones become dead letters and the consumer goes on."""
        settings = settings_of(own_films, kafka, session_timeout=2, poison_share=0.5, partitions=1)
        mixed = [Raw(b"u", b"poison") if number % 5 < 2 else line("u", "50", 4) for number in range(300)]
        async with consuming(settings) as running_:
            await running_.write(*mixed, linger_ms=100)
            await all_committed(settings, 300)
            assert len(await running_.dead()) == 120

    async def test_a_server_beside_it_goes_on(self, own_films_dir: object, kafka: str) -> None:
        """In one process with a server, the server answers on; `/ready` says that the consumer has stopped."""
        port = free_port()
        options = {"data_dir": own_films_dir, "kafka": kafka, "port": 0, "metrics_port": port}
        settings = Settings(**(options | LOCAL_SETTINGS | {"session_timeout": 2} | fresh_names()))
        async with running(settings, serve=True, consume=True) as parts, connected(parts.address) as client:
            await becomes(lambda: ready(port) == 200)
            await write_records(kafka, settings.topic, [Raw(b"u", b"poison")] * 120, linger_ms=100)
            await becomes(lambda: ready(port) == 503)
            answer = await client.recommendations.Recommend(recommendation.RecommendRequest(user_id="7"), timeout=BOUND)
            assert answer.personalized_count

    async def test_the_command_says_why_and_stays(self, own_films_dir: object, kafka: str) -> None:
        """`kindred consume` is alive and not ready, so that nothing restarts it; its log says why and what to do."""
        names, port = fresh_names(), free_port()
        options = {**LOCAL_SETTINGS, "session_timeout": 2, "kafka": kafka, "data_dir": own_films_dir, **names}
        with process("consume", "--metrics-port", port, **Place(options).environment) as consumer:
            await becomes(lambda: _answers(port, 200))
            await write_records(kafka, names["topic"], [Raw(b"u", b"poison")] * 120, linger_ms=100)
            await becomes(lambda: _answers(port, 503))
            assert consumer.poll() is None
            consumer.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(consumer.wait, BOUND) == 0
            _, errors = consumer.communicate()
        [why] = [each for each in errors.splitlines() if "the consumer has stopped" in each]
        assert "KINDRED_POISON_SHARE=1" in why


def _answers(port: int, code: int) -> bool:
    try:
        return ready(port) == code
    except OSError:
        return False


def ready(port: int) -> int:
    """What `/ready` answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/ready", timeout=BOUND) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


class TestUnknownItems:
    async def test_they_are_added_if_a_setting_says_so(self, own_films: Place, kafka: str) -> None:
        """With `accept`, a rating of an item that the catalog lacks adds it; before it was a dead letter."""
        settings = settings_of(own_films, kafka, session_timeout=2)
        async with consuming(settings) as running_:
            await running_.write(line("early", "brand-new", 5))
            await all_committed(settings, 1)
            assert [each.header("kindred-reason") for each in await running_.dead()] == [b"unknown_item"]
        async with consuming(settings.model_copy(update={"unknown_items": "accept"})) as running_:
            await running_.write(
                *(line(f"fan-{number}", "brand-new", 5) for number in range(20)),
                Raw(b"shy", b'{"userId":"shy","retracted":{"itemId":"another"}}'),
            )
            await all_committed(settings, 22)
            assert len(await running_.dead()) == 1
            row = running_.backend.catalog.row_of("brand-new")
            assert row is not None
            entry = running_.backend.catalog.entry(row)
            for number in range(20):
                assert ratings(await running_.profile(f"fan-{number}")) == {entry.index: 5.0}
            assert running_.backend.catalog.row_of("another") is not None

    async def test_two_members_add_the_same_item_once(self, qdrant_films: Place, kafka: str) -> None:
        """Members that meet the same new items at the same time agree on their indexes; metadata given before stay."""
        settings = settings_of(qdrant_films, kafka, session_timeout=3, unknown_items="accept", port=0, partitions=6)
        async with (
            running(settings, serve=True, consume=True) as one,
            running(settings, serve=True, consume=True) as other,
            connected(one.address) as client,
            connected(other.address) as reader,
        ):
            async with asyncio.timeout(BOUND):
                await one.joined.wait()
                await other.joined.wait()
            named = catalog.UpsertItemsRequest()
            named.items.add(item_id="item-0", title="Known before")
            await client.catalog.UpsertItems(named, timeout=BOUND)
            tokens = {}
            for number in range(30):
                request = rating.RecordRatingsRequest(user_id=f"new-{number}")
                for item in range(3):
                    request.ratings.add(item_id=f"item-{item}", value=4)
                tokens[request.user_id] = (await client.ratings.RecordRatings(request, timeout=BOUND)).freshness_token
            for user, token in tokens.items():
                request = rating.ListRatingsRequest(user_id=user, at_least_as_fresh=token)
                response = await reader.ratings.ListRatings(request, timeout=BOUND)
                assert sorted(each.item.item_id for each in response.ratings) == ["item-0", "item-1", "item-2"]
            item = await reader.catalog.GetItem(catalog.GetItemRequest(item_id="item-0"), timeout=BOUND)
            assert item.item.title == "Known before"


class TestTopicMadeAnew:
    async def test_the_new_topic_is_read_and_old_tokens_are_refused(self, own_films: Place, kafka: str) -> None:
        """A topic that is deleted and made again is read from its beginning; an old one's token is a clear error."""
        settings = settings_of(own_films, kafka, session_timeout=3, port=0, partitions=1)
        async with running(settings, serve=True, consume=True) as parts, connected(parts.address) as client:
            async with asyncio.timeout(BOUND):
                await parts.joined.wait()
            request = rating.RecordRatingsRequest(user_id="first")
            for film in SPACE[:3]:
                request.ratings.add(item_id=film, value=5)
            old = (await client.ratings.RecordRatings(request, timeout=BOUND)).freshness_token
            await fresh(client, "first", old)
            topic_id = FreshnessToken.decode(old, "token").position.topic_id
            missing = FreshnessToken("first", LogPosition(topic_id, 0, 1_000_000)).encode()
            await asyncio.to_thread(make_anew, kafka, settings.topic)
            failure = await failure_of(fresh(client, "first", missing))
            assert failure.reason == "TOPIC_MADE_ANEW"
            assert "record again" in failure.message
            # What the store has of the old topic it still has.
            assert (await fresh(client, "first", old)).as_of.stored_ratings == 3
            async with asyncio.timeout(BOUND):
                new = old
                while FreshnessToken.decode(new, "token").position.topic_id == topic_id:
                    request = rating.RecordRatingsRequest(user_id="second")
                    request.ratings.add(item_id=SPACE[0], value=5)
                    new = (await client.ratings.RecordRatings(request, timeout=BOUND)).freshness_token
            assert (await fresh(client, "second", new)).as_of.stored_ratings == 1


async def fresh(client: object, user: str, token: str) -> recommendation.RecommendResponse:
    """An answer at least as fresh as a token."""
    request = recommendation.RecommendRequest(user_id=user, at_least_as_fresh=token)
    return await client.recommendations.Recommend(request, timeout=15)


def make_anew(kafka: str, topic: str) -> None:
    """Deletes a topic and makes it again."""
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:
        old = admin.describe_topics([topic])[0]["topic_id"]
        admin.delete_topics([topic])
        while topic in admin.list_topics():
            pass
        admin.create_topics([NewTopic(topic, 1, 1)])
        while str(admin.describe_topics([topic])[0]["topic_id"]) in ("", str(old)):
            pass


class TestCommits:
    async def test_they_carry_the_leader_epoch(self, own_films: Place, kafka: str) -> None:
        """A committed offset says which leader wrote the record before it, so that a truncated log is noticed."""
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=1)
        async with consuming(settings) as running_:
            await running_.write(line("epoch", "50", 4))
            await all_committed(settings, 1)
        epochs = await asyncio.to_thread(_epochs, settings)
        assert epochs["committed"] == epochs["record"] >= 0


def _epochs(settings: Settings) -> dict[str, int]:
    partition = TopicPartition(settings.topic, 0)
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka,
        group_id=settings.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        consumer.assign([partition])
        consumer.seek(partition, 0)
        [record] = [each for each in consumer.poll(10_000)[partition] if each.offset == 0]
        return {
            "committed": consumer.committed(partition, metadata=True).leader_epoch,
            "record": record.leader_epoch,
        }
    finally:
        consumer.close(autocommit=False)


async def test_ready_over_http_follows_the_broker(own_films_dir: object, kafka: str) -> None:
    """A consumer whose broker does not answer is alive and not ready."""
    port = free_port()
    options = {"kafka": "127.0.0.1:1", "data_dir": own_films_dir, "metrics_port": port, "kafka_timeout": 0.5}
    with process("consume", **Place(options).environment) as consumer:
        async with asyncio.timeout(BOUND):
            while True:
                try:
                    assert await asyncio.to_thread(ready, port) == 503
                    break
                except OSError:
                    assert consumer.poll() is None


class TestUnreadableRecords:
    async def test_one_takes_none_of_its_batch_with_it(self, own_films: Place, kafka: str) -> None:
        """Of a batch with unreadable records in it, the good ones are applied, and each bad one is one dead letter."""
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=1)
        broken = [(BrokenName("x"), b"")]
        async with consuming(settings) as running_:
            records = [line(f"whole-{number}", "50", 4) for number in range(10)]
            for place in (1, 2, 7):
                records[place] = Raw(records[place].key, records[place].value, broken)
            await running_.write(*records, linger_ms=300)
            await all_committed(settings, 10)
            for number in range(10):
                bad = number in (1, 2, 7)
                assert await running_.ratings(f"whole-{number}") == ({} if bad else {"50": 4.0})
            letters = await running_.dead()
            assert [each.header("kindred-offset") for each in letters] == [b"1", b"2", b"7"]
            assert {each.header("kindred-reason") for each in letters} == {b"unreadable"}

    async def test_one_that_comes_while_the_store_is_away_stops_nobody(self, own_films: Place, kafka: str) -> None:
        """A member that only stays in its group meanwhile meets it later, like any other record."""
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=1, batch_size=1)
        async with consuming(settings) as running_:
            running_.store.away("write_users")
            await running_.write(
                line("a", "50", 4),
                Raw(b"b", b"{}", [(BrokenName("x"), b"")]),
                line("c", "50", 4),
            )
            await running_.store.until("write_users", 6)
            running_.store.back()
            await all_committed(settings, 3)
            assert await running_.ratings("c") == {"50": 4.0}

    async def test_what_a_transaction_took_back_is_not_read(
        self, own_films: Place, kafka: str, services: Services
    ) -> None:
        """Events of an aborted transaction are no events; those of a committed one are."""
        if services.choice == "embedded":
            pytest.skip("the local broker has no transactions")
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=1)
        async with consuming(settings) as running_:
            await asyncio.to_thread(_transactions, settings)
            await running_.write(line("after", "50", 4))
            await running_.applied("after", {"50": 4.0})
            assert await running_.ratings("kept") == {"50": 4.0}
            assert await running_.ratings("taken back") == {}
            assert await running_.dead() == []


def _transactions(settings: Settings) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka, transactional_id=f"id-{settings.topic}")
    producer.init_transactions()
    for user, keep in (("taken back", False), ("kept", True)):
        producer.begin_transaction()
        record = line(user, "50", 4)
        producer.send(settings.topic, record.value, record.key).get(BOUND)
        (producer.commit_transaction if keep else producer.abort_transaction)()
    producer.close()


class TestDrain:
    async def test_a_batch_in_hand_is_not_passed_over(self, own_films: Place, kafka: str) -> None:
        """A consumer told to stop while the store is away drains its batch in hand first, once the store is back."""
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=1, drain_grace=BOUND)
        async with consuming(settings, drain=True) as running_:
            running_.store.away("users")
            await running_.write(line("in hand", "50", 4))
            async with asyncio.timeout(BOUND):
                await running_.store.reached.wait()
            await running_.write(line("behind", "50", 4))
            asyncio.get_running_loop().call_later(0.5, running_.store.back)
        assert sum((await committed(kafka, settings.group, settings.topic)).values()) == 2
        store = await own_films.open()
        stored = await store.users([point_id_of("in hand"), point_id_of("behind")])
        await store.close()
        assert [user and user.profile.rating_count for user in stored] == [1, 1]
