"""Notices of applied events, from consumers to servers that share a store: whom to look at again, through a topic.

They make waiting short; nothing depends on one arriving, and nobody waits for one to be sent.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import structlog
from google.protobuf.message import DecodeError

from kindred.errors import UnavailableError
from kindred.eventlog.broker import Broker, Message, Record, RecordTooLargeError
from kindred.eventlog.producer import EventProducer
from kindred.eventlog.tail import LogTail
from kindred.freshness import Freshness
from kindred.telemetry import NOTICES
from kindred.v1.applied_events_pb2 import AppliedEvents

log = structlog.get_logger(__name__)

_MOST_USERS = 2_000
"""Users in one notice: at most half a megabyte of ids."""
_MOST_UNTOLD = 20_000
_CLOSE_SECONDS = 1.0
_READ_SECONDS = 0.5
"""A read that is under way holds up the end of the process for so long at most."""
_AGAIN_SECONDS = 2.0


class Notifier:
    """Tells servers whose events were applied. What comes while a notice is under way goes into the next one.

    Args:
        producer: Where to.
        topic: The topic.
        timeout: Seconds that the broker has for a notice.
    """

    def __init__(self, producer: EventProducer, topic: str, timeout: float) -> None:
        self._producer = producer
        self._topic = topic
        self._timeout = timeout
        self._untold: dict[str, None] = {}
        self._sending: asyncio.Task[None] | None = None

    def tell(self, user_ids: Iterable[str]) -> None:
        """Sends a notice soon; what would pile up is dropped."""
        self._untold.update(dict.fromkeys(user_ids))
        if len(self._untold) > _MOST_UNTOLD:
            self._drop_untold()
        if self._untold and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send())

    async def close(self) -> None:
        """Sends what is untold, in a moment or not at all."""
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=_CLOSE_SECONDS)
            self._sending.cancel()
            with suppress(asyncio.CancelledError):
                await self._sending

    def _drop_untold(self) -> None:
        NOTICES.labels("lost").inc()
        self._untold.clear()

    async def _send(self) -> None:
        while self._untold:
            user_ids = list(self._untold)[:_MOST_USERS]
            for user_id in user_ids:
                del self._untold[user_id]
            message = Message(None, AppliedEvents(user_ids=user_ids).SerializeToString(), ())
            try:
                await self._producer.send(self._topic, [message], self._timeout)
            except (UnavailableError, RecordTooLargeError) as error:
                self._drop_untold()  # by then servers have looked by themselves
                log.debug("a notice of applied events is lost", error=str(error))
            else:
                NOTICES.labels("sent").inc()


async def listen(broker: Broker, freshness: Freshness, fetch_wait: float) -> None:
    """Announces what notices say, for as long as the task lives; waits for a broker that is away.

    Args:
        broker: Where the topic is.
        freshness: Is told.
        fetch_wait: Seconds that the broker may hold a fetch that finds nothing.
    """
    away = False
    while True:
        try:
            async with LogTail(broker, fetch_wait=fetch_wait) as tail:
                freshness.announce_all()  # what was missed
                if away:
                    log.info("hearing of applied events again")
                away = False
                while True:
                    for record in await tail.read(_READ_SECONDS):
                        freshness.announce(_users_in(record))
        except UnavailableError as error:
            if not away:
                log.warning("cannot hear of applied events: fresh answers take longer", error=str(error))
            away = True
        except Exception:  # the top of a loop: logged, and no reason to hear nothing for ever
            log.exception("could not hear of applied events")
        await asyncio.sleep(_AGAIN_SECONDS)


def _users_in(record: Record) -> Iterable[str]:
    """The users in a notice; none in what is no notice."""
    try:
        user_ids = AppliedEvents.FromString(record.value or b"").user_ids
    except DecodeError:
        NOTICES.labels("unreadable").inc()
        return ()
    NOTICES.labels("heard").inc()
    return user_ids
