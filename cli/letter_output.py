"""What dead letters look like: rows of a table, one letter in full, and both as JSON."""

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli.output import Column, print_table, rfc3339, say

if TYPE_CHECKING:
    from consumers.letters import DeadLetter
    from kindred.eventlog.broker import Record

_KEY_CHARS = 256
"""The longest id of a user."""
_SHOWN_CHARS = 4_000
_SHOWN_BYTES = 256
_SHOWN_HEADERS = 50
_HEADER_CHARS = 300

_COLUMNS = (
    Column("letter", keep=True),
    Column("failed (UTC)"),
    Column("reason"),
    Column("user"),
    Column("record"),
    Column("error"),
)


def outline(letter: "DeadLetter") -> dict[str, Any]:
    """A letter without headers and value, as JSON has it.

    Args:
        letter: The letter.

    Returns:
        Times in RFC 3339, null if there is none; the key as text, null if there is none or it is no text; at most 256
        characters of it: a user's id has no more.
    """
    failed = letter.record
    return {
        "letter": letter.place,
        "failed_at": rfc3339(letter.failed_at),
        "reason": letter.reason,
        "error": letter.error,
        "key": None if failed.key is None or (text := _text(failed.key)) is None else _clipped(text, _KEY_CHARS),
        "topic": failed.topic,
        "partition": failed.partition,
        "offset": failed.offset,
        "timestamp": rfc3339(failed.timestamp),
        "value_bytes": len(failed.value or b"") if letter.value_bytes is None else letter.value_bytes,
        "shortened": letter.value_bytes is not None,
    }


def in_full(letter: "DeadLetter") -> dict[str, Any]:
    """A letter with everything, as JSON has it: bytes in base64, and beside them what they say."""
    form, text = decoded(letter.record)
    key, value = letter.record.key, letter.record.value
    return outline(letter) | {
        "key_base64": None if key is None else _base64(key),
        "headers": [
            {"name": name, "text": None if header is None else _text(header), "base64": _base64(header or b"")}
            for name, header in letter.record.headers
        ],
        "value_form": form,
        "value_text": text if form != "bytes" else None,
        "value_base64": None if value is None else _base64(value),
    }


def print_outlines(outlines: Sequence[Mapping[str, Any]], topic: str) -> None:
    """Prints letters as a table.

    Args:
        outlines: What `outline` gives.
        topic: The topic of rating events, whose name goes without saying.
    """
    rows = []
    for each in outlines:
        place = f"{each['partition']}:{each['offset']}"
        if each["topic"] != topic:
            place = f"{each['topic']} {place}"
        rows.append(
            [
                each["letter"],
                _seconds(each["failed_at"]),
                each["reason"],
                each["key"] or "",
                place if each["reason"] else "",
                _clipped(each["error"], _HEADER_CHARS),
            ]
        )
    print_table(_COLUMNS, rows)


def print_in_full(letter: "DeadLetter", topic: str) -> None:
    """Prints a letter for people, within bounds.

    Args:
        letter: The letter.
        topic: The dead-letter topic.
    """
    failed, short = letter.record, outline(letter)
    _line("letter", f"{letter.place} in {topic}")
    _line("failed", f"{_seconds(short['failed_at'])} UTC")
    _line("reason", letter.reason or "none")
    _line("error", letter.error)
    if letter.reason:
        _line("record", f"{failed.topic} {failed.partition}:{failed.offset}, of {_seconds(short['timestamp'])} UTC")
    _line("key", key_of(letter))
    for name, value in failed.headers[:_SHOWN_HEADERS]:
        _line("header", f"{_clipped(name, _HEADER_CHARS)}: {_shown(value)}")
    if (more := len(failed.headers) - _SHOWN_HEADERS) > 0:
        say(f"{more:,} more headers; --json has them all", quietly=True)
    _print_value(letter)


def _print_value(letter: "DeadLetter") -> None:
    form, text = decoded(letter.record)
    kept = len(letter.record.value or b"")
    whole = kept if letter.value_bytes is None else letter.value_bytes
    names = {
        "json": "JSON",
        "protobuf": "protobuf",
        "text": "text",
        "bytes": "neither JSON nor a rating event, in hexadecimal",
    }
    beginning = f", of which the letter has the first {kept:,}" if letter.value_bytes is not None else ""
    _line("value", f"{whole:,} bytes{beginning}: {names[form]}" if form else "none")
    bound = 2 * _SHOWN_BYTES if form == "bytes" else _SHOWN_CHARS
    for line in text[:bound].splitlines():
        say(f"  {line}")
    if len(text) > bound:
        say("this is its beginning; --json has it all", quietly=True)


def decoded(record: "Record") -> tuple[str, str]:
    """What the value of a record says.

    Args:
        record: A record that failed.

    Returns:
        `json` with the text, `protobuf` with the rating event in protobuf-JSON, `text` with it, `bytes` in hexadecimal
        digits, or nothing, if the value is nothing.
    """
    from google.protobuf.json_format import Error, MessageToJson
    from google.protobuf.message import DecodeError

    from kindred.v1.rating_event_pb2 import RatingEvent

    if not (value := record.value):
        return "", ""
    if value.lstrip().startswith(b"{") or (record.header("content-type") or b"").startswith(b"application/json"):
        return "json", value.decode(errors="replace")
    try:
        event = RatingEvent.FromString(value)
        if event.user_id or event.WhichOneof("kind"):  # else it may be anything: protobuf keeps what it does not know
            return "protobuf", MessageToJson(event)
    except (DecodeError, Error, ValueError, RecursionError):
        pass
    text = _text(value)
    if text is not None and all(char.isprintable() or char.isspace() for char in text):
        return "text", text
    return "bytes", value.hex()


def key_of(letter: "DeadLetter") -> str:
    """The key of the record that failed, for people."""
    return _shown(letter.record.key)


def _line(name: str, text: str) -> None:
    say(f"{name:<8}{text}")


def _shown(value: bytes | None) -> str:
    if value is None:
        return "none"
    text = _text(value)
    if text is None:
        return f"{len(value):,} bytes, no text: {_clipped(value[:_SHOWN_BYTES].hex(), _HEADER_CHARS)}"
    return _clipped(text, _HEADER_CHARS)


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _clipped(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _seconds(at: str | None) -> str:
    return "at no known time" if at is None else at[:19].replace("T", " ")
