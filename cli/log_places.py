"""Reads places in the event log from the command line."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cli.output import misused
from cli.times import read_time

if TYPE_CHECKING:
    from loader.log_span import Place

_OFFSETS = re.compile(r"\d{1,9}:\d{1,18}(,\d{1,9}:\d{1,18})*")


def log_place(option: str, text: str, now: datetime) -> "Place":
    """Reads `earliest`, `latest`, a time, a time ago, or an offset in every partition.

    Args:
        option: The option, for errors.
        text: What was given: `2026-05-06T07:08:09Z` (UTC if it names no zone), `-7d`, `0:120,1:98`.
        now: The present.

    Raises:
        typer.Exit: It is none of these; standard error says what would be.
    """
    from loader.log_span import Moment

    if text == "earliest":
        return "earliest"
    if text == "latest":
        return "latest"
    if _OFFSETS.fullmatch(text):
        return _offsets(option, text)
    try:
        at = read_time(text, now)
        moment = Moment((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))
    except (OverflowError, ValueError) as error:
        message = (
            f"{option} {text}: must be earliest, latest, a time such as 2026-05-06T07:08:09Z, a time ago such as -7d, "
            "-12h or -30m, or an offset in every partition such as 0:120,1:98"
        )
        raise misused(message) from error
    if moment.at < 0:
        raise misused(f"{option} {text}: is before 1970")
    if at > now:
        raise misused(f"{option} {text}: is in the future")
    return moment


def _offsets(option: str, text: str) -> "Place":
    from loader.log_span import Offsets

    pairs = [pair.split(":") for pair in text.split(",")]
    offsets = {int(partition): int(offset) for partition, offset in pairs}
    if len(offsets) < len(pairs):
        raise misused(f"{option} {text}: names a partition twice")
    return Offsets(offsets)
