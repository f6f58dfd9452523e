"""How far a consumer group is behind the log, as seen from outside of it. All of this blocks."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import CorruptRecordError, KafkaError
from kafka.structs import TopicPartition

from kindred.eventlog.broker import Broker
from kindred.eventlog.client import admin_of, find_topic, refusal, step_over, unreachable

_POLL_MS = 200


@dataclass(frozen=True, slots=True)
class Owner:
    """The member of a group that has a partition.

    Args:
        member: Its name in the group.
        host: Where it runs, as the broker sees it.
    """

    member: str
    host: str


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far a group is behind in one partition.

    Args:
        partition: The partition.
        committed: The offset that the group has committed in this topic; None if it has not.
        end: The offset of the next record that comes.
        lag: How many offsets there are from the committed one on, or from the first one that is still there.
        oldest_at: When the first record of them was written, in milliseconds since 1970; None if there is none.
        owner: Who reads it; None if nobody does or the broker does not tell.
    """

    partition: int
    committed: int | None
    end: int
    lag: int
    oldest_at: int | None
    owner: Owner | None


def group_lag(broker: Broker, group: str) -> list[PartitionLag]:
    """Looks how far a group is behind in the topic of rating events.

    A group that has committed nothing has the whole log before it.

    Args:
        broker: Where.
        group: The group.

    Raises:
        PreconditionError: There is no such topic.
        UnavailableError: The broker is away.
    """
    topic_id = find_topic(broker)
    consumer: Any = None
    try:
        consumer = KafkaConsumer(
            **broker.connection(),
            group_id=group,  # to read its offsets: no member joins, since nothing is subscribed
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            fetch_max_wait_ms=20,
            max_poll_records=1,
        )
        looking = _Looking(consumer, broker, topic_id)
        looking.look()
    except KafkaError as error:
        raise refusal(broker, error) from error
    finally:
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=int(broker.timeout * 1000))
    return looking.result(_owners(broker, group))


class _Looking:
    """Reads from each partition as much as it takes to know its end and its first record that was not applied."""

    def __init__(self, consumer: Any, broker: Broker, topic_id: str) -> None:
        self._consumer = consumer
        self._broker = broker
        self._topic_id = topic_id
        self._timeout_ms = int(broker.timeout * 1000)
        numbers = consumer.partitions_for_topic(broker.topic) or ()
        self._partitions = [TopicPartition(broker.topic, each) for each in sorted(numbers)]
        self._committed: dict[Any, int | None] = {}
        self._starts: dict[Any, int] = {}
        self._ends: dict[Any, int] = {}
        self._oldest: dict[Any, int] = {}

    def look(self) -> None:
        """Looks."""
        beginnings = self._consumer.beginning_offsets(self._partitions, self._timeout_ms)
        self._ends = self._consumer.end_offsets(self._partitions, self._timeout_ms)
        self._consumer.assign(self._partitions)
        for each in self._partitions:
            self._committed[each] = self._committed_in_this_topic(each)
            self._starts[each] = max(self._committed[each] or 0, beginnings[each])
            # Tansu counts the last batch as one record: what is committed may be behind that end; a fetch tells.
            self._consumer.seek(each, min(self._starts[each], self._ends[each]))
        unseen = set(self._partitions)
        deadline = time.monotonic() + self._broker.timeout
        while unseen:
            self._poll()
            for each in list(unseen):
                if (highwater := self._consumer.highwater(each)) is None:
                    continue
                self._ends[each] = max(self._ends[each], highwater)
                if each in self._oldest or self._consumer.position(each) >= self._ends[each]:
                    unseen.discard(each)
                    deadline = time.monotonic() + self._broker.timeout
            self._consumer.assign(list(unseen))
            if time.monotonic() > deadline:
                raise unreachable(self._broker)

    def result(self, owners: Mapping[int, Owner]) -> list[PartitionLag]:
        """What was seen.

        Args:
            owners: By partition who reads it.
        """
        return [
            PartitionLag(
                partition=each.partition,
                committed=self._committed[each],
                end=self._ends[each],
                lag=max(0, self._ends[each] - self._starts[each]),
                oldest_at=self._oldest.get(each),
                owner=owners.get(each.partition),
            )
            for each in self._partitions
        ]

    def _committed_in_this_topic(self, partition: Any) -> int | None:
        """What the group has committed. What it committed in another topic of the same name counts for nothing."""
        committed = self._consumer.committed(partition, metadata=True, timeout_ms=self._timeout_ms)
        if committed is None or (committed.metadata and committed.metadata.rpartition(" ")[2] != self._topic_id):
            return None
        return int(committed.offset)

    def _poll(self) -> None:
        try:
            polled = self._consumer.poll(_POLL_MS)
        except CorruptRecordError as error:
            record = step_over(self._consumer, error)
            self._note(TopicPartition(record.topic, record.partition), record.offset, record.timestamp)
            return
        for partition, records in polled.items():
            for record in records:
                self._note(partition, record.offset, record.timestamp)

    def _note(self, partition: Any, offset: int, timestamp: int) -> None:
        if offset >= self._starts[partition]:
            self._oldest.setdefault(partition, timestamp)


def _owners(broker: Broker, group: str) -> dict[int, Owner]:
    """By partition of the topic who has it; nothing where the broker does not tell."""
    with admin_of(broker) as admin:
        try:
            members = admin.describe_groups([group])[group]["members"]
        except (KafkaError, ValueError):  # kafka-python does not understand what Tansu answers
            return {}
    owners: dict[int, Owner] = {}
    for member in members:
        owner = Owner(member["group_instance_id"] or member["member_id"], member["client_host"].lstrip("/"))
        assignment = member["member_assignment"]
        for topic in assignment["assigned_partitions"] if isinstance(assignment, dict) else ():
            if topic["topic"] == broker.topic:
                owners |= dict.fromkeys(topic["partitions"], owner)
    return owners
