"""What batches spare: BatchRecommend against as many Recommends, the engine's batch query against as many queries.

Run by itself: `python -m benchmarks.batching`. It has no target; docs/performance.md shows what it printed.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import grpc
import numpy as np
import qdrant_edge as qe

from benchmarks.processes import free_port, qdrant, serving
from benchmarks.recommend import edge_query, query_vectors
from kindred.stores.edge import EdgeBuilder
from kindred.stores.qdrant.builder import QdrantBuilder
from kindred.stores.qdrant.collections import Layout
from kindred.stores.qdrant.server import QdrantServer
from kindred.v1.recommendation_service_pb2 import RECIPE_DEFAULT, BatchRecommendRequest, RecommendRequest
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from loader.datasets import fetch_dataset
from loader.load import load
from loader.readers.movielens import open_movielens

SIZES = (1, 2, 5, 10, 20, 50, 100)
"""Requests in a batch; the last is the most that one may have."""
ANSWERS = 400
"""How many answers, about, a median of each size is of, for each way to ask."""
WAYS = ("one after the other", "at once", "as a batch")
PROBES = 200
"""Calls of the caller who asks while others' batches are answered."""
LARGE_K = 1_000
NAME = "batching"

Ask = Callable[[Sequence[str]], object]
"""Asks for as many answers as there are users."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long single calls took, in milliseconds.

    Args:
        p50: The median.
        p99: Of the slowest hundredth.
        most: The slowest.
    """

    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Waits":
        """What calls of so many seconds come to."""
        return cls(*(1000 * float(np.percentile(seconds, percent)) for percent in (50, 99, 100)))


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--answers", type=int, default=ANSWERS, help="how many a median is of, about")
    answers = parser.parse_args().answers
    with tempfile.TemporaryDirectory(prefix="kindred-batching-") as folder:
        workspace = Path(folder)
        users = _prepare(workspace)
        with _engine(workspace) as asks:
            print("The engine alone, ms a query\n\n" + table(per_answer(asks, users, answers)) + "\n")
        _measure("The embedded store", users, answers, "--data-dir", workspace / "ml-100k")
        with qdrant(workspace / "qdrant") as (url, what):
            with QdrantBuilder(QdrantServer(url), NAME, Layout()) as builder:
                load(open_movielens(fetch_dataset("ml-100k")), builder)
            _measure(f"Qdrant: {what}", users, answers, "--qdrant-url", url, "--collection", NAME)
    return 0


def _prepare(workspace: Path) -> list[str]:
    """Loads MovieLens 100K and tells its users."""
    with EdgeBuilder(workspace / "ml-100k") as builder:
        load(open_movielens(fetch_dataset("ml-100k")), builder)
    return [str(number) for number in range(1, 944)]


def _measure(what: str, users: Sequence[str], answers: int, *options: object) -> None:
    address = f"127.0.0.1:{free_port()}"
    with serving(address, *options, KINDRED_MAX_QUEUE_SECONDS="60"), grpc.insecure_channel(address) as channel:
        stub = RecommendationServiceStub(channel)
        for _ in range(2):  # fills the cache
            for user_id in users:
                stub.Recommend(RecommendRequest(user_id=user_id, recipe=RECIPE_DEFAULT))
        print(f"{what}, ms an answer\n\n{table(per_answer(_calls(stub), users, answers))}\n")
        print(f"{what}, another caller's Recommends, ms\n\n{waits_table(_waits(stub, address, users))}\n")


@contextmanager
def _engine(workspace: Path) -> Iterator[Mapping[str, Ask]]:
    """Ways to ask the engine."""
    copy = workspace / "bare"
    shutil.copytree(workspace / "ml-100k", copy)
    queries = {user_id: edge_query(vector) for user_id, vector in asyncio.run(query_vectors(copy)).items()}
    [users] = (copy / "generations").glob("*/users")
    shard = qe.EdgeShard.load(str(users))
    yield {
        WAYS[0]: lambda chosen: [shard.query(queries[user_id]) for user_id in chosen],
        WAYS[2]: lambda chosen: shard.query_batch(qe.QueryBatchRequest([queries[user_id] for user_id in chosen])),
    }
    shard.close()


