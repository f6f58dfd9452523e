import json
import math
from collections.abc import Mapping
from pathlib import Path
from re import findall
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from kindred import events
from kindred.catalog import Catalog
from kindred.eventlog.broker import Record
from kindred.events import (
    EARLIEST_MS,
    FUTURE_TOLERANCE_MS,
    MAX_EVENT_BYTES,
    EventDecoder,
    EventError,
    attributes_of,
    check_time,
    time_of,
    to_message,
)
from kindred.items import CatalogEntry, Item
from kindred.ratings import AttributesSet, Forgotten, ProfileEvent, Rated, RatingScale, Retracted
from kindred.rfc3339 import NotATimeError, milliseconds_of
from kindred.scales import PRESETS
from kindred.v1 import rating_event_pb2 as pb
from kindred.v1.reaction_pb2 import REACTION_DISLIKE, REACTION_LIKE
from tests.support.bad_events import BAD

NOW = 1_700_000_000_000
RECORDED = NOW - 1_000
"""The records' own timestamp."""
README = b'{"userId":"7","rated":{"itemId":"50","value":5}}'
"""The event that the README sends with kcat."""
JSON = {"content-type": b"application/json"}
PROTOBUF = {"content-type": b"application/protobuf"}

DECODER = EventDecoder(
    Catalog(
        [
            CatalogEntry(50, Item("50", "Star Wars", external_ids={"imdb": "tt0076759"})),
            CatalogEntry(2**31 + 9, Item("amélie", "Amélie")),
        ]
    ),
    RatingScale(0.5, 5.0),
    lambda: NOW,
)


def record(
    value: bytes | None,
    headers: Mapping[str, bytes | None] | None = None,
    key: bytes | None = b"7",
    timestamp: int = RECORDED,
) -> Record:
    """A record of the topic."""
    return Record("kindred.ratings.v1", 3, 14, key, value, tuple((headers or {}).items()), timestamp)


def event(**fields: Any) -> pb.RatingEvent:
    """An event of user 7."""
    return pb.RatingEvent(**{"user_id": "7", **fields})


def rated(**fields: Any) -> pb.RatingEvent:
    """User 7 rated an item."""
    return event(rated=pb.Rated(**fields))


def stamp(milliseconds: int) -> Timestamp:
    """A protobuf timestamp."""
    made = Timestamp()
    made.FromMilliseconds(milliseconds)
    return made


def reason(bad: Record) -> str:
    """Why a record cannot be applied."""
    with pytest.raises(EventError) as failed:
        DECODER.decode(bad)
    assert str(failed.value)
    return failed.value.reason


KINDS: dict[str, tuple[pb.RatingEvent, ProfileEvent]] = {
    "value": (rated(item_id="50", value=4.5), Rated(50, 4.5, RECORDED)),
    "lowest value": (rated(item_id="50", value=0.5), Rated(50, 0.5, RECORDED)),
    "like": (rated(item_id="50", reaction=REACTION_LIKE), Rated(50, 5.0, RECORDED)),
    "dislike": (rated(item_id="50", reaction=REACTION_DISLIKE), Rated(50, 1.0, RECORDED)),
    "external id": (rated(item_id="imdb:tt0076759", value=1), Rated(50, 1.0, RECORDED)),
    "unicode id": (rated(item_id="amélie", value=1), Rated(2**31 + 9, 1.0, RECORDED)),
    "retracted": (event(retracted=pb.Retracted(item_id="50")), Retracted(50, RECORDED)),
    "forgotten": (event(forgotten=pb.Forgotten()), Forgotten(RECORDED)),
    "attributes": (
        event(
            attributes_set=pb.AttributesSet(
                attributes={
                    "country": Value(string_value="NL"),
                    "age": Value(number_value=41.5),
                    "member": Value(bool_value=False),
                    "note": Value(string_value=""),
                }
            )
        ),
        AttributesSet({"country": "NL", "age": 41.5, "member": False, "note": ""}, RECORDED),
    ),
    "no attributes": (event(attributes_set=pb.AttributesSet()), AttributesSet({}, RECORDED)),
}


