"""Compares what the store holds with what the log says, and the dead letters and acknowledgements with the log."""

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support.chaos.oracle import DISLIKE, LIKE, Event, Expected, LogRecord, bits, decode
from tests.support.chaos.producers import Acknowledged, Ledger
from tests.support.chaos.raw_store import Contents, Point, point_id

_TOLERANCE = 1e-6
_NAN_EXPONENT, _FRACTION = 0x7F800000, 0x007FFFFF


def differences(expected: Mapping[str, Expected], contents: Contents) -> Iterator[str]:
    """Everything in which the store is not what it has to be.

    Args:
        expected: Everybody, by user id.
        contents: What is stored.
    """
    nobody = contents.points.keys() - {point_id(user) for user in expected}
    yield from (f"the store has {contents.points[each].payload} of whom the log says nothing" for each in nobody)
    shrinkage = contents.metadata["weighting"]["parameters"]["shrinkage"]
    for user, wanted in expected.items():
        point = contents.points.get(point_id(user))
        if point is None:
            yield f"user {user!r} is missing"
            continue
        for what, (stored, due) in _parts(user, wanted, point, contents, shrinkage).items():
            if stored != due:
                yield f"user {user!r}: {what} is {stored} and has to be {due}; stored {point.payload}"


def _parts(
    user: str, wanted: Expected, point: Point, contents: Contents, shrinkage: float
) -> dict[str, tuple[Any, Any]]:
    """By what it is, what is stored and what it has to be."""
    profile, payload = point.profile, point.payload
    ratings = {
        contents.items.get(item, str(item)): (None if _is_nan(value) else value, at)
        for item, value, at in zip(point.items, point.values, point.times, strict=True)
    }
    due_ratings = dict(wanted.ratings)
    times = [at for value, at in due_ratings.values() if value is not None]
    has_name = bool(due_ratings or wanted.attributes or wanted.forgotten_at is None)
    source, removal = payload.get("source"), payload.get("removal")
    parts = {
        "ratings": (
            {item: each for item, each in ratings.items() if due_ratings.get(item) != each},
            {item: each for item, each in due_ratings.items() if ratings.get(item) != each},
        ),
        "order": (list(point.items), sorted(point.items)),
        "forgotten_at": (profile.forgotten_at if profile.HasField("forgotten_at") else None, wanted.forgotten_at),
        "attributes": (_typed(payload.get("attributes") or {}), _typed(wanted.attributes)),
        "attributes_at": (profile.attributes_at if profile.HasField("attributes_at") else None, wanted.attributes_at),
        "name": (payload.get("user_id", ""), user if has_name else ""),
        "rating_count": (payload["rating_count"], len(times)),
        "source": (source and (source["partition"], source["offset"]), wanted.source),
        "removal": (removal and (removal["ratings"], removal["attributes"]), wanted.removed),
    }
    due = _vector({item: value for item, (value, _) in due_ratings.items() if value is not None}, shrinkage)
    vector = {contents.items.get(index, str(index)): value for index, value in point.vector.items()}
    same = vector.keys() == due.keys() and all(
        math.isclose(vector[item], value, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE * 1e-3) for item, value in due.items()
    )
    return parts | ({} if same else {"vector": (vector, due)})


def _vector(ratings: Mapping[str, int], shrinkage: float) -> dict[str, float]:
    """The default weighting's vector, from docs/recipes.md; the films' scale ends at five stars."""
    liked = {}
    for item, value in ratings.items():
        [stars] = struct.unpack("<f", struct.pack("<I", value))
        if stars <= 2:
            liked[item] = -0.25
        elif stars <= 3:
            liked[item] = -0.25 + (stars - 2) / 2
        else:
            liked[item] = min(1.0, 0.25 + (stars - 3) * 0.75)
    norm = math.sqrt(shrinkage + sum(value * value for value in liked.values()))
    return {item: value / norm for item, value in liked.items()}


def _is_nan(value: int) -> bool:
    return value & _NAN_EXPONENT == _NAN_EXPONENT and value & _FRACTION != 0


def _typed(attributes: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    return {name: (type(value).__name__, value) for name, value in attributes.items()}


def lost(ledger: Ledger, records: Sequence[LogRecord]) -> Iterator[str]:
    """Everything that was acknowledged and is not in the log.

    Args:
        ledger: What was acknowledged.
        records: The whole log.
    """
    places = {(record.partition, record.offset): record for record in records}
    events = {place: decode(record) for place, record in places.items() if not record.poison}
    rated = {(user, each.item, bits(each.value), each.at) for user, each in events.values() if each.kind == "rated"}
    for each in ledger.acknowledged:
        place = (each.partition, each.offset)
        if place not in places or not _is_there(each, places[place], events.get(place), rated, ledger.start):
            found = places.get(place)
            yield f"{each.step} was acknowledged at {place}, where the log has {found}"


def _is_there(
    each: Acknowledged,
    record: LogRecord,
    decoded: tuple[str, Event] | None,
    rated: set[tuple[str, str, int, int]],
    start: int,
) -> bool:
    step = each.step
    if step.form:  # a record: it carries its name
        return record.header("chaos") == step.name
    if decoded is None or decoded[0] != step.user:
        return False
    event = decoded[1]
    match step.kind:
        case "rated" | "item":
            values = {
                item: {"LIKE": LIKE, "DISLIKE": DISLIKE}.get(str(value), value) for item, value in step.ratings.items()
            }
            at = event.at if step.occurred is None else start + step.occurred
            return (event.kind, event.item) == ("rated", [*values][-1]) and all(
                (step.user, item, bits(float(value)), at) in rated for item, value in values.items()
            )
        case "retracted":
            return (event.kind, event.item) == ("retracted", [*step.ratings][-1])
        case "attributes":
            return event.kind == "attributes_set" and _typed(event.attributes) == _typed(step.attributes)
        case _:
            return event.kind == "forgotten"


def wrong_letters(records: Sequence[LogRecord], letters: Sequence[LogRecord]) -> Iterator[str]:
    """Poison without a dead letter, and dead letters of what was no poison.

    Args:
        records: The whole log.
        letters: The whole topic of dead letters.
    """
    poison = {(record.partition, record.offset): record for record in records if record.poison}
    found = set()
    for letter in letters:
        place = (int(letter.header("kindred-partition") or -1), int(letter.header("kindred-offset") or -1))
        found.add(place)
        if place not in poison:
            yield f"a dead letter of what was no poison: {letter}"
        elif letter.value != poison[place].value or letter.key != poison[place].key:
            yield f"a dead letter that is not its record: {letter} for {poison[place]}"
    yield from (f"poison without a dead letter: {poison[place]}" for place in poison.keys() - found)
