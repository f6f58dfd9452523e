"""`kindred lag`: how far the consumers are behind."""

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import Column, failed, print_table, rfc3339, say
from cli.process import Kafka

if TYPE_CHECKING:
    from kindred.eventlog.group_lag import PartitionLag

_COLUMNS = (
    Column("partition", justify="right", keep=True),
    Column("committed", justify="right", keep=True),
    Column("end", justify="right", keep=True),
    Column("lag", justify="right", keep=True),
    Column("oldest waits", justify="right", keep=True),
    Column("member"),
    Column("host"),
)


def lag(
    *,
    group: Annotated[str | None, typer.Option(metavar="NAME", help="The consumer group (KINDRED_GROUP).")] = None,
    fail_above: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Exit with 1 if more than N events wait: for scripts.")
    ] = None,
    kafka: Kafka = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as one JSON object.")] = False,
) -> None:
    """Shows how many events wait to be applied, how long the oldest has waited, and who reads which partition.

    The group's committed offsets are compared with the end of each partition of the topic KINDRED_TOPIC. Nothing joins
    the group, and nothing is committed. Members are only there where the broker tells them; the local one does not.

    [bold]Examples[/bold]

      kindred lag --kafka kafka:9092
      kindred lag --fail-above 1000 --json
    """
    from kindred.eventlog.group_lag import group_lag
    from kindred.settings import load_settings
    from kindred.telemetry import configure_logging

    settings = load_settings(kafka=kafka, group=group)
    configure_logging(settings.log_level, settings.log_format)
    partitions = group_lag(settings.broker(), settings.group)
    total = sum(each.lag for each in partitions)
    now = time.time_ns() // 1_000_000
    if as_json:
        rows = [_as_json(each, now) for each in partitions]
        say(json.dumps({"group": settings.group, "topic": settings.topic, "total": total, "partitions": rows}))
    else:
        print_table(_COLUMNS, [_row(each, now) for each in partitions])
        if all(each.committed is None for each in partitions):
            say(f"the group {settings.group} has committed nothing yet, if there is such a group")
        waiting = "1 event waits" if total == 1 else f"{total:,} events wait"
        say(f"{waiting} in {settings.topic} for the group {settings.group}")
    if fail_above is not None and total > fail_above:
        raise failed(f"the lag is {total:,}, more than {fail_above:,}")


def _as_json(each: "PartitionLag", now: int) -> dict[str, Any]:
    return {
        "partition": each.partition,
        "committed": each.committed,
        "end": each.end,
        "lag": each.lag,
        "oldest_at": None if each.oldest_at is None else rfc3339(each.oldest_at),
        "oldest_seconds": _age(each.oldest_at, now),
        "member": None if each.owner is None else each.owner.member,
        "host": None if each.owner is None else each.owner.host,
    }


def _row(each: "PartitionLag", now: int) -> list[str]:
    age = _age(each.oldest_at, now)
    return [
        str(each.partition),
        "-" if each.committed is None else str(each.committed),
        str(each.end),
        str(each.lag),
        "" if age is None else shown_age(age),
        "" if each.owner is None else each.owner.member,
        "" if each.owner is None else each.owner.host,
    ]


def _age(at: int | None, now: int) -> float | None:
    """Seconds that a record has waited. Its time is what its producer says: it may be in the future."""
    return None if at is None else max(0, now - at) / 1000


def shown_age(seconds: float) -> str:
    """A time that has passed, for people: the two largest units.

    Args:
        seconds: How much of it.
    """
    minutes, hours, days = int(seconds // 60), int(seconds // 3_600), int(seconds // 86_400)
    if days:
        return f"{days:,} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {int(seconds % 60)} s" if minutes else f"{seconds:.1f} s"