class TestKinds:
    def test_the_readme_event_is_read_without_a_header(self) -> None:
        """A bare JSON line, as kcat sends it, is a rating at the time of its record."""
        assert DECODER.decode(record(README)) == ("7", Rated(50, 5.0, RECORDED))

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("headers", [{}, PROTOBUF, {"content-type": b" Application/Protobuf ; charset=x"}])
    def test_protobuf_is_read(self, kind: str, headers: dict[str, bytes]) -> None:
        """Every kind of event is read from protobuf, with the header and without."""
        message, expected = KINDS[kind]
        assert DECODER.decode(record(message.SerializeToString(), headers)) == ("7", expected)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("headers", [{}, JSON, {"content-type": b"APPLICATION/JSON;charset=utf-8"}])
    def test_json_is_read(self, kind: str, headers: dict[str, bytes]) -> None:
        """Every kind of event is read from JSON, with the header and without."""
        message, expected = KINDS[kind]
        assert DECODER.decode(record(json_format.MessageToJson(message).encode(), headers)) == ("7", expected)

    def test_the_header_decides_about_the_encoding(self) -> None:
        """With a header nothing is guessed: JSON under the name of protobuf, and the reverse, cannot be read."""
        message = rated(item_id="50", value=4).SerializeToString()
        assert reason(record(README, PROTOBUF)) == "undecodable"
        assert reason(record(message, JSON)) == "undecodable"
        assert DECODER.decode(record(b" \n" + README, JSON))[0] == "7"

    @pytest.mark.parametrize("user_id", ["7", "Σωκράτης", "👩‍🚀", "a b/c", "x" * 256, "ü" * 256])
    def test_any_text_is_a_user_id(self, user_id: str) -> None:
        """User ids are any text of up to 256 characters."""
        message = rated(item_id="50", value=4)
        message.user_id = user_id
        assert DECODER.decode(record(message.SerializeToString(), key=user_id.encode()))[0] == user_id

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_is_written_is_read(self, kind: str) -> None:
        """The record that carries an event is read back as the event, at the event's time to the millisecond."""
        message, _ = KINDS[kind]
        message = event()
        message.CopyFrom(KINDS[kind][0])
        message.occurred_at.CopyFrom(stamp(NOW - 7))
        written = to_message(message, "a/test")
        headers = dict(written.headers)
        assert headers["content-type"] == b"application/protobuf"
        assert headers["ce_type"] == f"kindred.v1.{message.WhichOneof('kind')}".encode()
        assert (headers["ce_source"], headers["ce_specversion"]) == (b"a/test", b"1.0")
        assert headers["ce_id"] != dict(to_message(message, "a/test").headers)["ce_id"]
        assert written.key == b"7"
        user_id, decoded = DECODER.decode(record(written.value, headers))
        assert (user_id, decoded.at) == ("7", NOW - 7)
        without_time = {name: value for name, value in headers.items() if name != "ce_time"}
        message.ClearField("occurred_at")
        assert DECODER.decode(record(message.SerializeToString(), without_time, timestamp=NOW - 7)) == ("7", decoded)
        assert DECODER.decode(record(message.SerializeToString(), headers)) == ("7", decoded)


