"""Reads the log as a member of a consumer group."""

from collections import Counter
from collections.abc import Sequence
from time import monotonic
from typing import Any, Self

import structlog
from kafka import KafkaConsumer
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    CommitFailedError,
    CorruptRecordError,
    FencedInstanceIdError,
    KafkaError,
    RebalanceInProgressError,
)
from kafka.structs import OffsetAndMetadata, TopicPartition

from kindred.errors import KindredError, PreconditionError
from kindred.eventlog.broker import AppliedTo, Broker, Record
from kindred.eventlog.client import (
    METADATA_AGE_MS,
    ClientThread,
    prepare_topics,
    record_of,
    refusal,
    start_of,
    step_over,
    tag_of,
    unreachable,
)
from kindred.telemetry import PARTITION_MOVES

log = structlog.get_logger(__name__)

_STAY_MS = 50
_LOOK_MS = 1_000
"""What nobody waits for may not hold up the reading: it has the same thread."""


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """Notes the partitions that the group has given to this member; called on the library's own thread."""

    def __init__(self) -> None:
        self.unchecked: set[Any] = set()
        self.uncommitted: dict[Any, OffsetAndMetadata] = {}
        """What was applied and could not be committed yet, by partition."""
        self.losses: Counter[Any] = Counter()
        """How often each partition went away: what was read before that is not this member's any more."""

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Forgets them: they are checked again if they come back."""
        self._forget(revoked)
        PARTITION_MOVES.labels("revoked").inc(len(revoked))

    def on_partitions_lost(self, lost: Any) -> None:
        """Forgets them: the group has given them to others without asking (KIP-429)."""
        self._forget(lost)
        PARTITION_MOVES.labels("lost").inc(len(lost))
        log.warning("partitions were given to other members", partitions=sorted(each.partition for each in lost))

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Notes them."""
        self.unchecked |= set(assigned)
        PARTITION_MOVES.labels("assigned").inc(len(assigned))

    def _forget(self, partitions: Any) -> None:
        self.unchecked -= set(partitions)
        for partition in partitions:  # whoever has it now may have got further
            self.losses[partition] += 1
            self.uncommitted.pop(partition, None)


