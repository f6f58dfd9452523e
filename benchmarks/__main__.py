"""Runs every benchmark, prints the figures and writes benchmarks/RESULTS.md and, for machines, results.json.

These machines are shared and noisy, so every target is a ratio of two figures of the same run, taken in turn.
"""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.events import measure_events
from benchmarks.freshness import measure_freshness
from benchmarks.large import measure_large
from benchmarks.load import measure_load
from benchmarks.measuring import Measure, measure
from benchmarks.qdrant import measure_qdrant
from benchmarks.recommend import measure_recommend
from benchmarks.report import table
from benchmarks.results import write_ratios
from benchmarks.rivals import measure_rivals
from benchmarks.streams import measure_streams
from benchmarks.under_load import measure_under_load

MEASURES: tuple[Measure, ...] = (
    measure_load,
    measure_recommend,
    measure_under_load,
    measure_qdrant,
    measure_freshness,
    measure_events,
    measure_streams,
    measure_rivals,
    measure_large,
)
"""Each takes a folder; it finds in it what `measure_load`, the first one, leaves there."""
RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> int:
    """Measures, prints, writes. Returns 1 if a target was missed."""
    figures = measure(MEASURES)
    text = table(figures)
    print(text)
    RESULTS.write_text(f"{_heading()}\n{text}\n")
    write_ratios(figures, datetime.now(UTC).date())
    return int(any(not figure.met for figure in figures))


def _heading() -> str:
    packages = ("qdrant-edge-py", "qdrant-client", "grpcio", "kafka-python", "numpy")
    return (
        "# Figures\n\n"
        f"Measured by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in packages)}.\n"
        "Medians of one run; ratios matter, not the milliseconds of this machine.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
