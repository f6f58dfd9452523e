"""Times as text: RFC 3339, and nothing that only looks like it. Pure.

https://datatracker.ietf.org/doc/html/rfc3339#section-5.6
"""

import re
from datetime import UTC, datetime, timedelta

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class NotATimeError(ValueError):
    """A text that is no RFC 3339 time; the message goes on after the field's name."""


def milliseconds_of(text: str) -> int:
    """Milliseconds since 1970, rounded down.

    Args:
        text: `2024-05-06T07:08:09.250Z`; an offset (`+02:00`) will do as well, none will not: whose time would it be?

    Raises:
        NotATimeError: It is no such time.
    """
    if not _FORM.fullmatch(text):
        raise NotATimeError("is no RFC 3339 time with an offset, like 2024-05-06T07:08:09Z")
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND
    except ValueError as error:
        raise NotATimeError(f"is no time: {error}") from error
