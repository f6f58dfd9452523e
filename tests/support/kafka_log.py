"""Kafka as others use it: tests write records with it that Kindred did not make, and read what Kindred wrote."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.serializer import Serializer
from kafka.structs import TopicPartition

from kindred.eventlog.broker import Record

_BOUND_MS = 20_000
_NULL = b"null" * 2

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Raw:
    """A record to write as it is."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp: int | None = None
    partition: int | None = None


async def write_records(kafka: str, topic: str, records: Sequence[Raw], **options: object) -> list[tuple[int, int]]:
    """Writes records in order.

    Args:
        kafka: The broker.
        topic: A topic that exists.
        records: The records.
        options: Further settings of the producer, for instance `compression_type`.

    Returns:
        Partition and offset of each.
    """
    return await asyncio.to_thread(_write, kafka, topic, records, options)


class _Unusual(Serializer):
    """Lets through what kafka-python refuses to send and other clients do not: nulls for headers and for everything."""

    def serialize(self, topic: str, headers: list[tuple[str, bytes | None]], data: bytes) -> bytes | None:
        """Puts nulls back."""
        headers[:] = [(name, None if value is _NULL else value) for name, value in headers]
        return None if data is _NULL else data


class BrokenName(str):
    """The name of a header that is no UTF-8 on the wire."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        """As bytes that are no text."""
        return b"\xff\xfe"


def _write(kafka: str, topic: str, records: Sequence[Raw], options: Mapping[str, object]) -> list[tuple[int, int]]:
    producer = KafkaProducer(
        bootstrap_servers=kafka, acks="all", max_block_ms=_BOUND_MS, key_serializer=_Unusual(), **options
    )
    try:
        futures = [
            producer.send(
                topic,
                record.value,
                _NULL if record.key is None else record.key,
                headers=[(name, _NULL if value is None else value) for name, value in record.headers],
                timestamp_ms=record.timestamp,
                partition=record.partition,
            )
            for record in records
        ]
        return [(sent.partition, sent.offset) for sent in (future.get(_BOUND_MS / 1000) for future in futures)]
    finally:
        producer.close()


async def read_records(kafka: str, topic: str) -> list[Record]:
    """Reads everything that a topic holds, in order within each partition; nothing if there is no such topic."""
    return [record for record, _ in await read_with_headers(kafka, topic)]


async def read_with_headers(kafka: str, topic: str) -> list[tuple[Record, Headers]]:
    """As `read_records`, with all headers in their order, also those of the same name."""
    return await asyncio.to_thread(_read, kafka, topic)


def _read(kafka: str, topic: str) -> list[tuple[Record, Headers]]:
    consumer = KafkaConsumer(bootstrap_servers=kafka, group_id=None, allow_auto_create_topics=False)
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        if not partitions:
            return []
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        found: list[tuple[Record, Headers]] = []
        # Only what a fetch says of the end is right on every broker: Tansu's ListOffsets ends within the last batch.
        while any((end := consumer.highwater(each)) is None or consumer.position(each) < end for each in partitions):
            for records in consumer.poll(100).values():
                found += [(_record(record), record.headers) for record in records]
        return found
    finally:
        consumer.close()


def _record(record: Any) -> Record:
    return Record(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
        timestamp=record.timestamp,
    )


async def committed(kafka: str, group: str, topic: str) -> dict[int, int]:
    """The offsets that a group has committed, by partition; those without a commit are left out."""
    return await asyncio.to_thread(_committed, kafka, group, topic)


def _committed(kafka: str, group: str, topic: str) -> dict[int, int]:
    consumer = KafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    try:
        offsets = {
            number: consumer.committed(TopicPartition(topic, number))
            for number in consumer.partitions_for_topic(topic) or ()
        }
        return {number: offset for number, offset in offsets.items() if offset is not None}
    finally:
        consumer.close(autocommit=False)
