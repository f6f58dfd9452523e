"""Dead letters as they are read: what stands in their headers, and the rating event that they hold."""

from dataclasses import dataclass
from datetime import UTC, datetime

from consumers.dead_letters import ERROR_CHARS, own_headers
from kindred.eventlog.broker import UNREADABLE, Record

_NAME_CHARS = 249
"""The longest name of a topic; a reason is shorter."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic.

    Args:
        record: The record that failed, as far as the letter has it: its place, time, key, value and headers.
        partition: Where the letter is in the dead-letter topic.
        offset: Its offset there.
        failed_at: When the record failed, in milliseconds since 1970.
        reason: Why, for programs; empty if this is no letter that Kindred wrote.
        error: Why, for people.
        value_bytes: How long the value was, if the letter has only its beginning, and no headers.
    """

    record: Record
    partition: int
    offset: int
    failed_at: int
    reason: str
    error: str
    value_bytes: int | None = None

    @property
    def place(self) -> str:
        """Where it is, as commands take it: `PARTITION:OFFSET`."""
        return f"{self.partition}:{self.offset}"


def letter_of(record: Record) -> DeadLetter:
    """Reads a record of the dead-letter topic. Never fails: anybody may write there.

    Args:
        record: As read.
    """
    start = own_headers(record.headers)
    if start == len(record.headers):
        why = (record.header(UNREADABLE) or b"").decode(errors="replace")
        error = f"the letter cannot be read: {why}" if why else "Kindred did not write this"
        return DeadLetter(record, record.partition, record.offset, record.timestamp, "", error)
    ours = {name: (value or b"").decode(errors="replace") for name, value in record.headers[start:]}
    failed = record._replace(
        topic=ours.get("kindred-topic", "")[:_NAME_CHARS],
        partition=_number(ours.get("kindred-partition")),
        offset=_number(ours.get("kindred-offset")),
        timestamp=_number(ours.get("kindred-timestamp")),
        headers=tuple(record.headers[:start]),
    )
    return DeadLetter(
        failed,
        record.partition,
        record.offset,
        _milliseconds(ours.get("kindred-failed-at", ""), record.timestamp),
        ours["kindred-reason"][:_NAME_CHARS] or "(none)",
        ours.get("kindred-error", "")[:ERROR_CHARS],
        _number(ours["kindred-value-bytes"]) if "kindred-value-bytes" in ours else None,
    )


def no_letter(partition: int, offset: int) -> DeadLetter:
    """What stands for a letter that is not there."""
    nothing = Record("", partition, offset, None, None, (), -1)
    return DeadLetter(nothing, partition, offset, -1, "", "there is no letter at this place, or no longer")


def _number(text: str | None) -> int:
    """A number that a header holds; -1, as Kafka has it for a time that is not known, if it holds none."""
    try:
        return int(text or "")
    except ValueError:
        return -1


def _milliseconds(text: str, otherwise: int) -> int:
    try:
        at = datetime.fromisoformat(text)
        return round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        return otherwise
