"""What the clients of the log share: their thread, reaching a broker, and making its topics."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import structlog
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    TopicAlreadyExistsError,
)
from kafka.net.compat import KafkaNetClient

from kindred.errors import PreconditionError, UnavailableError
from kindred.eventlog.broker import UNREADABLE, AppliedTo, Broker, Record
from kindred.eventlog.tolerant_batch import read_tolerantly

log = structlog.get_logger(__name__)
T = TypeVar("T")

read_tolerantly()


METADATA_AGE_MS = 5_000
"""How long a client believes what it knows of topics: so soon it sees that one was made anew."""
_SHORT_LIVED = {"retention.ms": "3600000", "segment.ms": "3600000"}
"""For a topic that is read right away or not at all."""


class ClientThread:
    """One thread that makes calls in order.

    Args:
        name: What the thread is called.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Makes a call on the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)

    def close(self, last: Callable[[], object] | None = None) -> None:
        """Takes no more calls; the one under way is finished.

        Args:
            last: A last call to make, which nobody waits for.
        """
        if last is not None:
            self._executor.submit(last)
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
    with admin_of(broker) as admin:
        present = set(admin.list_topics())
        for topic in (broker.topic, broker.dead_letter_topic):
            if topic not in present:
                _create(admin, NewTopic(topic, broker.partitions, broker.replication), timeout)
        return _topic_id(admin, broker)


def prepare_applied_topic(broker: Broker) -> None:
    """Makes the topic of notices if it is missing: nothing but notices depends on it. Blocks.

    Raises:
        UnavailableError: The broker cannot be reached or refuses.
    """
    with admin_of(broker) as admin:
        if broker.applied_topic not in admin.list_topics():
            short_lived = NewTopic(broker.applied_topic, 1, broker.replication, topic_configs=_SHORT_LIVED)
            _create(admin, short_lived, int(broker.timeout * 1000))


def require_topic(broker: Broker, topic: str) -> None:
    """Sees that a topic is there, and makes none. Blocks.

    Args:
        broker: Where.
        topic: Its name.

    Raises:
        PreconditionError: There is no such topic.
        UnavailableError: The broker cannot be reached or refuses.
    """
    with admin_of(broker) as admin:
        if topic in admin.list_topics():
            return
    raise PreconditionError(
        "NO_TOPIC",
        topic,
        f"Kafka at {broker.bootstrap} has no topic {topic}, or does not show it to us: check KINDRED_KAFKA, "
        "KINDRED_TOPIC and KINDRED_DEAD_LETTER_TOPIC; a consumer or server that starts makes both topics",
    )


@contextmanager
def admin_of(broker: Broker) -> Iterator[Any]:
    """An admin client of kafka-python's. Blocks.

    Args:
        broker: Where.

    Raises:
        UnavailableError: The broker cannot be reached or refuses, also what is asked with it.
    """
    _check_reachable(broker)
    try:
        with _admin(broker) as admin:
            yield admin
    except KafkaError as error:
        raise refusal(broker, error) from error


def refusal(broker: Broker, error: Exception) -> UnavailableError:
    """The error for a broker that was reached and did not do what it was asked.

    Args:
        broker: Where.
        error: What kafka-python says.
    """
    if not isinstance(error, (KafkaConnectionError, KafkaTimeoutError)):
        return UnavailableError("log", f"Kafka at {broker.bootstrap} refuses: {type(error).__name__}")
    if broker.security.protocol == "PLAINTEXT":
        return unreachable(broker)
    # kafka-python does not tell: what the broker says before it closes the connection is often lost.
    message = (
        f"Kafka at {broker.bootstrap} listens and does not let us in with {broker.security.protocol}: check "
        "KINDRED_KAFKA_SECURITY, _SASL_MECHANISM, _USERNAME, _PASSWORD and _CA"
    )
    return UnavailableError("log", message)


def find_topic(broker: Broker) -> str:
    """The id of the topic of rating events, which has to be there. Blocks.

    Raises:
        PreconditionError: There is no such topic.
        UnavailableError: The broker cannot be reached.
    """
    require_topic(broker, broker.topic)
    return topic_id_of(broker)


