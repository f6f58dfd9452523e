"""The store on a Qdrant server: answers, bulk load and workers, each against what the server itself takes."""

import asyncio
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import grpc
from qdrant_client.grpc import PointsStub
from qdrant_client.models import PointStruct, SparseVector, SparseVectorParams

from benchmarks.load import LARGE
from benchmarks.processes import free_port, qdrant, serving
from benchmarks.recommend import against_floor, query_vectors
from benchmarks.report import Figure, Ratio
from kindred.recipes import DEFAULT
from kindred.stores.edge import EdgeStore
from kindred.stores.payload import user_payload
from kindred.stores.qdrant.builder import QdrantBuilder
from kindred.stores.qdrant.collections import Layout
from kindred.stores.qdrant.messages import nearest
from kindred.stores.qdrant.server import QdrantServer
from kindred.v1.recommendation_service_pb2 import EXPLANATION_SUMMARY, RECIPE_DEFAULT, RecommendRequest
from kindred.weighting import stored_vector
from loader.datasets import fetch_dataset
from loader.load import load
from loader.readers.movielens import open_movielens

ANSWER_TARGET, LOAD_TARGET, WORKERS_TARGET = 2.0, 1.5, 1.7
ROUNDS = 3
CALLERS, SECONDS = 16, 6.0
"""Many callers: the kernel spreads connections over the workers by chance."""
NAME = "bench"


def measure_qdrant(workspace: Path) -> list[Figure]:
    """Loads MovieLens 100K into a Qdrant server and asks servers over it.

    Args:
        workspace: A folder with the loaded data directory `ml-100k`.
    """
    with qdrant(workspace / "qdrant") as (url, what):
        figures = [
            _load(
                url,
                workspace / "generated",
                workspace / "large",
                key="generated",
                name=f"Load {LARGE.ratings:,} generated ratings",
            ),
            # Last, for it stays: the others ask it. Making, describing and swapping collections is most of it.
            _load(
                url,
                fetch_dataset("ml-100k"),
                workspace / "ml-100k",
                key="ml-100k",
                name="Load MovieLens 100K",
                target=None,
            ),
            _answers(url, workspace),
            _workers(url),
        ]
    return [replace(each, detail=f"{each.detail}; Qdrant: {what}") for each in figures]


def _load(url: str, source: Path, data_dir: Path, *, key: str, name: str, target: float | None = LOAD_TARGET) -> Figure:
    """The loader, from files to the swap, against the client's own upload of points that are ready."""
    server = QdrantServer(url)
    points = [*_ready_points(data_dir)]
    ours, bare = [], []
    for round_ in range(ROUNDS + 1):
        with QdrantBuilder(server, NAME, Layout(), replace=True) as builder:
            start = perf_counter()
            load(open_movielens(source), builder)
            seconds = perf_counter() - start
        client = server.client()
        client.create_collection("bare", vectors_config={}, sparse_vectors_config={"ratings": SparseVectorParams()})
        start = perf_counter()
        client.upload_points("bare", points, wait=True)
        client.get_collection("bare")
        if round_:  # the first one warms up
            ours.append(seconds)
            bare.append(perf_counter() - start)
        client.delete_collection("bare")
        client.close()
    ratio = statistics.median(ours) / statistics.median(bare)
    return Figure(
        f"{name} into Qdrant, against the client's upload of ready-made points",
        f"{ratio:.2f}x",
        f"{statistics.median(ours):.2f} s from the files on; bare upload_points {statistics.median(bare):.2f} s; "
        f"median of {ROUNDS}",
        f"at most {target}x" if target else "",
        target is None or ratio <= target,
        Ratio(f"qdrant.load-{key}", ratio, "lower", [a / b for a, b in zip(ours, bare, strict=True)]),
    )


def _ready_points(data_dir: Path) -> Iterator[PointStruct]:
    async def users() -> list[PointStruct]:
        store = EdgeStore.open(data_dir)
        points = []
        async for page in store.scan_users(1_000):
            for user in page:
                vector = stored_vector(store.metadata.weighting, user.profile)
                sparse = SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())
                point_id = user.point_id if isinstance(user.point_id, int) else str(user.point_id)
                points.append(PointStruct(id=point_id, vector={"ratings": sparse}, payload=user_payload(user)))
        await store.close()
        return points

    yield from asyncio.run(users())


def _answers(url: str, workspace: Path) -> Figure:
    client = QdrantServer(url).client()
    [users] = [each.collection_name for each in client.get_aliases().aliases if each.alias_name == NAME]
    client.close()
    queries = {
        user_id: nearest(users, vector, DEFAULT.k)
        for user_id, vector in asyncio.run(query_vectors(workspace / "ml-100k")).items()
    }
    address = f"127.0.0.1:{free_port()}"
    with (
        grpc.insecure_channel(QdrantServer(url).target) as channel,
        serving(address, "--qdrant-url", url, "--collection", NAME),
    ):
        query = PointsStub(channel).Query

        def search(user_id: str) -> None:
            [(hit.id, hit.score) for hit in query(queries[user_id]).result]

        return against_floor(
            address,
            [*queries],
            search,
            key="qdrant.recommend",
            name="MovieLens 100K on Qdrant, K = 200",
            target=ANSWER_TARGET,
        )


def _workers(url: str) -> Figure:
    """Requests whose cost is the server's own: scoring, reasons, wording; little of the engine's and the callers'."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for workers, measured in rates.items():
            address = f"127.0.0.1:{free_port()}"
            options = ("--qdrant-url", url, "--collection", NAME, "--workers", workers)
            with (
                serving(address, *options, KINDRED_MAX_QUEUE_SECONDS="60"),  # every caller waits: none is refused
                ThreadPoolExecutor(CALLERS) as pool,
            ):
                [*pool.map(_ask, [(address, 3.0)] * CALLERS)]  # warms the caches of every worker
                measured.append(sum(pool.map(_ask, [(address, SECONDS)] * CALLERS)) / SECONDS)
    one, two = (statistics.median(each) for each in rates.values())
    return Figure(
        "Two workers against one, answers a second",
        f"{two / one:.2f}x",
        f"{one:.0f} and {two:.0f} a second; {CALLERS} callers, K = 200, 500 items with reasons; median of {ROUNDS}",
        f"at least {WORKERS_TARGET}x",
        two / one >= WORKERS_TARGET,
        Ratio("qdrant.workers", two / one, "higher", [b / a for a, b in zip(*rates.values(), strict=True)]),
    )


def _ask(job: tuple[str, float]) -> int:
    """Asks over a connection of its own for so many seconds, reads no answer, and gives their number."""
    address, seconds = job
    requests = [
        RecommendRequest(
            user_id=str(user),
            limit=500,
            recipe=RECIPE_DEFAULT,
            explanation=EXPLANATION_SUMMARY,
        ).SerializeToString()
        for user in range(1, 901)
    ]
    answers = 0
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        recommend = channel.unary_unary("/kindred.v1.RecommendationService/Recommend")
        end = perf_counter() + seconds
        while perf_counter() < end:
            recommend(requests[answers % len(requests)])
            answers += 1
    return answers
