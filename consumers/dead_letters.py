"""The dead-letter topic: events that can never be applied, whole, with the reason and where they came from."""

from collections.abc import Sequence
from datetime import UTC, datetime

from kindred.eventlog import EventProducer, Message, Record
from kindred.events import EventError


def dead_letter(record: Record, error: EventError) -> Message:
    """The record for the dead-letter topic: the original key, value and headers, and why it is there.

    Args:
        record: The record that cannot be applied.
        error: Why.
    """
    why = {
        "kindred-reason": error.reason,
        "kindred-error": str(error),
        "kindred-topic": record.topic,
        "kindred-partition": str(record.partition),
        "kindred-offset": str(record.offset),
        "kindred-timestamp": str(record.timestamp),
        "kindred-failed-at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    return Message(record.key, record.value, {**record.headers, **{name: text.encode() for name, text in why.items()}})


class DeadLetters:
    """Writes dead letters.

    Args:
        producer: Where to.
        topic: The dead-letter topic.
        timeout: Seconds that the broker has to acknowledge them.
    """

    def __init__(self, producer: EventProducer, topic: str, timeout: float) -> None:
        self._producer = producer
        self._topic = topic
        self._timeout = timeout

    async def write(self, letters: Sequence[tuple[Record, EventError]]) -> None:
        """Writes dead letters; when it returns, the broker has them all.

        Raises:
            UnavailableError: It does not.
        """
        if letters:
            messages = [dead_letter(record, error) for record, error in letters]
            await self._producer.send(self._topic, messages, self._timeout)
