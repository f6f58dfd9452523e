"""The dead-letter topic: events that can never be applied, whole, with the reason and where they came from."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from kindred.errors import UnavailableError
from kindred.eventlog.broker import Message, Record, RecordTooLargeError
from kindred.eventlog.producer import EventProducer
from kindred.events import EventError

KEPT_BYTES = 64 * 1024
"""What a shortened letter keeps of the key and of the value, at most."""
_FEW_BYTES = 512
"""What it keeps where the topic takes no more than that: the broker's bound is not known."""
ERROR_CHARS = 2_000
"""An error may quote an event, which may be large."""


def dead_letter(record: Record, error: EventError) -> Message:
    """The record for the dead-letter topic: the original key, value and headers, and why it is there.

    Args:
        record: The record that cannot be applied. A header without a value gets an empty one.
        error: Why.
    """
    why = {
        "kindred-reason": error.reason,
        "kindred-error": str(error)[:ERROR_CHARS],
        "kindred-topic": record.topic,
        "kindred-partition": str(record.partition),
        "kindred-offset": str(record.offset),
        "kindred-timestamp": str(record.timestamp),
        "kindred-failed-at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    headers = [(name, value or b"") for name, value in record.headers]
    value = b"" if record.key is None and record.value is None else record.value  # the client insists on one of them
    return Message(record.key, value, [*headers, *((name, text.encode()) for name, text in why.items())])


def shortened(letter: Message, kept: int = KEPT_BYTES) -> Message:
    """A letter that a broker takes: the beginning of its value, and how long that was; the log has it whole.

    Args:
        letter: A letter that is too large.
        kept: How many bytes of the key and of the value to keep.
    """
    value, key = letter.value or b"", letter.key or b""
    reasons = letter.headers[own_headers(letter.headers) :]
    size = ("kindred-value-bytes", str(len(value)).encode())
    return replace(letter, key=key[:kept], value=value[:kept], headers=[*reasons, size])


def own_headers(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """Where in a letter's headers ours begin, behind the original ones, which may have the same names.

    Args:
        headers: All headers of a letter; if none of them is ours, the place behind them all.
    """
    return max((place for place, (name, _) in enumerate(headers) if name == "kindred-reason"), default=len(headers))


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
                await self._write_what_fits(message)

    async def _write_what_fits(self, message: Message) -> None:
        for letter in (message, shortened(message), shortened(message, _FEW_BYTES)):
            try:
                await self._producer.send(self._topic, [letter], self._timeout)
            except RecordTooLargeError:
                continue
            return
        raise UnavailableError("log", f"the topic {self._topic} takes no dead letters: raise its max.message.bytes")
