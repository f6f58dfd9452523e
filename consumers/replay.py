"""Replaying dead letters: the original event, with its original time, to the topic of rating events again."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from consumers.dead_letters import KEPT_BYTES
from consumers.letters import DeadLetter
from kindred.eventlog.broker import Message, Record, RecordTooLargeError
from kindred.eventlog.producer import EventProducer
from kindred.eventlog.topic_reader import TopicReader
from kindred.events import EventError, parse_event

_OWN = "kindred-"
_BATCH_BYTES = 4 * 2**20


class RefusedError(Exception):
    """A letter that cannot be replayed; the message says why."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What becomes of a letter.

    Args:
        letter: The letter.
        message: What is to be sent; None if it is refused.
        refusal: Why it is refused.
    """

    letter: DeadLetter
    message: Message | None
    refusal: str = ""


class Replay:
    """Turns dead letters into rating events again.

    Args:
        originals: Reads the topic of rating events, which has the whole of a letter that was shortened.
        topic: That topic.
        dead_letter_topic: Where the letters are, for the header that says so.
    """

    def __init__(self, originals: TopicReader, topic: str, dead_letter_topic: str) -> None:
        self._originals = originals
        self._topic = topic
        self._dead_letter_topic = dead_letter_topic

    async def plan(self, letters: Iterable[DeadLetter]) -> AsyncIterator[list[Planned]]:
        """Says for each letter what is to be sent, in parts that are not too large to be under way at once.

        Args:
            letters: The letters, in the order in which they are to be sent.

        Raises:
            UnavailableError: The broker is away.
        """
        batch: list[Planned] = []
        size = 0
        for letter in letters:
            try:
                message = replayed(letter, await self._original(letter), self._dead_letter_topic)
            except RefusedError as error:
                batch.append(Planned(letter, None, str(error)))
                continue
            batch.append(Planned(letter, message))
            size += len(message.key or b"") + len(message.value or b"")
            if size > _BATCH_BYTES:
                yield batch
                batch, size = [], 0
        yield batch

    async def _original(self, letter: DeadLetter) -> Record:
        """The record that failed, whole."""
        kept = letter.record
        if letter.value_bytes is None:
            return kept
        if kept.topic != self._topic:
            raise RefusedError("the letter is shortened, and its record is in another topic")
        original = await self._originals.find(kept.partition, kept.offset)
        if original is None or not _is_whole(original, letter):
            raise RefusedError("the letter is shortened, and the log has its record no longer")
        return original


def _is_whole(original: Record, letter: DeadLetter) -> bool:
    key, value, kept = original.key or b"", original.value or b"", letter.record
    return (key[:KEPT_BYTES], value[:KEPT_BYTES], len(value), original.timestamp) == (
        kept.key or b"",
        kept.value or b"",
        letter.value_bytes,
        kept.timestamp,
    )


def replayed(letter: DeadLetter, original: Record, dead_letter_topic: str) -> Message:
    """The record that replays a letter.

    Args:
        letter: The letter.
        original: The record that failed, whole.
        dead_letter_topic: Where the letter is.

    Raises:
        RefusedError: It cannot be replayed.
    """
    if not letter.reason:
        raise RefusedError(letter.error)
    if original.key is None and not original.value:
        raise RefusedError("the letter has neither key nor value")
    headers = [(name, value or b"") for name, value in original.headers if not name.startswith(_OWN)]
    if not original.header("ce_time"):  # a header without a value came into the letter as an empty one
        headers = [header for header in headers if header[0] != "ce_time"]
        if not _says_when(original):
            headers.append(("ce_time", _rfc3339(original.timestamp)))
    source = f"{dead_letter_topic}/{letter.partition}/{letter.offset}"
    return Message(original.key, original.value, [*headers, (f"{_OWN}replayed-from", source.encode())])


def _says_when(original: Record) -> bool:
    try:
        return parse_event(original).HasField("occurred_at")
    except EventError:
        return False  # if it is ever understood, its own time counts more than that of a header


def _rfc3339(milliseconds: int) -> bytes:
    at = Timestamp()
    try:
        at.FromMilliseconds(milliseconds)
        return at.ToJsonString().encode()
    except ValueError as error:
        raise RefusedError("the time of the record is none between the years 1 and 9999") from error


async def send(producer: EventProducer, topic: str, planned: Sequence[Planned], timeout: float) -> list[Planned]:
    """Sends what was planned; when it returns, the broker has it all.

    Args:
        producer: Where to.
        topic: The topic of rating events.
        planned: What to send, in this order; what is refused already is left out.
        timeout: Seconds that the broker has to acknowledge it.

    Returns:
        What the broker refuses.

    Raises:
        UnavailableError: The broker is away; a part may have been sent.
    """
    sendable = [(each.letter, each.message) for each in planned if each.message is not None]
    refused: list[Planned] = []
    if not sendable:
        return refused
    try:
        await producer.send(topic, [message for _, message in sendable], timeout)
    except RecordTooLargeError:  # which one, it does not say, and it ends the others
        for letter, message in sendable:
            try:
                await producer.send(topic, [message], timeout)
            except RecordTooLargeError:
                refused.append(Planned(letter, None, "the broker takes no record as large as this"))
    return refused
