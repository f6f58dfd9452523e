"""Latency of Recommend while users are rating, with the neighbor cache and without: `python -m benchmarks.tail`.

Every rating changes a profile, so the next call that finds that user among the neighbors reads it anew. It has no
target; docs/performance.md shows its hit rates. A user rates what they have rated before: no profile grows meanwhile.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.arrivals import offer, saturate
from benchmarks.processes import free_port, steady_events, up
from kindred.settings import Settings
from kindred.stores.edge import EdgeBuilder, EdgeStore
from loader.datasets import fetch_dataset
from loader.load import load
from loader.readers.movielens import open_movielens

RATES = (0, 100, 500)
"""Ratings a second."""
CACHES = (Settings.model_fields["cache_bytes"].default, 0)
_CALLERS = 4
_ASKERS = 1_000
_PAIRS_A_USER = 3
_PATIENCE = 60.0
_COLUMNS = (
    "cache, MB",
    "ratings/s applied",
    "hit rate",
    "misses a call",
    "cache holds, MB",
    "calls",
    "not answered",
    "processor, ms an answer",
    "p50, ms",
    "p99, ms",
    "p99.9, ms",
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What the metrics say.

    Args:
        hits: Profiles that were in memory.
        misses: Profiles that were read.
        applied: Events applied.
        held: Bytes of the cache.
        processor: Seconds of processor time of the whole process.
        at: Seconds of a clock.
    """

    hits: float
    misses: float
    applied: float
    held: float
    processor: float
    at: float


@dataclass(frozen=True, slots=True)
class Run:
    """What calls at a steady rate met.

    Args:
        cache: Bytes that the cache may hold.
        rate: Ratings a second that were written.
        calls: How many calls were made.
        seconds: Of those that were answered, from when each was due to its answer.
        before: The metrics before the first.
        after: The metrics after the last.
    """

    cache: int
    rate: int
    calls: int
    seconds: NDArray[np.float64]
    before: Counts
    after: Counts


def measure(data_dir: Path, calls: float, seconds: float, rounds: int) -> list[Run]:
    """Serves a copy of a data directory, and calls while ratings come at each of the rates: all in turn, in rounds.

    Args:
        data_dir: A loaded data directory. It is not changed.
        calls: Calls of Recommend a second, arriving at random.
        seconds: For how long at each rate.
        rounds: How often everything is done.
    """
    runs = []
    with tempfile.TemporaryDirectory(prefix="kindred-tail-") as folder:
        copy, pairs = Path(folder) / "data", Path(folder) / "pairs.json"
        shutil.copytree(data_dir, copy)
        askers, rated = asyncio.run(_known(copy))
        pairs.write_text(json.dumps(rated))
        for round_ in range(rounds):
            for cache in CACHES if round_ % 2 == 0 else CACHES[::-1]:
                print(f"  round {round_ + 1}, {cache:,} bytes …", file=sys.stderr, flush=True)
                runs += _runs(copy, cache, askers, pairs, (calls, seconds))
    return runs


def _runs(data_dir: Path, cache: int, askers: Sequence[str], pairs: Path, load: tuple[float, float]) -> Iterator[Run]:
    """One process, and each rate in turn."""
    address, broker_port, metrics = f"127.0.0.1:{free_port()}", free_port(), free_port()
    settings = {"KINDRED_CACHE_BYTES": str(cache), "KINDRED_METRICS_PORT": str(metrics)}
    with up(data_dir, address, broker_port, **settings):
        with steady_events(f"127.0.0.1:{broker_port}", 1, pairs):
            _joined(metrics)
        saturate(address, askers, _CALLERS, load[1] / 2)  # fills the cache
        for rate in RATES:
            with steady_events(f"127.0.0.1:{broker_port}", rate, pairs):
                time.sleep(1)  # until the stream is steady
                before = _counts(metrics)
                answers = offer(address, askers, *load)
                after = _counts(metrics)
            yield Run(cache, rate, answers.codes.size, answers.of("OK"), before, after)


async def _known(data_dir: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Whom to recommend to, and users with items that they rate."""
    store = EdgeStore.open(data_dir)
    try:
        item_ids = {entry.index: entry.item.item_id for entry in await store.items()}
        askers: list[str] = []
        pairs: list[tuple[str, str]] = []
        async for page in store.scan_users(_ASKERS):
            askers = askers or [user.user_id for user in page]
            for user in page:
                rated = user.profile.items[user.profile.current][:_PAIRS_A_USER].tolist()
                pairs += [(user.user_id, item_ids[index]) for index in rated]
    finally:
        await store.close()
    return askers, pairs


def _joined(metrics: int) -> None:
    """Waits until ratings are applied."""
    deadline = time.monotonic() + _PATIENCE
    while not _counts(metrics).applied:
        if time.monotonic() > deadline:
            raise RuntimeError("no rating was applied")
        time.sleep(0.1)


def _counts(port: int) -> Counts:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_PATIENCE) as response:
        text = response.read().decode()
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, sample.labels.get("outcome", "")] = sample.value
    hits, misses, held = (
        found[f"kindred_profile_cache_{name}", ""] for name in ("hits_total", "misses_total", "bytes")
    )
    applied = found.get(("kindred_events_total", "applied"), 0.0)
    return Counts(hits, misses, applied, held, found["process_cpu_seconds_total", ""], time.perf_counter())


def table(runs: Iterable[Run]) -> str:
    """By cache and rate what all rounds came to. Where calls were not answered, the times are those of the lucky ones.

    Args:
        runs: The runs of every round.
    """
    together: dict[tuple[int, int], list[Run]] = {}
    for run in runs:
        together.setdefault((run.cache, run.rate), []).append(run)
    lines = [
        f"| {' | '.join(_COLUMNS)} |",
        "|---:" * len(_COLUMNS) + "|",
    ]
    for (cache, _), same in sorted(together.items(), key=lambda each: (-each[0][0], each[0][1])):
        seconds = np.concatenate([run.seconds for run in same])
        calls = sum(run.calls for run in same)
        hits, misses, applied, processor, elapsed = (
            sum(getattr(run.after, name) - getattr(run.before, name) for run in same)
            for name in ("hits", "misses", "applied", "processor", "at")
        )
        p50, p99, p999 = np.percentile(seconds, [50, 99, 99.9]) * 1000 if seconds.size else [np.nan] * 3
        lines.append(
            f"| {cache / 2**20:.0f} | {applied / elapsed:.0f} "
            f"| {hits / max(hits + misses, 1):.2%} | {misses / max(calls, 1):.1f} "
            f"| {max(run.after.held for run in same) / 2**20:.1f} | {calls} | {calls - seconds.size} "
            f"| {1000 * processor / max(seconds.size, 1):.1f} | {p50:.1f} | {p99:.1f} | {p999:.1f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measures a data directory, MovieLens 100K if none is given, and prints a table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data-dir", type=Path, help="a loaded data directory; a copy of it is served")
    parser.add_argument("--calls", type=float, default=20.0, help="calls of Recommend a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="for how long, at each rate of ratings")
    parser.add_argument("--rounds", type=int, default=2, help="how often everything is done")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kindred-tail-") as folder:
        data_dir = options.data_dir
        if data_dir is None:
            data_dir = Path(folder) / "ml-100k"
            with EdgeBuilder(data_dir) as builder:
                load(open_movielens(fetch_dataset("ml-100k")), builder)
        print(table(measure(data_dir, options.calls, options.seconds, options.rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
