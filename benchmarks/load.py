"""The loader, against the time spent inside the engine."""

import shutil
from pathlib import Path

import numpy as np

from benchmarks.report import Figure, Ratio
from kindred.stores.edge import EdgeBuilder
from loader.datasets import fetch_dataset
from loader.load import load
from loader.readers.movielens import open_movielens

TARGET = 1.5
# Users and films a rating as in MovieLens 25M.
ROUNDS = 9
USERS, RATINGS, FILMS = 14_000, 2_000_000, 6_000


def measure_load(workspace: Path) -> list[Figure]:
    """Loads MovieLens 100K, and a generated set of two million ratings in MovieLens' form.

    Args:
        workspace: A folder; the data directory `ml-100k` in it is left for the other benchmarks.
    """
    small = fetch_dataset("ml-100k")
    large = _generate(workspace / "generated")
    return [
        _measure("ml-100k", "Load MovieLens 100K", small, workspace / "ml-100k", ROUNDS),
        _measure("generated", f"Load {RATINGS:,} generated ratings of {USERS:,} users", large, workspace / "large", 3),
    ]


def prepare(workspace: Path) -> None:
    """Leaves the same in a folder as `measure_load`, unmeasured, for the benchmarks that need it.

    Args:
        workspace: A folder.
    """
    sources = {"ml-100k": fetch_dataset("ml-100k"), "large": _generate(workspace / "generated")}
    for name, source in sources.items():
        with EdgeBuilder(workspace / name) as builder:
            load(open_movielens(source), builder)


def _measure(key: str, name: str, source: Path, data_dir: Path, rounds: int) -> Figure:
    reports = []
    for _ in range(rounds + 1):  # the first round imports and warms up
        shutil.rmtree(data_dir, ignore_errors=True)
        with EdgeBuilder(data_dir) as builder:
            reports.append(load(open_movielens(source), builder))
    del reports[0]
    ratios = [report.seconds / report.engine_seconds for report in reports]
    ratio = float(np.median(ratios))
    seconds = float(np.median([report.seconds for report in reports]))
    engine = float(np.median([report.engine_seconds for report in reports]))
    return Figure(
        f"{name}, against the engine's own time",
        f"{ratio:.2f}x",
        f"{seconds:.2f} s, {engine:.2f} s of it in the engine; {reports[0].ratings:,} stored; median of {rounds}",
        f"at most {TARGET}x",
        ratio <= TARGET,
        Ratio(f"load.{key}", ratio, "lower", ratios),
    )


def _generate(folder: Path) -> Path:
    """A data set in MovieLens' latest form, sorted as it is, each user rating a film once. Seeded.

    Popularity and activity fall off like Zipf's law.
    """
    random = np.random.default_rng(20)
    folder.mkdir()
    weights = 1 / np.arange(1, FILMS + 1) ** 0.8
    activity = 1 / np.arange(1, USERS + 1) ** 0.5
    draws = int(1.4 * RATINGS)  # many pairs are drawn twice
    users = random.choice(USERS, draws, p=activity / activity.sum())
    films = random.choice(FILMS, draws, p=weights / weights.sum())
    pairs = np.unique(users * FILMS + films)
    pairs = np.sort(random.choice(pairs, RATINGS, replace=False))
    user, film = pairs // FILMS + 1, pairs % FILMS + 1
    half_stars = random.integers(1, 11, RATINGS)
    time = random.integers(800_000_000, 1_700_000_000, RATINGS)
    with (folder / "ratings.csv").open("w") as file:
        file.write("userId,movieId,rating,timestamp\n")
        rows = zip(user.tolist(), film.tolist(), (half_stars / 2).tolist(), time.tolist(), strict=True)
        file.writelines(f"{u},{f},{r},{t}\n" for u, f, r, t in rows)
    with (folder / "movies.csv").open("w") as file:
        file.write("movieId,title,genres\n")
        file.writelines(f"{number},Film {number} (2000),Drama|Comedy\n" for number in range(1, FILMS + 1))
    return folder
