"""Measures quality against time, prints tables, and draws the curve.

python -m benchmarks.tradeoff --splits time,random --large data-25M --plot docs/tradeoff.svg
"""

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks.tradeoff.figures import quality_table, time_table
from benchmarks.tradeoff.measuring import measure_quality, measure_time, read_table
from benchmarks.tradeoff.picture import drawing, plot
from kindred.errors import PreconditionError
from loader.datasets import fetch_dataset
from loader.evaluation.options import SplitKind

SPLITS: tuple[SplitKind, ...] = ("time", "random")


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints and draws."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tradeoff", description=__doc__.partition("\n")[0])
    parser.add_argument("--data-set", type=Path, help="a MovieLens folder or archive; default: MovieLens 100K")
    parser.add_argument("--splits", default=",".join(SPLITS), help="how quality is measured: time, random or both")
    parser.add_argument("--seed", type=int, default=0, help="of the splits")
    parser.add_argument("--users", type=int, help="for how many users to ask on the data set; default: all")
    parser.add_argument("--least", type=int, default=0, help="ask only for users with so many ratings")
    parser.add_argument("--large", type=Path, help="a large collection's data directory: the time of its searches, too")
    parser.add_argument("--large-users", type=int, default=200, help="for how many of its users to ask")
    parser.add_argument("--plot", type=Path, help="the picture to draw: .svg or .png; needs matplotlib")
    given = parser.parse_args(arguments)
    names = [name for name in given.splits.split(",") if name]
    if unknown := sorted(set(names) - set(SPLITS)):
        parser.error(f"no split {unknown[0]!r}; known: {', '.join(SPLITS)}")
    splits = [kind for kind in SPLITS if kind in names]
    if not splits and given.large is None:
        parser.error("nothing to measure: give --splits, --large or both")
    if given.plot:
        try:
            drawing()
        except PreconditionError as error:
            parser.error(str(error))
    measured = []
    if splits:
        table = read_table(
            given.data_set or fetch_dataset("ml-100k"), given.data_set.name if given.data_set else "ml-100k"
        )
        for kind in splits:
            print(f"asking by {kind} …", file=sys.stderr, flush=True)
            found = asyncio.run(measure_quality(table, kind, given.seed, least=given.least, most=given.users))
            print(f"{found.name}: {found.users} users\n{quality_table(found.figures)}\n", flush=True)
            measured.append(found)
    large = None
    if given.large is not None:
        print(f"asking {given.large} …", file=sys.stderr, flush=True)
        large = asyncio.run(measure_time(given.large, given.large_users))
        print(f"{large.name}: {large.users} users\n{time_table(large.figures)}")
    if given.plot:
        plot(measured, large, given.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
