"""The dead letters of a consumer that runs, as an operator sees and replays them."""

import asyncio
import base64
import gc
import json
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from kafka import KafkaAdminClient, KafkaProducer

from cli.local_broker import LOCAL_SETTINGS
from cli.runtime import running
from consumers.dead_letters import dead_letter, shortened
from kindred.eventlog.broker import Message, Record
from kindred.eventlog.client import prepare_topics
from kindred.eventlog.topic_reader import TopicReader
from kindred.events import MAX_EVENT_BYTES, EventError, now_ms
from kindred.settings import Settings
from kindred.v1 import catalog_service_pb2 as catalog
from kindred.v1 import rating_event_pb2 as pb
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1.item_pb2 import Item
from tests.support.commands import Done, run_kindred
from tests.support.kafka_log import Raw, read_records, read_with_headers, write_records
from tests.support.services import Services
from tests.support.system import BOUND, System, connected, fresh_names

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]

MONTH_AGO = now_ms() // 1000 * 1000 - 30 * 86_400_000 + 250
HOSTILE = b"\x1b[2J{\x07 \xe2\x80\xae"

_numbers = count(1)


@pytest.fixture(autouse=True)
def _sockets_end_here() -> Iterator[None]:
    """The sockets that kafka-python drops are collected in the test that made them."""
    yield
    gc.collect()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(kafka: str, films_dir: Path) -> AsyncIterator[System]:
    """A server and a consumer over the films."""
    settings = Settings(data_dir=films_dir, port=0, kafka=kafka, **LOCAL_SETTINGS, **fresh_names())
    async with running(settings, serve=True, consume=True) as parts, connected(parts.address) as client:
        await parts.joined.wait()
        yield System(settings, parts.address, client)


@pytest_asyncio.fixture(loop_scope="module")
async def settings(kafka: str) -> Settings:
    """A broker with topics of the test's own, which nobody reads."""
    settings = Settings(kafka=kafka, partitions=3, **fresh_names())
    await asyncio.to_thread(prepare_topics, settings.broker())
    return settings


@pytest.fixture
def user() -> str:
    """A user whom no other test knows."""
    return f"user-{next(_numbers)}"


def line(user_id: str, item_id: str, value: float, **more: object) -> bytes:
    """A rating as JSON."""
    return json.dumps({"userId": user_id, "rated": {"itemId": item_id, "value": value}, **more}).encode()


def packed(user_id: str, item_id: str, at: int | None = None) -> bytes:
    """A rating as protobuf."""
    event = pb.RatingEvent(user_id=user_id, rated=pb.Rated(item_id=item_id, value=2))
    if at is not None:
        event.occurred_at.FromMilliseconds(at)
    return event.SerializeToString()


def rfc3339(milliseconds: int) -> str:
    """A time as events have it."""
    event = pb.RatingEvent()
    event.occurred_at.FromMilliseconds(milliseconds)
    return event.occurred_at.ToJsonString()


async def letters_of(system: System, user: str, number: int) -> list[Record]:
    """The dead letters with a key, once there are so many."""
    async with asyncio.timeout(BOUND):
        while True:
            letters = await read_records(system.settings.kafka, system.settings.dead_letter_topic)
            if len(found := [each for each in letters if each.key == user.encode()]) >= number:
                assert len(found) == number
                return found


async def write(settings: Settings, *records: Raw) -> list[tuple[int, int]]:
    """Writes records to the topic of rating events."""
    return await write_records(settings.kafka, settings.topic, records, max_request_size=2**21)


async def put_letters(settings: Settings, *letters: Message, partition: int | None = None) -> list[str]:
    """Writes letters as they are, and gives their places."""
    raw = [Raw(each.key, each.value, list(each.headers), partition=partition) for each in letters]
    places = await write_records(settings.kafka, settings.dead_letter_topic, raw, max_request_size=2**21, linger_ms=100)
    return [f"{number}:{offset}" for number, offset in places]


def letter(value: bytes, key: str = "7", *, timestamp: int = MONTH_AGO, offset: int = 0, partition: int = 0) -> Message:
    """A letter about a record."""
    record = Record("ratings", partition, offset, key.encode(), value, (), timestamp)
    return dead_letter(record, EventError("unknown_item", "no such item"))


