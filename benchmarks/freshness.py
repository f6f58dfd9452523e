"""From a rating event on Kafka to an answer that includes it, through the whole running system."""

import json
import statistics
from pathlib import Path
from time import perf_counter

import grpc
import numpy as np
from kafka import KafkaProducer

from benchmarks.processes import free_port, up
from benchmarks.report import Figure
from kindred.v1.recommendation_service_pb2 import RECIPE_DEFAULT, RecommendRequest
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

TARGET_MS = 50.0
EVENTS = 200
_PATIENCE = 60.0


def measure_freshness(workspace: Path) -> list[Figure]:
    """One event after the other, each of another user: produce it, and ask until the answer includes it.

    Args:
        workspace: A folder with the loaded data directory `ml-100k`.
    """
    address, broker_port = f"127.0.0.1:{free_port()}", free_port()
    times, acknowledged = [], []
    with up(workspace / "ml-100k", address, broker_port), grpc.insecure_channel(address) as channel:
        recommendations = RecommendationServiceStub(channel)
        producer = KafkaProducer(bootstrap_servers=f"127.0.0.1:{broker_port}", acks="all", linger_ms=0)
        for number in range(-3, EVENTS):  # the first ones wait for the consumer to join, and warm up
            user_id = str(number % 900 + 1)
            known = recommendations.Recommend(
                RecommendRequest(user_id=user_id, recipe=RECIPE_DEFAULT)
            ).as_of.profile_revision
            event = json.dumps({"userId": user_id, "rated": {"itemId": str(number % 1_000 + 1), "value": 5}})
            start = perf_counter()
            sent = producer.send("kindred.ratings.v1", event.encode(), user_id.encode())
            sent.get(timeout=_PATIENCE)
            broker = perf_counter() - start
            while (
                recommendations.Recommend(
                    RecommendRequest(user_id=user_id, recipe=RECIPE_DEFAULT)
                ).as_of.profile_revision
                == known
            ):
                if perf_counter() - start > _PATIENCE:
                    raise RuntimeError(f"the event {event} was not applied")
            if number >= 0:
                times.append((perf_counter() - start) * 1000)
                acknowledged.append(broker * 1000)
        producer.close()
    median = statistics.median(times)
    return [
        Figure(
            "Event on Kafka to changed answer, joined and warm",
            f"{median:.1f} ms",
            f"p99 {np.percentile(times, 99):.1f} ms; of it until the broker acknowledged "
            f"{statistics.median(acknowledged):.1f} ms; {EVENTS} events, one at a time",
            f"below {TARGET_MS:.0f} ms",
            median < TARGET_MS,
        )
    ]
