"""Runs benchmarks, each after the other in one folder."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.load import measure_load, prepare
from benchmarks.report import Figure

Measure = Callable[[Path], list[Figure]]


def short_name(measure: Measure) -> str:
    """The name of a benchmark's module or package: the first part of its ratios' ids."""
    return measure.__module__.split(".")[1]


def measure(measures: Sequence[Measure]) -> list[Figure]:
    """Measures.

    Args:
        measures: The benchmarks.
    """
    with tempfile.TemporaryDirectory(prefix="kindred-bench-") as folder:
        workspace = Path(folder)
        if measure_load not in measures:
            prepare(workspace)
        figures: list[Figure] = []
        for each in measures:
            print(f"{short_name(each)} …", file=sys.stderr, flush=True)
            figures += each(workspace)
    return figures
