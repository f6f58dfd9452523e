"""The dead-letter topic: events that can never be applied, whole, with the reason and where they came from."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from kindred.eventlog.broker import Message, Record, RecordTooLargeError
from kindred.eventlog.producer import EventProducer
from kindred.events import EventError

_KEPT_BYTES = 64 * 1024


def dead_letter(record: Record, error: EventError) -> Message:
    """The record for the dead-letter topic: the original key, value and headers, and why it is there.

    Args:
        record: The record that cannot be applied. A header without a value gets an empty one.
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
    headers = [(name, value or b"") for name, value in record.headers]
    value = b"" if record.key is None and record.value is None else record.value  # the client insists on one of them
    return Message(record.key, value, [*headers, *((name, text.encode()) for name, text in why.items())])


def shortened(letter: Message) -> Message:
    """A letter that any broker takes: the beginning of its value, and how long that was; the log has it whole.

    Args:
        letter: A letter that is too large.
    """
    value, key = letter.value or b"", letter.key or b""
    reasons = [header for header in letter.headers if header[0].startswith("kindred-")]
    size = ("kindred-value-bytes", str(len(value)).encode())
    return replace(letter, key=key[:_KEPT_BYTES], value=value[:_KEPT_BYTES], headers=[*reasons, size])


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
        messages = [dead_letter(record, error) for record, error in letters]
        try:
            if messages:
                await self._producer.send(self._topic, messages, self._timeout)
        except RecordTooLargeError:  # a letter is larger than its record, which was as large as a record can be
            for message in messages:
                try:
                    await self._producer.send(self._topic, [message], self._timeout)
                except RecordTooLargeError:
                    await self._producer.send(self._topic, [shortened(message)], self._timeout)
