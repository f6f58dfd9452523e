"""Kafka, as Kindred uses it: the only module that touches kafka-python, which has no types and its own threads.

Calls that may block run on one thread of their own, so that the event loop never waits for a broker. A consumer object
is not safe to share between threads: one thread makes all of its calls.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import structlog
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    CommitFailedError,
    CorruptRecordError,
    KafkaError,
    MessageSizeTooLargeError,
    RebalanceInProgressError,
    TopicAlreadyExistsError,
)
from kafka.structs import OffsetAndMetadata, TopicPartition

from kindred.errors import UnavailableError
from kindred.stores.port import LogPosition

log = structlog.get_logger(__name__)
T = TypeVar("T")

UNREADABLE = "kindred-unreadable"
"""Header of a record that could not be read, with the reason; nothing else of it is known but its place."""

_MAX_REQUEST_BYTES = 16 * 2**20
"""The broker's own bound is lower, and it says so: a dead letter is larger than the record it is about."""


class RecordTooLargeError(Exception):
    """The broker does not take a record of this size."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the log is.

    Args:
        bootstrap: `host:port`, or several separated by commas.
        topic: The topic of rating events.
        dead_letter_topic: The topic of events that can never be applied.
        partitions: How many partitions a topic gets that Kindred makes.
        replication: How many replicas it gets.
        timeout: Seconds that a connection or an acknowledgement may take.
    """

    bootstrap: str
    topic: str = "kindred.ratings.v1"
    dead_letter_topic: str = "kindred.ratings.v1.dlq"
    partitions: int = 6
    replication: int = 1
    timeout: float = 10.0

    def servers(self) -> list[str]:
        """The bootstrap servers."""
        return [server.strip() for server in self.bootstrap.split(",")]


@dataclass(frozen=True, slots=True)
class Message:
    """A record to produce. Names of headers may repeat."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read: `timestamp` in milliseconds since 1970; headers in order, names may repeat, values be null."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int

    def header(self, name: str) -> bytes | None:
        """The last value of a header; None if there is none."""
        return dict(self.headers).get(name)


class _Thread:
    """One thread that makes calls in order."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)

    def close(self) -> None:
        self._executor.shutdown(wait=False)


def prepare_topics(broker: Broker) -> str:
    """Makes the topics that are missing. Blocks.

    Args:
        broker: Where.

    Returns:
        The id of the topic of rating events.

    Raises:
        UnavailableError: The broker cannot be reached or refuses.
    """
    timeout = int(broker.timeout * 1000)
    _check_reachable(broker)
    try:
        admin = KafkaAdminClient(bootstrap_servers=broker.servers(), bootstrap_timeout_ms=timeout)
        try:
            present = set(admin.list_topics())
            for topic in (broker.topic, broker.dead_letter_topic):
                if topic not in present:
                    _create(admin, NewTopic(topic, broker.partitions, broker.replication), timeout)
            return str(admin.describe_topics([broker.topic])[0]["topic_id"])
        finally:
            admin.close()
    except KafkaError as error:
        raise _unreachable(broker) from error


def _check_reachable(broker: Broker) -> None:
    """Fails at once where nobody listens. A client of kafka-python that cannot connect leaves its thread behind."""
    for server in broker.servers():
        host, _, port = server.rpartition(":")
        with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), broker.timeout / 2):
            return
    raise _unreachable(broker)


def _create(admin: Any, topic: Any, timeout: int) -> None:
    try:
        admin.create_topics([topic], timeout_ms=timeout)
    except TopicAlreadyExistsError:
        log.debug("somebody else made the topic", topic=topic.name)


def _unreachable(broker: Broker) -> UnavailableError:
    return UnavailableError("log", f"no Kafka broker answers at {broker.bootstrap}")


