"""Which dead letters a command is about: its options, and what they mean."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import failed, misused
from cli.times import typed_time

if TYPE_CHECKING:
    from consumers.letters import DeadLetter
    from kindred.eventlog.topic_reader import TopicReader

_FILTERS = "Which letters"
_PLACE = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")

Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="REASON", help="Only this reason; repeat for several.", rich_help_panel=_FILTERS),
]
User = Annotated[
    str | None, typer.Option("--user", metavar="ID", help="Only records with this key.", rich_help_panel=_FILTERS)
]
Partition = Annotated[
    int | None,
    typer.Option("--partition", min=0, help="Only this partition of the dead-letter topic.", rich_help_panel=_FILTERS),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only what failed at this time or later: 2026-07-01, 2026-07-01T12:00:00Z, or -30m, -12h, -7d ago.",
        rich_help_panel=_FILTERS,
    ),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Only what failed before.", rich_help_panel=_FILTERS)
]
Places = Annotated[list[str] | None, typer.Argument(metavar="[PARTITION:OFFSET]...", help="These letters.")]


@dataclass(frozen=True, slots=True)
class Selection:
    """What letters have to be like.

    Args:
        reasons: Their reason is one of these; none for any.
        user: Their key; None for any.
        partition: The partition of the dead-letter topic that they are in; None for all.
        since: They failed at this time or later, in milliseconds since 1970.
        until: They failed before this time; None if it does not matter.
        places: Nothing but these, each a partition and an offset; none for all.
    """

    reasons: frozenset[str] = frozenset()
    user: bytes | None = None
    partition: int | None = None
    since: int = 0
    until: int | None = None
    places: tuple[tuple[int, int], ...] = ()

    def takes(self, letter: "DeadLetter") -> bool:
        """Whether a letter is like that."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.user is None or letter.record.key == self.user)
            and (not self.since or letter.failed_at >= self.since)
            and (self.until is None or letter.failed_at < self.until)
        )

    async def read(self, reader: "TopicReader") -> AsyncIterator[list["DeadLetter"]]:
        """The letters, a page at a time, in order within each partition. Where none is, a letter says so.

        Args:
            reader: Reads the dead-letter topic.

        Raises:
            typer.Exit: The topic has no such partition.
        """
        from consumers.letters import letter_of, no_letter

        for place in self.places:
            record = await reader.find(*place)
            yield [no_letter(*place) if record is None else letter_of(record)]
        if self.places:
            return
        if self.partition is not None and self.partition not in reader.partitions:
            raise failed(f"--partition {self.partition}: the dead-letter topic has {len(reader.partitions)} of them")
        async for page in reader.pages(self.partition, self.since):
            letters = map(letter_of, page)
            yield [letter for letter in letters if self.takes(letter)]


def selection_of(
    reasons: list[str] | None = None,
    user: str | None = None,
    partition: int | None = None,
    since: str | None = None,
    until: str | None = None,
    places: list[str] | None = None,
) -> Selection:
    """Reads the options.

    Raises:
        typer.Exit: They are wrong.
    """
    if places and (reasons or (user, partition, since, until) != (None,) * 4):
        raise misused("name letters by PARTITION:OFFSET, or select them with options, not both")
    return Selection(
        reasons=frozenset(reasons or ()),
        user=None if user is None else user.encode(errors="surrogateescape"),
        partition=partition,
        since=0 if since is None else time_of("--since", since),
        until=None if until is None else time_of("--until", until),
        places=tuple(dict.fromkeys(map(place_of, places or ()))),
    )


def time_of(option: str, text: str, now: datetime | None = None) -> int:
    """A time as people write it, in milliseconds since 1970.

    Args:
        option: Whose value it is.
        text: ISO 8601, in UTC unless it says otherwise, or how long ago: `-7d`.
        now: The present.

    Raises:
        typer.Exit: It is no time.
    """
    return max(1, round(typed_time(option, text, now).timestamp() * 1000))


def place_of(text: str) -> tuple[int, int]:
    """The partition and offset of a letter, from `PARTITION:OFFSET`.

    Raises:
        typer.Exit: It is not of this form.
    """
    if not (numbers := _PLACE.fullmatch(text)):
        raise misused(f"{text}: must be PARTITION:OFFSET, as `kindred dead-letters list` shows it, for instance 0:17")
    return int(numbers[1]), int(numbers[2])
