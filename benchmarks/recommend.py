"""Recommend over gRPC on loopback, against its floor: an empty unary call on the same server plus the bare search."""

import asyncio
import shutil
import statistics
from pathlib import Path
from time import perf_counter

import grpc
import numpy as np
import qdrant_edge as qe
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from benchmarks.processes import free_port, serving
from benchmarks.report import Figure
from kindred.catalog import Catalog
from kindred.recipes import DEFAULT
from kindred.stores.edge import EdgeStore
from kindred.v1.recommendation_service_pb2 import RecommendRequest
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

TARGET = 2.5
ROUNDS = 3


def measure_recommend(workspace: Path) -> list[Figure]:
    """Every user of MovieLens 100K in turn: an empty call, a Recommend and a bare search with the same query.

    Args:
        workspace: A folder with the loaded data directory `ml-100k`.
    """
    copy = workspace / "bare"
    shutil.copytree(workspace / "ml-100k", copy)
    queries = asyncio.run(_queries(copy))
    [users] = (copy / "generations").glob("*/users")
    shard = qe.EdgeShard.load(str(users))
    address = f"127.0.0.1:{free_port()}"
    empty_calls, calls, searches = [], [], []
    with serving(workspace / "ml-100k", address), grpc.insecure_channel(address) as channel:
        health, recommendations = HealthStub(channel), RecommendationServiceStub(channel)
        nothing = HealthCheckRequest()
        for round_ in range(ROUNDS + 1):
            for user_id, query in queries.items():
                request = RecommendRequest(user_id=user_id)
                times = [perf_counter()]
                health.Check(nothing)
                times.append(perf_counter())
                recommendations.Recommend(request)
                times.append(perf_counter())
                hits = shard.query(query)
                [(hit.id, hit.score) for hit in hits]
                times.append(perf_counter())
                if round_:  # the first round warms the cache
                    empty, call, search = np.diff(times) * 1000
                    empty_calls.append(empty)
                    calls.append(call)
                    searches.append(search)
    shard.close()
    call, empty, search = (statistics.median(each) for each in (calls, empty_calls, searches))
    ratio = call / (empty + search)
    return [
        Figure(
            "Recommend over gRPC, MovieLens 100K, K = 200, warm, against its floor",
            f"{ratio:.2f}x",
            f"{call:.2f} ms a call (p99 {np.percentile(calls, 99):.2f}); floor: empty call {empty:.2f} ms "
            f"+ bare search {search:.2f} ms; {len(calls):,} calls",
            f"at most {TARGET}x",
            bool(ratio <= TARGET),
        )
    ]


async def _queries(data_dir: Path) -> dict[str, qe.QueryRequest]:
    """By user the search that Recommend makes, made ready."""
    store = EdgeStore.open(data_dir)
    catalog = Catalog(await store.items())
    queries = {}
    async for page in store.scan_users(1_000):
        for user in page:
            current = user.profile.current
            rows = catalog.rows_of(user.profile.items[current])
            liking = store.metadata.weighting.preferences(user.profile.values[current])
            values = liking / np.maximum(catalog.counts.rated[rows], 1) ** DEFAULT.query_damping
            vector = qe.SparseVector(user.profile.items[current].tolist(), values.tolist())
            queries[user.user_id] = qe.QueryRequest(
                limit=DEFAULT.k, query=qe.Query.Nearest(vector, "ratings"), with_payload=False, with_vector=False
            )
    await store.close()
    return queries
