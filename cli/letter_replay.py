"""What `kindred dead-letters replay` does: plan, ask, send, and say what became of each letter."""

import sys
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from cli.letter_output import key_of
from cli.letter_selection import Selection
from cli.output import clean, complain, failed, say

if TYPE_CHECKING:
    from consumers.replay import Planned, Replay
    from kindred.eventlog.topic_reader import TopicReader
    from kindred.settings import Settings

_TOLD = 20
"""How many refused letters are told one by one."""


class _Report:
    """What became of the letters."""

    def __init__(self, *, quiet: bool) -> None:
        self.replayable = 0
        self.replayed = 0
        self.refusals: Counter[str] = Counter()
        self._quiet = quiet

    def refused(self, planned: "Planned") -> None:
        """Counts a letter that is refused, and tells it if there are not many yet."""
        self.refusals[planned.refusal] += 1
        if not self._quiet and (told := self.refusals.total()) <= _TOLD:
            complain(f"{planned.letter.place}: refused, {planned.refusal}")
            if told == _TOLD:
                complain("further ones are only counted")


async def replay_letters(
    settings: "Settings", selection: Selection, *, dry_run: bool, ask: bool, quiet: bool
) -> dict[str, Any]:
    """Replays dead letters.

    Args:
        settings: Where they are.
        selection: Which ones.
        dry_run: Whether to send nothing, and to say what would be sent.
        ask: Whether to ask before anything is sent.
        quiet: Whether to leave everything to the report.

    Returns:
        The report, for JSON.

    Raises:
        typer.Exit: The person who was asked says no.
        PreconditionError: One of the topics is missing.
        UnavailableError: The broker is away; how many were sent is told.
    """
    from consumers.replay import Replay
    from kindred.eventlog.topic_reader import TopicReader

    broker, report = settings.broker(), _Report(quiet=quiet)
    async with (
        TopicReader(broker, settings.dead_letter_topic) as reader,
        TopicReader(broker, settings.topic) as originals,
    ):
        plan = Replay(originals, settings.topic, settings.dead_letter_topic)
        if dry_run:
            await _rehearse(_planned(plan, reader, selection), report, quiet=quiet)
        else:
            if ask and (count := await _replayable(_planned(plan, reader, selection))):
                _ask(count, settings.topic)
            await _send(_planned(plan, reader, selection), settings, report)
    return {
        "dry_run": dry_run,
        "topic": settings.topic,
        "replayable": report.replayable,
        "replayed": report.replayed,
        "refused": report.refusals.total(),
        "refusals": dict(report.refusals),
    }


async def _planned(plan: "Replay", reader: "TopicReader", selection: Selection) -> AsyncIterator[list["Planned"]]:
    """What is to be done, in parts; as often as it is asked for the same: letters that come meanwhile are left out."""
    async for letters in selection.read(reader):
        async for batch in plan.plan(letters):
            yield batch


async def _rehearse(planned: AsyncIterator[list["Planned"]], report: _Report, *, quiet: bool) -> None:
    async for batch in planned:
        for each in batch:
            if each.message is None:
                report.refused(each)
                continue
            report.replayable += 1
            if not quiet:
                times = [value.decode() for name, value in each.message.headers if name == "ce_time"]
                kept = f", as of {times[-1]}" if times and not each.letter.record.header("ce_time") else ""
                say(f"{each.letter.place}: would be sent{kept}: key {key_of(each.letter)}, {each.letter.reason}")


async def _replayable(planned: AsyncIterator[list["Planned"]]) -> int:
    count = 0
    async for batch in planned:
        count += sum(each.message is not None for each in batch)
    return count


def _ask(count: int, topic: str) -> None:
    sys.stderr.write(f"Send {count:,} {'event' if count == 1 else 'events'} to {clean(topic)} again? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise failed("nothing was sent")


async def _send(planned: AsyncIterator[list["Planned"]], settings: "Settings", report: _Report) -> None:
    from consumers.replay import send
    from kindred.errors import UnavailableError
    from kindred.eventlog.producer import EventProducer

    producer = EventProducer(settings.broker())
    try:
        async for batch in planned:
            refused = [each for each in batch if each.message is None]
            report.replayable += len(batch) - len(refused)
            too_large = await send(producer, settings.topic, batch, settings.kafka_timeout)
            report.replayed += len(batch) - len(refused) - len(too_large)
            for each in (*refused, *too_large):
                report.refused(each)
    except UnavailableError:
        complain(f"{report.replayed:,} were replayed before this; all can be replayed again")
        raise
    finally:
        await producer.close()
