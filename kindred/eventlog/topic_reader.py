"""Reads a whole topic as it is now, outside of any group: it makes nothing and commits nothing."""

import time
from collections.abc import AsyncIterator
from typing import Any, Self

from kafka import KafkaConsumer
from kafka.errors import CorruptRecordError, KafkaError
from kafka.structs import TopicPartition

from kindred.eventlog.broker import Broker, Record
from kindred.eventlog.client import ClientThread, record_of, refusal, require_topic, step_over, unreachable

_POLL_MS = 200


class TopicReader:
    """Reads a topic up to the end that it had when it was opened.

    Args:
        broker: Where.
        topic: A topic that exists.
        max_records: How many records a page has at most.
    """

    def __init__(self, broker: Broker, topic: str, *, max_records: int = 500) -> None:
        self._broker = broker
        self._topic = topic
        self._max_records = max_records
        self._timeout_ms = int(broker.timeout * 1000)
        self._thread = ClientThread("kindred-topic-reader")
        self._consumer: Any = None
        self._ends: dict[Any, int] = {}
        self._known: set[Any] = set()
        self._unread: set[Any] = set()
        self.partitions: tuple[int, ...] = ()

    async def __aenter__(self) -> Self:
        """Connects, and notes where the topic ends.

        Raises:
            PreconditionError: There is no such topic.
            UnavailableError: No broker answers.
        """
        try:
            await self._thread.call(self._open)
        except BaseException:
            await self._thread.call(self._close)
            self._thread.close()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Closes."""
        await self._thread.call(self._close)
        self._thread.close()

    async def pages(self, partition: int | None = None, since: int = 0) -> AsyncIterator[list[Record]]:
        """Reads from the beginning to the end, one page at a time; a second time it ends at the same place.

        Args:
            partition: The only partition to read; None for all.
            since: Records that the broker got before this time may be left out, in milliseconds since 1970.

        Raises:
            UnavailableError: The broker is away.
        """
        await self._thread.call(self._begin, partition, since)
        while page := await self._thread.call(self._next):
            yield page

    async def find(self, partition: int, offset: int) -> Record | None:
        """Reads one record.

        Args:
            partition: Its partition.
            offset: Its offset.

        Returns:
            The record; None if there is none at this place, or no longer.

        Raises:
            UnavailableError: The broker is away.
        """
        return await self._thread.call(self._find, partition, offset)

    def _open(self) -> None:
        require_topic(self._broker, self._topic)
        try:
            self._consumer = KafkaConsumer(
                **self._broker.connection(),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",  # what is deleted while it is read is gone
                allow_auto_create_topics=False,
                max_poll_records=self._max_records,
                fetch_max_wait_ms=20,
            )
            self.partitions = tuple(sorted(self._consumer.partitions_for_topic(self._topic) or ()))
            partitions = [TopicPartition(self._topic, each) for each in self.partitions]
            self._ends = self._consumer.end_offsets(partitions, self._timeout_ms)
        except KafkaError as error:
            raise refusal(self._broker, error) from error

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=self._timeout_ms)

    def _begin(self, number: int | None, since: int) -> None:
        partitions = [each for each in self._ends if number in (None, each.partition)]
        try:
            starts = self._consumer.beginning_offsets(partitions, self._timeout_ms)
            self._unread = {each for each in partitions if starts[each] < self._ends[each]}
            if since > 0 and self._unread:
                found = self._consumer.offsets_for_times(dict.fromkeys(self._unread, since), self._timeout_ms)
                self._unread = {each for each in self._unread if found.get(each) is not None}
                starts |= {each: max(starts[each], found[each].offset) for each in self._unread}
            self._consumer.assign(list(self._unread))
            for each in self._unread:
                self._consumer.seek(each, starts[each])
        except KafkaError as error:
            raise refusal(self._broker, error) from error

    def _next(self) -> list[Record]:
        """The next records; none at the end."""
        page: list[Record] = []
        moved, places = time.monotonic(), self._places()
        while self._unread and not page:
            polled = self._poll()
            self._note_ends()
            page = [each for each in polled if each.offset < self._ends[TopicPartition(each.topic, each.partition)]]
            before, places = places, self._places()
            if places != before:
                moved = time.monotonic()
            elif time.monotonic() - moved > self._broker.timeout:
                raise unreachable(self._broker)
            self._unread = {
                each for each, place in places.items() if each not in self._known or place < self._ends[each]
            }
            self._consumer.assign(list(self._unread))
        return page

    def _places(self) -> dict[Any, int]:
        """Where the reading is. It goes on over what is no record, such as the marks that end transactions."""
        return {each: self._consumer.position(each) for each in self._unread}

    def _note_ends(self) -> None:
        """Tansu counts the last batch as one record; what the first fetch sees of the end is right on every broker."""
        for each in self._unread - self._known:
            if (highwater := self._consumer.highwater(each)) is not None:
                self._known.add(each)
                self._ends[each] = max(self._ends[each], highwater)

    def _find(self, number: int, offset: int) -> Record | None:
        partition = TopicPartition(self._topic, number)
        if partition not in self._ends:
            return None
        self._begin(number, 0)
        if not self._unread or offset < self._consumer.position(partition):
            return None
        # Never behind the end, where the position would be reset; on Tansu the end may be in front of the last records.
        self._consumer.seek(partition, min(offset, self._ends[partition] - 1))
        while page := self._next():
            for record in page:
                if record.offset >= offset:
                    return record if record.offset == offset else None
        return None

    def _poll(self) -> list[Record]:
        try:
            polled = self._consumer.poll(_POLL_MS)
        except CorruptRecordError as error:
            return [step_over(self._consumer, error)]
        except KafkaError as error:
            raise refusal(self._broker, error) from error
        return [record_of(record) for records in polled.values() for record in records]
