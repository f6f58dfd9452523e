"""`kindred load`: loads a data set into a new collection."""

import asyncio
import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import misused, say
from cli.progress import ProgressBars
from cli.rating_table import duplicates_of, read_table
from kindred.errors import SchemaError, StoreNotLoadedError, UnavailableError
from loader.datasets import DatasetName, Mirror, fetch_dataset
from loader.options import NO_SUMS, Duplicates, LoadOptions, TimeUnit, WeightingName

if TYPE_CHECKING:
    from kindred.settings import Settings
    from kindred.stores.port import LogPosition
    from loader.load import LoadReport

DEFAULT_DATA_DIR = Path("data")

_SOURCE, _TABLE, _HOW = "What to load", "With --ratings", "How to load it"


def load(
    *,
    dataset: Annotated[
        DatasetName | None,
        typer.Option(help="A named data set, fetched once and kept in a cache.", rich_help_panel=_SOURCE),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option(help="A MovieLens folder or zip archive, in any of its forms.", rich_help_panel=_SOURCE),
    ] = None,
    ratings: Annotated[
        Path | None, typer.Option(help="Any CSV, TSV or parquet file of ratings.", rich_help_panel=_SOURCE)
    ] = None,
    mirror: Annotated[
        Mirror,
        typer.Option(help="Where --dataset comes from; the package index has ml-100k.", rich_help_panel=_SOURCE),
    ] = "auto",
    columns: Annotated[
        str,
        typer.Option(
            help="Which column is what; without time=… every rating is older than any event.", rich_help_panel=_TABLE
        ),
    ] = "user=user,item=item,rating=rating,time=time",
    items: Annotated[
        Path | None,
        typer.Option(
            help="A CSV, TSV or parquet file of items; without one the ratings say what items there are.",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    item_columns: Annotated[
        str,
        typer.Option(
            help="Which column is what: id, title, year, genres and tags ('|' between these).", rich_help_panel=_TABLE
        ),
    ] = "id=id,title=title",
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="MIN-MAX|NAME",
            help="Lowest and highest rating, or a scale by name: stars (0.5-5), ten (1-10), hundred (0-100), thumbs "
            "(0 and 1), plays (counts from 1; a row without rating is one play).",
            show_default="stars",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    liking: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE=STARS,…",
            help="How much ratings are liked, in five stars; straight lines between. Else the highest is 5 stars and 0 "
            "none, or what the scale's name says.",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    time_unit: Annotated[
        TimeUnit,
        typer.Option(help="Seconds or milliseconds since 1970, or ISO 8601.", rich_help_panel=_TABLE),
    ] = "s",
    data_dir: Annotated[
        Path | None,
        typer.Option(help="The embedded store's folder (KINDRED_DATA_DIR).", rich_help_panel=_HOW),
    ] = None,
    qdrant_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A Qdrant server's gRPC port, http://host:6334, instead (KINDRED_QDRANT_URL).",
            rich_help_panel=_HOW,
        ),
    ] = None,
    collection: Annotated[
        str | None,
        typer.Option(help="The collection's name in Qdrant (KINDRED_COLLECTION).", rich_help_panel=_HOW),
    ] = None,
    kafka: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="With --replace and Qdrant: the consumers' Kafka, to lose nothing meanwhile (KINDRED_KAFKA).",
            rich_help_panel=_HOW,
        ),
    ] = None,
    without_log: Annotated[
        bool,
        typer.Option("--without-log", help="With --replace and Qdrant: there are no consumers.", rich_help_panel=_HOW),
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Build aside and swap in for the collection that is there; events of before are not in the files.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    duplicates: Annotated[
        Duplicates | None,
        typer.Option(
            help="What becomes of several ratings of one item by one user.",
            show_default="latest, with --scale plays sum",
            rich_help_panel=_HOW,
        ),
    ] = None,
    skip_bad_rows: Annotated[
        bool,
        typer.Option(
            "--skip-bad-rows",
            help="List rows that cannot be read in DATA_DIR/bad-rows.txt (./bad-rows.txt with Qdrant).",
            rich_help_panel=_HOW,
        ),
    ] = False,
    weighting: Annotated[
        WeightingName,
        typer.Option(help="What vectors are made with; the tutorial's recipes need zscore.", rich_help_panel=_HOW),
    ] = "default",
    shrinkage: Annotated[
        float,
        typer.Option(
            min=0.001, max=1e6, help="The default weighting's h: how little few ratings count.", rich_help_panel=_HOW
        ),
    ] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.", rich_help_panel=_HOW)] = False,
) -> None:
    """Loads a data set into a new collection.

    [bold]Examples[/bold]
      kindred load --dataset ml-100k
      kindred load --path ~/Downloads/ml-32m.zip --replace
      kindred load --ratings plays.csv --columns user=who,item=song,rating=stars,time=at --items songs.csv
      kindred load --ratings listens.csv --columns user=who,item=song --scale plays
      kindred load --ratings votes.csv --scale thumbs
      kindred load --dataset ml-100k --qdrant-url http://qdrant:6334
    """
    if sum(source is not None for source in (dataset, path, ratings)) != 1:
        raise misused("give one of --dataset, --path and --ratings; try: kindred load --dataset ml-100k")
    if ratings is None and (scale is not None or liking is not None):
        raise misused("--scale and --liking are for --ratings: a MovieLens set has its own scale")
    merging = duplicates_of(scale, duplicates)
    if merging == "sum" and weighting == "zscore":
        raise misused(f"--weighting zscore: {NO_SUMS}")
    # Here, not above: other commands start without pandas, pyarrow and the engine.
    from kindred.settings import load_settings
    from kindred.stores.choice import new_builder, where
    from loader.load import load as load_source
    from loader.readers.movielens import open_movielens

    settings = load_settings(data_dir=data_dir, qdrant_url=qdrant_url, collection=collection, kafka=kafka)
    embedded = not settings.qdrant_url
    # With Qdrant a folder is only for what does not fit into memory, if one is named.
    folder = settings.data_dir if embedded or "data_dir" in settings.model_fields_set else None
    options = LoadOptions(
        duplicates=merging,
        weighting=weighting,
        shrinkage=shrinkage,
        bad_rows_report=(folder or Path()) / "bad-rows.txt" if skip_bad_rows else None,
        spill_folder=folder,
        included=() if embedded or not replace or without_log else _log_positions(settings),
    )
    with ProgressBars(quiet=as_json) as progress:
        if ratings is not None:
            source = read_table(ratings, columns, items, item_columns, scale, liking, time_unit)
        elif dataset is not None:
            source = open_movielens(fetch_dataset(dataset, mirror=mirror, progress=progress), dataset)
        elif path is not None:
            source = open_movielens(path)
        with new_builder(settings, replace=replace) as builder:
            report = load_source(source, builder, options, progress)
    if as_json:
        place = (
            {"data_dir": settings.data_dir}
            if embedded
            else {"qdrant_url": settings.qdrant_url, "collection": settings.collection}
        )
        say(json.dumps(asdict(report) | place, default=str))
    else:
        _summarize(report, where(settings), _next(settings))