def parsed(done: Done) -> list[dict[str, Any]]:
    """What a command has printed as JSON, one object a line."""
    assert (done.code, done.err) == (0, "")
    return [json.loads(each) for each in done.out.splitlines()]


async def topics(kafka: str) -> set[str]:
    """All topics that there are."""

    def ask() -> set[str]:
        with KafkaAdminClient(bootstrap_servers=kafka) as admin:
            return set(admin.list_topics())

    return await asyncio.to_thread(ask)


class TestList:
    async def test_letters_are_listed_with_their_reasons(self, system: System, user: str) -> None:
        """The newest comes last; the line says where it is, why, whose it is and what it was; a summary counts."""
        places = await write(
            system.settings,
            Raw(user.encode(), line(user, "no such", 5)),
            Raw(user.encode(), line(user, "50", 11)),
            Raw(user.encode(), line(user, "nor this", 5)),
        )
        letters = await letters_of(system, user, 3)
        done = await run_kindred(system.settings, "dead-letters", "list", "--user", user)
        assert (done.code, done.err) == (0, "")
        heading, *rows, summary = done.out.splitlines()
        assert heading.split() == ["letter", "failed", "(UTC)", "reason", "user", "record", "error"]
        assert [row.split()[0] for row in rows] == [f"{each.partition}:{each.offset}" for each in letters]
        assert [row.split()[3:6] for row in rows] == [
            [reason, user, f"{partition}:{offset}"]
            for reason, (partition, offset) in zip(("unknown_item", "off_scale", "unknown_item"), places, strict=True)
        ]
        assert rows[0].endswith("the catalog has no item 'no such'")
        assert summary == "3 dead letters: 2 unknown_item, 1 off_scale"

    async def test_json_is_one_object_a_line(self, system: System, user: str) -> None:
        """Scripts read every letter with its place, reason, record and size."""
        [(partition, offset)] = await write(
            system.settings, Raw(user.encode(), line(user, "no such", 5), timestamp=MONTH_AGO)
        )
        [stored] = await letters_of(system, user, 1)
        [listed] = parsed(await run_kindred(system.settings, "dead-letters", "list", "--user", user, "--json"))
        assert listed == {
            "letter": f"{stored.partition}:{stored.offset}",
            "failed_at": (stored.header("kindred-failed-at") or b"").decode().replace("+00:00", "Z"),
            "reason": "unknown_item",
            "error": "the catalog has no item 'no such'",
            "key": user,
            "topic": system.settings.topic,
            "partition": partition,
            "offset": offset,
            "timestamp": rfc3339(MONTH_AGO),
            "value_bytes": len(line(user, "no such", 5)),
            "shortened": False,
        }

    async def test_filters(self, system: System, user: str) -> None:
        """Letters are selected by reason, key, partition and time; the newest so many are shown."""
        bad = [line(user, "no such", 5), line(user, "50", 11), b"{"]
        await write(system.settings, *(Raw(user.encode(), value) for value in bad))
        stored = await letters_of(system, user, 3)

        async def listed(*options: object) -> list[str]:
            found = parsed(
                await run_kindred(system.settings, "dead-letters", "list", "--json", "--user", user, *options)
            )
            return [each["reason"] for each in found]

        everything = ["unknown_item", "off_scale", "undecodable"]
        other = (stored[0].partition + 1) % 6
        assert await listed("--reason", "off_scale") == ["off_scale"]
        assert await listed("--reason", "undecodable", "--reason", "unknown_item") == ["unknown_item", "undecodable"]
        assert await listed("--partition", stored[0].partition, "--since", "-1h") == everything
        assert await listed("--partition", other) == []
        assert await listed("--until", "-1h") == []
        assert await listed("--since", "2090-01-01") == []
        assert await listed("--since", "2020-01-01", "--until", "2090-01-01T00:00:00Z") == everything
        assert await listed("--limit", 2) == everything[1:]

    async def test_nothing_to_list(self, settings: Settings) -> None:
        """An empty topic is no error."""
        done = await run_kindred(settings, "dead-letters", "list")
        assert (done.code, done.out, done.err) == (0, "no dead letters\n", "")
        assert parsed(await run_kindred(settings, "dead-letters", "list", "--json")) == []

    async def test_every_letter_is_read(self, settings: Settings) -> None:
        """Thousands of letters in batches of any size are counted exactly, and the newest are shown."""
        for size in (1, 2_500, 10, 499):
            await put_letters(settings, *(letter(b"%d of %d" % (place, size), str(place)) for place in range(size)))
        await put_letters(settings, Message(None, b"stray", []), letter(b"last", "last"))
        done = await run_kindred(settings, "dead-letters", "list", "--limit", 3)
        rows = done.out.splitlines()
        assert len(rows) == 6
        assert rows[-2] == "3,012 dead letters: 3,011 unknown_item, 1 not from Kindred"
        assert rows[-1] == "these are the newest 3; --limit shows more"
        assert len(parsed(await run_kindred(settings, "dead-letters", "list", "--limit", 5_000, "--json"))) == 3_012

    async def test_marks_of_transactions_are_no_letters(self, settings: Settings, services: Services) -> None:
        """Offsets that hold no record, up to the very end, stop nobody."""
        if services.choice == "embedded":
            pytest.skip("the local broker has no transactions")

        def write_in_transaction() -> None:
            producer = KafkaProducer(bootstrap_servers=settings.kafka, transactional_id=settings.topic)
            producer.init_transactions()
            producer.begin_transaction()
            sent = letter(b"x")
            producer.send(settings.dead_letter_topic, sent.value, sent.key, headers=list(sent.headers), partition=0)
            producer.commit_transaction()
            producer.close()

        await asyncio.to_thread(write_in_transaction)
        assert len(parsed(await run_kindred(settings, "dead-letters", "list", "--json"))) == 1
        assert (await run_kindred(settings, "dead-letters", "show", "0:1")).code == 1

    @pytest.mark.parametrize("command", [["list"], ["show", "0:0"], ["replay", "--yes"]])
    async def test_a_topic_that_is_missing_is_not_made(self, kafka: str, command: list[str]) -> None:
        """Where there is no dead-letter topic the error names it and the settings, and nothing is created."""
        settings = Settings(kafka=kafka, **fresh_names())
        before = await topics(kafka)
        done = await run_kindred(settings, "dead-letters", *command)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"kindred: Kafka at {kafka} has no topic {settings.dead_letter_topic}")
        assert "KINDRED_DEAD_LETTER_TOPIC" in done.err
        assert await topics(kafka) == before

    @pytest.mark.parametrize("command", [["list"], ["show", "0:0"], ["replay", "--yes"]])
    async def test_a_broker_that_is_away(self, command: list[str]) -> None:
        """Without a broker the error says where none answers."""
        settings = Settings(kafka="127.0.0.1:1", kafka_timeout=0.5)
        done = await run_kindred(settings, "dead-letters", *command)
        assert (done.code, done.out, done.err) == (1, "", "kindred: no Kafka broker answers at 127.0.0.1:1\n")

    async def test_a_partition_that_is_missing(self, settings: Settings) -> None:
        """The error says how many partitions there are."""
        done = await run_kindred(settings, "dead-letters", "list", "--partition", 3)
        assert (done.code, done.err) == (1, "kindred: --partition 3: the dead-letter topic has 3 of them\n")


