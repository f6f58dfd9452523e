"""Runs every benchmark, prints the figures and writes benchmarks/RESULTS.md.

These machines are shared and noisy, so every target is a ratio of two figures of the same run, taken in turn.
"""

import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.events import measure_events
from benchmarks.freshness import measure_freshness
from benchmarks.load import measure_load
from benchmarks.qdrant import measure_qdrant
from benchmarks.recommend import measure_recommend
from benchmarks.report import Figure, table
from benchmarks.streams import measure_streams

RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> int:
    """Measures, prints, writes. Returns 1 if a target was missed."""
    measures = (measure_load, measure_recommend, measure_qdrant, measure_freshness, measure_events, measure_streams)
    with tempfile.TemporaryDirectory(prefix="kindred-bench-") as folder:
        workspace = Path(folder)
        figures: list[Figure] = []
        for measure in measures:
            print(f"{measure.__module__} …", file=sys.stderr, flush=True)
            figures += measure(workspace)
    text = table(figures)
    print(text)
    RESULTS.write_text(f"{_heading()}\n{text}\n")
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
