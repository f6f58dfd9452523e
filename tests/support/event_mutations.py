"""Events, good and bad, and what can be done to them: bits, fields of protobuf, trees of JSON, headers, keys, times."""

import json
import math
import random
from typing import Any

from google.protobuf import json_format

from kindred.eventlog.broker import Record
from kindred.events import EARLIEST_MS
from kindred.v1 import rating_event_pb2 as pb
from kindred.v1.reaction_pb2 import REACTION_DISLIKE, REACTION_LIKE
from tests.support.bad_events import BAD

NOW = 1_700_000_000_000
ITEMS = {"50": 50, "amélie": 2**31 + 9}
USERS = ["7", "Σωκράτης", "a b", "x" * 256]


def _seeds() -> list[Record]:
    """Good events of every kind in both encodings, and bad ones that are not long."""
    kinds: list[dict[str, Any]] = [
        {"rated": pb.Rated(item_id="50", value=4.5)},
        {"rated": pb.Rated(item_id="amélie", value=0)},
        {"rated": pb.Rated(item_id="imdb:tt50", reaction=REACTION_LIKE)},
        {"rated": pb.Rated(item_id="50", reaction=REACTION_DISLIKE)},
        {"retracted": pb.Retracted(item_id="50")},
        {"forgotten": pb.Forgotten()},
        {"attributes_set": pb.AttributesSet()},
        {
            "attributes_set": pb.AttributesSet(
                attributes={
                    "country": {"string_value": "NL"},
                    "age": {"number_value": 41.5},
                    "member": {"bool_value": False},
                    "film": {"string_value": "🎬"},
                }
            )
        },
    ]
    seeds = []
    for user in USERS:
        for kind in kinds:
            for at in (None, {"seconds": NOW // 1_000 - 5, "nanos": 250_000_000}):
                event = pb.RatingEvent(user_id=user, occurred_at=at, **kind)
                values = (event.SerializeToString(), json_format.MessageToJson(event, indent=None).encode())
                seeds += [Record("ratings", 3, 14, user.encode(), value, (), NOW - 1_000) for value in values]
    for bad in BAD.values():
        raw = bad.of("7")
        if len(raw.value or b"") < 2_000 and len(raw.headers) < 10 and len(raw.key or b"") < 2_000:
            timestamp = NOW if raw.timestamp is None else raw.timestamp
            seeds.append(Record("ratings", 3, 14, raw.key, raw.value, tuple(raw.headers), timestamp))
    return seeds


_CONTENT_TYPES = [
    None, b"", b"application/json", b"application/protobuf", b"Application/JSON; charset=utf-8", b"text/plain", b";",
    b"application/json;;;", b" application/protobuf ", b"\xff", b"application/json\0", b"application/cloudevents+json",
]  # fmt: skip
_TIMES = [
    None, b"", b"2023-11-14T22:13:19.250Z", b"2023-11-14T23:13:19+01:00", b"1970-01-01T00:00:00Z", b"now", b"\xff\xfe",
    b"2200-01-01T00:00:00Z", b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:60Z", b"2023-02-29T00:00:00Z", b"Z", b"-",
    b"2023-11-14T22:13:19.Z", "٢٠٢٣-11-14T22:13:19Z".encode(), b"2023-11-14T22:13:19.999999999-23:59",
]  # fmt: skip
_HEADERS = ["content-type", "content-type", "ce_time", "ce_id", "kindred-reason", "", "é", "Content-Type"]
_TIMESTAMPS = [NOW, NOW - 1, 0, -1, 1, -(2**63), 2**63 - 1, EARLIEST_MS, EARLIEST_MS - 1, NOW // 1_000, NOW * 1_000]
_KEYS = [None, b"", b"7", b"8", b"\xff", b"\xed\xa0\x80", b"7\0", b"x" * 256, b"x" * 257, "Σωκράτης".encode(), b"07"]
_VARINTS = [0, 1, 2, 7, 127, 128, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1, NOW, NOW // 1_000, 10**9]
_BYTES = [b"", b"7", b"50", b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f\x8e\xac", b"a" * 300, b"\x00" * 8]
_DOUBLES = [
    bytes.fromhex(text)
    for text in (
        "0000000000000000", "0000000000000080", "0100000000000000", "000000000000f07f", "000000000000f0ff",
        "000000000000f87f", "0100000000000014", "0000000000001440", "0100000000001440", "ffffffffffffef7f",
    )
]  # fmt: skip
_LEAVES: list[Any] = [
    None, True, False, 0, -1, 1, 5, 4.5, -0.0, 5e-324, 1e308, 2**53 + 1, 2**63, 10**400, "", "7", "50", "5", "NaN",
    "Infinity", "\ud800", "\udfff\ud800", "\0", "\ufeff", "\u202e", "REACTION_LIKE", "REACTION_UNSPECIFIED", "LOVE",
    "2023-11-14T22:13:19Z", "2023-11-14T22:13:19", "1970-01-01T00:00:00Z", "2200-01-01T00:00:00Z", "x" * 1_001, [], {},
    [1], {"a": 1}, {"seconds": 5}, "amélie", "🎬", math.nan, math.inf, 1.5, 2, 3, 2**31,
]  # fmt: skip
_NAMES = [
    "userId", "user_id", "occurredAt", "occurred_at", "rated", "retracted", "forgotten", "attributesSet", "itemId",
    "attributes_set", "item_id", "value", "reaction", "attributes", "", "x", "\ud800", "\0", "[a.b]", "@type",
    "a" * 101,
]  # fmt: skip


class Fuzzer:
    """Makes inputs.

    Args:
        seed: Decides about all of them.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._seeds = _seeds()

    def input(self, number: int) -> Record:
        """The input of a number."""
        chance = random.Random((self.seed << 40) + number)  # noqa: S311  # no secret
        record = chance.choice(self._seeds)
        value = record.value or b""
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            informed = _json_changed if value.startswith(b"{") else _fields_changed
            change = chance.choices((informed, _bytes_changed, self._spliced), (7, 2, 1))[0]
            value = change(value, chance)
        record = record._replace(value=value if value or chance.random() < 0.5 else None)
        return _surroundings_changed(record, chance) if chance.random() < 0.4 else record

    def _spliced(self, value: bytes, chance: random.Random) -> bytes:
        other = chance.choice(self._seeds).value or b""
        return value[: chance.randint(0, len(value))] + other[chance.randint(0, len(other)) :]


def _bytes_changed(value: bytes, chance: random.Random) -> bytes:
    """Flips bits, cuts, inserts, repeats: knows nothing of what the bytes mean."""
    changed = bytearray(value)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randint(0, len(changed))
        end = min(len(changed), place + chance.randint(1, 8))
        match chance.randrange(7):
            case 0 if place < len(changed):
                changed[place] ^= 1 << chance.randrange(8)
            case 1 if place < len(changed):
                changed[place] = chance.choice((0, 0xFF, 0x80, 0x7F, chance.randrange(256)))
            case 2:
                del changed[place:]
            case 3:
                del changed[place:end]
            case 4:
                changed[place:place] = changed[place:end] * chance.choice((1, 2, 50))
            case 5:
                changed[place:place] = chance.choice(_BYTES)
            case _:
                changed[place:place] = bytes([chance.choice(b'{}[]":,\\0123456789.eE+-tfn \n\xef\xbb\xbf\xff')])
    return bytes(changed)


def _fields_changed(value: bytes, chance: random.Random) -> bytes:
    """Changes protobuf's fields, at any depth: other numbers and values, left out, twice, in another order."""
    fields = _fields_of(value)
    if fields is None:
        return _bytes_changed(value, chance)
    for _ in range(chance.choice((1, 1, 2))):
        place = chance.randrange(len(fields)) if fields else 0
        match chance.randrange(6):
            case 0 if fields:
                del fields[place]
            case 1 if fields:
                fields.append(fields[place])
            case 2:
                chance.shuffle(fields)
            case 3:
                wire = chance.choice((0, 1, 2, 5))
                fields.insert(place, (chance.randint(1, 8) << 3 | wire, _value_of(wire, chance)))
            case _ if fields:
                tag, old = fields[place]
                if tag & 7 == 2 and chance.random() < 0.6:
                    changed = _fields_changed(_payload_of(old), chance)
                    fields[place] = (tag, _varint(len(changed)) + changed)
                else:
                    fields[place] = (tag, _value_of(tag & 7, chance))
    return b"".join(_varint(tag) + field for tag, field in fields)


def _value_of(wire: int, chance: random.Random) -> bytes:
    match wire:
        case 0:
            return _varint(chance.choice(_VARINTS))
        case 1:
            return chance.choice(_DOUBLES)
        case 2:
            data = chance.choice(_BYTES)
            return _varint(len(data)) + data
        case _:
            return chance.choice(_DOUBLES)[:4]


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, place


def _payload_of(field: bytes) -> bytes:
    return field[_read_varint(field, 0)[1] :]


def _fields_of(data: bytes) -> list[tuple[int, bytes]] | None:
    """The fields on the top level: tags, and the bytes behind them; None if it is no protobuf."""
    fields, place = [], 0
    try:
        while place < len(data):
            tag, start = _read_varint(data, place)
            match tag & 7:
                case 0:
                    _, place = _read_varint(data, start)
                case 1:
                    place = start + 8
                case 2:
                    length, place = _read_varint(data, start)
                    place += length
                case 5:
                    place = start + 4
                case _:
                    return None
            if place > len(data):
                return None
            fields.append((tag, data[start:place]))
    except IndexError:
        return None
    return fields


def _json_changed(value: bytes, chance: random.Random) -> bytes:
    """Changes JSON's values and names, at any depth, and how it is written."""
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return _bytes_changed(value, chance)
    for _ in range(chance.choice((1, 1, 2))):
        document = _tree_changed(document, chance)
    text = json.dumps(document, ensure_ascii=chance.random() < 0.5, indent=chance.choice((None, None, 1)))
    match chance.randrange(12):
        case 0:
            text = "\ufeff" + text
        case 1:
            text += chance.choice((" ", "\n", "x", "{}", "\0", "null"))
        case 2 if text.startswith("{") and len(text) > 2:
            text = "{" + text[1:-1].strip() + "," + text[1:]
        case 3:
            text = " " + text
        case _:
            pass
    return text.encode(chance.choice(("utf-8",) * 9 + ("utf-16", "utf-32", "latin-1")), "replace")


def _tree_changed(tree: Any, chance: random.Random) -> Any:
    if isinstance(tree, dict) and tree and chance.random() < 0.9:
        tree = dict(tree)
        name = chance.choice([*tree])
        match chance.randrange(8):
            case 0:
                del tree[name]
            case 1:
                tree[chance.choice(_NAMES)] = tree.pop(name)
            case 2:
                tree[chance.choice(_NAMES)] = chance.choice(_LEAVES)
            case 3:
                tree[chance.choice(_NAMES)] = tree[name]
            case _:
                tree[name] = _tree_changed(tree[name], chance)
        return tree
    match chance.randrange(10):
        case 0:
            return [tree]
        case 1:
            return {chance.choice(_NAMES): tree}
        case 2:
            for _ in range(chance.choice((5, 99, 101))):
                tree = [tree] if chance.random() < 0.5 else {"a": tree}
            return tree
        case _:
            return chance.choice(_LEAVES)


def _surroundings_changed(record: Record, chance: random.Random) -> Record:
    headers = list(record.headers)
    for _ in range(chance.choice((0, 1, 1, 2))):
        name = chance.choice(
            ("content-type", "content-type", "ce_time", "ce_id", "kindred-reason", "", "é", "Content-Type")
        )
        headers.append((name, chance.choice(_TIMES if name == "ce_time" else _CONTENT_TYPES)))
    if chance.random() < 0.02:
        headers.append(("kindred-unreadable", chance.choice((b"", b"why", b"\xff", b"\xed\xa0\x80", b"x" * 1_000))))
    if chance.random() < 0.01:
        headers *= 500
    return record._replace(
        headers=tuple(headers),
        key=chance.choice(_KEYS) if chance.random() < 0.15 else record.key,
        timestamp=chance.choice(_TIMESTAMPS) if chance.random() < 0.3 else record.timestamp,
    )
