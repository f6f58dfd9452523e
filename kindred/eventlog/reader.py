"""Reads the log outside of any group: to bring a collection that is being built up to it, or to build it from it."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from kafka import KafkaConsumer
from kafka.errors import CorruptRecordError, KafkaError
from kafka.structs import TopicPartition

from kindred.eventlog.broker import AppliedTo, Broker, Record
from kindred.eventlog.client import (
    ClientThread,
    find_topic,
    prepare_topics,
    record_of,
    start_of,
    step_over,
    topic_id_of,
    unreachable,
)
from kindred.stores.port import LogPosition

_LOOK_SECONDS = 2.0
"""How long a look at single records may take: where a transaction has ended there is none to see."""


class Bounds(NamedTuple):
    """What a partition holds: the offset of its oldest record, and the one that its next record gets."""

    begin: int
    end: int


class LogReader:
    """Reads every partition from given places on, and commits nothing.

    Args:
        broker: Where.
        group: The group whose offsets it begins at.
        applied_to: The collection that the group applies events to.
        max_records: How many records a read returns at most.
        make_topics: Whether topics that are missing are made, and not an error.
    """

    def __init__(
        self, broker: Broker, group: str, applied_to: AppliedTo, *, max_records: int, make_topics: bool = True
    ) -> None:
        self._broker = broker
        self._group = group
        self._applied_to = applied_to
        self._max_records = max_records
        self._make_topics = make_topics
        self._thread = ClientThread("kindred-reader")
        self._consumer: Any = None
        self._timeout = int(broker.timeout * 1000)
        self._partitions: list[Any] = []
        self._ends: dict[int, int] = {}
        self._ended: set[Any] = set()
        self.topic_id = ""

    async def __aenter__(self) -> Self:
        """Connects, and stands where the group is now.

        Raises:
            PreconditionError: There is no such topic, and none is to be made.
            UnavailableError: No broker answers.
        """
        try:
            await self._thread.call(self._open)
        except BaseException:
            self._thread.close(self._close)
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Closes."""
        await self._thread.call(self._close)
        self._thread.close()

    async def positions(self) -> tuple[LogPosition, ...]:
        """By partition the first record that was not read yet."""
        return await self._thread.call(self._positions)

    async def bounds(self) -> dict[int, Bounds]:
        """By partition what it holds.

        Raises:
            UnavailableError: The broker is away.
        """
        return await self._thread.call(self._bounds)

    async def offsets_at(self, moment: int) -> dict[int, int | None]:
        """By partition the first record of a time or later, by the records' own timestamps; None if there is none.

        Args:
            moment: Milliseconds since 1970.

        Raises:
            UnavailableError: The broker is away.
        """
        return await self._thread.call(self._offsets_at, moment)

    async def begin(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> None:
        """Reads from here on, and up to there.

        Args:
            starts: By partition the offset to begin at.
            ends: By partition the offset to end before.
        """
        await self._thread.call(self._begin, starts, ends)

    async def go_on(self) -> None:
        """Reads beyond the ends that `begin` was given."""
        await self._thread.call(self._go_on)

    async def times_at(self, offsets: Mapping[int, int]) -> dict[int, int]:
        """By partition the timestamp of the record at an offset, or of the next one after it.

        Args:
            offsets: By partition the offset. A partition that shows no record is left out.

        Raises:
            UnavailableError: The broker is away.
        """
        return await self._thread.call(self._times_at, offsets)

    async def topic_is_the_same(self) -> bool:
        """Whether the topic is the one that was opened, and not another one made anew under its name.

        Raises:
            UnavailableError: The broker is away.
        """
        return await self._thread.call(topic_id_of, self._broker) == self.topic_id

    async def behind(self) -> int:
        """How many records there are that were not read yet, up to the ends.

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
        self.topic_id = prepare_topics(self._broker) if self._make_topics else find_topic(self._broker)
        try:
            self._consumer = KafkaConsumer(
                **self._broker.connection(),
                group_id=self._group,  # to read its offsets: no member joins, since nothing is subscribed
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                isolation_level="read_committed",
                max_poll_records=self._max_records,
                fetch_max_wait_ms=20,
            )
            numbers = self._consumer.partitions_for_topic(self._broker.topic) or ()
            self._partitions = partitions = [TopicPartition(self._broker.topic, each) for each in sorted(numbers)]
            self._consumer.assign(partitions)
            beginnings = self._consumer.beginning_offsets(partitions, timeout_ms=self._timeout)
            for partition in partitions:
                start = start_of(self._consumer, partition, self.topic_id, self._applied_to, self._timeout)
                self._consumer.seek(partition, max(start, beginnings[partition]))
        except KafkaError as error:
            raise unreachable(self._broker) from error

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=self._timeout)

    def _positions(self) -> tuple[LogPosition, ...]:
        try:
            return tuple(LogPosition(self.topic_id, each.partition, self._place(each)) for each in self._partitions)
        except KafkaError as error:
            raise unreachable(self._broker) from error

    def _place(self, partition: Any) -> int:
        if partition in self._ended:
            return self._ends[partition.partition]
        offset: int = self._consumer.position(partition)
        return offset

    def _bounds(self) -> dict[int, Bounds]:
        partitions = self._partitions
        try:
            begins = self._consumer.beginning_offsets(partitions, timeout_ms=self._timeout)
            ends = self._consumer.end_offsets(partitions, timeout_ms=self._timeout)
            places = {each: self._consumer.position(each) for each in partitions}
            for each in partitions:
                self._consumer.seek(each, ends[each])
            # Tansu counts the last batch as one record: what a fetch says of the end is right everywhere.
            deadline = time.monotonic() + _LOOK_SECONDS
            while any(self._consumer.highwater(each) is None for each in partitions) and time.monotonic() < deadline:
                self._look()
            for each, place in places.items():
                self._consumer.seek(each, place)
        except KafkaError as error:
            raise unreachable(self._broker) from error
        return {
            each.partition: Bounds(begins[each], max(ends[each], self._consumer.highwater(each) or 0))
            for each in partitions
        }

    def _offsets_at(self, moment: int) -> dict[int, int | None]:
        times = dict.fromkeys(self._partitions, moment)
        try:
            found = self._consumer.offsets_for_times(times, timeout_ms=self._timeout)
        except KafkaError as error:
            raise unreachable(self._broker) from error
        # Where there is none Kafka says nothing, and Tansu a record without a time.
        return {each.partition: at.offset if at and at.timestamp >= 0 else None for each, at in found.items()}

    def _times_at(self, offsets: Mapping[int, int]) -> dict[int, int]:
        times: dict[int, int] = {}
        try:
            places = {each: self._consumer.position(each) for each in self._partitions}
            ends = self._consumer.end_offsets(self._partitions, timeout_ms=self._timeout)
            for each, end in ends.items():
                self._consumer.seek(each, offsets.get(each.partition, end))
            deadline = time.monotonic() + _LOOK_SECONDS
            while not offsets.keys() <= times.keys() and time.monotonic() < deadline:
                for partition, records in self._look().items():
                    times.setdefault(partition.partition, records[0].timestamp)
                    # Not paused: kafka-python 3.0.12 keeps what it has fetched, and never fetches again.
                    self._consumer.seek(partition, ends[partition])
            for each, place in places.items():
                self._consumer.seek(each, place)
        except KafkaError as error:
            raise unreachable(self._broker) from error
        return {partition: times[partition] for partition in offsets if partition in times}

    def _look(self) -> Any:
        """What a short poll brings."""
        try:
            return self._consumer.poll(20)
        except CorruptRecordError as error:
            step_over(self._consumer, error)
            return {}

    def _begin(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> None:
        self._ends = dict(ends)
        for partition in self._partitions:
            self._consumer.seek(partition, starts[partition.partition])
        self._stop_at_ends()

    def _go_on(self) -> None:
        self._consumer.assign(self._partitions)
        for partition in self._ended:
            self._consumer.seek(partition, self._ends[partition.partition])
        self._ends, self._ended = {}, set()

    def _stop_at_ends(self) -> None:
        """Reads no further where the end is reached, and stands at the end where it has read beyond it."""
        ended = {
            each
            for each in self._partitions
            if each in self._ended or self._consumer.position(each) >= self._ends[each.partition]
        }
        # Not paused: kafka-python 3.0.12 keeps what it has fetched, and may never fetch again after a resume.
        if ended != self._ended and (left := [each for each in self._partitions if each not in ended]):
            self._consumer.assign(left)
        self._ended = ended

    def _behind(self) -> int:
        try:
            ends = self._consumer.end_offsets(self._partitions, timeout_ms=self._timeout)
            return sum(max(0, self._ends.get(each.partition, end) - self._place(each)) for each, end in ends.items())
        except KafkaError as error:
            raise unreachable(self._broker) from error

    def _read(self, timeout: float) -> list[Record]:
        if len(self._ended) == len(self._partitions):
            return []
        try:
            polled = self._consumer.poll(int(timeout * 1000))
            records = [record_of(record) for records in polled.values() for record in records]
        except CorruptRecordError as error:
            records = [step_over(self._consumer, error)]
        except KafkaError as error:
            raise unreachable(self._broker) from error
        if not self._ends:
            return records
        self._stop_at_ends()
        return [record for record in records if record.offset < self._ends[record.partition]]