class TestTime:
    @pytest.mark.parametrize(
        ("occurred_at", "ce_time", "expected"),
        [
            (None, None, RECORDED),
            (None, b"2023-11-14T22:13:19.250Z", NOW - 750),
            (None, b"2023-11-14T23:13:19.250+01:00", NOW - 750),
            (NOW - 5, None, NOW - 5),
            (NOW - 5, b"2023-11-14T22:13:19.250Z", NOW - 5),
            (EARLIEST_MS, b"2023-11-14T22:13:19.250Z", EARLIEST_MS),
            (NOW - 5, b"nonsense", NOW - 5),
        ],
    )
    def test_the_event_then_the_header_then_the_record(
        self, occurred_at: int | None, ce_time: bytes | None, expected: int
    ) -> None:
        """The time is the event's own, else CloudEvents' header, else that of the record."""
        message = rated(item_id="50", value=4)
        if occurred_at is not None:
            message.occurred_at.CopyFrom(stamp(occurred_at))
        headers = {} if ce_time is None else {"ce_time": ce_time}
        assert DECODER.decode(record(message.SerializeToString(), headers))[1].at == expected

    @pytest.mark.parametrize(
        "ce_time", [b"", b"yesterday", b"2023-13-01T00:00:00Z", b"\xff\xfe", b"0001-01-01T00:00:00+23:59", b"1e9"]
    )
    def test_a_header_that_is_no_time_is_refused(self, ce_time: bytes) -> None:
        """A `ce_time` that cannot be read is an error, not a reason to guess."""
        assert reason(record(README, {"ce_time": ce_time})) == "bad_time"

    @pytest.mark.parametrize("ce_time", [b"2023-11-14T22:13:19", b"2023-11-14", b"20231114T221319Z", b"2023-W46-2"])
    def test_a_time_without_an_offset_is_no_rfc_3339(self, ce_time: bytes) -> None:
        """A time that would depend on the machine's time zone, or is in another form than RFC 3339, is refused."""
        assert reason(record(README, {"ce_time": ce_time})) == "bad_time"

    @pytest.mark.parametrize("at", [EARLIEST_MS, NOW, NOW + FUTURE_TOLERANCE_MS])
    def test_the_bounds_are_allowed(self, at: int) -> None:
        """The first moment of 1971 and clocks that are five minutes ahead are fine."""
        message = rated(item_id="50", value=4)
        message.occurred_at.CopyFrom(stamp(at))
        assert DECODER.decode(record(message.SerializeToString()))[1].at == at
        assert check_time(at, NOW) is None

    @pytest.mark.parametrize("at", [-1, -(10**12), 0, EARLIEST_MS - 1, NOW + FUTURE_TOLERANCE_MS + 1, NOW * 2])
    @pytest.mark.parametrize("place", ["event", "record"])
    def test_what_is_beyond_is_refused(self, at: int, place: str) -> None:
        """A time before 1971 or further in the future is refused, wherever it stands."""
        message = rated(item_id="50", value=4)
        if place == "event":
            message.occurred_at.CopyFrom(stamp(at))
        assert (
            reason(record(message.SerializeToString(), timestamp=at if place == "record" else RECORDED)) == "bad_time"
        )
        assert check_time(at, NOW)

    @pytest.mark.parametrize("ce_time", [b"1970-12-31T23:59:59.999Z", b"2200-01-01T00:00:00Z"])
    def test_a_header_beyond_is_refused(self, ce_time: bytes) -> None:
        """A `ce_time` before 1971 or in 2200 is refused."""
        assert reason(record(README, {"ce_time": ce_time})) == "bad_time"

    @pytest.mark.parametrize(
        ("at", "says"),
        [
            (0, "a clock that was never set?"),
            (86_400, "a clock that was never set?"),
            (-NOW, "a clock that was never set?"),
            (NOW // 1_000, "seconds taken for milliseconds?"),
            (NOW + FUTURE_TOLERANCE_MS + 1, "in the future"),
            (NOW * 1_000, "milliseconds taken for seconds?"),
        ],
    )
    def test_what_is_probably_wrong_is_said(self, at: int, says: str) -> None:
        """A time that is out of bounds by a unit or a clock is refused with a guess at which."""
        assert str(check_time(at, NOW)).endswith(says)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1971-01-01T00:00:00Z", EARLIEST_MS),
            ("2023-11-14T22:13:20.1Z", NOW + 100),
            ("2023-11-14T22:13:20.000999999Z", NOW),
            ("2023-11-14T22:13:20.123456789-00:00", NOW + 123),
            ("2023-11-15T21:43:20+23:30", NOW),
            ("1969-12-31T23:59:59.9999Z", -1),
            ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
        ],
    )
    def test_rfc_3339(self, text: str, expected: int) -> None:
        """Offsets and up to nine digits of a fraction are RFC 3339; times round down."""
        assert milliseconds_of(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "2023-11-14T22:13:20+99:00",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20.1234567890Z",
            "2023-11-14 22:13:20Z",
            "2023-11-14t22:13:20z",
            "٢٠٢٣-11-14T22:13:20Z",
            "2023-11-14T22:13:20Z\n",
            "2023-11-14T22:13Z",
            "2023-02-29T00:00:00Z",
            "2023-11-14T25:13:20Z",
            "0000-01-01T00:00:00Z",
        ],
    )
    def test_what_only_looks_like_rfc_3339(self, text: str) -> None:
        """Other forms of ISO 8601, digits of other scripts and days that are none are no times."""
        with pytest.raises(NotATimeError):
            milliseconds_of(text)

    @pytest.mark.parametrize(
        ("seconds", "nanos", "expected"), [(0, 0, 0), (1, 999_999, 1000), (1, 1_000_000, 1001), (-1, 999_999_999, -1)]
    )
    def test_times_round_down(self, seconds: int, nanos: int, expected: int) -> None:
        """Nanoseconds below a millisecond are dropped."""
        assert time_of(Timestamp(seconds=seconds, nanos=nanos)) == expected

    @pytest.mark.parametrize(("seconds", "nanos"), [(5, -1), (5, 10**9), (5, 2**31 - 1)])
    def test_a_timestamp_that_is_none_is_refused(self, seconds: int, nanos: int) -> None:
        """Nanoseconds outside of a second make no protobuf timestamp, and the event is refused."""
        message = event(forgotten=pb.Forgotten(), occurred_at=Timestamp(seconds=seconds, nanos=nanos))
        assert reason(record(message.SerializeToString())) == "bad_time"


