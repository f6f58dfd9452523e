"""Who writes: raw producers of the log and callers of the servers. They note what was acknowledged, and go on."""

import asyncio
import base64
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from kafka import KafkaProducer
from kafka.errors import KafkaError

from kindred.v1 import catalog_service_pb2 as catalog
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1.freshness_token_pb2 import FreshnessToken
from kindred.v1.item_pb2 import Item
from kindred.v1.reaction_pb2 import Reaction
from tests.support.chaos.records import record_of, timestamp_of, values_of
from tests.support.chaos.steps import Step
from tests.support.kafka_log import _NULL, Raw, _Unusual
from tests.support.system import Client

_ATTEMPTS = 4
_CALL_SECONDS = 4.0
_PAUSE = 0.2
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
"""What callers have to expect while something is away."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What somebody was told is in the log: the place of a call's last event, or of a record."""

    step: Step
    partition: int
    offset: int


@dataclass(slots=True)
class Ledger:
    """What was written.

    Args:
        start: When the run started, in milliseconds since 1970.
    """

    start: int
    produced: Counter[str] = field(default_factory=Counter)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    """Items whose making was acknowledged."""
    problems: list[str] = field(default_factory=list)


class RecordProducer(threading.Thread):
    """Writes records on a thread of its own.

    Args:
        kafka: The broker.
        topic: The topic.
        steps: What it writes.
        ledger: What was written.
        started: When the steps begin, by the monotonic clock.
    """

    def __init__(self, kafka: str, topic: str, steps: Iterator[Step], ledger: Ledger, started: float) -> None:
        super().__init__(daemon=True)
        self._kafka = kafka
        self._topic = topic
        self._steps = steps
        self._ledger = ledger
        self._begins = started
        self._ended = threading.Event()
        self._producer: Any = None
        self._broken = False

    def run(self) -> None:
        """Writes until it is told to stop; what is not acknowledged then never will be."""
        for step in self._steps:
            if self._ended.wait(max(0.0, self._begins + step.at - time.monotonic())):
                break
            self._ledger.produced["records"] += 1
            with suppress(KafkaError):
                self._send(step, record_of(step, self._ledger.start))
        self._close(20)

    def stop(self) -> None:
        """Tells it to stop."""
        self._ended.set()

    def _send(self, step: Step, record: Raw) -> None:
        if self._broken:
            self._close(0)
        if self._producer is None:
            self._broken = False
            self._producer = KafkaProducer(
                bootstrap_servers=self._kafka,
                acks="all",
                key_serializer=_Unusual(),
                max_block_ms=5_000,
                request_timeout_ms=4_000,
                delivery_timeout_ms=10_000,
                linger_ms=5,
            )
        future = self._producer.send(
            self._topic,
            record.value,
            _NULL if record.key is None else record.key,
            headers=list(record.headers),
            timestamp_ms=record.timestamp,
        )
        future.add_callback(self._acknowledge, step)
        future.add_errback(self._break)

    def _close(self, seconds: float) -> None:
        if self._producer is None:
            return
        try:
            self._producer.close(timeout=seconds)
        except KafkaError:  # kafka-python leaves its thread behind if something is under way
            self._producer._sender.force_close()
        self._producer = None

    def _acknowledge(self, step: Step, sent: Any) -> None:
        self._ledger.acknowledged.append(Acknowledged(step, sent.partition, sent.offset))

    def _break(self, error: Exception) -> None:
        self._broken = True


async def call(clients: list[Client], steps: Iterator[Step], ledger: Ledger, started: float, seconds: float) -> None:
    """Makes calls for some seconds, again where one fails.

    Args:
        clients: Of the servers.
        steps: What is asked.
        ledger: What was written.
        started: When the steps begin, by the monotonic clock.
        seconds: How long.
    """
    for step in steps:
        if step.at > seconds or time.monotonic() - started > seconds:
            return
        await asyncio.sleep(max(0.0, started + step.at - time.monotonic()))
        ledger.produced["calls"] += 1
        if step.kind == "item":
            [item] = step.ratings
            made = catalog.UpsertItemsRequest(items=[Item(item_id=item, title=f"New: {item}")])
            if await _insist(clients, step.server, "UpsertItems", made, ledger) is None:
                continue
            ledger.items.append(item)
        method, request = _request(step, ledger.start)
        answer = await _insist(clients, step.server + (step.kind == "item"), method, request, ledger)
        if answer is not None:
            token = answer.freshness_token
            place = FreshnessToken.FromString(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            ledger.acknowledged.append(Acknowledged(step, place.partition, place.offset))


async def _insist(clients: list[Client], first: int, method: str, request: Message, ledger: Ledger) -> Any:
    """The answer; None if nobody gave one: then what was asked may be done or not."""
    for attempt in range(_ATTEMPTS):
        client = clients[(first + attempt) % len(clients)]
        service = client.catalog if method == "UpsertItems" else client.ratings
        try:
            return await getattr(service, method)(request, timeout=_CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _AWAY:
                since = time.time_ns() // 1_000_000 - ledger.start
                what = f"{method} failed with {error.code().name}: {error.details()}"
                ledger.problems.append(f"{since / 1000:.2f} s after the start {what} for {request}")
                return None
        await asyncio.sleep(_PAUSE)
    return None


def _request(step: Step, start: int) -> tuple[str, Message]:
    match step.kind:
        case "rated" | "item":
            ratings = []
            for item, value in step.ratings.items():
                opinion: dict[str, Any] = {"value": value}
                if isinstance(value, str):
                    opinion = {"reaction": Reaction.Value(f"REACTION_{value}")}
                if step.occurred is not None:
                    opinion["rated_at"] = timestamp_of(start + step.occurred)
                ratings.append(rating.NewRating(item_id=item, **opinion))
            return "RecordRatings", rating.RecordRatingsRequest(user_id=step.user, ratings=ratings)
        case "retracted":
            return "RetractRatings", rating.RetractRatingsRequest(user_id=step.user, item_ids=[*step.ratings])
        case "forgotten":
            return "ForgetUser", rating.ForgetUserRequest(user_id=step.user)
        case _:
            attributes = values_of(step.attributes)
            return "SetUserAttributes", rating.SetUserAttributesRequest(user_id=step.user, attributes=attributes)
