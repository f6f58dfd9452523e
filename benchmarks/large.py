"""Loading, answering and memory at a million ratings and at 25 million, on generated data sets.

By itself, with a table of every size: `python -m benchmarks.large --sizes 1M,25M --folder FOLDER`. What is in the
folder already is used again.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter

import grpc
import numpy as np
import qdrant_edge as qe
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from numpy.typing import NDArray

from benchmarks.generated.files import write_movielens
from benchmarks.generated.shape import shape_of
from benchmarks.loading import Load
from benchmarks.loading import measure as measure_load
from benchmarks.processes import free_port, memory, qdrant, serving
from benchmarks.recommend import edge_query, query_vectors
from benchmarks.report import Figure, Ratio
from kindred.stores.qdrant.builder import QdrantBuilder
from kindred.stores.qdrant.collections import Layout
from kindred.stores.qdrant.server import QdrantServer
from kindred.v1.recommendation_service_pb2 import RECIPE_DEFAULT, RECIPE_RIDGE, RecommendRequest
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from loader.load import load
from loader.readers.movielens import open_movielens

SMALL, LARGE = "1M", "25M"
FLOOR_TARGET, RIDGE_TARGET, GROWTH_TARGET = 1.6, 1.5, 6.0
LOAD_TARGET, LOAD_MEMORY_TARGET = 1.5, 2_000
EMBEDDED_TARGET, REMOTE_TARGET = 1_500, 400
USERS, FILLING, ROUNDS = 100, 1_500, 5
"""Users who are asked for, again and again, and how often after the first time; those who fill the cache then."""
K = 200
KINDS = {
    "default": RecommendRequest(recipe=RECIPE_DEFAULT),
    "ridge, K = 200": RecommendRequest(recipe=RECIPE_RIDGE),
    "ridge": RecommendRequest(recipe=RECIPE_RIDGE),
}
KINDS["ridge, K = 200"].neighbors.k = K
EMPTY, SEARCH, FIRST = "empty call", "bare search", "default"


@dataclass(frozen=True, slots=True)
class Answers:
    """What answering took.

    Args:
        size: The data set's name.
        times: Milliseconds by kind of call, in the order in which they were made, round after round. Shape (n,).
        resident: The most memory that the server had resident, in MB, pages of the store's files among it.
        own: What of it no file backed at the end, in MB.
    """

    size: str
    times: Mapping[str, NDArray[np.float64]]
    resident: float
    own: float

    def median(self, kind: str) -> float:
        """Milliseconds."""
        return float(np.median(self.times[kind]))

    @property
    def floor(self) -> float:
        """Milliseconds of an empty call and a bare search."""
        return self.median(EMPTY) + self.median(SEARCH)

    @property
    def ratios(self) -> list[float]:
        """A call by the default recipe against the floor, by round."""
        call, empty, search = (np.median(np.split(self.times[kind], ROUNDS), axis=1) for kind in (FIRST, EMPTY, SEARCH))
        return [float(each) for each in call / (empty + search)]


def measure_large(workspace: Path) -> list[Figure]:
    """Generates both sizes, loads them, and asks servers over them, one with Qdrant elsewhere.

    Args:
        workspace: A folder.
    """
    loads, answers = measure([SMALL, LARGE], workspace)
    elsewhere = remote_memory(workspace / f"generated-{LARGE}", workspace, LARGE)
    return [*_of_load(loads[-1]), *_of_answers(*answers), elsewhere]


def measure(sizes: Sequence[str], folder: Path) -> tuple[list[Load], list[Answers]]:
    """Loads data sets, unless they are loaded already, and asks servers over them.

    Args:
        sizes: Names or numbers of ratings.
        folder: Where data sets and collections are, or will be.

    Returns:
        The loads that there were, and the answers.
    """
    loads, answers = [], []
    for size in sizes:
        source, data_dir = folder / f"generated-{size}", folder / f"data-{size}"
        if not (source / "movies.csv").exists():  # it is written last
            print(f"  generating {size} …", file=sys.stderr, flush=True)
            write_movielens(source, shape_of(size))
        if not (data_dir / "current.json").exists():
            print(f"  loading {size} …", file=sys.stderr, flush=True)
            loads.append(measure_load(size, source, data_dir))
        print(f"  asking {size} …", file=sys.stderr, flush=True)
        answers.append(_ask(size, data_dir, folder / f"bare-{size}"))
    return loads, answers


def _ask(size: str, data_dir: Path, copy: Path) -> Answers:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data_dir, copy)
    vectors = asyncio.run(query_vectors(copy, FILLING))
    queries = {user_id: edge_query(vector) for user_id, vector in islice(vectors.items(), USERS)}
    [users] = (copy / "generations").glob("*/users")
    shard = qe.EdgeShard.load(str(users))
    address = f"127.0.0.1:{free_port()}"
    times: dict[str, list[float]] = {kind: [] for kind in (EMPTY, SEARCH, *KINDS)}
    with serving(address, "--data-dir", data_dir) as process, grpc.insecure_channel(address) as channel:
        health, recommend = HealthStub(channel), RecommendationServiceStub(channel).Recommend
        # One kind after the other: the neighbors of all kinds together may be more than the cache holds.
        for kind, request in KINDS.items():
            for round_ in range(ROUNDS + 1):
                for user_id, query in queries.items():
                    call = RecommendRequest(user_id=user_id)
                    call.MergeFrom(request)
                    ends = [perf_counter()]
                    health.Check(HealthCheckRequest())
                    ends.append(perf_counter())
                    [(hit.id, hit.score) for hit in shard.query(query)]
                    ends.append(perf_counter())
                    recommend(call)
                    ends.append(perf_counter())
                    if round_:  # the first round warms up
                        measured = dict(zip((EMPTY, SEARCH, kind), np.diff(ends) * 1000, strict=True))
                        for each in measured if kind == FIRST else [kind]:
                            times[each].append(float(measured[each]))
        for user_id in vectors:  # fills the cache
            recommend(RecommendRequest(user_id=user_id))
        used = memory(process)
    shard.close()
    shutil.rmtree(copy)
    return Answers(size, {kind: np.array(each) for kind, each in times.items()}, used["VmHWM"], used["RssAnon"])


def remote_memory(source: Path, workspace: Path, size: str) -> Figure:
    """The memory of a server whose Qdrant is elsewhere, with its cache full.

    Args:
        source: The data set.
        workspace: A folder.
        size: The data set's name.
    """
    name, address = "large", f"127.0.0.1:{free_port()}"
    with qdrant(workspace / "qdrant-large") as (url, what):
        print(f"  loading {size} into Qdrant …", file=sys.stderr, flush=True)
        with QdrantBuilder(QdrantServer(url), name, Layout(), replace=True) as builder:
            load(open_movielens(source), builder)
        users = map(str, range(1, FILLING + 1))
        with (
            serving(address, "--qdrant-url", url, "--collection", name) as process,
            grpc.insecure_channel(address) as channel,
        ):
            recommend = RecommendationServiceStub(channel).Recommend
            for user_id in users:
                recommend(RecommendRequest(user_id=user_id))
            used = memory(process)
    return Figure(
        f"Memory of a server over {size} generated ratings, with Qdrant elsewhere, its cache full",
        f"{used['VmHWM']:,.0f} MB",
        f"at most, after answers to {FILLING:,} users; of it no file's: {used['RssAnon']:,.0f} MB; Qdrant: {what}",
        f"at most {REMOTE_TARGET} MB",
        used["VmHWM"] <= REMOTE_TARGET,
    )


def _of_load(done: Load) -> list[Figure]:
    ratio = done.seconds / done.engine_seconds
    return [
        Figure(
            f"Load {done.ratings:,} generated ratings, against the engine's own time",
            f"{ratio:.2f}x",
            f"{done.seconds:.0f} s, {done.engine_seconds:.0f} s of it in the engine; one run, in a process of its own",
            f"at most {LOAD_TARGET}x",
            ratio <= LOAD_TARGET,
            Ratio("large.load", ratio, "lower"),
        ),
        Figure(
            "Its memory",
            f"{done.resident:,.0f} MB",
            f"at most, of it no file's: {done.own:,.0f} MB",
            f"below {LOAD_MEMORY_TARGET:,} MB",
            done.resident < LOAD_MEMORY_TARGET,
        ),
    ]


def _of_answers(small: Answers, large: Answers) -> list[Figure]:
    ratio = large.median("default") / large.floor
    growth = large.median("default") / small.median("default")
    added = large.median("ridge, K = 200") - large.median("default")
    times = large.times["default"]
    return [
        Figure(
            f"Recommend over gRPC, {large.size} generated ratings, K = {K}, warm, against its floor",
            f"{ratio:.2f}x",
            f"{large.median('default'):.2f} ms a call (p99 {np.percentile(times, 99):.2f}); floor: empty call "
            f"{large.median(EMPTY):.2f} ms + bare search {large.median(SEARCH):.2f} ms; {times.size:,} calls",
            f"at most {FLOOR_TARGET}x",
            ratio <= FLOOR_TARGET,
            Ratio("large.recommend", ratio, "lower", large.ratios),
        ),
        Figure(
            f"The same by the recipe ridge, K = {K}: what it takes more",
            f"{added:.2f} ms",
            f"{large.median('ridge, K = 200'):.2f} ms; with its own K = 400 {large.median('ridge'):.2f} ms",
            f"at most {RIDGE_TARGET} ms",
            added <= RIDGE_TARGET,
        ),
        Figure(
            f"Recommend at {large.size} generated ratings against {small.size}",
            f"{growth:.2f}x",
            f"{large.median('default'):.2f} and {small.median('default'):.2f} ms",
            f"at most {GROWTH_TARGET}x",
            growth <= GROWTH_TARGET,
            Ratio("large.growth", growth, "lower"),
        ),
        Figure(
            f"Memory of a server over {large.size} generated ratings, embedded, its cache full",
            f"{large.resident:,.0f} MB",
            f"at most, after answers to {FILLING:,} users; of it no file's: {large.own:,.0f} MB",
            f"at most {EMBEDDED_TARGET:,} MB",
            large.resident <= EMBEDDED_TARGET,
        ),
    ]


def answers_table(answers: Sequence[Answers]) -> str:
    """A Markdown table of every size."""
    kinds = [*answers[0].times]
    lines = [
        f"| size | {' | '.join(f'{kind}, ms' for kind in kinds)} | default / floor | p99 / median | memory, MB |",
        "|---" * (len(kinds) + 4) + "|",
    ]
    for each in answers:
        default = each.times["default"]
        lines.append(
            f"| {each.size} | {' | '.join(f'{each.median(kind):.2f}' for kind in kinds)} "
            f"| {each.median('default') / each.floor:.2f} "
            f"| {np.percentile(default, 99) / np.median(default):.2f} | {each.resident:,.0f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default=f"100K,{SMALL}", help="sizes of MovieLens's sets, or numbers: 100K,2M,25M")
    parser.add_argument("--folder", type=Path, help="where data sets and collections stay; without one nothing does")
    parser.add_argument("--qdrant", action="store_true", help="the memory of a server with Qdrant elsewhere, too")
    given = parser.parse_args(arguments)
    sizes = given.sizes.split(",")
    try:
        for size in sizes:
            shape_of(size)
    except ValueError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory(prefix="kindred-large-") as aside:
        folder = given.folder or Path(aside)
        _, answers = measure(sizes, folder)
        print(answers_table(answers))
        if given.qdrant:
            figure = remote_memory(folder / f"generated-{sizes[-1]}", Path(aside), sizes[-1])
            print(f"\n{figure.name}: {figure.value} ({figure.detail})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
