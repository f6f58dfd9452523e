"""Rating events as bytes in the log: protobuf or protobuf-JSON, in CloudEvents' binary mode for Kafka.

Events carry absolute values. One that can never be applied raises `EventError`, whose message a person understands.
CloudEvents: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from kindred.catalog import Catalog
from kindred.event_json import NotAnEventError, read_json
from kindred.eventlog.broker import UNREADABLE, Message, Record
from kindred.items import check_attributes, check_id
from kindred.ratings import AttributesSet, Forgotten, ProfileEvent, Rated, RatingScale, Reaction, Retracted
from kindred.rfc3339 import NotATimeError, milliseconds_of
from kindred.v1.rating_event_pb2 import RatingEvent
from kindred.v1.reaction_pb2 import Reaction as ReactionMessage

MAX_EVENT_BYTES = 512 * 1024
"""The largest attributes that a call takes fit in it."""
FUTURE_TOLERANCE_MS = 5 * 60 * 1000
"""How far a clock may be ahead of ours."""
EARLIEST_MS = 365 * 86_400_000
"""1971 in milliseconds. A time in 1970 is next to nothing since 1970: no time at all, or one in another unit."""

_MESSAGE_LENGTH = 500
_PROTOBUF, _JSON = b"application/protobuf", b"application/json"
_CONTENT_TYPES = (None, b"", _PROTOBUF, _JSON)
_JSON_STARTS = (b"{", b"\xef\xbb\xbf{")
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799

REACTIONS = {ReactionMessage.REACTION_LIKE: Reaction.LIKE, ReactionMessage.REACTION_DISLIKE: Reaction.DISLIKE}


REASONS = (
    "bad_attributes",
    "bad_id",
    "bad_key",
    "bad_time",
    "content_type",
    "empty",
    "key_mismatch",
    "no_key",
    "no_kind",
    "no_opinion",
    "off_scale",
    "too_large",
    "undecodable",
    "unknown_item",
    "unreadable",
)
"""Every reason of an event that can never be applied."""

UNKNOWN_ITEM = "unknown_item"
"""The reason of an event about an item that the catalog lacks."""


class EventError(Exception):
    """An event that can never be applied.

    Args:
        reason: Which kind of wrong, for programs: `off_scale`, `unknown_item`, …
        message: What is wrong, for people. It may quote the event: whatever is in it, it fits a header and a line.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(_line_of(message))


def _line_of(text: str) -> str:
    """A text on one line that is not long, and that every encoding of Unicode takes."""
    line = text[: _MESSAGE_LENGTH + 1]
    if not line.isprintable():
        words = " ".join(line.split())
        line = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in words)
    return line if len(line) <= _MESSAGE_LENGTH else line[:_MESSAGE_LENGTH] + "…"


class UnknownItemError(EventError):
    """An event about an item that the catalog lacks.

    Args:
        item_id: The item as the event names it.
    """

    def __init__(self, item_id: str) -> None:
        self.item_id = item_id
        super().__init__(UNKNOWN_ITEM, f"the catalog has no item {item_id!r}")


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def to_message(event: RatingEvent, source: str) -> Message:
    """The record that carries an event.

    Args:
        event: The event, with its user and time.
        source: Who says so: CloudEvents' source.
    """
    kind = event.WhichOneof("kind") or ""
    headers = (
        ("content-type", b"application/protobuf"),
        ("ce_specversion", b"1.0"),
        ("ce_id", str(uuid4()).encode()),
        ("ce_type", f"kindred.v1.{kind}".encode()),
        ("ce_source", source.encode()),
        ("ce_time", event.occurred_at.ToJsonString().encode()),
    )
    return Message(event.user_id.encode(), event.SerializeToString(), headers)


def attributes_of(values: Mapping[str, Value]) -> dict[str, Any]:
    """Attributes from protobuf values. What is neither string, number nor boolean stays for `check_attributes`."""
    return {name: attribute_of(value) for name, value in values.items()}


def attribute_of(value: Value) -> Any:
    """One attribute; None if it is neither string, number nor boolean: `check_value` says so."""
    kind = value.WhichOneof("kind")
    return getattr(value, kind) if kind in ("string_value", "number_value", "bool_value") else None


def time_of(timestamp: Timestamp) -> int:
    """Milliseconds since 1970, rounded down.

    Raises:
        ValueError: It is no time between the years 1 and 9999.
    """
    if not 0 <= timestamp.nanos < 10**9 or not _FIRST_SECOND <= timestamp.seconds <= _LAST_SECOND:
        raise ValueError("is no time between the years 1 and 9999")
    return timestamp.seconds * 1000 + timestamp.nanos // 1_000_000


def check_time(at: int, now: int) -> str | None:
    """What is wrong with the time of an event; None if nothing is.

    Args:
        at: The time, in milliseconds since 1970.
        now: The present.
    """
    if EARLIEST_MS <= at <= now + FUTURE_TOLERANCE_MS:
        return None
    if at > now:
        likely = EARLIEST_MS <= at // 1_000 <= now + FUTURE_TOLERANCE_MS
        hint = ": milliseconds taken for seconds?" if likely else ""
        return f"must not be more than five minutes in the future{hint}"
    likely = EARLIEST_MS <= at * 1_000 <= now + FUTURE_TOLERANCE_MS
    hint = "seconds taken for milliseconds?" if likely else "a clock that was never set?"
    return f"must not be before 1971: {hint}"


