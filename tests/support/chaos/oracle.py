"""What the store has to hold, worked out slowly from the log alone: none of Kindred's code says what the rule is.

Per item the latest by (time in milliseconds, then place in the log) wins, and a retraction is an event like any other.
Forgetting drops everything that stands before it in the log, and of what comes after it whatever is not later than the
latest forgetting. Attributes are the latest by (time, then place in the log).
"""

import json
import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from kindred.v1.rating_event_pb2 import RatingEvent
from tests.support.chaos.steps import EXTERNAL
from tests.support.films import LOADED_AT, USERS
from tests.support.kafka_log import Headers

LIKE, DISLIKE = 5.0, 1.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEFORE_THE_LOG = (-1, -1)


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a user.

    Args:
        kind: `rated`, `retracted`, `forgotten` or `attributes_set`.
        at: Milliseconds since 1970.
        item: The item's own id.
        value: The rating.
        attributes: The attributes.
        place: Partition and offset.
    """

    kind: str
    at: int
    item: str = ""
    value: float = 0.0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    place: tuple[int, int] = _BEFORE_THE_LOG


@dataclass(frozen=True, slots=True)
class Expected:
    """A user as the store has to hold them.

    Args:
        ratings: By item the value's 32 bits (None for a rating that was taken back) and its time.
        forgotten_at: The latest forgetting; None for none.
        attributes: The attributes.
        attributes_at: When they were set; None for never.
        source: Partition and offset of the last event; None for a user of the bulk load.
        removed: How many ratings and attributes the last forgetting removed; None for none.
    """

    ratings: Mapping[str, tuple[int | None, int]]
    forgotten_at: int | None
    attributes: Mapping[str, Any]
    attributes_at: int | None
    source: tuple[int, int] | None
    removed: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record, as a plain Kafka consumer has it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int

    def header(self, name: str) -> str | None:
        """The last value of a header as text; None if there is none."""
        found = [value for each, value in self.headers if each == name]
        return found[-1].decode() if found and found[-1] is not None else None

    @property
    def poison(self) -> bool:
        """Whether its producer has spoilt it."""
        return self.header("chaos-poison") is not None


def bits(value: float) -> int:
    """A value's 32 bits, as it is kept in single precision."""
    [whole] = struct.unpack("<I", struct.pack("<f", value))
    return int(whole)


def decode(record: LogRecord) -> tuple[str, Event]:
    """The event in a record that is not spoilt, and whose it is."""
    value = record.value or b""
    if record.header("content-type") == "application/protobuf":
        user, kind, at, content = _from_protobuf(RatingEvent.FromString(value))
    else:
        user, kind, at, content = _from_json(json.loads(value))
    if user.encode() != record.key:
        raise AssertionError(f"the key of {record} is not its user")
    if at is None:
        stated = record.header("ce_time")
        at = _milliseconds(stated) if stated is not None else record.timestamp
    return user, Event(kind, at, place=(record.partition, record.offset), **content)


def _from_protobuf(event: RatingEvent) -> tuple[str, str, int | None, dict[str, Any]]:
    at = None
    if event.HasField("occurred_at"):
        at = event.occurred_at.seconds * 1000 + event.occurred_at.nanos // 1_000_000
    kind = event.WhichOneof("kind")
    content: dict[str, Any] = {}
    if kind in ("rated", "retracted"):
        content["item"] = _own_id(getattr(event, kind).item_id)
    if kind == "rated":
        reaction = {0: event.rated.value, 1: LIKE, 2: DISLIKE}
        content["value"] = reaction[event.rated.reaction]
    if kind == "attributes_set":
        attributes = event.attributes_set.attributes
        content["attributes"] = {
            name: getattr(value, str(value.WhichOneof("kind"))) for name, value in attributes.items()
        }
    return event.user_id, str(kind), at, content


def _from_json(event: dict[str, Any]) -> tuple[str, str, int | None, dict[str, Any]]:
    at = _milliseconds(event["occurredAt"]) if "occurredAt" in event else None
    if "rated" in event:
        rated = event["rated"]
        reactions = {"REACTION_LIKE": LIKE, "REACTION_DISLIKE": DISLIKE}
        value = reactions[rated["reaction"]] if "reaction" in rated else rated["value"]
        return event["userId"], "rated", at, {"item": _own_id(rated["itemId"]), "value": value}
    if "retracted" in event:
        return event["userId"], "retracted", at, {"item": _own_id(event["retracted"]["itemId"])}
    if "forgotten" in event:
        return event["userId"], "forgotten", at, {}
    attributes = {
        name: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in event["attributesSet"]["attributes"].items()
    }
    return event["userId"], "attributes_set", at, {"attributes": attributes}


def _milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)


def _own_id(item: str) -> str:
    return EXTERNAL.get(item, item)


def expected_users(records: Sequence[LogRecord]) -> dict[str, Expected]:
    """Everybody whom the store has to hold.

    Args:
        records: The whole log, in order within each partition.
    """
    events: dict[str, list[Event]] = defaultdict(list)
    for user, ratings in USERS.items():
        for number, (item, value) in enumerate(ratings.items()):
            events[user].append(Event("rated", LOADED_AT + number, item=item, value=value))
        events[user].append(Event("attributes_set", LOADED_AT, attributes={"country": "NL"}))
    for record in records:
        if not record.poison:
            user, event = decode(record)
            events[user].append(event)
    return {user: fold(each) for user, each in events.items()}


def fold(events: Sequence[Event]) -> Expected:
    """What a user's events, in their order, come to."""
    forgettings = [number for number, event in enumerate(events) if event.kind == "forgotten"]
    forgotten_at, removed, kept = None, None, list(events)
    if forgettings:
        before = fold(events[: forgettings[-1]])
        removed = (sum(value is not None for value, _ in before.ratings.values()), len(before.attributes))
        forgotten_at = max(events[number].at for number in forgettings)
        kept = [event for event in events[forgettings[-1] + 1 :] if event.at > forgotten_at]
    ratings: dict[str, tuple[int | None, int]] = {}
    for item in {event.item for event in kept if event.item}:
        mine = [(event.at, number, event) for number, event in enumerate(kept) if event.item == item]
        *_, latest = max(mine, key=lambda each: each[:2])
        ratings[item] = (bits(latest.value) if latest.kind == "rated" else None, latest.at)
    settings = [(event.at, number, event) for number, event in enumerate(kept) if event.kind == "attributes_set"]
    last_set = max(settings, key=lambda each: each[:2])[2] if settings else None
    return Expected(
        ratings=ratings,
        forgotten_at=forgotten_at,
        attributes=last_set.attributes if last_set else {},
        attributes_at=last_set.at if last_set else None,
        source=events[-1].place if events and events[-1].place != _BEFORE_THE_LOG else None,
        removed=removed,
    )