class EventProducer:
    """Produces records, acknowledged by all replicas, in order a key. It connects when it is first used.

    Args:
        broker: Where.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._thread = _Thread("kindred-producer")
        self._connecting: asyncio.Task[tuple[Any, str]] | None = None
        self._closing: asyncio.Task[None] | None = None  # held: the loop itself holds tasks only weakly

    async def connect(self) -> None:
        """Connects now, so that the first call need not wait for it.

        Raises:
            UnavailableError: No broker answers.
        """
        await asyncio.shield(self._connect())

    async def send(self, topic: str, messages: Sequence[Message], timeout: float) -> list[LogPosition]:
        """Produces records and waits until the broker has them all.

        Args:
            topic: The topic.
            messages: The records.
            timeout: Seconds to wait at most. Records whose acknowledgement came too late may be there all the same.

        Returns:
            Where each of them is.

        Raises:
            RecordTooLargeError: The broker does not take records of this size.
            UnavailableError: The broker did not acknowledge them all in time.
        """
        try:
            async with asyncio.timeout(timeout):
                producer, topic_id = await asyncio.shield(self._connect())
                futures = await self._thread.call(self._send_all, producer, topic, messages)
                for future in futures:
                    self._drop_if_failed(producer, future)
                acknowledged = await asyncio.gather(*map(_wrap, futures))
        except MessageSizeTooLargeError as error:
            raise RecordTooLargeError from error
        except (KafkaError, TimeoutError) as error:
            raise UnavailableError("log", f"Kafka at {self._broker.bootstrap} did not acknowledge in time") from error
        return [LogPosition(topic_id, record.partition, record.offset) for record in acknowledged]

    async def close(self) -> None:
        """Waits for what is under way and closes. Idempotent."""
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            if connecting.done() and connecting.exception() is None:
                await self._thread.call(connecting.result()[0].close, self._broker.timeout)
            else:
                connecting.cancel()
        self._thread.close()

    def _connect(self) -> asyncio.Task[tuple[Any, str]]:
        """The connection under way or made; a failed one is tried again."""
        task = self._connecting
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._connecting = asyncio.create_task(self._thread.call(self._open))
        return task

    def _drop_if_failed(self, producer: Any, future: Any) -> None:
        """Connects anew after a failure: a producer whose sequence is broken fails for ever, see KIP-98 and KIP-360."""
        loop = asyncio.get_running_loop()

        def dropped(error: Exception) -> None:
            with suppress(RuntimeError):  # the loop is closed, and this object with it
                loop.call_soon_threadsafe(self._drop, producer, error)

        future.add_errback(dropped)

    def _drop(self, producer: Any, error: Exception) -> None:
        task = self._connecting
        current = task is not None and task.done() and not task.cancelled() and task.exception() is None
        if (
            task is not None
            and current
            and task.result()[0] is producer
            and not isinstance(error, MessageSizeTooLargeError)
        ):
            log.warning("connecting to the event log anew", error=str(error))
            self._connecting = None
            self._closing = asyncio.create_task(self._thread.call(producer.close, 0))

    def _open(self) -> tuple[Any, str]:
        topic_id = prepare_topics(self._broker)
        timeout = int(self._broker.timeout * 1000)
        producer = KafkaProducer(
            bootstrap_servers=self._broker.servers(),
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            allow_auto_create_topics=False,
            bootstrap_timeout_ms=timeout,
            request_timeout_ms=timeout // 2,
            delivery_timeout_ms=timeout,
            max_block_ms=timeout,
            max_request_size=_MAX_REQUEST_BYTES,
        )
        return producer, topic_id

    @staticmethod
    def _send_all(producer: Any, topic: str, messages: Sequence[Message]) -> list[Any]:
        return [producer.send(topic, message.value, message.key, headers=list(message.headers)) for message in messages]


async def _wrap(future: Any) -> Any:
    """Waits on the event loop for a future of kafka-python, which is resolved on a thread of its own."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def resolve(result: Any) -> None:
        if not done.done():
            if isinstance(result, BaseException):
                done.set_exception(result)
            else:
                done.set_result(result)

    def resolved(result: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(resolve, result)

    future.add_both(resolved)
    return await done


class EventConsumer:
    """A member of a consumer group. Offsets are committed by the caller, after the effect.

    Args:
        broker: Where.
        group: The group.
        session_timeout: Seconds without a heartbeat after which the group gives this member's partitions away.
        max_records: How many records a poll returns at most.
        fetch_wait: Seconds that the broker may hold a fetch that finds nothing.
    """

    def __init__(
        self, broker: Broker, group: str, *, session_timeout: float, max_records: int, fetch_wait: float
    ) -> None:
        self._broker = broker
        self._group = group
        self._fetch_wait = int(fetch_wait * 1000)
        self._session_timeout = int(session_timeout * 1000)
        self._max_records = max_records
        self._thread = _Thread("kindred-consumer")
        self._consumer: Any = None
        self.topic_id = ""

    async def __aenter__(self) -> Self:
        """Connects, and makes the topics that are missing.

        Raises:
            UnavailableError: No broker answers.
        """
        try:
            await self._thread.call(self._open)
        except BaseException:
            self._thread.close()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Leaves the group without committing anything."""
        await self._thread.call(self._close)
        self._thread.close()

    async def poll(self, timeout: float) -> list[Record]:
        """Reads the next records, in order within each partition; none after the timeout in seconds.

        Raises:
            UnavailableError: The broker is away.
        """
        return await self._thread.call(self._poll, timeout)

    async def commit(self, offsets: Mapping[int, int]) -> bool:
        """Commits, for the partitions that this member still has.

        Args:
            offsets: By partition the offset of the next record to read.

        Returns:
            False if the group has given the partitions away meanwhile: their next owner reads the records again.

        Raises:
            UnavailableError: The broker is away.
        """
        return await self._thread.call(self._commit, offsets)

    async def assigned(self) -> bool:
        """Whether this member has partitions to read."""
        return bool(await self._thread.call(self._consumer.assignment))

    async def lag(self) -> dict[int, int]:
        """By partition of this member how many records it has not read yet, by the broker's own count."""
        return await self._thread.call(self._lag)

    def _open(self) -> None:
        self.topic_id = prepare_topics(self._broker)
        try:
            self._consumer = KafkaConsumer(
                bootstrap_servers=self._broker.servers(),
                group_id=self._group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                partition_assignment_strategy=[CooperativeStickyAssignor],
                session_timeout_ms=self._session_timeout,
                heartbeat_interval_ms=self._session_timeout // 3,
                max_poll_records=self._max_records,
                fetch_max_wait_ms=self._fetch_wait,
                bootstrap_timeout_ms=int(self._broker.timeout * 1000),
            )
            self._consumer.subscribe([self._broker.topic])
        except KafkaError as error:
            raise _unreachable(self._broker) from error

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=int(self._broker.timeout * 1000))

    def _poll(self, timeout: float) -> list[Record]:
        try:
            polled = self._consumer.poll(int(timeout * 1000))
        except CorruptRecordError as error:
            return [self._step_over(error)]
        except KafkaError as error:
            raise _unreachable(self._broker) from error
        return [
            Record(
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                key=record.key,
                value=record.value,
                headers=tuple(record.headers),
                timestamp=record.timestamp,
            )
            for records in polled.values()
            for record in records
        ]

    def _step_over(self, error: Exception) -> Record:
        """Goes on behind a record that kafka-python cannot read; what is known of it stands for it."""
        partition = self._consumer._fetcher._next_partition_records.topic_partition  # noqa: SLF001  # it says nowhere else
        offset = self._consumer.position(partition)
        self._consumer.seek(partition, offset + 1)
        why = (UNREADABLE, str(error).encode())
        return Record(partition.topic, partition.partition, offset, None, None, (why,), time.time_ns() // 1_000_000)

    def _commit(self, offsets: Mapping[int, int]) -> bool:
        mine = {partition.partition for partition in self._consumer.assignment()}
        positions = {
            TopicPartition(self._broker.topic, partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
            if partition in mine
        }
        try:
            self._consumer.commit(positions, timeout_ms=int(self._broker.timeout * 1000))
        except (CommitFailedError, RebalanceInProgressError):
            return False
        except KafkaError as error:
            raise _unreachable(self._broker) from error
        return len(positions) == len(offsets)

    def _lag(self) -> dict[int, int]:
        try:
            partitions = list(self._consumer.assignment())
            ends = self._consumer.end_offsets(partitions)
            # Tansu counts the last batch as one record, and what a fetch saw may be older: the larger one is right.
            return {
                each.partition: max(ends[each], self._consumer.highwater(each) or 0) - self._consumer.position(each)
                for each in partitions
            }
        except KafkaError as error:
            raise _unreachable(self._broker) from error
