"""The consumer's life: it waits for the broker, joins the group, and leaves it when it is told to stop."""

import asyncio
from contextlib import suppress

import structlog

from consumers.dead_letters import DeadLetters
from consumers.membership import Membership
from consumers.poison_guard import PoisonGuard
from consumers.rating_consumer import RatingConsumer
from kindred.backend import Current
from kindred.errors import PoisonedLogError, UnavailableError
from kindred.eventlog.consumer import EventConsumer
from kindred.eventlog.producer import EventProducer
from kindred.notices import Notifier
from kindred.settings import Settings
from kindred.telemetry import LAG

log = structlog.get_logger(__name__)

_JOIN_AGAIN_SECONDS = 2.0


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

    Raises:
        PreconditionError: Another consumer has taken its place in the group.
    """
    # Producers of their own: a letter that is too large ends everything that its producer has under way.
    letters_producer, notices_producer = EventProducer(settings.broker()), EventProducer(settings.broker())
    letters = DeadLetters(letters_producer, settings.dead_letter_topic, settings.kafka_timeout)
    shared = current.backend.store.shared
    notifier = Notifier(notices_producer, settings.applied_topic, settings.kafka_timeout) if shared else None
    guard = PoisonGuard(settings.poison_share)
    try:
        while not stop.is_set():
            backend = current.backend
            member = EventConsumer(
                settings.broker(),
                settings.group,
                session_timeout=settings.session_timeout,
                poll_interval=settings.poll_interval,
                max_records=settings.batch_size,
                fetch_wait=settings.fetch_wait,
                instance=settings.group_instance,
                applied_to=backend.applied_to,
            )
            consumer = RatingConsumer(
                member,
                current,
                backend,
                dead_letters=letters,
                notifier=notifier,
                membership=membership,
                guard=guard,
                accept_unknown=settings.unknown_items == "accept",
            )
            try:
                async with member:
                    membership.member = member
                    await consumer.run(stop)
                    if drain and stop.is_set():
                        await consumer.drain(settings.drain_grace)
            except UnavailableError as error:
                membership.fails(error)
            finally:
                membership.member = None
            if not stop.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_JOIN_AGAIN_SECONDS):
                        await stop.wait()
    except PoisonedLogError as error:
        # Alive and not ready: a restart by itself would only let the next of them through to the dead letters.
        membership.stopped = True
        log.error("the consumer has stopped", error=str(error))  # noqa: TRY400  # it says it all
        await stop.wait()
    finally:
        LAG.clear()
        if notifier is not None:
            await notifier.close()
        await asyncio.gather(letters_producer.close(), notices_producer.close())
