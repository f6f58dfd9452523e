"""The loader, against the time spent inside the engine."""

import shutil
from pathlib import Path

import numpy as np

from benchmarks.generated.files import write_movielens
from benchmarks.generated.shape import shape_of
from benchmarks.report import Figure, Ratio
from kindred.stores.edge import EdgeBuilder
from loader.datasets import fetch_dataset
from loader.load import load
from loader.readers.movielens import open_movielens

TARGET = 1.5
ROUNDS = 9
LARGE = shape_of("2M")


def measure_load(workspace: Path) -> list[Figure]:
    """Loads MovieLens 100K, and a generated set of two million ratings in MovieLens' form.

    Args:
        workspace: A folder; the data directory `ml-100k` in it is left for the other benchmarks.
    """
    small = fetch_dataset("ml-100k")
    large = write_movielens(workspace / "generated", LARGE)
    return [
        _measure("ml-100k", "Load MovieLens 100K", small, workspace / "ml-100k", ROUNDS),
        _measure(
            "generated",
            f"Load {LARGE.ratings:,} generated ratings of {LARGE.users:,} users",
            large,
            workspace / "large",
            3,
        ),
    ]


def prepare(workspace: Path) -> None:
    """Leaves the same in a folder as `measure_load`, unmeasured, for the benchmarks that need it.

    Args:
        workspace: A folder.
    """
    sources = {"ml-100k": fetch_dataset("ml-100k"), "large": write_movielens(workspace / "generated", LARGE)}
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
