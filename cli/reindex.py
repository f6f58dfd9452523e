"""`kindred reindex`: writes the collection anew and swaps it in."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer

from cli.output import say
from cli.process import Collection, DataDir, Kafka, QdrantUrl
from cli.progress import ProgressBars
from loader.options import WeightingName


def reindex(
    *,
    weighting: Annotated[
        WeightingName, typer.Option(help="What vectors are made with; the tutorial's recipes need zscore.")
    ] = "default",
    shrinkage: Annotated[
        float, typer.Option(min=0.001, max=1e6, help="The default weighting's h: how little few ratings count.")
    ] = 5.0,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    collection: Collection = None,
    kafka: Kafka = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Writes the collection anew from its stored profiles, with another weighting, and swaps it in.

    On a Qdrant server this goes on beside servers and consumers, who follow by themselves: the new collection is built
    aside, brought up to the log, and takes the old one's place at once. It needs the consumers' Kafka for that. Over an
    embedded store nothing else may run.

    [bold]Examples[/bold]

      kindred reindex --shrinkage 10 --qdrant-url http://qdrant:6334 --kafka kafka:9092
      kindred reindex --weighting zscore --data-dir data
    """
    from kindred.settings import load_settings
    from kindred.stores.choice import where
    from kindred.telemetry import configure_logging
    from loader.reindex import reindex as run

    settings = load_settings(data_dir=data_dir, qdrant_url=qdrant_url, collection=collection, kafka=kafka)
    configure_logging(settings.log_level, settings.log_format)
    with ProgressBars(quiet=as_json) as progress:
        report = asyncio.run(run(settings, weighting, shrinkage, progress))
    if as_json:
        say(json.dumps(asdict(report)))
        return
    say(
        f"Wrote {report.name} anew at {where(settings)} with weighting {report.weighting}: {report.users:,} users, "
        f"{report.items:,} items, {report.ratings:,} ratings in {report.seconds:.1f} s"
    )
    if report.events:
        say(f"Applied {report.events:,} events that came meanwhile")