KINDS: dict[str, tuple[Callable[[str], Raw], str, str]] = {
    "JSON": (lambda user: Raw(user.encode(), line(user, "no such", 5)), "json", '"itemId": "no such"'),
    "protobuf": (
        lambda user: Raw(
            user.encode(), packed(user, "no such", MONTH_AGO), [("content-type", b"application/protobuf")]
        ),
        "protobuf",
        f'"occurredAt": "{rfc3339(MONTH_AGO)}"',
    ),
    "unreadable": (lambda user: Raw(user.encode(), b"\xff\x00garbage"), "bytes", "ff0067617262616765"),
    "text": (
        lambda user: Raw(user.encode(), b"hello", [("content-type", b"text/plain"), ("a", b"\xff")]),
        "text",
        "  hello",
    ),
    "nothing": (lambda user: Raw(user.encode(), None), "", "value   none"),
    "hostile": (lambda user: Raw(user.encode(), HOSTILE, [("x\x1b[2J", HOSTILE)]), "bytes", HOSTILE.hex()),
    "too large": (lambda user: Raw(user.encode(), b"{" + b" " * MAX_EVENT_BYTES), "json", "this is its beginning"),
}


class TestShow:
    @pytest.mark.parametrize("case", KINDS)
    async def test_each_kind_is_shown_whole(self, system: System, user: str, case: str) -> None:
        """People read what the value says, in bounds and safe to print; JSON has every byte."""
        make, form, seen = KINDS[case]
        raw = make(user)
        await write(system.settings, raw)
        [stored] = await letters_of(system, user, 1)
        place = f"{stored.partition}:{stored.offset}"
        done = await run_kindred(system.settings, "dead-letters", "show", place)
        assert (done.code, done.err) == (0, "")
        assert seen in done.out
        assert f"key     {user}\n" in done.out
        assert len(done.out) < 6_000
        assert not set("\x1b\x07\u202e") & set(done.out)
        [shown] = parsed(await run_kindred(system.settings, "dead-letters", "show", place, "--json"))
        assert (shown["letter"], shown["key"], shown["value_form"]) == (place, user, form)
        value = None if shown["value_base64"] is None else base64.b64decode(shown["value_base64"])
        assert value == raw.value
        headers = [(each["name"], base64.b64decode(each["base64"])) for each in shown["headers"]]
        assert headers == list(raw.headers)

    async def test_a_place_without_a_letter(self, settings: Settings) -> None:
        """The error says that there is none; a text that names no place is wrong usage."""
        [place] = await put_letters(settings, letter(b"x"), partition=1)
        assert place == "1:0"
        for wrong in ("1:1", "1:999999", "0:0", "7:0"):
            done = await run_kindred(settings, "dead-letters", "show", wrong)
            assert (done.code, done.out) == (1, "")
            assert done.err.startswith(f"kindred: {wrong}: {settings.dead_letter_topic} has no letter")
        assert (await run_kindred(settings, "dead-letters", "show", "1")).code == 2

    async def test_any_record_of_a_batch_is_found(self, settings: Settings) -> None:
        """The first, the last and those between of a topic whose last batch is large."""
        await put_letters(settings, *(letter(b"%d" % number) for number in range(300)), partition=2)
        async with TopicReader(settings.broker(), settings.dead_letter_topic, max_records=7) as reader:
            for offset in (0, 1, 150, 298, 299, 3):
                found = await reader.find(2, offset)
                assert found is not None
                assert (found.offset, found.value) == (offset, b"%d" % offset)
            assert await reader.find(2, 300) is None


