"""The records that steps write: JSON and protobuf as other people's services write them, and poison."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from kindred.v1.rating_event_pb2 import RatingEvent
from tests.support.chaos.steps import Step
from tests.support.kafka_log import Raw

_YEAR_MS = 366 * 24 * 3_600_000


def rfc3339(at: int) -> str:
    """A time as text.

    Args:
        at: Milliseconds since 1970.
    """
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def timestamp_of(at: int) -> Timestamp:
    """A time as a message.

    Args:
        at: Milliseconds since 1970.
    """
    return Timestamp(seconds=at // 1000, nanos=at % 1000 * 1_000_000)


def values_of(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Attributes as protobuf values by name."""
    return ParseDict(dict(attributes), Struct()).fields


def record_of(step: Step, start: int) -> Raw:
    """The record that a step writes.

    Args:
        step: The step.
        start: When the run started, in milliseconds since 1970.
    """
    event, at = _spoiled(_event(step), step.poison), start + (step.occurred or 0)
    if step.poison in ("future", "before 1970"):
        at = start + _YEAR_MS if step.poison == "future" else -1
    headers: list[tuple[str, bytes | None]] = [("chaos", step.name.encode())]
    timestamp = None
    if step.place == "ce_time" or step.poison:
        headers.append(("ce_time", rfc3339(at).encode()))
    elif step.place == "timestamp":
        timestamp = at
    else:
        event["occurredAt"] = rfc3339(at)
    if step.form == "json":
        value = json.dumps(event, ensure_ascii=False).encode()
    else:
        value = ParseDict(event, RatingEvent()).SerializeToString()
        headers.append(("content-type", b"application/protobuf"))
    record = Raw(step.user.encode(), value, headers, timestamp)
    return _poisoned(record, step.poison) if step.poison else record


def _poisoned(record: Raw, poison: str) -> Raw:
    headers = [*record.headers, ("chaos-poison", poison.encode())]
    match poison:
        case "undecodable":
            return replace(record, value=b"\xff\xfe no event", headers=headers)
        case "empty":
            return replace(record, value=b"", headers=headers)
        case "content type":
            return replace(record, headers=[*headers, ("content-type", b"text/csv")])
        case "no key":
            return replace(record, key=None, headers=headers)
        case "key mismatch":
            return replace(record, key=b"somebody else", headers=headers)
    return replace(record, headers=headers)


def _event(step: Step) -> dict[str, Any]:
    """The event as protobuf-JSON has it, without its time."""
    match step.kind:
        case "rated":
            [(item, value)] = step.ratings.items()
            opinion = {"reaction": f"REACTION_{value}"} if isinstance(value, str) else {"value": value}
            return {"userId": step.user, "rated": {"itemId": item, **opinion}}
        case "retracted":
            return {"userId": step.user, "retracted": {"itemId": next(iter(step.ratings))}}
        case "forgotten":
            return {"userId": step.user, "forgotten": {}}
        case _:
            return {"userId": step.user, "attributesSet": {"attributes": dict(step.attributes)}}


def _spoiled(event: dict[str, Any], poison: str) -> dict[str, Any]:
    match poison:
        case "off scale":
            event["rated"] = {"itemId": "50", "value": 5.5}
        case "unknown item":
            event["rated"]["itemId"] = "no such film"
        case "no opinion":
            event["rated"] = {"itemId": "50"}
        case "no kind":
            del event["rated"]
        case "bad id":
            event["userId"] = ""
    return event
