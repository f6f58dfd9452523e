import re
from pathlib import Path

import pytest

from consumers.dead_letters import KEPT_BYTES, dead_letter, shortened
from consumers.letters import DeadLetter, letter_of
from consumers.replay import RefusedError, replayed
from kindred.eventlog.broker import UNREADABLE, Message, Record
from kindred.events import UNKNOWN_ITEM, EventError
from kindred.v1 import rating_event_pb2 as pb

JSON = b'{"userId":"7","rated":{"itemId":"no such","value":5}}'
WRITTEN_AT = 1_600_000_000_123
WRITTEN = b"2020-09-13T12:26:40.123Z"


def failed(value: bytes | None = JSON, *headers: tuple[str, bytes | None], timestamp: int = WRITTEN_AT) -> Record:
    """A record of the topic of rating events."""
    return Record("ratings", 3, 17, b"7", value, headers, timestamp)


def in_log(letter: Message) -> Record:
    """A letter as it is read from the dead-letter topic."""
    return Record("dead", 1, 5, letter.key, letter.value, tuple(letter.headers), 1_700_000_000_000)


def letter(record: Record, reason: str = "unknown_item", error: str = "no such item") -> DeadLetter:
    """The letter about a record, written and read."""
    return letter_of(in_log(dead_letter(record, EventError(reason, error))))


def replay(record: Record) -> dict[str, bytes]:
    """The headers of the record that replays the letter about a record."""
    read = letter(record)
    return dict(replayed(read, read.record, "dead").headers)


class TestReading:
    def test_a_letter_is_read_as_it_was_written(self) -> None:
        """The record that failed, its place and the reason come out of a letter as they went in."""
        record = failed(JSON, ("trace", b"\x00\xff"), ("trace", b"2"))
        read = letter(record)
        assert read.record == record
        assert (read.place, read.reason, read.error) == ("1:5", "unknown_item", "no such item")
        assert read.value_bytes is None
        assert read.failed_at > WRITTEN_AT

    def test_what_a_stranger_calls_as_we_do_is_not_taken_for_ours(self) -> None:
        """Only the headers behind the original ones count, whatever those are called."""
        strangers = (("kindred-reason", b"mine"), ("kindred-value-bytes", b"1"), ("kindred-offset", b"99"))
        read = letter(failed(JSON, *strangers))
        assert (read.reason, read.record.offset, read.value_bytes) == ("unknown_item", 17, None)
        assert read.record.headers == strangers

    def test_a_shortened_letter_says_how_long_it_was(self) -> None:
        """The beginning of key and value is there, and the length of the value."""
        value = b"{" + b" " * 100_000
        read = letter_of(in_log(shortened(dead_letter(failed(value, ("a", b"b")), EventError("too_large", "…")))))
        assert read.record == failed(value[:KEPT_BYTES])
        assert read.value_bytes == len(value)

    def test_a_shortened_letter_is_small_whatever_the_record_held(self) -> None:
        """Headers of a stranger that are called as ours are do not stay, and an error is as long as people read."""
        record = failed(JSON, ("kindred-reason", b"x" * 1_000_000))
        short = shortened(dead_letter(record, EventError("undecodable", "e" * 1_000_000)))
        assert sum(len(value) for _, value in short.headers) < 10_000
        assert letter_of(in_log(short)).reason == "undecodable"

    @pytest.mark.parametrize(
        "headers",
        [
            (),
            (("kindred-error", b"only this"),),
            ((UNREADABLE, b"broken"),),
            (
                ("kindred-reason", b"r"),
                ("kindred-offset", b"x"),
                ("kindred-failed-at", b"y"),
                ("kindred-topic", b"\xff"),
            ),
            (("kindred-reason", None), ("kindred-timestamp", b"9" * 5_000), ("kindred-value-bytes", b"")),
        ],
    )
    def test_anything_is_read(self, headers: tuple[tuple[str, bytes | None], ...]) -> None:
        """Whatever a stranger writes to the topic is a letter of some kind, and replaying it is no crash."""
        read = letter_of(Record("dead", 1, 5, None, b"x", headers, -1))
        if read.reason:
            assert replayed(read, read.record, "dead").value == b"x"
        else:
            with pytest.raises(RefusedError):
                replayed(read, read.record, "dead")


class TestReplay:
    def test_key_value_and_headers_stay(self) -> None:
        """What is sent is the original, without headers of ours, and says where it comes from."""
        record = failed(JSON, ("trace", b"1"), ("kindred-replayed-from", b"dead/0/0"), ("trace", b"2"), ("empty", None))
        read = letter(record)
        message = replayed(read, read.record, "dead")
        assert (message.key, message.value) == (record.key, record.value)
        assert message.headers == [
            ("trace", b"1"),
            ("trace", b"2"),
            ("empty", b""),
            ("ce_time", WRITTEN),
            ("kindred-replayed-from", b"dead/1/5"),
        ]

    def test_an_event_with_its_own_time_keeps_it(self) -> None:
        """Nothing says another time than the event itself, or than the header that it came with."""
        event = pb.RatingEvent(user_id="7")
        event.occurred_at.FromMilliseconds(WRITTEN_AT)
        for value in (event.SerializeToString(), b'{"userId":"7","occurredAt":"2020-01-01T00:00:00Z"}'):
            assert "ce_time" not in replay(failed(value))
        assert replay(failed(JSON, ("ce_time", b"2019-01-01T00:00:00Z")))["ce_time"] == b"2019-01-01T00:00:00Z"
        assert replay(failed(JSON, ("ce_time", b"no time")))["ce_time"] == b"no time"

    @pytest.mark.parametrize(
        ("value", "headers"),
        [
            (JSON, ()),
            (pb.RatingEvent(user_id="7").SerializeToString(), (("content-type", b"application/protobuf"),)),
            (b"\xff garbage", ()),
            (None, ()),
            (JSON, (("ce_time", None),)),
            (JSON, (("ce_time", b"2019-01-01T00:00:00Z"), ("ce_time", None))),
        ],
    )
    def test_an_event_without_a_time_gets_the_one_of_its_record(
        self, value: bytes | None, headers: tuple[tuple[str, bytes | None], ...]
    ) -> None:
        """An old rating does not become the latest because it is replayed."""
        read = letter(failed(value, *headers))
        message = replayed(read, read.record, "dead")
        assert [held for name, held in message.headers if name == "ce_time"] == [WRITTEN]

    def test_a_record_without_anything_is_refused(self) -> None:
        """There is nothing to send of a record that could not be read."""
        read = letter(Record("ratings", 0, 0, None, None, ((UNREADABLE, b"broken"),), 0), "unreadable")
        with pytest.raises(RefusedError, match="neither key nor value"):
            replayed(read, read.record, "dead")

    def test_a_time_that_no_date_has_is_refused(self) -> None:
        """A record of the year 10,000 cannot keep its time."""
        read = letter(failed(timestamp=2**62))
        with pytest.raises(RefusedError, match="between the years 1 and 9999"):
            replayed(read, read.record, "dead")


def test_every_reason_is_explained() -> None:
    """Whatever reason a letter can have, its page says what to do."""
    root = Path(__file__).resolve().parents[2]
    reasons = set(re.findall(r'EventError\("(\w+)"', (root / "kindred/events.py").read_text())) | {UNKNOWN_ITEM}
    assert len(reasons) >= 15
    page = (root / "docs/dead-letters.md").read_text()
    assert {reason for reason in reasons if f"`{reason}`" not in page} == set()