class TestRefusals:
    @pytest.mark.parametrize("case", BAD)
    def test_what_can_never_be_applied_has_a_reason(self, case: str) -> None:
        """Every kind of wrong event is told apart by its reason, and its message says what is wrong with it."""
        expected, says, make = BAD[case]
        bad = make("7")
        timestamp = RECORDED if bad.timestamp is None else bad.timestamp
        with pytest.raises(EventError) as failed:
            DECODER.decode(record(bad.value, dict(bad.headers), bad.key, timestamp))
        assert failed.value.reason == expected
        assert says in str(failed.value)

    def test_every_reason_is_tested(self) -> None:
        """The cases above cover every reason that the module can give."""
        source = Path(events.__file__).read_text()
        reasons = {*findall(r'EventError\(\s*"(\w+)"', source), events.UNKNOWN_ITEM}
        assert reasons == {bad.reason for bad in BAD.values()}

    @pytest.mark.parametrize(
        "value",
        [
            rb'{"userId":"7","\ud800":1}',
            rb'{"userId":"7","\ud800":1,"\ud800":1}',
            b'{"userId":"7","' + b"x" * 400_000 + b'":1}',
            b'{"userId":"7","rated":{"itemId":"50","value":"' + "é".encode() * 100_000 + b'"}}',
            rb'{"userId":"7","\u0000\r\n\u001b[31m":1}',
            '{"userId":"7","rated":{"itemId":"\u202e51","value":5}}'.encode(),
        ],
    )
    def test_whatever_a_message_quotes_it_is_a_line_of_text(self, value: bytes) -> None:
        """Half characters, line breaks and half a megabyte in an event leave a short, printable message."""
        with pytest.raises(EventError) as failed:
            DECODER.decode(record(value))
        message = str(failed.value)
        assert message.isprintable()
        assert message.encode().decode() == message
        assert len(message) <= 510

    def test_a_quoted_letter_is_readable(self) -> None:
        """A message is quoted as it is where it can be."""
        assert str(EventError("x", "the catalog has no item 'amélie'")) == "the catalog has no item 'amélie'"
        assert str(EventError("x", "two\n  lines\tand é\x1b")) == r"two lines and é\x1b"

    def test_a_header_without_a_value_is_no_header(self) -> None:
        """Kafka's headers may be null: such a content type or time says nothing, and the event is read all the same."""
        headers: dict[str, bytes | None] = {"content-type": None, "ce_time": None, "trace": None}
        assert DECODER.decode(record(README, headers)) == ("7", Rated(50, 5.0, RECORDED))

    def test_an_event_of_the_largest_size_is_read(self) -> None:
        """An event of exactly the allowed size is read."""
        padded = README[:-1] + b" " * (MAX_EVENT_BYTES - len(README)) + b"}"
        assert DECODER.decode(record(padded))[0] == "7"

    def test_the_largest_attributes_that_a_call_takes_fit_an_event(self) -> None:
        """Attributes at every limit at once, in four-byte characters, are not too large for an event."""
        names = [chr(0x1F600 + number) * 100 for number in range(64)]
        values = pb.AttributesSet(attributes={name: Value(string_value="🎬" * 1_000) for name in names})
        assert isinstance(DECODER.decode(record(event(attributes_set=values).SerializeToString()))[1], AttributesSet)

    @pytest.mark.parametrize("value", [-0.0, 5e-324, 1e-50])
    def test_a_zero_has_no_sign(self, value: float) -> None:
        """On a scale that begins with zero, minus zero is the zero, and what is hardly more is a rating."""
        decoder = EventDecoder(Catalog([CatalogEntry(50, Item("50"))]), RatingScale(0, 5), lambda: NOW)
        _, decoded = decoder.decode(record(rated(item_id="50", value=value).SerializeToString()))
        assert isinstance(decoded, Rated)
        assert (decoded.value, math.copysign(1, decoded.value)) == (value, 1)

    @pytest.mark.parametrize(
        ("scale", "reaction", "value"),
        [("thumbs", REACTION_LIKE, 1), ("thumbs", REACTION_DISLIKE, 0), ("plays", REACTION_LIKE, 10)],
    )
    def test_a_reaction_is_a_value_of_the_scale(self, scale: str, reaction: int, value: float) -> None:
        """Thumbs up and down, and as many plays as make five stars, are what the reactions are kept as."""
        decoder = EventDecoder(Catalog([CatalogEntry(50, Item("50"))]), PRESETS[scale], lambda: NOW)
        liked = record(rated(item_id="50", reaction=reaction).SerializeToString())
        assert decoder.decode(liked) == ("7", Rated(50, value, RECORDED))

    def test_a_dislike_that_no_value_stands_for_is_off_the_scale(self) -> None:
        """A count of plays says nothing bad, so the event can never be applied, and the reason says why."""
        decoder = EventDecoder(Catalog([CatalogEntry(50, Item("50"))]), PRESETS["plays"], lambda: NOW)
        disliked = record(rated(item_id="50", reaction=REACTION_DISLIKE).SerializeToString())
        with pytest.raises(EventError, match=r"no rating on the scale, 1 to 1000000 .* a dislike") as failed:
            decoder.decode(disliked)
        assert failed.value.reason == "off_scale"

    def test_a_count_off_the_scale_is_shown_with_all_its_digits(self) -> None:
        """One play too many is told apart from a million."""
        decoder = EventDecoder(Catalog([CatalogEntry(50, Item("50"))]), PRESETS["plays"], lambda: NOW)
        with pytest.raises(EventError, match="the rating 1000001 is off the scale, 1 to 1000000"):
            decoder.decode(record(rated(item_id="50", value=1_000_001).SerializeToString()))