def _calls(stub: RecommendationServiceStub) -> Mapping[str, Ask]:
    """Ways to ask a server."""

    def at_once(chosen: Sequence[str]) -> None:
        for call in [stub.Recommend.future(request) for request in _requests(chosen)]:
            call.result()

    return {
        WAYS[0]: lambda chosen: [stub.Recommend(request) for request in _requests(chosen)],
        WAYS[1]: at_once,
        WAYS[2]: lambda chosen: stub.BatchRecommend(BatchRecommendRequest(requests=_requests(chosen))),
    }


def _requests(users: Sequence[str], k: int | None = None) -> list[RecommendRequest]:
    requests = [RecommendRequest(user_id=user_id, recipe=RECIPE_DEFAULT) for user_id in users]
    for request in requests:
        if k:
            request.neighbors.k = k
    return requests


def per_answer(asks: Mapping[str, Ask], users: Sequence[str], answers: int) -> dict[int, dict[str, float]]:
    """By size and by way to ask the median milliseconds an answer.

    Args:
        asks: The ways. Each is the first one in turn: what another has just asked for may be quicker.
        users: Whom to ask for; each time others, by a fixed seed.
        answers: How many, about, a median is of.
    """
    rng = np.random.default_rng(7)
    found: dict[int, dict[str, list[float]]] = {size: {way: [] for way in asks} for size in SIZES}
    ways = list(asks)
    for size in SIZES:
        for round_ in range(max(6, answers // size)):
            chosen = rng.choice(users, size, replace=False).tolist()
            for place in range(len(ways)):
                way = ways[(round_ + place) % len(ways)]
                start = perf_counter()
                asks[way](chosen)
                found[size][way].append((perf_counter() - start) / size)
    return {
        size: {way: 1000 * float(np.median(seconds)) for way, seconds in by_way.items()}
        for size, by_way in found.items()
    }


def _waits(stub: RecommendationServiceStub, address: str, users: Sequence[str]) -> dict[str, Waits]:
    """How long one caller waits alone, and while another one asks for the largest batches, one after the other."""
    found = {"alone": Waits.of(_probe(stub, users))}
    for k in (None, LARGE_K):
        done = threading.Event()
        seconds: list[float] = []
        batches = BatchRecommendRequest(requests=_requests(users[: SIZES[-1]], k))
        stub.BatchRecommend(batches)
        other = threading.Thread(target=_ask_until, args=(address, batches, done, seconds))
        other.start()
        try:
            waits = Waits.of(_probe(stub, users))
        finally:
            done.set()
            other.join()
        kind = f"while batches of {SIZES[-1]}{f' with k = {k:,}' if k else ''} are answered"
        found[f"{kind}, each in {1000 * float(np.median(seconds)):.0f} ms"] = waits
    return found


def _probe(stub: RecommendationServiceStub, users: Sequence[str]) -> list[float]:
    seconds = []
    for request in _requests(users[:PROBES]):
        start = perf_counter()
        stub.Recommend(request)
        seconds.append(perf_counter() - start)
    return seconds


def _ask_until(address: str, batch: BatchRecommendRequest, done: threading.Event, seconds: list[float]) -> None:
    """Asks over a connection of its own; an answer is not read, for that would take time from the other caller."""
    data = batch.SerializeToString()
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(address, options=options) as channel:
        ask = channel.unary_unary("/kindred.v1.RecommendationService/BatchRecommend")
        while not done.is_set():
            start = perf_counter()
            ask(data)
            seconds.append(perf_counter() - start)


def table(found: Mapping[int, Mapping[str, float]]) -> str:
    """A row for each size: every way's time, and the batch's share of the others'."""
    ways = list(next(iter(found.values())))
    *others, batch = ways
    columns = ["requests", *ways, *(f"batch / {way}" for way in others)]
    lines = [f"| {' | '.join(columns)} |", "|" + "---:|" * len(columns)]
    for size, times in found.items():
        cells = [f"{times[way]:.3f}" for way in ways] + [f"{times[batch] / times[way]:.2f}" for way in others]
        lines.append(f"| {size} | {' | '.join(cells)} |")
    return "\n".join(lines)


def waits_table(found: Mapping[str, Waits]) -> str:
    """A row for each: the median, the slowest hundredth and the slowest."""
    lines = ["| when | p50 | p99 | slowest |", "|---|---:|---:|---:|"]
    lines += [f"| {when} | {each.p50:.1f} | {each.p99:.1f} | {each.most:.1f} |" for when, each in found.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