class EventDecoder:
    """Turns records into events of users.

    Args:
        catalog: The items that can be rated.
        scale: The scale of the ratings.
        clock: The present, in milliseconds since 1970.
    """

    def __init__(self, catalog: Catalog, scale: RatingScale, clock: Callable[[], int] = now_ms) -> None:
        self._catalog = catalog
        self._scale = scale
        self._clock = clock

    def decode(self, record: Record) -> tuple[str, ProfileEvent]:
        """Decodes one record.

        Args:
            record: As read from the topic.

        Returns:
            The user's id and the event.

        Raises:
            EventError: It can never be applied.
        """
        event = parse_event(record)
        user_id = _user_of(record, event)
        at = self._time(record, event)
        match event.WhichOneof("kind"):
            case "rated":
                return user_id, Rated(self._item(event.rated.item_id), self._value(event), at)
            case "retracted":
                return user_id, Retracted(self._item(event.retracted.item_id), at)
            case "forgotten":
                return user_id, Forgotten(at)
            case "attributes_set":
                attributes = attributes_of(event.attributes_set.attributes)
                for violation in check_attributes(attributes, "attributes"):
                    raise EventError("bad_attributes", f"{violation.field} {violation.description}")
                return user_id, AttributesSet(attributes, at)
            case _:
                raise EventError("no_kind", "the event is none of rated, retracted, forgotten, attributes_set")

    def _time(self, record: Record, event: RatingEvent) -> int:
        name, at = "the record's timestamp", record.timestamp
        try:
            if event.HasField("occurred_at"):
                name = "occurred_at"
                at = time_of(event.occurred_at)
            elif (header := record.header("ce_time")) is not None:
                name = "the header ce_time"
                at = milliseconds_of(header.decode(errors="replace"))
        except ValueError as error:
            raise EventError("bad_time", f"{name} {error}") from error
        if problem := check_time(at, self._clock()):
            raise EventError("bad_time", f"{name} {problem}")
        return at

    def _item(self, item_id: str) -> int:
        for violation in check_id(item_id, "item_id"):
            raise EventError("bad_id", f"item_id {violation.description}")
        index = self._catalog.index_of(item_id)
        if index is None:
            raise UnknownItemError(item_id)
        return index

    def _value(self, event: RatingEvent) -> float:
        rated = event.rated
        match rated.WhichOneof("opinion"):
            case "value" if self._scale.contains(rated.value):
                return rated.value + 0.0  # a zero may be negative, and is the same rating
            case "reaction" if rated.reaction in REACTIONS:
                value = self._scale.value_of(REACTIONS[rated.reaction])
                if value is None:
                    raise EventError("off_scale", f"no rating on the scale, {self._scale}, stands for a dislike")
                return value
            case "value":
                raise EventError("off_scale", f"the rating {rated.value:.10g} is off the scale, {self._scale}")
            case _:
                raise EventError("no_opinion", "the event has neither a value nor a reaction that is known")


def parse_event(record: Record) -> RatingEvent:
    """The event in a record, whatever it says.

    Args:
        record: As read from the topic.

    Raises:
        EventError: There is none.
    """
    value, headers = record.value, dict(record.headers)
    if (why := headers.get(UNREADABLE)) is not None:
        raise EventError("unreadable", f"the record cannot be read: {why.decode(errors='replace')}")
    if not value:
        raise EventError("empty", "the record has no value")
    if len(value) > MAX_EVENT_BYTES:
        raise EventError("too_large", f"the event has {len(value):,} bytes, at most {MAX_EVENT_BYTES:,} are allowed")
    content_type = headers.get("content-type")
    if content_type not in _CONTENT_TYPES:  # not in the usual spelling
        content_type = content_type.partition(b";")[0].strip().lower()
    if content_type not in _CONTENT_TYPES:
        raise EventError("content_type", "content-type is neither application/protobuf nor application/json")
    try:
        if content_type == _JSON or (not content_type and value.startswith(_JSON_STARTS)):
            return read_json(value)
        return RatingEvent.FromString(value)
    except NotATimeError as error:
        raise EventError("bad_time", f"occurredAt {error}") from error
    except NotAnEventError as error:
        raise EventError("undecodable", f"the value {error}") from error
    except DecodeError as error:
        raise EventError("undecodable", f"the value is no RatingEvent: {error}") from error


def _user_of(record: Record, event: RatingEvent) -> str:
    if not record.key:
        raise EventError("no_key", "the record has no key; it must be the user id, which orders a user's events")
    try:
        key = record.key.decode()
    except UnicodeDecodeError as error:
        raise EventError("bad_key", "the record's key is no UTF-8 text") from error
    for violation in check_id(event.user_id, "user_id"):
        raise EventError("bad_id", f"user_id {violation.description}")
    if key != event.user_id:
        raise EventError("key_mismatch", "the record's key is not the event's user_id")
    return event.user_id
