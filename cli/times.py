"""Times as people write them on the command line."""

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"-([0-9]{1,9})([smhdw])")
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
