"""The consumer's life: it waits for the broker, joins the group, and leaves it when it is told to stop."""

import asyncio
from contextlib import suppress

import structlog

from consumers.dead_letters import DeadLetters
from consumers.rating_consumer import RatingConsumer
from kindred.backend import Backend
from kindred.errors import UnavailableError
from kindred.eventlog import EventConsumer, EventProducer
from kindred.settings import Settings

log = structlog.get_logger(__name__)

_JOIN_AGAIN_SECONDS = 2.0


async def consume_events(
    settings: Settings,
    backend: Backend,
    producer: EventProducer,
    joined: asyncio.Event,
    stop: asyncio.Event,
    *,
    drain: bool,
) -> None:
    """Applies the events of the partitions that the group gives this process.

    Args:
        settings: The settings.
        backend: The open store.
        producer: Where dead letters are written to.
        joined: Set once the group has given it partitions.
        stop: Tells it to stop; the batch under way is finished first.
        drain: Whether to apply what the log still holds before stopping: for a log that does not outlive the process.
    """
    letters = DeadLetters(producer, settings.dead_letter_topic, settings.kafka_timeout)
    while not stop.is_set():
        member = EventConsumer(
            settings.broker(),
            settings.group,
            session_timeout=settings.session_timeout,
            max_records=settings.batch_size,
            fetch_wait=settings.fetch_wait,
        )
        try:
            async with member:
                consumer = RatingConsumer(member, backend.decoder, backend.updater, letters, joined)
                await consumer.run(stop)
                if drain:
                    await consumer.drain(settings.drain_grace)
        except UnavailableError as error:
            log.warning("waiting for the event log", error=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(_JOIN_AGAIN_SECONDS):
                    await stop.wait()
