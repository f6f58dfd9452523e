"""Reads the topic of notices from its end on, outside of any group: news, not history."""

from typing import Any, Self

from kafka import KafkaConsumer
from kafka.errors import CorruptRecordError, KafkaError
from kafka.structs import TopicPartition

from kindred.eventlog.broker import Broker, Record
from kindred.eventlog.client import ClientThread, prepare_applied_topic, record_of, step_over, unreachable


class LogTail:
    """What is written to the topic of notices from now on.

    Args:
        broker: Where.
        fetch_wait: Seconds that the broker may hold a fetch that finds nothing.
    """

    def __init__(self, broker: Broker, *, fetch_wait: float) -> None:
        self._broker = broker
        self._fetch_wait = int(fetch_wait * 1000)
        self._timeout = int(broker.timeout * 1000)
        self._thread = ClientThread("kindred-tail")
        self._consumer: Any = None

    async def __aenter__(self) -> Self:
        """Connects, and stands at the end.

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
        """Closes."""
        await self._thread.call(self._close)
        self._thread.close()

    async def read(self, timeout: float) -> list[Record]:
        """Reads the next records as soon as there are some; none after the timeout in seconds.

        Raises:
            UnavailableError: The broker is away.
        """
        return await self._thread.call(self._read, timeout)

    def _open(self) -> None:
        prepare_applied_topic(self._broker)
        try:
            self._consumer = KafkaConsumer(
                **self._broker.connection(),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="latest",
                allow_auto_create_topics=False,
                fetch_max_wait_ms=self._fetch_wait,
            )
            numbers = self._consumer.partitions_for_topic(self._broker.applied_topic) or ()
            partitions = [TopicPartition(self._broker.applied_topic, each) for each in numbers]
            self._consumer.assign(partitions)
            self._consumer.seek_to_end(*partitions)
            for partition in partitions:
                self._consumer.position(partition, timeout_ms=self._timeout)  # asks now, not with the first read
        except KafkaError as error:
            raise unreachable(self._broker) from error

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=self._timeout)

    def _read(self, timeout: float) -> list[Record]:
        try:
            polled = self._consumer.poll(int(timeout * 1000))
        except CorruptRecordError as error:
            return [step_over(self._consumer, error)]
        except KafkaError as error:
            raise unreachable(self._broker) from error
        return [record_of(record) for records in polled.values() for record in records]
