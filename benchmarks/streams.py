"""How soon an answer changes while events come steadily, and what a million ratings through StreamRatings cost."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import grpc
import numpy as np
from kafka import KafkaConsumer, KafkaProducer

from benchmarks.processes import free_port, serving, steady_events, up
from benchmarks.report import Figure, Ratio
from cli.local_broker import local_broker
from kindred.v1.rating_service_pb2 import NewRating, RecordRatingsRequest, StreamRatingsRequest, UserRating
from kindred.v1.rating_service_pb2_grpc import RatingServiceStub
from kindred.v1.recommendation_service_pb2 import RECIPE_DEFAULT, RecommendRequest, WatchRecommendationsRequest
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

RATE = 500
"""Events a second that come anyway."""
PROBES, PROBES_A_SECOND = 400, 20
MEDIAN_MS, P99_MS, WATCH_MS = 20.0, 100.0, 100.0
STREAMED, WARM, BATCH = 1_000_000, 100_000, 1_000
GROWTH = 1.25
"""How much larger the server's memory may be after ten times as many ratings."""
_TOPIC = "kindred.ratings.v1"
_PATIENCE = 60.0


def measure_streams(workspace: Path) -> list[Figure]:
    """Measures `kindred up` from outside.

    Args:
        workspace: A folder with the loaded data directory `ml-100k`.
    """
    return [*_under_load(workspace / "ml-100k"), _streamed(workspace / "ml-100k")]


