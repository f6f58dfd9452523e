"""Recommend over gRPC on loopback, against its floor: an empty unary call on the same server plus the bare search."""

import asyncio
import shutil
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import grpc
import numpy as np
import qdrant_edge as qe
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from benchmarks.processes import free_port, serving
from benchmarks.report import Figure, Ratio
from kindred.catalog import Catalog
from kindred.recipes import DEFAULT
from kindred.stores.edge import EdgeStore
from kindred.v1.recommendation_service_pb2 import RECIPE_DEFAULT, RECIPE_RIDGE, RecommendRequest
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from kindred.weighting import SparseVector

TARGET = 2.0
RIDGE_TARGET = 2.0
ROUNDS = 3


def measure_recommend(workspace: Path) -> list[Figure]:
    """Every user of MovieLens 100K in turn: an empty call, a Recommend and a bare search with the same query.

    Args:
        workspace: A folder with the loaded data directory `ml-100k`.
    """
    copy = workspace / "bare"
    shutil.copytree(workspace / "ml-100k", copy)
    queries = {user_id: edge_query(vector) for user_id, vector in asyncio.run(query_vectors(copy)).items()}
    [users] = (copy / "generations").glob("*/users")
    shard = qe.EdgeShard.load(str(users))

    def search(user_id: str) -> None:
        [(hit.id, hit.score) for hit in shard.query(queries[user_id])]

    address = f"127.0.0.1:{free_port()}"
    with serving(address, "--data-dir", workspace / "ml-100k"):
        figure = against_floor(
            address, [*queries], search, key="recommend.embedded", name="MovieLens 100K, K = 200", target=TARGET
        )
        ridge = ridge_against_default(address, [*queries])
    shard.close()
    return [figure, ridge]


def ridge_against_default(address: str, user_ids: Sequence[str]) -> Figure:
    """Measures Recommend by RIDGE against the same by DEFAULT, each user in turn.

    Args:
        address: The server.
        user_ids: The users.
    """
    times: dict[int, list[float]] = {RECIPE_DEFAULT: [], RECIPE_RIDGE: []}
    with grpc.insecure_channel(address) as channel:
        recommend = RecommendationServiceStub(channel).Recommend
        for round_ in range(ROUNDS + 1):
            for user_id in user_ids:
                for recipe, measured in times.items():
                    start = perf_counter()
                    recommend(RecommendRequest(user_id=user_id, recipe=recipe))  # type: ignore[arg-type]  # an enum's
                    if round_:
                        measured.append((perf_counter() - start) * 1000)
    default, ridge = (np.array(each) for each in times.values())
    by_round = [np.median(np.split(each, ROUNDS), axis=1) for each in (ridge, default)]
    ratio = float(np.median(ridge) / np.median(default))
    return Figure(
        "Recommend by the recipe ridge, K = 400, MovieLens 100K, warm, against the recipe default, K = 200",
        f"{ratio:.2f}x",
        f"{np.median(ridge):.2f} ms a call (p99 {np.percentile(ridge, 99):.2f}); default: {np.median(default):.2f} ms",
        f"at most {RIDGE_TARGET}x",
        bool(ratio <= RIDGE_TARGET),
        Ratio("recommend.ridge", ratio, "lower", (by_round[0] / by_round[1]).tolist()),
    )


def against_floor(
    address: str, user_ids: Sequence[str], search: Callable[[str], object], *, key: str, name: str, target: float
) -> Figure:
    """Measures Recommend of a running server against an empty call on it plus a bare search, each user in turn.

    Args:
        address: The server.
        user_ids: The users.
        search: The bare search that Recommend makes for a user.
        key: The ratio's id.
        name: What is searched.
        target: The ratio not to exceed.
    """
    empty_calls, calls, searches = [], [], []
    with grpc.insecure_channel(address) as channel:
        health, recommendations = HealthStub(channel), RecommendationServiceStub(channel)
        nothing = HealthCheckRequest()
        for round_ in range(ROUNDS + 1):
            for user_id in user_ids:
                request = RecommendRequest(user_id=user_id, recipe=RECIPE_DEFAULT)
                times = [perf_counter()]
                health.Check(nothing)
                times.append(perf_counter())
                recommendations.Recommend(request)
                times.append(perf_counter())
                search(user_id)
                times.append(perf_counter())
                if round_:  # the first round warms the cache
                    for measured, time in zip((empty_calls, calls, searches), np.diff(times) * 1000, strict=True):
                        measured.append(time)
    call, empty, bare = (statistics.median(each) for each in (calls, empty_calls, searches))
    ratio = call / (empty + bare)
    by_round = [np.median(np.split(np.array(each), ROUNDS), axis=1) for each in (calls, empty_calls, searches)]
    return Figure(
        f"Recommend over gRPC, {name}, warm, against its floor",
        f"{ratio:.2f}x",
        f"{call:.2f} ms a call (p99 {np.percentile(calls, 99):.2f}); floor: empty call {empty:.2f} ms "
        f"+ bare search {bare:.2f} ms; {len(calls):,} calls",
        f"at most {target}x",
        bool(ratio <= target),
        Ratio(key, ratio, "lower", (by_round[0] / (by_round[1] + by_round[2])).tolist()),
    )


def edge_query(vector: SparseVector) -> qe.QueryRequest:
    """The embedded engine's search for a query's neighbors: ids and scores only."""
    sparse = qe.SparseVector(vector.indices.tolist(), vector.values.tolist())
    nearest = qe.Query.Nearest(sparse, "ratings")
    return qe.QueryRequest(limit=DEFAULT.k, query=nearest, with_payload=False, with_vector=False)


async def query_vectors(data_dir: Path, most: int | None = None) -> dict[str, SparseVector]:
    """By user the query that Recommend makes by the default recipe.

    Args:
        data_dir: A loaded data directory.
        most: For how many users at most; None for all.
    """
    store = EdgeStore.open(data_dir)
    catalog = Catalog(await store.items())
    queries: dict[str, SparseVector] = {}
    async for page in store.scan_users(1_000):
        if most is not None and len(queries) >= most:
            break
        for user in page[: None if most is None else most - len(queries)]:
            items, ratings, _ = user.profile.ratings
            rows = catalog.rows_of(items)
            liking = store.metadata.weighting.preferences(ratings)
            values = liking / np.maximum(catalog.counts.rated[rows], 1) ** DEFAULT.query_damping
            queries[user.user_id] = SparseVector(items, values.astype(np.float32))
    await store.close()
    return queries
