"""Reads the log outside of any group: to bring a collection that is being built up to it."""

from typing import Any, Self

from kafka import KafkaConsumer
from kafka.errors import CorruptRecordError, KafkaError
from kafka.structs import TopicPartition

from kindred.eventlog.broker import AppliedTo, Broker, Record
from kindred.eventlog.client import ClientThread, prepare_topics, record_of, start_of, step_over, unreachable
from kindred.stores.port import LogPosition


class LogReader:
    """Reads every partition from given places on, and commits nothing.

    Args:
        broker: Where.
        group: The group whose offsets it begins at.
        applied_to: The collection that the group applies events to.
        max_records: How many records a read returns at most.
    """

    def __init__(self, broker: Broker, group: str, applied_to: AppliedTo, *, max_records: int) -> None:
        self._broker = broker
        self._group = group
        self._applied_to = applied_to
        self._max_records = max_records
        self._thread = ClientThread("kindred-reader")
        self._consumer: Any = None
        self.topic_id = ""

    async def __aenter__(self) -> Self:
        """Connects, and stands where the group is now.

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
        """Closes."""
        await self._thread.call(self._close)
        self._thread.close()

    async def positions(self) -> tuple[LogPosition, ...]:
        """By partition the first record that was not read yet."""
        return await self._thread.call(self._positions)

    async def behind(self) -> int:
        """How many records there are that were not read yet.

        Raises:
            UnavailableError: The broker is away.
        """
        return await self._thread.call(self._behind)

    async def read(self, timeout: float) -> list[Record]:
        """Reads the next records, in order within each partition; none after the timeout in seconds.

        Raises:
            UnavailableError: The broker is away.
        """
        return await self._thread.call(self._read, timeout)

    def _open(self) -> None:
        self.topic_id = prepare_topics(self._broker)
        try:
            self._consumer = KafkaConsumer(
                **self._broker.connection(),
                group_id=self._group,  # to read its offsets: no member joins, since nothing is subscribed
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                max_poll_records=self._max_records,
                fetch_max_wait_ms=20,
            )
            numbers = self._consumer.partitions_for_topic(self._broker.topic) or ()
            partitions = [TopicPartition(self._broker.topic, each) for each in sorted(numbers)]
            self._consumer.assign(partitions)
            beginnings = self._consumer.beginning_offsets(partitions)
            for partition in partitions:
                start = start_of(self._consumer, partition, self.topic_id, self._applied_to)
                self._consumer.seek(partition, max(start, beginnings[partition]))
        except KafkaError as error:
            raise unreachable(self._broker) from error

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=int(self._broker.timeout * 1000))

    def _positions(self) -> tuple[LogPosition, ...]:
        try:
            places: dict[int, int] = {
                each.partition: self._consumer.position(each) for each in self._consumer.assignment()
            }
        except KafkaError as error:
            raise unreachable(self._broker) from error
        return tuple(LogPosition(self.topic_id, number, offset) for number, offset in sorted(places.items()))

    def _behind(self) -> int:
        try:
            ends = self._consumer.end_offsets(list(self._consumer.assignment()))
            return sum(max(0, end - self._consumer.position(partition)) for partition, end in ends.items())
        except KafkaError as error:
            raise unreachable(self._broker) from error

    def _read(self, timeout: float) -> list[Record]:
        try:
            polled = self._consumer.poll(int(timeout * 1000))
        except CorruptRecordError as error:
            return [step_over(self._consumer, error)]
        except KafkaError as error:
            raise unreachable(self._broker) from error
        return [record_of(record) for records in polled.values() for record in records]
