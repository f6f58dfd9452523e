"""Recommend under load: latency against the load that is offered, up to saturation and beyond.

By hand: `python -m benchmarks.under_load DIR …`, with a table for each folder and `--plot FILE` for a picture of all.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.arrivals import Answers, offer, saturate
from benchmarks.processes import free_port, serving
from benchmarks.report import Figure, Ratio
from kindred.settings import Settings
from kindred.stores.edge import EdgeStore
from kindred.v1.recommendation_service_pb2 import RecommendRequest
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from loader.evaluation.extra import needed

LOADS = (0.25, 0.5, 0.75, 0.9, 1.25, 2.0, 3.0)
"""Offered loads, as parts of the saturation."""
SECONDS = 5.0
LATE = 1.0
"""Seconds after which an answer is late: nobody looks at it any more."""
TAIL_TARGET = 3.0
ACCEPTED_TARGET = 2.0
_CALLERS = 8
_USERS = 1_000
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Step:
    """What one offered load did.

    Args:
        load: The offered load, as a part of the saturation.
        offered: Calls a second that were due.
        answered: OK answers a second.
        shed: The share of the calls that were RESOURCE_EXHAUSTED.
        late: The share that was answered after more than a second, or not in time.
        failed: The share that ended in another way.
        p50: Milliseconds from when an answered call was due to its answer, median.
        p99: The same, of the slowest hundredth.
        shed_p50: Milliseconds from when a refused call was due to its refusal, median; 0 if none was.
        shed_p99: The same, of the slowest hundredth.
        generator_p99: Milliseconds by which the generator made calls late; if that is much, the rest says little.
    """

    load: float
    offered: float
    answered: float
    shed: float
    late: float
    failed: float
    p50: float
    p99: float
    shed_p50: float
    shed_p99: float
    generator_p99: float


def measure_under_load(workspace: Path) -> list[Figure]:
    """Latency at half of the saturation, and of what is accepted beyond it.

    Args:
        workspace: A folder with the loaded data directory `ml-100k`.
    """
    saturation, steps = under_load(workspace / "ml-100k", SECONDS)
    half = next(step for step in steps if step.load == _HALF)
    beyond = [step for step in steps if step.load > 1]
    most_wait = Settings.model_fields["max_queue_seconds"].default
    worst = max(beyond, key=lambda step: step.p99)
    ratio = worst.p99 / 1000 / most_wait
    return [
        Figure(
            "Recommend at half of the saturation, p99 against its own median",
            f"{half.p99 / half.p50:.1f}x",
            f"{half.p50:.2f} and {half.p99:.2f} ms at {half.offered:.0f} calls a second, arriving at random; "
            f"saturation {saturation:.0f} a second, by {_CALLERS} callers at a time",
            f"at most {TAIL_TARGET:g}x",
            half.p99 <= TAIL_TARGET * half.p50,
            Ratio("under_load.half", half.p99 / half.p50, "lower"),
        ),
        Figure(
            "Beyond saturation, p99 of the accepted calls, against the wait that is allowed",
            f"{ratio:.1f}x",
            "; ".join(
                f"{step.load:g} times the saturation offered: {step.answered / saturation:.0%} of it answered, "
                f"p99 {step.p99:.0f} ms, {step.shed:.0%} refused, half of these within {step.shed_p50:.0f} ms"
                for step in beyond
            ),
            f"at most {ACCEPTED_TARGET:g}x",
            ratio <= ACCEPTED_TARGET,
            Ratio("under_load.beyond", ratio, "lower"),
        ),
    ]


def under_load(data_dir: Path, seconds: float) -> tuple[float, list[Step]]:
    """Serves a data directory, finds out how many calls a second it answers at most, and offers parts of that.

    Args:
        data_dir: A loaded data directory.
        seconds: For how long each load is offered.

    Returns:
        The saturation in calls a second, and what each load did.
    """
    users = asyncio.run(_user_ids(data_dir))
    address = f"127.0.0.1:{free_port()}"
    with serving(address, "--data-dir", data_dir):
        with grpc.insecure_channel(address) as channel:  # fills the cache
            recommend = RecommendationServiceStub(channel).Recommend
            for user_id in users:
                recommend(RecommendRequest(user_id=user_id))
        saturate(address, users, _CALLERS, min(seconds, 2.0))  # warms the rest
        full = saturate(address, users, _CALLERS, seconds)
        saturation = full.of("OK").size / full.duration
        steps = []
        for load in LOADS:
            print(f"  {load:g} of {saturation:.0f} calls a second …", file=sys.stderr, flush=True)
            steps.append(_step(load, load * saturation, offer(address, users, load * saturation, seconds)))
    return saturation, steps


def _step(load: float, offered: float, answers: Answers) -> Step:
    calls, answered, refused = answers.codes.size, answers.of("OK"), answers.of("RESOURCE_EXHAUSTED")
    late = np.count_nonzero(answered > LATE) + answers.of("DEADLINE_EXCEEDED").size
    failed = calls - answered.size - refused.size - answers.of("DEADLINE_EXCEEDED").size
    return Step(
        load,
        offered,
        answered.size / answers.duration,
        refused.size / calls,
        late / calls,
        failed / calls,
        *_milliseconds(answered),
        *_milliseconds(refused),
        _milliseconds(answers.late)[1],
    )


def _milliseconds(seconds: Any) -> tuple[float, float]:
    if not seconds.size:
        return 0.0, 0.0
    return float(np.median(seconds)) * 1000, float(np.percentile(seconds, 99)) * 1000


async def _user_ids(data_dir: Path) -> list[str]:
    store = EdgeStore.open(data_dir)
    try:
        async for page in store.scan_users(_USERS):
            return [user.user_id for user in page]
    finally:
        await store.close()
    raise ValueError(f"{data_dir} holds no users")


def _table(steps: Sequence[Step]) -> str:
    columns = ("offered", "calls/s", "answered/s", "p50 ms", "p99 ms", "refused", "p50 ms", "p99 ms", "late", "failed")
    lines = [f"| {' | '.join(columns)} | generator late, p99 ms |", f"{'|---' * (len(columns) + 1)}|"]
    lines += [
        f"| {each.load:.0%} | {each.offered:.0f} | {each.answered:.0f} | {each.p50:.1f} | {each.p99:.1f} "
        f"| {each.shed:.1%} | {each.shed_p50:.1f} | {each.shed_p99:.1f} | {each.late:.1%} | {each.failed:.1%} "
        f"| {each.generator_p99:.1f} |"
        for each in steps
    ]
    return "\n".join(lines)


def _plot(found: Sequence[tuple[str, float, Sequence[Step]]], path: Path) -> None:
    """Draws latency against load, a panel for each collection: its name, its saturation, and what each load did."""
    figure = needed("matplotlib.figure", "--plot").Figure(figsize=(5 * len(found), 4))
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (name, saturation, steps) in zip(panels, found, strict=True):
        loads = [each.load for each in steps]
        axes.plot(loads, [each.p50 for each in steps], marker="o", label="answered, median")
        axes.plot(loads, [each.p99 for each in steps], marker="o", label="answered, p99")
        shed = [each for each in steps if each.shed]
        axes.plot([each.load for each in shed], [each.shed_p50 for each in shed], marker="x", label="refused, median")
        axes.axvline(1.0, color="grey", linestyle=":", label="saturation")
        axes.set(title=f"{name}: {saturation:.0f} answers a second", xlabel="offered load, against saturation")
        axes.set(yscale="log")
        axes.grid(visible=True, alpha=0.3)
    panels[0].set(ylabel="ms from due to answered")
    panels[0].legend()
    figure.savefig(path, bbox_inches="tight")


def main() -> int:
    """Measures servers over data directories under load, one after the other, and prints what it finds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.under_load", description=main.__doc__)
    parser.add_argument("data_dirs", type=Path, nargs="+", metavar="DIR", help="a loaded data directory")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for how long each load is offered")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--plot", type=Path, help="draw latency against load into this file; needs matplotlib")
    options = parser.parse_args()
    found = [(path.name, *under_load(path, options.seconds)) for path in options.data_dirs]
    if options.json:
        told = [{"name": name, "saturation": most, "steps": list(map(asdict, steps))} for name, most, steps in found]
        print(json.dumps(told, indent=2))
    else:
        for name, saturation, steps in found:
            print(f"{name}: saturation {saturation:.0f} calls a second, by {_CALLERS} callers at a time\n")
            print(_table(steps), end="\n\n")
    if options.plot:
        _plot(found, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
