"""Where the time of Recommend goes: the users of MovieLens 100K, or of a collection, in turn; the median of each step.

Run by itself: `python -m benchmarks.steps --data-dir DIR`. It has no target; docs/performance.md shows what it printed.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

import grpc
import numpy as np

from benchmarks.processes import free_port, serving
from benchmarks.recommend import query_vectors
from kindred.stores.edge import EdgeBuilder
from kindred.timing import ASKING, TRAILER, Step, read
from kindred.v1.recommendation_service_pb2 import (
    EXPLANATION_NONE,
    EXPLANATION_SUMMARY,
    RECIPE_DEFAULT,
    RECIPE_RIDGE,
    RecommendRequest,
)
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from loader.datasets import fetch_dataset
from loader.load import load
from loader.readers.movielens import open_movielens

ROUNDS = 3
KINDS = {
    "default": {"recipe": RECIPE_DEFAULT, "explanation": EXPLANATION_NONE},
    "with reasons": {"recipe": RECIPE_DEFAULT, "explanation": EXPLANATION_SUMMARY},
    "ridge": {"recipe": RECIPE_RIDGE, "explanation": EXPLANATION_NONE},
    "ridge with reasons": {"recipe": RECIPE_RIDGE, "explanation": EXPLANATION_SUMMARY},
}
WHOLE = "call"


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="a loaded data directory; without one MovieLens 100K is loaded")
    parser.add_argument("--users", type=int, default=943, help="how many users are asked for, at most")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kindred-steps-") as folder:
        data_dir, address = given.data_dir or Path(folder) / "ml-100k", f"127.0.0.1:{free_port()}"
        if given.data_dir is None:
            with EdgeBuilder(data_dir) as builder:
                load(open_movielens(fetch_dataset("ml-100k")), builder)
        users = list(asyncio.run(query_vectors(data_dir, given.users)))
        with serving(address, "--data-dir", data_dir), grpc.insecure_channel(address) as channel:
            print(_table(_medians(RecommendationServiceStub(channel), users)))
    return 0


def _medians(stub: RecommendationServiceStub, users: Sequence[str]) -> dict[str, dict[str, float]]:
    """By kind of request and by step the median milliseconds: kinds in turn, so that all have the same machine."""
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for round_ in range(ROUNDS + 1):
        for user_id in users:
            for kind, options in KINDS.items():
                steps = _steps(stub, RecommendRequest(user_id=user_id, **options))  # type: ignore[arg-type]  # enums
                if round_:  # the first round fills the cache
                    found[kind].append(steps)
    return {
        # A step that few calls have, like waiting for a turn, is in the first one by chance.
        kind: {name: 1000 * float(np.median([call.get(name, 0.0) for call in calls])) for name in calls[0]}
        for kind, calls in found.items()
    }


def _steps(stub: RecommendationServiceStub, request: RecommendRequest) -> dict[str, float]:
    """The seconds of a call's steps, of all of them, and of the call as seen from here."""
    start = perf_counter()
    _, call = stub.Recommend.with_call(request, metadata=(ASKING,))
    seconds = perf_counter() - start
    [trailer] = [str(value) for key, value in call.trailing_metadata() if key == TRAILER]
    steps = dict(read(trailer))
    return steps | {"all steps": sum(steps.values()), WHOLE: seconds}


def _table(columns: Mapping[str, Mapping[str, float]]) -> str:
    lines = [f"| step | {' | '.join(f'{kind}, ms' for kind in columns)} |", "|---|" + "---:|" * len(columns)]
    for name in (*(step.label for step in Step), "all steps", WHOLE):
        if any(name in column for column in columns.values()):
            cells = [f"{column[name]:.3f}" if name in column else "" for column in columns.values()]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