class EventConsumer:
    """A member of a consumer group. Offsets are committed by the caller, after the effect.

    Args:
        broker: Where.
        group: The group.
        instance: This member's name, kept over restarts (KIP-345); empty for none.
        session_timeout: Seconds without a heartbeat after which the group gives this member's partitions away.
        poll_interval: Seconds without a poll or a sign of life after which this member leaves the group (KIP-62).
        max_records: How many records a poll returns at most.
        fetch_wait: Seconds that the broker may hold a fetch that finds nothing.
        applied_to: What events are applied to.
    """

    def __init__(
        self,
        broker: Broker,
        group: str,
        *,
        session_timeout: float,
        max_records: int,
        fetch_wait: float,
        poll_interval: float = 300.0,
        instance: str = "",
        applied_to: AppliedTo | None = None,
    ) -> None:
        self._broker = broker
        self._group = group
        self._instance = instance
        self._fetch_wait = int(fetch_wait * 1000)
        self._timeout = int(broker.timeout * 1000)
        self._session_timeout = int(session_timeout * 1000)
        self.poll_interval = poll_interval
        """Seconds without a poll or a sign of life after which this member leaves the group."""
        self._max_records = max_records
        self._thread = ClientThread("kindred-consumer")
        self._consumer: Any = None
        self._applied_to = applied_to or AppliedTo()
        self._assigned = _Assigned()
        self._polled: dict[Any, int] = {}  # by partition how often it had gone away when it was polled last
        self.topic_id = ""
        self.partitions: frozenset[int] = frozenset()
        """What this member has to read, as of the last poll."""
        self.in_group_at = float("-inf")
        """When the group was last known to count on this member, on the monotonic clock."""

    async def __aenter__(self) -> Self:
        """Connects, and makes the topics that are missing.

        Raises:
            UnavailableError: No broker answers.
        """
        try:
            await self._thread.call(self._open)
        except BaseException:
            self._thread.close(self._close)
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

    async def stay(self) -> None:
        """Remains a member while what was polled last is still being applied; nothing further is read.

        The group goes on meanwhile: partitions may go to other members.

        Raises:
            UnavailableError: The broker is away.
        """
        await self._thread.call(self._stay)

    async def commit(self, records: Sequence[Record]) -> bool:
        """Commits what comes after records, for the partitions that this member still has.

        Args:
            records: What was applied, in log order within each partition.

        Returns:
            False if not all could be committed. If the group has given partitions away meanwhile, their next owner
            reads the records again; if it is just giving partitions away, the next poll commits.

        Raises:
            UnavailableError: The broker is away.
        """
        return await self._thread.call(self._commit, records)

    def still_mine(self, records: Sequence[Record]) -> list[Record]:
        """Of the records that the last poll gave those of partitions that were this member's ever since."""
        return [record for record in records if self._is_mine(TopicPartition(record.topic, record.partition))]

    async def follow(self, applied_to: AppliedTo) -> None:
        """From now on events are applied to another collection: reads again what may not be in it.

        Args:
            applied_to: The collection that was swapped in.

        Raises:
            UnavailableError: The broker is away; the next poll does the rest.
        """
        await self._thread.call(self._follow, applied_to)

    async def lag(self) -> dict[int, int]:
        """By partition of this member how many records it has not read yet, by the broker's own count."""
        return await self._thread.call(self._lag)

    @property
    def made_anew(self) -> bool:
        """Whether the topic is another one, made under the name of the one that was joined. Known within seconds."""
        now = self._consumer._client.cluster.topic_id(self._broker.topic)  # noqa: SLF001  # nothing public tells
        return now is not None and str(now) != self.topic_id

    async def log_end(self) -> int:
        """How many records all partitions of the topic have ever got, this member's and others'.

        Raises:
            UnavailableError: The broker is away.
        """
        return await self._thread.call(self._log_end)

    def _open(self) -> None:
        self.topic_id = prepare_topics(self._broker)
        try:
            self._consumer = KafkaConsumer(
                **self._broker.connection(),
                group_id=self._group,
                group_instance_id=self._instance or None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                isolation_level="read_committed",
                partition_assignment_strategy=[CooperativeStickyAssignor],
                session_timeout_ms=self._session_timeout,
                heartbeat_interval_ms=self._session_timeout // 3,
                max_poll_interval_ms=int(self.poll_interval * 1000),
                max_poll_records=self._max_records,
                fetch_max_wait_ms=self._fetch_wait,
                metadata_max_age_ms=METADATA_AGE_MS,
            )
            self._consumer.subscribe([self._broker.topic], listener=self._assigned)
        except KafkaError as error:
            raise unreachable(self._broker) from error

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=self._timeout)

    def _poll(self, timeout: float) -> list[Record]:
        try:
            self._commit_what_is_left()
            self._check_starts()
            self._join_again_if_stuck()
            polled = self._consumer.poll(int(timeout * 1000))
            for partition in self._assigned.unchecked & polled.keys():
                # It came with this very poll: read again once it is clear where to start.
                self._consumer.seek(partition, polled.pop(partition)[0].offset)
        except CorruptRecordError as error:
            record = step_over(self._consumer, error)
            partition = TopicPartition(record.topic, record.partition)
            self._polled = {partition: self._assigned.losses[partition]}
            return [record]
        except KafkaError as error:
            raise _failed(self._broker, error) from error
        finally:
            self._look_around()
        self._polled = {partition: self._assigned.losses[partition] for partition in polled}
        return [record_of(record) for records in polled.values() for record in records]

    def _is_mine(self, partition: Any) -> bool:
        return (
            partition.partition in self.partitions and self._polled.get(partition) == self._assigned.losses[partition]
        )

    def _look_around(self) -> None:
        self.partitions = frozenset(each.partition for each in self._consumer.assignment())
        known = self._consumer._coordinator.coordinator_id is not None  # noqa: SLF001  # nothing public tells
        if known and self._consumer.group_metadata().generation_id >= 0:
            self.in_group_at = monotonic()

    def _stay(self) -> None:
        try:
            self._join_again_if_stuck()
            # Not with pause and resume: in kafka-python 3.0.12 a partition may not be fetched again afterwards.
            for partition, records in self._consumer.poll(_STAY_MS, max_records=1).items():
                if partition in self._consumer.assignment():
                    self._consumer.seek(partition, records[0].offset)  # it is read later
        except CorruptRecordError:
            # The next poll meets it again. Without this it would turn for ever in a batch that gives nothing more.
            self._consumer._fetcher._next_partition_records.drain()  # noqa: SLF001  # nothing public does
        except KafkaError as error:
            raise _failed(self._broker, error) from error
        finally:
            self._look_around()

    def _join_again_if_stuck(self) -> None:
        """Joins the group again where kafka-python has forgotten to.

        In 3.0.12 a join that outlasts the poll that began it, and that only changed metadata caused, is finished and
        never taken up: without the new partitions, without heartbeats and without an error, for good.
        """
        coordinator = self._consumer._coordinator  # noqa: SLF001  # nothing public tells
        joining = coordinator._join_task  # noqa: SLF001
        finished = joining is not None and getattr(joining, "is_done", False)
        if finished and not coordinator.need_rejoin():
            log.warning("joining the group again: the last join was never taken up")
            coordinator.request_rejoin()

    def _follow(self, applied_to: AppliedTo) -> None:
        self._applied_to = applied_to
        self._assigned.uncommitted.clear()  # that was applied to another collection
        self._assigned.unchecked |= self._consumer.assignment()

    def _check_starts(self) -> None:
        """Goes back where the committed offset was committed for another collection than ours."""
        for partition in self._assigned.unchecked & self._consumer.assignment():
            start = start_of(self._consumer, partition, self.topic_id, self._applied_to, self._timeout)
            position = self._consumer.position(partition, timeout_ms=self._timeout)
            if position is None:
                raise unreachable(self._broker)
            if start < position:
                log.info("reading on where the collection that was swapped in ends", partition=partition.partition)
                self._consumer.seek(partition, start)
            self._assigned.unchecked.discard(partition)

    def _commit(self, records: Sequence[Record]) -> bool:
        tag = tag_of(self.topic_id, self._applied_to)
        places: dict[Any, OffsetAndMetadata] = {}
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            if partition not in places or record.offset >= places[partition].offset:
                places[partition] = OffsetAndMetadata(record.offset + 1, tag, record.leader_epoch)
        mine = {partition for partition in places if self._is_mine(partition)}
        self._assigned.uncommitted.update((partition, places[partition]) for partition in mine)
        return self._commit_what_is_left() and len(mine) == len(places)

    def _commit_what_is_left(self) -> bool:
        """Commits what was applied in partitions that were this member's ever since: also what a rebalance held up."""
        places = dict(self._assigned.uncommitted)
        if not places:
            return True
        try:
            self._consumer.commit(places, timeout_ms=self._timeout)
        except (CommitFailedError, RebalanceInProgressError):
            return False
        except KafkaError as error:
            raise _failed(self._broker, error) from error
        for partition, place in places.items():
            if self._assigned.uncommitted.get(partition) is place:
                self._assigned.uncommitted.pop(partition, None)
        return True

    def _lag(self) -> dict[int, int]:
        try:
            partitions = list(self._consumer.assignment())
            ends = self._consumer.end_offsets(partitions, timeout_ms=_LOOK_MS)
            # Tansu counts the last batch as one record, and what a fetch saw may be older: the larger one is right.
            return {
                each.partition: max(ends[each], self._consumer.highwater(each) or 0) - self._consumer.position(each)
                for each in partitions
            }
        except KafkaError as error:
            raise unreachable(self._broker) from error

    def _log_end(self) -> int:
        try:
            numbers = self._consumer.partitions_for_topic(self._broker.topic) or ()
            partitions = [TopicPartition(self._broker.topic, each) for each in numbers]
            return sum(self._consumer.end_offsets(partitions, timeout_ms=_LOOK_MS).values())
        except KafkaError as error:
            raise unreachable(self._broker) from error


def _failed(broker: Broker, error: Exception) -> KindredError:
    """The error for what the broker would not do."""
    if isinstance(error, FencedInstanceIdError):
        message = (
            "another consumer has come with the same KINDRED_GROUP_INSTANCE and has taken this one's place; give each "
            "a name of its own"
        )
        return PreconditionError("GROUP_INSTANCE", broker.topic, message)
    return refusal(broker, error)
