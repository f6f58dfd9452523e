"""Records that can never be applied, in the real log: all of them become dead letters, and stop nobody."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import MessageSizeTooLargeError

from kindred.events import MAX_EVENT_BYTES
from kindred.settings import Settings
from tests.support.bad_events import BAD, GOOD, Bad, of
from tests.support.consuming import Consuming, consuming, line, settings_of, until
from tests.support.films import SPACE
from tests.support.kafka_log import Headers, Raw, read_with_headers, write_records
from tests.support.place import Place

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]

_numbers = count(1)
Letter = tuple[bytes | None, bytes | None, Headers]
"""Key, value and all headers."""
_LARGEST = 16 * 2**20
_KEPT = 64 * 1024


@pytest.fixture
def user() -> str:
    """A user whom no other test knows."""
    return f"poisoned-{next(_numbers)}"


def make_topics(settings: Settings, topic: dict[str, str], dead_letters: dict[str, str]) -> None:
    """Makes the topics with one partition each and settings of their own, which a broker may not know."""
    with KafkaAdminClient(bootstrap_servers=settings.kafka) as admin:
        for name, configs in ((settings.topic, topic), (settings.dead_letter_topic, dead_letters)):
            admin.create_topics([NewTopic(name, 1, 1, topic_configs=configs)])


async def write_largest(settings: Settings, make: Callable[[int], Raw]) -> Raw:
    """Writes a record of ten megabytes, or as large a one as the broker takes."""
    for size in (10 * 10**6, 10**6 - 10_000):
        record = make(size)
        try:
            await write_records(settings.kafka, settings.topic, [record], max_request_size=_LARGEST)
        except MessageSizeTooLargeError:
            continue
        return record
    raise AssertionError("the broker takes not even a megabyte")


async def letters_of(settings: Settings) -> dict[int, Letter]:
    """The dead letters by the offset that they came from."""
    found = {}
    for letter, headers in await read_with_headers(settings.kafka, settings.dead_letter_topic):
        assert letter.header("kindred-topic") == settings.topic.encode()
        assert letter.header("kindred-failed-at")
        offset = int(letter.header("kindred-offset") or b"")
        assert offset not in found, "a letter came twice"
        found[offset] = (letter.key, letter.value, headers)
    return found


def assert_is_letter_of(letter: Letter, record: Raw, bad: Bad) -> None:
    """Asserts that a letter has the record whole, or says how long it was, and why it is there."""
    key, value, headers = letter
    last = dict(headers)
    assert last["kindred-reason"] == bad.reason.encode()
    assert bad.says in (last["kindred-error"] or b"").decode()
    if (size := last.get("kindred-value-bytes")) is None:
        assert (key, value or None) == (record.key, record.value or None)
        assert list(headers[: len(record.headers)]) == [(name, text or b"") for name, text in record.headers]
    else:  # a topic that takes nothing larger gets the beginning
        whole = record.value or b""
        assert (int(size), value) == (len(whole), whole[:_KEPT])
        assert key == (record.key or b"")[:_KEPT]


async def lag_is_gone(running: Consuming, records: int) -> None:
    """Waits until the group has committed everything."""
    await until(running.committed, {0: records}, running.task)


class TestPoison:
    async def test_every_kind_of_poison_is_a_dead_letter_and_stops_nobody(
        self, own_films: Place, kafka: str, user: str
    ) -> None:
        """Among good events of the same and of other users every bad one is a whole letter, and all good ones count."""
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=1)
        await asyncio.to_thread(make_topics, settings, {"max.message.bytes": str(_LARGEST)}, {})
        bad = [(each, each.of(user)) for each in BAD.values()]
        good = [line(user, film, 4) for film in SPACE]
        records: list[tuple[Bad | None, Raw]] = []
        for number, each in enumerate(bad):
            records += [each, (None, good[number % len(good)]), (None, line(f"{user}-{number % 7}", "50", 2))]
        async with consuming(settings) as running:
            await running.write(*(record for _, record in records), max_request_size=_LARGEST, linger_ms=20)
            huge = await write_largest(settings, lambda size: Raw(user.encode(), b"{" + b" " * size))
            too_large = Bad("too_large", f"{len(huge.value or b''):,} bytes", lambda _: huge)
            records += [(too_large, huge), (None, line(user, "172", 1))]
            await running.write(records[-1][1])
            await running.applied(user, dict.fromkeys(SPACE, 4.0) | {"172": 1.0})
            for number in range(7):
                await running.applied(f"{user}-{number}", {"50": 2.0})
            await lag_is_gone(running, len(records))
            letters = await letters_of(settings)
        assert letters.keys() == {offset for offset, (why, _) in enumerate(records) if why}
        for offset, (why, record) in enumerate(records):
            if why is not None:
                assert_is_letter_of(letters[offset], record, why)

    async def test_a_letter_may_be_larger_than_its_record(self, own_films: Place, kafka: str, user: str) -> None:
        """A record as large as a record can be becomes a letter, shortened where the topic takes no more."""
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=1)
        await asyncio.to_thread(make_topics, settings, {}, {})
        record = Raw(user.encode(), b"{" + b" " * 1_048_400, [("a", b"1"), ("kindred-reason", b"x" * 9), ("a", b"3")])
        async with consuming(settings) as running:
            await running.write(line(user, "50", 4), record, line(user, "172", 4), max_request_size=_LARGEST)
            await running.applied(user, {"50": 4.0, "172": 4.0})
            await lag_is_gone(running, 3)
            letters = await letters_of(settings)
        assert letters.keys() == {1}
        assert_is_letter_of(letters[1], record, Bad("too_large", "1,048,401 bytes", lambda _: record))

    async def test_a_topic_that_takes_little_gets_the_reason_at_least(
        self, own_films: Place, kafka: str, user: str
    ) -> None:
        """Where the dead-letter topic takes two kilobytes, a letter is cut to fit, and the stream goes on."""
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=1)
        await asyncio.to_thread(make_topics, settings, {}, {"max.message.bytes": "2000"})
        record = Raw(user.encode(), b"{" + b" " * MAX_EVENT_BYTES)
        async with consuming(settings) as running:
            await running.write(line(user, "50", 4), record, line(user, "172", 4))
            await running.applied(user, {"50": 4.0, "172": 4.0})
            await lag_is_gone(running, 3)
            [(_, value, headers)] = (await letters_of(settings)).values()
        assert dict(headers)["kindred-reason"] == b"too_large"
        assert value is not None
        assert (record.value or b"").startswith(value)
        assert len(value) >= 512

    async def test_many_headers_of_the_same_name_are_kept(self, own_films: Place, kafka: str, user: str) -> None:
        """Headers that repeat are on the letter, all of them in their order."""
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=1)
        headers: Headers = [
            ("a", b"1"),
            ("a", b"\x00\xff"),
            ("content-type", b"x"),
            ("content-type", b"y"),
        ]
        record = Raw(user.encode(), of(GOOD)(user).value, headers)
        async with consuming(settings) as running:
            await running.write(record, line(user, "172", 4))
            await running.applied(user, {"172": 4.0})
            await lag_is_gone(running, 2)
            letters = await letters_of(settings)
        assert_is_letter_of(letters[0], record, Bad("content_type", "neither", lambda _: record))

    async def test_a_flood_of_poison_is_worked_off(self, own_films: Place, kafka: str, user: str) -> None:
        """Two thousand bad events in a row all become dead letters, and the good one behind them is applied."""
        settings = settings_of(own_films, kafka, session_timeout=2, partitions=1)
        bad = [Raw(user.encode(), b"poison %d" % number) for number in range(2_000)]
        async with consuming(settings) as running:
            await running.write(*bad, line(user, "50", 4), linger_ms=50)
            await running.applied(user, {"50": 4.0})
            await lag_is_gone(running, len(bad) + 1)
            letters: Sequence[bytes | None] = [each.value for each in await running.dead()]
        assert letters == [each.value for each in bad]
