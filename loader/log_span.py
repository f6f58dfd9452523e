"""Which part of the log a replay reads: from where, until where, in every partition."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from kindred.errors import PreconditionError
from kindred.eventlog.reader import Bounds, LogReader


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, by the records' own timestamps: the first record of then or later. Milliseconds since 1970."""

    at: int

    def __str__(self) -> str:
        """ISO 8601, in UTC."""
        return datetime.fromtimestamp(self.at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Offsets:
    """An offset in every partition."""

    by_partition: Mapping[int, int]


Place = Literal["earliest", "latest"] | Moment | Offsets
"""A place in the log: `earliest` is what it still holds, `latest` its end as it is now."""


@dataclass(frozen=True, slots=True)
class PartitionSpan:
    """What of a partition is read.

    Args:
        partition: Which.
        oldest: The oldest offset that the log still holds.
        asked: The offset that was asked to begin at.
        start: The offset that reading begins at: before `asked` where consumers had not applied everything.
        until: The offset that it ends before.
        end: The offset that the next record gets.
    """

    partition: int
    oldest: int
    asked: int
    start: int
    until: int
    end: int

    @property
    def events(self) -> int:
        """How many offsets there are to read."""
        return self.until - self.start


async def find_span(
    reader: LogReader, start: Place, until: Place, applied: Mapping[int, int] | None = None
) -> tuple[PartitionSpan, ...]:
    """Finds the offsets of two places.

    Args:
        reader: Reads the log.
        start: Where to begin.
        until: Where to end.
        applied: By partition where the consumers are: reading begins no later.

    Raises:
        PreconditionError: The log does not hold what was asked for, or the end comes before the beginning.
        UnavailableError: The broker is away.
    """
    bounds = await reader.bounds()
    starts = await _offsets(reader, "--from", start, bounds)
    untils = await _offsets(reader, "--until", until, bounds)
    if isinstance(start, Moment) and isinstance(until, Moment) and start.at > until.at:
        raise _refused(f"--from {start} is after --until {until}")
    for partition, begin in starts.items():
        if begin > untils[partition]:
            message = f"--from is after --until in partition {partition}: offset {begin:,} and {untils[partition]:,}"
            raise _refused(message)
    spans = []
    for partition, (oldest, end) in sorted(bounds.items()):
        first = asked = starts[partition]
        if applied is not None:
            first = max(oldest, min(asked, applied.get(partition, 0)))
        spans.append(PartitionSpan(partition, oldest, asked, min(first, asked), untils[partition], end))
    return tuple(spans)


async def _offsets(reader: LogReader, option: str, place: Place, bounds: Mapping[int, Bounds]) -> dict[int, int]:
    match place:
        case "earliest":
            return {partition: bound.begin for partition, bound in bounds.items()}
        case "latest":
            return {partition: bound.end for partition, bound in bounds.items()}
        case Moment():
            found = await reader.offsets_at(place.at)
            offsets = {partition: bound.end for partition, bound in bounds.items()}
            offsets |= {partition: offset for partition, offset in found.items() if offset is not None}
            await _check_not_trimmed(reader, option, place, offsets, bounds)
            return offsets
        case Offsets():
            check_offsets(option, place.by_partition, bounds)
            return dict(place.by_partition)


async def _check_not_trimmed(
    reader: LogReader, option: str, moment: Moment, offsets: Mapping[int, int], bounds: Mapping[int, Bounds]
) -> None:
    """Refuses a time that is older than the oldest record of a partition which has lost older ones."""
    oldest = {
        partition: offset
        for partition, offset in offsets.items()
        if 0 < offset == bounds[partition].begin < bounds[partition].end
    }
    times = await reader.times_at(oldest) if oldest else {}
    for partition, at in times.items():
        if at > moment.at:
            message = (
                f"{option} {moment}: partition {partition} begins at offset {oldest[partition]:,}, of {Moment(at)}; "
                "the events before that are gone. --from earliest begins with what is left"
            )
            raise _refused(message)


def check_offsets(option: str, offsets: Mapping[int, int], bounds: Mapping[int, Bounds]) -> None:
    """Sees that every partition is named, and that the log holds the offsets.

    Args:
        option: Whose offsets these are, for the error.
        offsets: By partition.
        bounds: By partition what it holds.

    Raises:
        PreconditionError: It does not.
    """
    if missing := sorted(bounds.keys() - offsets.keys()):
        message = f"{option} must name every partition, 0 to {max(bounds)}; it lacks {', '.join(map(str, missing))}"
        raise _refused(message)
    if unknown := sorted(offsets.keys() - bounds.keys()):
        raise _refused(f"{option} names partition {unknown[0]}; the topic has 0 to {max(bounds)}")
    for partition, offset in sorted(offsets.items()):
        begin, end = bounds[partition]
        if offset < begin:
            message = (
                f"{option} {partition}:{offset}: the events of partition {partition} before offset {begin:,} are gone. "
                "--from earliest begins with what is left"
            )
            raise _refused(message)
        if offset > end:
            raise _refused(f"{option} {partition}:{offset}: partition {partition} ends at offset {end:,}")


def _refused(message: str) -> PreconditionError:
    return PreconditionError("LOG_SPAN", "log", message)
