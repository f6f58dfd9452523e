"""The log as a plain Kafka consumer sees it: all of it, and how far the group has committed."""

from typing import Any

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from tests.support.chaos.oracle import LogRecord
from tests.support.kafka_log import read_with_headers


async def read_log(kafka: str, topic: str) -> list[LogRecord]:
    """Everything that a topic holds, in order within each partition."""
    return [
        LogRecord(record.partition, record.offset, record.key, record.value, headers, record.timestamp)
        for record, headers in await read_with_headers(kafka, topic)
    ]


def commits(kafka: str, group: str, topic: str) -> dict[int, tuple[int, str]]:
    """By partition the offset that a group has committed and its mark; those without a commit are left out. Blocks."""
    consumer = KafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    try:
        found: dict[int, Any] = {
            number: consumer.committed(TopicPartition(topic, number), metadata=True)
            for number in consumer.partitions_for_topic(topic) or ()
        }
        return {number: (each.offset, each.metadata or "") for number, each in found.items() if each is not None}
    finally:
        consumer.close(autocommit=False)