VALID = [
    *(message.SerializeToString() for message, _ in KINDS.values()),
    *(json_format.MessageToJson(message).encode() for message, _ in KINDS.values()),
]
HEADERS = st.sampled_from([{}, JSON, PROTOBUF, {"content-type": b"application/json; charset=utf-8"}])
TEXT = st.text(st.characters(), max_size=20)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from(["50", "7", "REACTION_LIKE"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["userId", "occurredAt", "rated", "retracted", "forgotten", "attributesSet", "attributes", "itemId", "value"]


def decodes_or_says_why(given_record: Record) -> None:
    """Nothing but an event or an `EventError` comes out of a record."""
    try:
        user_id, decoded = DECODER.decode(given_record)
    except EventError:
        return
    assert user_id.encode() == given_record.key
    assert EARLIEST_MS <= decoded.at <= NOW + FUTURE_TOLERANCE_MS
    if isinstance(decoded, Rated):
        assert 0.5 <= decoded.value <= 5.0


class TestFuzz:
    @given(st.binary(max_size=200), HEADERS, st.sampled_from([b"7", b"", b"\xff", None]), st.integers(-1, 2 * NOW))
    def test_any_bytes(self, value: bytes, headers: dict[str, bytes], key: bytes | None, timestamp: int) -> None:
        """Random bytes are refused with a reason, and never break the decoder."""
        decodes_or_says_why(record(value, headers, key, timestamp))

    @given(st.sampled_from(VALID), HEADERS, st.data())
    def test_mutated_events(self, value: bytes, headers: dict[str, bytes], data: st.DataObject) -> None:
        """Events with some bytes changed, added or left out are read or refused with a reason."""
        mutated = bytearray(value)
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(mutated)))
            mutated[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        decodes_or_says_why(record(bytes(mutated), headers))

    @given(
        st.dictionaries(
            st.sampled_from(FIELDS), JSON_VALUES | st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES), max_size=4
        ),
        HEADERS,
    )
    def test_any_json(self, document: dict[str, Any], headers: dict[str, bytes]) -> None:
        """JSON documents of the right names and wrong contents are read or refused with a reason."""
        decodes_or_says_why(record(json.dumps({"userId": "7", **document}).encode(), headers))

    @given(
        st.dictionaries(
            st.sampled_from(["content-type", "ce_time", "ce_id"]), st.none() | st.binary(max_size=30), max_size=3
        )
    )
    def test_any_headers(self, headers: dict[str, bytes | None]) -> None:
        """Headers of any content, null included, never break the decoder."""
        decodes_or_says_why(record(README, headers))


class TestAttributesOf:
    def test_flat_values_come_as_they_are(self) -> None:
        """Strings, numbers and booleans become Python's."""
        values = {"s": Value(string_value=""), "n": Value(number_value=0), "b": Value(bool_value=False)}
        assert attributes_of(values) == {"s": "", "n": 0.0, "b": False}
        assert isinstance(attributes_of(values)["b"], bool)
