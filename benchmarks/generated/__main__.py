"""Generates a data set, or compares generated ones with MovieLens's own.

python -m benchmarks.generated write --size 25M /tmp/ml-25m
python -m benchmarks.generated compare ml-100k.zip ml-latest-small.zip
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.generated.compare import compare
from benchmarks.generated.files import write_movielens
from benchmarks.generated.shape import NAMED, shape_of


def main(arguments: list[str] | None = None) -> int:
    """Does what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generated", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="generate a data set in MovieLens's newer form")
    write.add_argument("folder", type=Path)
    write.add_argument("--size", default="1M", help=f"{', '.join(NAMED)}, or a number of ratings: 350K, 2M")
    write.add_argument("--seed", type=int, default=1)
    against = commands.add_parser("compare", help="a table: real sets, and generated ones of the same sizes")
    against.add_argument("paths", type=Path, nargs="+", help="folders or archives of MovieLens sets")
    against.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    if given.command == "compare":
        print(compare(given.paths, given.seed))
        return 0
    start = perf_counter()
    try:
        shape = shape_of(given.size)
    except ValueError as error:
        parser.error(str(error))
    write_movielens(given.folder, shape, given.seed)
    print(
        f"{given.folder}: {shape.users:,} users, {shape.items:,} items, {shape.ratings:,} ratings "
        f"in {perf_counter() - start:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