class TestReplay:
    @pytest.mark.parametrize("case", ["JSON", "JSON with a time", "protobuf", "protobuf with a time", "ce_time"])
    async def test_a_replayed_rating_keeps_its_time(self, system: System, user: str, case: str) -> None:
        """Once the item is there, replaying its old rating stores it with the time that it had."""
        film, other = f"late-{user}", f"later-{user}"
        timed = rfc3339(MONTH_AGO)
        values, headers = {
            "JSON": ([line(user, each, 2) for each in (film, other)], []),
            "JSON with a time": ([line(user, each, 2, occurredAt=timed) for each in (film, other)], []),
            "protobuf": ([packed(user, each) for each in (film, other)], [("content-type", b"application/protobuf")]),
            "protobuf with a time": ([packed(user, each, MONTH_AGO) for each in (film, other)], []),
            "ce_time": ([line(user, each, 2) for each in (film, other)], [("ce_time", timed.encode())]),
        }[case]
        written = MONTH_AGO if case in ("JSON", "protobuf") else now_ms()
        await write(system.settings, *(Raw(user.encode(), value, headers, written) for value in values))
        letters = await letters_of(system, user, 2)
        items = [Item(item_id=each, title=each) for each in (film, other)]
        await system.client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=items))
        token = (
            await system.client.ratings.RecordRatings(
                rating.RecordRatingsRequest(user_id=user, ratings=[rating.NewRating(item_id=other, value=5)])
            )
        ).freshness_token
        done = await run_kindred(system.settings, "dead-letters", "replay", "--user", user, "--yes")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"replayed 2 to {system.settings.topic}, refused 0\n")
        stored: dict[str, tuple[float, int]] = {}
        async with asyncio.timeout(BOUND):
            while film not in stored:
                listed = await system.client.ratings.ListRatings(
                    rating.ListRatingsRequest(user_id=user, at_least_as_fresh=token)
                )
                stored = {each.item.item_id: (each.value, each.rated_at.ToMilliseconds()) for each in listed.ratings}
        assert stored[film] == (2.0, MONTH_AGO)
        assert stored[other][0] == 5.0
        replayed = [
            headers
            for record, headers in await read_with_headers(system.settings.kafka, system.settings.topic)
            if record.key == user.encode() and record.header("kindred-replayed-from")
        ]
        assert len(replayed) == 2
        own = [("ce_time", timed.encode())] if case in ("JSON", "protobuf") else []
        for sent, stored_letter in zip(replayed, letters, strict=True):
            place = f"{system.settings.dead_letter_topic}/{stored_letter.partition}/{stored_letter.offset}"
            assert list(sent) == [*headers, *own, ("kindred-replayed-from", place.encode())]

    async def test_what_is_still_wrong_comes_back_once(self, system: System, user: str) -> None:
        """A replayed event that fails again is one new letter, which the same replay does not send again."""
        await write(system.settings, Raw(user.encode(), line(user, "no such", 5), [("trace", b"1")], MONTH_AGO))
        [first] = await letters_of(system, user, 1)
        done = await run_kindred(system.settings, "dead-letters", "replay", "--user", user, "--yes", "--json")
        assert parsed(done) == [
            {
                "dry_run": False,
                "topic": system.settings.topic,
                "replayable": 1,
                "replayed": 1,
                "refused": 0,
                "refusals": {},
            }
        ]
        [_, second] = await letters_of(system, user, 2)
        assert (second.key, second.value) == (first.key, first.value)
        place = f"{second.partition}:{second.offset}"
        assert (await run_kindred(system.settings, "dead-letters", "replay", place, "--yes")).code == 0
        third = (await letters_of(system, user, 3))[-1]
        assert third.header("ce_time") == rfc3339(MONTH_AGO).encode()
        assert third.header("trace") == b"1"
        source = f"{system.settings.dead_letter_topic}/{second.partition}/{second.offset}"
        assert third.header("kindred-replayed-from") == source.encode()

    async def test_a_dry_run_sends_nothing(self, settings: Settings) -> None:
        """It says for each letter what would be sent, with what time, or why not."""
        good, timed, stray = await put_letters(
            settings,
            letter(b"{}"),
            letter(line("7", "50", 1, occurredAt=rfc3339(MONTH_AGO)), "\x1b8"),
            Message(b"9", b"stray", []),
            partition=1,
        )
        done = await run_kindred(settings, "dead-letters", "replay", "--dry-run")
        assert done.code == 1
        assert done.out.splitlines() == [
            f"{good}: would be sent, as of {rfc3339(MONTH_AGO)}: key 7, unknown_item",
            f"{timed}: would be sent: key 8, unknown_item",
            f"would replay 2 to {settings.topic}, refuse 1; nothing sent",
        ]
        assert done.err == f"kindred: {stray}: refused, Kindred did not write this\n"
        assert await read_records(settings.kafka, settings.topic) == []

    async def test_without_a_terminal_nothing_is_sent(self, settings: Settings) -> None:
        """A script has to say --yes: else it is wrong usage."""
        await put_letters(settings, letter(b"{}"))
        done = await run_kindred(settings, "dead-letters", "replay")
        assert (done.code, done.out) == (2, "")
        assert "--yes" in done.err
        assert await read_records(settings.kafka, settings.topic) == []

    @pytest.mark.parametrize(("answer", "sent"), [("y", 3), ("n", 0), ("", 0)])
    async def test_a_person_is_asked(self, settings: Settings, answer: str, sent: int) -> None:
        """At a terminal the question says how many events go where, and only a yes sends them."""
        await put_letters(settings, *(letter(b"{}", str(number)) for number in range(3)))
        done = await run_kindred(settings, "dead-letters", "replay", terminal=answer)
        assert done.err.startswith(f"Send 3 events to {settings.topic} again? [y/N] ")
        assert done.code == (0 if sent else 1)
        assert len(await read_records(settings.kafka, settings.topic)) == sent

    async def test_letters_are_replayed_in_their_order(self, settings: Settings) -> None:
        """Thousands of letters are all sent, those of a user in the order in which they failed."""
        values = [b"%d" % number for number in range(2_500)]
        await put_letters(settings, *(letter(value) for value in values), partition=0)
        assert (await run_kindred(settings, "dead-letters", "replay", "--yes")).code == 0
        assert [each.value for each in await read_records(settings.kafka, settings.topic)] == values

    async def test_named_letters_are_replayed(self, settings: Settings) -> None:
        """Only those that are named are sent; one that is not there is refused, and the exit code says so."""
        places = await put_letters(settings, *(letter(b"%d" % number) for number in range(4)), partition=1)
        done = await run_kindred(settings, "dead-letters", "replay", places[2], "2:0", places[0], places[2], "--yes")
        assert done.code == 1
        assert done.out.startswith(f"replayed 2 to {settings.topic}, refused 1\n")
        assert done.err == "kindred: 2:0: refused, there is no letter at this place, or no longer\n"
        assert [each.value for each in await read_records(settings.kafka, settings.topic)] == [b"2", b"0"]
        assert (await run_kindred(settings, "dead-letters", "replay", "1:0", "--user", "7", "--yes")).code == 2

    async def test_a_shortened_letter_is_replayed_from_the_log(self, settings: Settings) -> None:
        """The whole record is sent if the log still has it, and the letter is refused if there is another one."""
        value, headers = b"{" + b" " * 200_000, [("trace", b"1")]
        original = Raw(b"7", value, headers, timestamp=MONTH_AGO, partition=1)
        [(partition, offset)] = await write(settings, original)
        about = Record(settings.topic, partition, offset, b"7", value, (("trace", b"1"),), MONTH_AGO)
        others = {
            "another time": (about.partition, offset, value, MONTH_AGO + 1),
            "another length": (about.partition, offset, value + b" ", MONTH_AGO),
            "another beginning": (about.partition, offset, b"[" + value[1:], MONTH_AGO),
            "gone": (about.partition, 99, value, MONTH_AGO),
            "no such partition": (99, offset, value, MONTH_AGO),
        }
        records = [about] + [
            Record(settings.topic, number, place, b"7", text, (), at) for number, place, text, at in others.values()
        ]
        error = EventError("too_large", "too large")
        places = await put_letters(settings, *(shortened(dead_letter(each, error)) for each in records), partition=0)
        shown = await run_kindred(settings, "dead-letters", "show", places[0])
        assert "value   200,001 bytes, of which the letter has the first 65,536: JSON" in shown.out
        done = await run_kindred(settings, "dead-letters", "replay", "--yes", "--json")
        report = json.loads(done.out)
        assert (done.code, report["replayed"], report["refused"]) == (1, 1, len(others))
        assert report["refusals"] == {"the letter is shortened, and the log has its record no longer": len(others)}
        [(sent, sent_headers)] = [
            found
            for found in await read_with_headers(settings.kafka, settings.topic)
            if found[0].header("kindred-replayed-from")
        ]
        assert (sent.key, sent.value) == (b"7", value)
        assert list(sent_headers) == [
            *headers,
            ("ce_time", rfc3339(MONTH_AGO).encode()),
            ("kindred-replayed-from", f"{settings.dead_letter_topic}/0/0".encode()),
        ]

    async def test_a_record_that_the_broker_takes_no_more_is_refused(
        self, system: System, user: str, services: Services
    ) -> None:
        """One that with a header more is larger than a record may be is counted, and the others are sent."""
        if services.choice == "embedded":
            pytest.skip("the local broker takes records of any size")
        largest = b"{" + b" " * 1_048_450
        await write(system.settings, *(Raw(user.encode(), value) for value in (b"first", largest, b"last")))
        letters = await letters_of(system, user, 3)
        assert [len(each.value or b"") for each in letters] == [5, 65_536, 4]
        done = await run_kindred(system.settings, "dead-letters", "replay", "--user", user, "--yes", "--json")
        report = json.loads(done.out)
        assert (done.code, report["replayed"]) == (1, 2)
        assert report["refusals"] == {"the broker takes no record as large as this": 1}
        sent = [each.value for each in await read_records(system.settings.kafka, system.settings.topic)]
        assert {b"first", b"last"} <= set(sent)

    async def test_a_record_as_large_as_can_be_with_our_headers_stops_nobody(self, system: System, user: str) -> None:
        """A stranger's header that is called as ours are, and leaves no room for them, makes a letter all the same."""
        header = ("kindred-reason", b"x" * 1_048_300)
        await write(system.settings, Raw(user.encode(), b"bad", [header]), Raw(user.encode(), line(user, "50", 11)))
        letters = await letters_of(system, user, 2)
        assert [each.header("kindred-reason") for each in letters] == [b"undecodable", b"off_scale"]
