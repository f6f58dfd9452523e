"""The table of everybody on one data set: `python -m benchmarks.rivals [--dataset NAME | --path PATH] [--write]`."""

import argparse
import tempfile
from pathlib import Path
from typing import get_args

from benchmarks.report import table
from benchmarks.rivals.rows import rows_table
from benchmarks.rivals.run import run_rivals, target_figures
from loader.datasets import DatasetName, fetch_dataset

TABLE = Path(__file__).parent / "TABLE.md"


def main() -> None:
    """Measures and prints; writes benchmarks/rivals/TABLE.md if it is told to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals", description=__doc__)
    parser.add_argument(
        "--dataset", choices=get_args(DatasetName), default="ml-100k", help="fetched if it is not there"
    )
    parser.add_argument("--path", type=Path, help="a folder or an archive in one of MovieLens' forms, instead")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}, too")
    arguments = parser.parse_args()
    source = arguments.path or fetch_dataset(arguments.dataset)
    with tempfile.TemporaryDirectory(prefix="kindred-rivals-") as folder:
        rows, about = run_rivals(source, Path(folder) / "rivals")
    text = f"{about}\n\n{rows_table(rows)}\n\n{table(target_figures(rows))}\n"
    print(text)
    if arguments.write:
        TABLE.write_text(f"# Kindred and what else there is\n\n{text}")


if __name__ == "__main__":
    main()