def _log_positions(settings: "Settings") -> tuple["LogPosition", ...]:
    """Where the consumers are: what they apply from now on to the collection that is replaced, they apply again."""
    from kindred.eventlog.broker import AppliedTo
    from kindred.eventlog.reader import LogReader
    from kindred.stores.choice import open_store

    async def positions() -> tuple["LogPosition", ...]:
        store = await open_store(settings)
        await store.close()
        applied_to = AppliedTo(store.generation, store.metadata.included)
        async with LogReader(settings.broker(), settings.group, applied_to, max_records=1) as reader:
            return await reader.positions()

    try:
        return asyncio.run(positions())
    except StoreNotLoadedError:
        return ()  # there is nothing to replace
    except SchemaError:
        return ()  # nobody can be writing to it
    except UnavailableError as error:
        if error.service != "log":
            raise
        mend = "name the consumers' Kafka with --kafka, or say --without-log if there are none"
        message = f"{error}: what consumers apply while this runs would be lost; {mend}"
        raise UnavailableError("log", message) from error


def _next(settings: "Settings") -> str:
    """The command that serves what was loaded."""
    if settings.qdrant_url:
        name = "" if settings.collection == "kindred" else f" --collection {settings.collection}"
        return f"kindred serve --qdrant-url {shlex.quote(settings.qdrant_url)}{name}"
    if settings.data_dir == DEFAULT_DATA_DIR:
        return "kindred up"
    return f"kindred up --data-dir {shlex.quote(str(settings.data_dir))}"


def _summarize(report: "LoadReport", place: str, following: str) -> None:
    say(
        f"Loaded {report.name} into {place}: {report.users:,} users, {report.items:,} items, "
        f"{report.ratings:,} ratings in {report.seconds:.1f} s ({report.engine_seconds:.1f} s of it in the engine)"
    )
    if report.unknown_item_ratings:
        say(f"Dropped {_count(report.unknown_item_ratings, 'rating')} of items that the catalog lacks")
    if report.merged_ratings:
        say(f"Merged {_count(report.merged_ratings, 'repeated rating')} of the same item by the same user")
    if report.capped_ratings:
        say(f"Kept {_count(report.capped_ratings, 'sum')} beyond the scale as its highest value")
    if report.bad_rows:
        say(f"Skipped {_count(report.bad_rows, 'row')} that cannot be read; {report.bad_rows_report} lists them")
    say(f"Next: {following}", quietly=True)
    say("      kindred search   (the items that most users like)", quietly=True)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
