"""Times as people write them on the command line."""

import math
import re
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from cli.output import misused

_AGO = re.compile(r"-([0-9]{1,9})([smhdw])")
_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw])")
_LONGEST = 315_576_000_000
"""Seconds that a Duration can hold: 10,000 years."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_time(text: str, now: datetime | None = None) -> datetime:
    """Reads a time.

    Args:
        text: ISO 8601, in UTC unless it says otherwise, or how long ago: `-30m`, `-7d`.
        now: The present; without it only ISO 8601 will do.

    Raises:
        ValueError: It is no time.
    """
    if now is not None and (ago := _AGO.fullmatch(text)):
        try:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def typed_time(option: str, text: str, now: datetime | None = None) -> datetime:
    """Reads the time that was given to an option.

    Args:
        option: The option.
        text: ISO 8601, in UTC unless it says otherwise, or how long ago: `-7d`.
        now: The present.

    Raises:
        typer.Exit: It is no time; standard error says what would be one.
    """
    try:
        return read_time(text, now or datetime.now(UTC))
    except ValueError:
        forms = "2026-07-01, 2026-07-01T12:00:00Z, or how long ago, -90s, -30m, -12h, -7d or -2w"
        raise misused(f"{option} {text}: must be a time: {forms}") from None


def typed_timestamp(option: str, text: str, now: datetime | None = None) -> Timestamp:
    """The same, for a message.

    Raises:
        typer.Exit: It is no time.
    """
    timestamp = Timestamp()
    timestamp.FromDatetime(typed_time(option, text, now))
    return timestamp


def typed_span(option: str, text: str) -> Duration:
    """Reads the span of time that was given to an option.

    Args:
        option: The option.
        text: A number and a unit: `90d`, `1.5h`.

    Raises:
        typer.Exit: It is none.
    """
    span = _SPAN.fullmatch(text)
    seconds = float(span[1]) * timedelta(**{_UNITS[span[2]]: 1}).total_seconds() if span else math.inf
    if seconds > _LONGEST:
        raise misused(f"{option} {text}: must be a span of time: 90s, 30m, 12h, 7d or 2w")
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration
