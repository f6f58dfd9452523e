"""The consumer's life: it waits for the broker, joins the group, and leaves it when it is told to stop."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from consumers.dead_letters import DeadLetters
from consumers.rating_consumer import RatingConsumer
from kindred.backend import Current
from kindred.errors import UnavailableError
from kindred.eventlog.consumer import EventConsumer
from kindred.eventlog.producer import EventProducer
from kindred.settings import Settings

log = structlog.get_logger(__name__)

_JOIN_AGAIN_SECONDS = 2.0


@dataclass(slots=True)
class Membership:
    """This process's part in the consumer group.

    Args:
        joined: Set once the group has given it partitions.
        member: The member; None while it waits for the broker.
    """

    joined: asyncio.Event = field(default_factory=asyncio.Event)
    member: EventConsumer | None = None

    async def progress(self, written: int) -> int | None:
        """How far the log and the writing have come, if counting is this process's turn: it has the first partition.

        Args:
            written: How many users this process has written.

        Raises:
            UnavailableError: The broker is away.
        """
        member = self.member
        return await member.log_end() + written if member is not None and 0 in member.partitions else None


async def consume_events(
    settings: Settings,
    current: Current,
    membership: Membership,
    stop: asyncio.Event,
    *,
    drain: bool,
) -> None:
    """Applies the events of the partitions that the group gives this process.

    Args:
        settings: The settings.
        current: What events are applied to.
        membership: Is told what part in the group it has.
        stop: Tells it to stop; the batch under way is finished first.
        drain: Whether to apply what the log still holds before stopping: for a log that does not outlive the process.
    """
    # A producer of their own: a letter that is too large ends everything that its producer has under way.
    producer = EventProducer(settings.broker())
    letters = DeadLetters(producer, settings.dead_letter_topic, settings.kafka_timeout)
    try:
        while not stop.is_set():
            await _be_member(settings, current, letters, membership, stop, drain=drain)
    finally:
        await producer.close()


async def _be_member(
    settings: Settings,
    current: Current,
    letters: DeadLetters,
    membership: Membership,
    stop: asyncio.Event,
    *,
    drain: bool,
) -> None:
    """Joins the group and reads until it is told to stop or the broker goes away; then waits a little."""
    backend = current.backend
    member = EventConsumer(
        settings.broker(),
        settings.group,
        session_timeout=settings.session_timeout,
        max_records=settings.batch_size,
        fetch_wait=settings.fetch_wait,
        instance=settings.group_instance,
        applied_to=backend.applied_to,
    )
    try:
        async with member:
            membership.member = member
            consumer = RatingConsumer(member, current, backend, letters, membership.joined)
            await consumer.run(stop)
            if drain:
                await consumer.drain(settings.drain_grace)
    except UnavailableError as error:
        log.warning("waiting for the event log", error=str(error))
    finally:
        membership.member = None
    if not stop.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(_JOIN_AGAIN_SECONDS):
                await stop.wait()