def _under_load(data_dir: Path) -> list[Figure]:
    """Events at a steady rate from another process, and probes among them."""
    address, broker_port = f"127.0.0.1:{free_port()}", free_port()
    kafka = f"127.0.0.1:{broker_port}"
    with up(data_dir, address, broker_port), grpc.insecure_channel(address) as channel:
        callers = _Callers(channel, KafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=0))
        callers.record_and_recommend(0)  # waits for the consumer to join
        with steady_events(kafka, RATE):
            _paced(callers.record_and_recommend, PROBES_A_SECOND)
            answered = _paced(callers.record_and_recommend, PROBES)
            watched = _paced(callers.write_and_watch, PROBES // 4)
            brokers = _broker_alone(kafka, callers.producer)
        callers.producer.close()
    median, p99, watch = statistics.median(answered), _p99(answered), statistics.median(watched)
    return [
        Figure(
            f"Event to changed answer at {RATE} events a second, median",
            f"{median:.1f} ms",
            f"RecordRatings, then Recommend with its token, {PROBES} times among the other events; the broker alone, "
            f"from produce to poll, {statistics.median(brokers):.1f} ms, p99 {_p99(brokers):.1f} ms",
            f"at most {MEDIAN_MS:.0f} ms",
            median <= MEDIAN_MS,
            Ratio("streams.answer-of-broker", median / statistics.median(brokers), "lower"),
        ),
        Figure("The same, p99", f"{p99:.1f} ms", "", f"at most {P99_MS:.0f} ms", p99 <= P99_MS),
        Figure(
            f"Event on Kafka to the next answer of WatchRecommendations at {RATE} events a second, median",
            f"{watch:.1f} ms",
            f"p99 {_p99(watched):.1f} ms of {len(watched)}",
            f"at most {WATCH_MS:.0f} ms",
            watch <= WATCH_MS,
        ),
    ]


class _Callers:
    """Those who measure: each call gives its time in milliseconds."""

    def __init__(self, channel: grpc.Channel, producer: KafkaProducer) -> None:
        self._recommendations = RecommendationServiceStub(channel)
        self._ratings = RatingServiceStub(channel)
        self.producer = producer

    def record_and_recommend(self, number: int) -> float:
        """A rating through gRPC, and an answer that includes it."""
        user_id, rating = str(number % 900 + 1), NewRating(item_id=str(number % 1_600 + 1), value=number % 5 + 1)
        start = perf_counter()
        recorded = self._ratings.RecordRatings(RecordRatingsRequest(user_id=user_id, ratings=[rating]), timeout=60)
        request = RecommendRequest(user_id=user_id, recipe=RECIPE_DEFAULT, at_least_as_fresh=recorded.freshness_token)
        self._recommendations.Recommend(request, timeout=_PATIENCE)
        return (perf_counter() - start) * 1000

    def write_and_watch(self, number: int) -> float:
        """A rating on Kafka of somebody who is watched, and the answer that is pushed."""
        user_id = f"watched-{number}"
        request = WatchRecommendationsRequest(request=RecommendRequest(user_id=user_id, recipe=RECIPE_DEFAULT))
        answers = self._recommendations.WatchRecommendations(request, timeout=_PATIENCE)
        next(answers)
        event = {"userId": user_id, "rated": {"itemId": "50", "value": 5}}
        start = perf_counter()
        self.producer.send(_TOPIC, json.dumps(event).encode(), user_id.encode())
        next(answers)
        elapsed = (perf_counter() - start) * 1000
        answers.cancel()
        return elapsed


def _paced(probe: Callable[[int], float], count: int) -> list[float]:
    """Probes at a steady rate, one at a time."""
    times = []
    start = perf_counter()
    for number in range(count):
        if (ahead := start + number / PROBES_A_SECOND - perf_counter()) > 0:
            time.sleep(ahead)
        times.append(probe(number))
    return times


def _broker_alone(kafka: str, producer: KafkaProducer) -> list[float]:
    """From produce to poll, without Kindred, in milliseconds; what else is on the broker is on it still."""
    topic = "benchmark-alone"
    producer.send(topic, b"first").get(_PATIENCE)
    consumer = KafkaConsumer(topic, bootstrap_servers=kafka, fetch_max_wait_ms=20, auto_offset_reset="earliest")
    while not consumer.poll(1_000):
        pass

    def probe(number: int) -> float:
        start = perf_counter()
        producer.send(topic, str(number).encode())
        while not consumer.poll(1_000):
            pass
        return (perf_counter() - start) * 1000

    try:
        return _paced(probe, PROBES // 4)
    finally:
        consumer.close()


def _streamed(data_dir: Path) -> Figure:
    """Ratings of ten thousand users through one stream into a log that nobody reads: what is kept is the server's."""
    address = f"127.0.0.1:{free_port()}"
    with (
        local_broker(0) as kafka,
        serving(address, "--data-dir", data_dir, "--kafka", kafka) as pid,
        grpc.insecure_channel(address) as channel,
    ):
        stub = RatingServiceStub(channel)
        _stream(stub, WARM)
        before = _peak_megabytes(pid)
        seconds = _stream(stub, STREAMED)
        after = _peak_megabytes(pid)
    return Figure(
        f"Server memory after {STREAMED:,} ratings through StreamRatings, against {WARM:,}",
        f"{after / before:.2f}x",
        f"{before:.0f} MB, then {after:.0f} MB at most; {STREAMED / seconds:,.0f} ratings a second acknowledged, "
        "with broker and caller on the same cores",
        f"at most {GROWTH}x",
        after <= GROWTH * before,
        Ratio("streams.memory", after / before, "lower"),
    )


def _stream(stub: RatingServiceStub, count: int) -> float:
    """Streams ratings until all are acknowledged; the seconds."""

    def requests() -> Iterator[StreamRatingsRequest]:
        for first in range(0, count, BATCH):
            yield StreamRatingsRequest(
                ratings=[
                    UserRating(
                        user_id=f"streamer-{number * 7919 % 10_000}",
                        rating=NewRating(item_id=str(number % 1_600 + 1), value=number % 5 + 1),
                    )
                    for number in range(first, first + BATCH)
                ]
            )

    start = perf_counter()
    recorded = sum(answer.recorded_count for answer in stub.StreamRatings(requests()))
    if recorded != count:
        raise RuntimeError(f"{count - recorded} ratings were not recorded")
    return perf_counter() - start


def _peak_megabytes(pid: int) -> float:
    """The most memory that a process has had so far (VmHWM, see proc(5))."""
    [line] = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def _p99(times: list[float]) -> float:
    return float(np.percentile(times, 99))
