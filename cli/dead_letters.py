"""`kindred dead-letters …`: what could never be applied, why, and sending it again."""

import asyncio
import heapq
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.letter_output import in_full, outline, print_in_full, print_outlines
from cli.letter_replay import replay_letters
from cli.letter_selection import (
    Partition,
    Places,
    Reasons,
    Selection,
    Since,
    Until,
    User,
    place_of,
    selection_of,
)
from cli.output import failed, misused, say
from cli.process import Kafka

if TYPE_CHECKING:
    from kindred.settings import Settings

dead_letters = typer.Typer(
    name="dead-letters", help="Events that could never be applied: list, show and replay them.", no_args_is_help=True
)

_REASONS = 100
"""How many reasons are counted apart."""


@dead_letters.command("list")
def list_letters(
    *,
    reason: Reasons = None,
    user: User = None,
    partition: Partition = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 50,
    kafka: Kafka = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each letter as a JSON object on its own line.")
    ] = False,
) -> None:
    """Lists dead letters, the newest last, and counts them by reason.

    They are in the topic KINDRED_DEAD_LETTER_TOPIC. Nothing is committed, and nothing is changed.

    [bold]Examples[/bold]

      kindred dead-letters list --since -7d
      kindred dead-letters list --reason unknown_item --reason off_scale --user 7
      kindred dead-letters list --limit 100000 --json | jq -r .error | sort | uniq -c
    """
    selection = selection_of(reason, user, partition, since, until)
    settings = _settings(kafka)
    shown, counts = asyncio.run(_newest(settings, selection, limit))
    if as_json:
        for each in shown:
            say(json.dumps(each))
        return
    if shown:
        print_outlines(shown, settings.topic)
    by_reason = ", ".join(f"{count:,} {name or 'not from Kindred'}" for name, count in counts.most_common())
    total = sum(counts.values())
    noun = "dead letter" if total == 1 else "dead letters"
    say(f"{total:,} {noun}: {by_reason}" if total else "no dead letters", quietly=True)
    if total > len(shown):
        say(f"these are the newest {len(shown):,}; --limit shows more", quietly=True)


@dead_letters.command()
def show(
    *,
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="The letter, as the list names it.")],
    kafka: Kafka = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all of it as one JSON object; bytes are in base64 too.")
    ] = False,
) -> None:
    """Shows one dead letter: why it is there, and the whole record.

    [bold]Examples[/bold]

      kindred dead-letters show 0:17
      kindred dead-letters show 0:17 --json | jq -r .value_base64 | base64 -d
    """
    from consumers.letters import letter_of
    from kindred.eventlog.topic_reader import TopicReader

    where, settings = place_of(place), _settings(kafka)

    async def read() -> None:
        async with TopicReader(settings.broker(), settings.dead_letter_topic) as reader:
            record = await reader.find(*where)
        if record is None:
            raise failed(f"{place}: {settings.dead_letter_topic} has no letter at this place, or no longer")
        letter = letter_of(record)
        if as_json:
            say(json.dumps(in_full(letter)))
        else:
            print_in_full(letter, settings.dead_letter_topic)

    asyncio.run(read())


@dead_letters.command()
def replay(
    *,
    places: Places = None,
    reason: Reasons = None,
    user: User = None,
    partition: Partition = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent and what not; send nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    kafka: Kafka = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Sends dead letters to the topic of rating events again: all, or those that are named or selected.

    Each is sent with its key, value, headers and original time: an old rating does not become the latest. Events are
    absolute values, so replaying one twice is harmless. One that is still wrong comes back as a new letter; the old
    letters stay where they are.

    Exit code 1 if a letter could not be replayed: one that Kindred did not write, or that holds only the beginning of a
    large record which the log no longer has.

    [bold]Examples[/bold]

      kindred dead-letters replay --reason unknown_item --since -7d --dry-run
      kindred dead-letters replay --reason unknown_item --since -7d --yes
      kindred dead-letters replay 0:17 3:2
    """
    selection = selection_of(reason, user, partition, since, until, places)
    if not (dry_run or yes or sys.stdin.isatty()):
        raise misused("there is no terminal to ask at; --yes replays without asking, --dry-run says what it would do")
    settings = _settings(kafka)
    report = asyncio.run(replay_letters(settings, selection, dry_run=dry_run, ask=not yes, quiet=as_json))
    if as_json:
        say(json.dumps(report))
    elif dry_run:
        say(f"would replay {report['replayable']:,} to {settings.topic}, refuse {report['refused']:,}; nothing sent")
    else:
        say(f"replayed {report['replayed']:,} to {settings.topic}, refused {report['refused']:,}")
        say("what is still wrong comes back: kindred dead-letters list --since -5m", quietly=True)
    if report["refused"]:
        raise typer.Exit(1)


def _settings(kafka: str | None) -> "Settings":
    from kindred.settings import load_settings
    from kindred.telemetry import configure_logging

    settings = load_settings(kafka=kafka)
    configure_logging(settings.log_level, settings.log_format)
    return settings


async def _newest(settings: "Settings", selection: Selection, limit: int) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The newest letters, oldest first, and how many there are for each reason."""
    from kindred.eventlog.topic_reader import TopicReader

    newest: list[tuple[int, int, int, dict[str, Any]]] = []
    counts: Counter[str] = Counter()
    async with TopicReader(settings.broker(), settings.dead_letter_topic) as reader:
        async for letters in selection.read(reader):
            for letter in letters:
                known = letter.reason in counts or len(counts) < _REASONS
                counts[letter.reason if known else "of other reasons"] += 1
                entry = (letter.failed_at, letter.partition, letter.offset, outline(letter))
                (heapq.heappush if len(newest) < limit else heapq.heappushpop)(newest, entry)
    return [each for *_, each in sorted(newest, key=lambda entry: entry[:3])], counts
