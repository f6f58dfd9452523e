"""Time and memory of a load against its size, on generated data sets: a table, and a picture if asked for.

python -m benchmarks.loading --sizes 100K,1M,25M --plot docs/loading.svg
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.generated.files import write_movielens
from benchmarks.generated.shape import shape_of
from benchmarks.processes import memory

_MB = 1_000_000
_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Load:
    """What a load took.

    Args:
        size: The data set's name.
        ratings: How many ratings it has.
        seconds: How long it took.
        engine_seconds: How much of that the engine worked.
        resident: The most memory that the process had resident, in MB, pages of the files that it writes among it.
        own: The most that no file backs, in MB: what the system cannot take back.
        disk: The size of the collection on the disk, in MB.
    """

    size: str
    ratings: int
    seconds: float
    engine_seconds: float
    resident: float
    own: float
    disk: float


def main(arguments: list[str] | None = None) -> int:
    """Generates, loads, prints and draws."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="100K,1M", help="sizes of MovieLens's sets, or numbers: 100K,2M,25M,33M")
    parser.add_argument("--plot", type=Path, help="the picture to draw: .svg or .png; needs matplotlib")
    parser.add_argument("--folder", type=Path, help="where data sets and collections stay; without one nothing does")
    given = parser.parse_args(arguments)
    try:
        sizes = [(name, shape_of(name)) for name in given.sizes.split(",")]
    except ValueError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory(prefix="kindred-loading-") as aside:
        folder = given.folder or Path(aside)
        loads = []
        for name, shape in sizes:
            source = folder / f"generated-{name}"
            if not (source / "movies.csv").exists():  # it is written last
                print(f"generating {name} …", file=sys.stderr, flush=True)
                write_movielens(source, shape)
            print(f"loading {name} …", file=sys.stderr, flush=True)
            loads.append(measure(name, source, folder / f"data-{name}"))
            print(table(loads[-1:]), file=sys.stderr, flush=True)
    print(table(loads))
    if given.plot:
        plot(loads, given.plot)
    return 0


def measure(name: str, source: Path, data_dir: Path) -> Load:
    """Loads a data set with `kindred load` in a process of its own, and looks at its memory meanwhile (on Linux).

    Args:
        name: The size's name.
        source: The data set.
        data_dir: Where to.
    """
    command = [Path(sys.executable).parent / "kindred", "load", "--path", source, "--data-dir", data_dir]
    resident = own = 0.0
    with subprocess.Popen([*command, "--replace", "--json"], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        while process.poll() is None:
            used = memory(process.pid)
            resident, own = max(resident, used.get("VmHWM", 0)), max(own, used.get("RssAnon", 0))
            time.sleep(_PAUSE)
        assert process.stdout is not None  # noqa: S101 - it was asked for
        text = process.stdout.read()
    if process.returncode:
        sys.exit(f"the load of {name} failed")
    report: dict[str, Any] = json.loads(text)
    disk = sum(file.stat().st_blocks * 512 for file in data_dir.rglob("*") if file.is_file()) / _MB
    return Load(name, report["ratings"], report["seconds"], report["engine_seconds"], resident, own, disk)


def table(loads: Sequence[Load]) -> str:
    """A Markdown table."""
    lines = [
        "| size | ratings | seconds | of them in the engine | ratio | memory, MB | of it no file's, MB | on disk, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.size} | {each.ratings:,} | {each.seconds:.1f} | {each.engine_seconds:.1f} | "
        f"{each.seconds / each.engine_seconds:.2f} | {each.resident:,.0f} | {each.own:,.0f} | {each.disk:,.0f} |"
        for each in loads
    ]
    return "\n".join(lines)


def plot(loads: Sequence[Load], path: Path) -> None:
    """Draws time and memory against the number of ratings, both on logarithmic scales.

    Args:
        loads: The loads.
        path: The picture; its ending says in what form.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra that only this needs

    ratings = [each.ratings for each in loads]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    times, memory = figure.subplots(1, 2)
    times.plot(ratings, [each.seconds for each in loads], marker="o", label="the load")
    times.plot(ratings, [each.engine_seconds for each in loads], marker="o", label="of it the engine")
    times.set(title="Seconds", yscale="log")
    memory.plot(ratings, [each.resident for each in loads], marker="o", label="most memory of the process")
    memory.plot(ratings, [each.own for each in loads], marker="o", label="without pages of files")
    memory.plot(ratings, [each.disk for each in loads], marker="o", linestyle="--", label="the collection on disk")
    memory.axhline(2_000, color="grey", linewidth=1, linestyle=":")
    memory.set(title="MB")
    for panel in (times, memory):
        panel.set(xlabel="ratings", xscale="log")
        panel.set_xticks(ratings, [each.size for each in loads], rotation=45)
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.legend(frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
