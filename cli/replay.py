"""`kindred replay`: builds the collection anew from the event log."""

import asyncio
import json
import shlex
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.log_places import log_place
from cli.output import Column, misused, print_table, say
from cli.process import Collection, DataDir, Kafka, QdrantUrl
from cli.progress import ProgressBars
from kindred.errors import PreconditionError

if TYPE_CHECKING:
    from kindred.settings import Settings
    from loader.replay import ReplayReport

_WHAT, _WHERE = "What to replay", "Where it goes"


def replay(
    *,
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="PLACE",
            help="Where in the log to begin: earliest, latest, a time (ISO 8601, UTC if it names no zone; the first "
            "record of then or later), a time ago (-7d, -12h, -30m) or PARTITION:OFFSET,… for every partition.",
            rich_help_panel=_WHAT,
        ),
    ],
    until: Annotated[
        str,
        typer.Option(
            metavar="PLACE",
            help="Where to end, without the record there: as --from. latest is the end of the log, and what comes "
            "meanwhile.",
            rich_help_panel=_WHAT,
        ),
    ] = "latest",
    onto: Annotated[
        Literal["current", "nothing"],
        typer.Option(
            help="What events are applied to: the current profiles, which repairs them, or nobody's, so that users "
            "come from the log alone. Items are copied.",
            rich_help_panel=_WHAT,
        ),
    ] = "current",
    drop_other_users: Annotated[
        bool,
        typer.Option(
            "--drop-other-users",
            help="With --onto nothing: let users go that no event in this part of the log has made.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    another_log: Annotated[
        bool,
        typer.Option(
            "--another-log",
            help="The topic may be another than the one the users' events came from: made anew, or mirrored.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be read and copied.", rich_help_panel=_WHAT)
    ] = False,
    into: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Make this collection (over an embedded store: this folder) and leave the current one alone.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="With --into: it may be there already.", rich_help_panel=_WHERE)
    ] = False,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    collection: Collection = None,
    kafka: Kafka = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Builds the collection anew from the event log: to repair it, or to see what it was.

    On a Qdrant server this goes on beside servers and consumers, who follow by themselves; over an embedded store
    nothing else may run. Without --into the new collection takes the current one's place, and consumers go on where
    the replay ended.

    [bold]Examples[/bold]

      kindred replay --from -7d --dry-run
      kindred replay --from -7d
      kindred replay --from earliest --onto nothing --until 2026-05-06T07:08:09Z --into last-week
      kindred replay --from 0:1200,1:1180,2:1207 --kafka kafka:9092 --qdrant-url http://qdrant:6334
    """
    now = datetime.now(UTC)
    begin, end = log_place("--from", start, now), log_place("--until", until, now)
    if end == "earliest":
        raise misused("--until earliest: leaves nothing to replay")
    if drop_other_users and onto == "current":
        raise misused("--drop-other-users goes with --onto nothing")
    if replace and into is None:
        raise misused("--replace goes with --into; without it the replay takes the current collection's place anyway")
    from kindred.settings import load_settings
    from kindred.telemetry import configure_logging
    from loader.replay import ReplayOptions
    from loader.replay import replay as run

    settings = load_settings(data_dir=data_dir, qdrant_url=qdrant_url, collection=collection, kafka=kafka)
    configure_logging(settings.log_level, settings.log_format)
    options = ReplayOptions(
        start=begin,
        until=end,
        onto=onto,
        into=None if into is None else _elsewhere(settings, into),
        replace=replace,
        drop_other_users=drop_other_users,
        another_log=another_log,
        dry_run=dry_run,
    )
    with ProgressBars(quiet=as_json) as progress:
        report = asyncio.run(run(settings, options, progress))
    if as_json:
        say(json.dumps(_as_json(report)))
    else:
        _tell(report, options.into)


def _elsewhere(settings: "Settings", into: str) -> "Settings":
    """The settings of the place that --into names."""
    from kindred.settings import load_settings

    if not settings.qdrant_url:
        return settings.model_copy(update={"data_dir": Path(into)})
    try:
        load_settings(qdrant_url=settings.qdrant_url, collection=into)
    except PreconditionError as error:
        raise misused(f"--into {into}: must be a collection's name, of letters, digits, _ and -") from error
    return settings.model_copy(update={"collection": into})


def _as_json(report: "ReplayReport") -> dict[str, Any]:
    partitions = [
        asdict(each.span)
        | {"events": each.span.events, "first_at": _time(each.first_at), "last_at": _time(each.last_at)}
        for each in report.partitions
    ]
    return asdict(report) | {"partitions": partitions}


def _time(at: int | None) -> str | None:
    from loader.log_span import Moment

    return None if at is None else str(Moment(at))


def _tell(report: "ReplayReport", into: "Settings | None") -> None:
    columns = [Column(name, "right", keep=True) for name in ("partition", "oldest", "from", "until", "end", "events")]
    print_table(
        [*columns, Column("first record"), Column("last record")],
        [
            [
                *(str(number) for number in (span.partition, span.oldest, span.start, span.until, span.end)),
                f"{span.events:,}",
                _time(each.first_at) or "",
                _time(each.last_at) or "",
            ]
            for each in report.partitions
            for span in (each.span,)
        ],
    )
    earlier = sum(each.span.asked - each.span.start for each in report.partitions)
    if earlier:
        say(f"Begins {earlier:,} events before --from, where the consumers are: those would be lost otherwise")
    planned = sum(each.span.events for each in report.partitions)
    copied = f"{report.copied_users:,} users, {report.copied_ratings:,} ratings and {report.items:,} items"
    if report.dry_run:
        say(f"Would copy {copied}, and apply {planned:,} events to make {report.name} at {report.place}")
    else:
        say(
            f"Built {report.name} at {report.place}: {report.users:,} users, {report.ratings:,} ratings, "
            f"{report.items:,} items in {report.seconds:.1f} s"
        )
        say(f"Copied {copied}; applied {report.applied:,} of {report.events:,} events")
    if report.undecodable:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in report.undecodable.items())
        wrong = sum(report.undecodable.values())
        say(f"Could not apply {wrong:,} record{'s' * (wrong != 1)}: {reasons}")
    if report.onto == "nothing" and report.other_users:
        say(
            f"{report.other_users:,} users of the current collection are not in it, or without what files said: no "
            "event in this part of the log has made them"
        )
    _tell_of_the_past(report, into)


def _tell_of_the_past(report: "ReplayReport", into: "Settings | None") -> None:
    if report.past:
        if into is None:
            rest = sum(each.span.end - each.span.until for each in report.partitions)
            say(f"Consumers that run apply the rest right after, {rest:,} events or more")
        else:
            say("It shows the past: users who were forgotten later are in it; drop it when you have seen enough")
    if into is not None and not report.dry_run:
        place = (
            f"--qdrant-url {shlex.quote(into.qdrant_url)} --collection {shlex.quote(into.collection)}"
            if into.qdrant_url
            else f"--data-dir {shlex.quote(str(into.data_dir))}"
        )
        say(f"Next: kindred serve {place} --port 50052", quietly=True)