@contextmanager
def _admin(broker: Broker) -> Iterator[Any]:
    """An admin client. One that cannot connect would leave its thread behind, so what it makes is ours to end."""
    made: list[Any] = []

    def make(**options: Any) -> Any:
        made.append(KafkaNetClient(**options))
        return made[-1]

    try:
        admin = KafkaAdminClient(kafka_client=make, **broker.connection())
    except BaseException:
        for client in made:
            client.close()
            client._net.stop()  # noqa: SLF001  # its close leaves the thread
        raise
    try:
        yield admin
    finally:
        admin.close()


def _check_reachable(broker: Broker) -> None:
    """Fails at once where nobody listens. A client of kafka-python that cannot connect leaves its thread behind."""
    for server in broker.servers():
        host, _, port = server.rpartition(":")
        with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), broker.timeout / 2):
            return
    raise unreachable(broker)


def topic_id_of(broker: Broker) -> str:
    """The id that the topic of rating events has now. Blocks.

    Raises:
        UnavailableError: The broker cannot be reached.
    """
    _check_reachable(broker)
    try:
        with _admin(broker) as admin:
            return _topic_id(admin, broker)
    except KafkaError as error:
        raise unreachable(broker) from error


def _topic_id(admin: Any, broker: Broker) -> str:
    """Asks until somebody knows: right after a topic was made not every broker does."""
    deadline = time.monotonic() + broker.timeout
    while True:
        [topic] = admin.describe_topics([broker.topic])
        if not topic["error_code"] and topic["topic_id"] and topic["partitions"]:
            return str(topic["topic_id"])
        if time.monotonic() > deadline:
            raise UnavailableError("log", f"Kafka at {broker.bootstrap} does not know the topic {broker.topic}")
        time.sleep(0.05)


def _create(admin: Any, topic: Any, timeout: int) -> None:
    try:
        admin.create_topics([topic], timeout_ms=timeout)
    except TopicAlreadyExistsError:
        log.debug("somebody else made the topic", topic=topic.name)


def unreachable(broker: Broker) -> UnavailableError:
    """The error for a broker that does not answer."""
    return UnavailableError("log", f"no Kafka broker answers at {broker.bootstrap}")


def record_of(record: Any) -> Record:
    """A record of kafka-python's as ours."""
    return Record(
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.value,
        tuple(record.headers),
        record.timestamp,
        record.leader_epoch,
    )


def step_over(consumer: Any, error: Exception) -> Record:
    """Goes on behind a record whose batch kafka-python cannot read; what is known of it stands for it."""
    partition = consumer._fetcher._next_partition_records.topic_partition  # noqa: SLF001  # it says nowhere else
    offset = consumer.position(partition)
    consumer.seek(partition, offset + 1)
    why = (UNREADABLE, str(error).encode())
    return Record(partition.topic, partition.partition, offset, None, None, (why,), time.time_ns() // 1_000_000)


def tag_of(topic_id: str, applied_to: AppliedTo) -> str:
    """What a committed offset is marked with: the collection that everything before it is in, and the topic."""
    return f"{applied_to.generation} {topic_id}"


def start_of(consumer: Any, partition: Any, topic_id: str, applied_to: AppliedTo, timeout_ms: int) -> int:
    """Where to begin with a partition that a group has read.

    Args:
        consumer: A consumer of kafka-python with the group's id.
        partition: Its partition.
        topic_id: The topic's id.
        applied_to: The collection that events are applied to.
        timeout_ms: How long the broker has to tell.

    Returns:
        The committed offset if it was committed for this collection, or by a person, who leaves no mark. One that was
        committed for another collection counts no further than what this collection says itself, if it says anything;
        one of another topic of the same name counts for nothing. Without any, the beginning. A broker that keeps no
        marks (Tansu) may have any of these: it is taken for one of another collection.
    """
    committed = consumer.committed(partition, metadata=True, timeout_ms=timeout_ms)
    included = applied_to.start(topic_id, partition.partition)
    if committed is None:
        return 0
    offset, tag = int(committed.offset), committed.metadata
    if tag in ("", tag_of(topic_id, applied_to)):
        return offset
    if tag is not None and tag.rpartition(" ")[2] != topic_id:
        return 0
    return min(offset, included) if applied_to.included else offset
