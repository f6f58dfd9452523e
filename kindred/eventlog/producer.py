"""Writes records to the log."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from kindred.errors import UnavailableError
from kindred.eventlog.broker import Broker, Message, RecordTooLargeError
from kindred.eventlog.client import METADATA_AGE_MS, ClientThread, prepare_topics, topic_id_of
from kindred.stores.port import LogPosition

log = structlog.get_logger(__name__)

_END_SECONDS = 1.0

_MAX_REQUEST_BYTES = 16 * 2**20
"""The broker's own bound is lower, and it says so: a dead letter is larger than the record it is about."""


class EventProducer:
    """Produces records, acknowledged by all replicas, in order a key. It connects when it is first used.

    Args:
        broker: Where.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._thread = ClientThread("kindred-producer")
        self._connecting: asyncio.Task[tuple[Any, str]] | None = None
        self._closing: asyncio.Task[None] | None = None  # held: the loop itself holds tasks only weakly

    async def connect(self) -> None:
        """Connects now, so that the first call need not wait for it.

        Raises:
            UnavailableError: No broker answers.
        """
        await asyncio.shield(self._connect())

    async def send(self, topic: str, messages: Sequence[Message], timeout: float) -> list[LogPosition]:
        """Produces records and waits until the broker has them all.

        Args:
            topic: The topic.
            messages: The records.
            timeout: Seconds to wait at most. Records whose acknowledgement came too late may be there all the same.

        Returns:
            Where each of them is.

        Raises:
            RecordTooLargeError: The broker does not take records of this size.
            UnavailableError: The broker did not acknowledge them all in time.
        """
        try:
            async with asyncio.timeout(timeout):
                producer, topic_id = await asyncio.shield(self._connect())
                futures = await self._thread.call(self._send_all, producer, topic, messages)
                for future in futures:
                    self._drop_if_failed(producer, future)
                acknowledged = await asyncio.gather(*map(_wrap, futures))
        except MessageSizeTooLargeError as error:
            raise RecordTooLargeError from error
        except (KafkaError, TimeoutError) as error:
            raise UnavailableError("log", f"Kafka at {self._broker.bootstrap} did not acknowledge in time") from error
        # The topic may have been made anew since we connected; the client's metadata tell within seconds.
        topic_id = str(producer._metadata.topic_id(topic) or topic_id)  # noqa: SLF001  # nothing public tells
        return [LogPosition(topic_id, record.partition, record.offset) for record in acknowledged]

    @property
    def known_topic_id(self) -> str:
        """The id that the topic of rating events had when we connected, or when the client last looked; else empty."""
        task = self._connecting
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return ""
        producer, topic_id = task.result()
        return str(producer._metadata.topic_id(self._broker.topic) or topic_id)  # noqa: SLF001  # nothing public tells

    async def topic_id(self) -> str:
        """The id that the topic of rating events has now, asked anew.

        Raises:
            UnavailableError: No broker answers.
        """
        return await asyncio.to_thread(topic_id_of, self._broker)

    async def close(self) -> None:
        """Waits for what is under way and closes. Idempotent."""
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            if connecting.done() and connecting.exception() is None:
                await self._thread.call(connecting.result()[0].close, self._broker.timeout)
            else:
                connecting.cancel()
        self._thread.close()

    def _connect(self) -> asyncio.Task[tuple[Any, str]]:
        """The connection under way or made; a failed one is tried again."""
        task = self._connecting
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._connecting = asyncio.create_task(self._thread.call(self._open))
        return task

    def _drop_if_failed(self, producer: Any, future: Any) -> None:
        """Connects anew after a failure: a producer whose sequence is broken fails for ever, see KIP-98 and KIP-360."""
        loop = asyncio.get_running_loop()

        def dropped(error: Exception) -> None:
            with suppress(RuntimeError):  # the loop is closed, and this object with it
                loop.call_soon_threadsafe(self._drop, producer, error)

        future.add_errback(dropped)

    def _drop(self, producer: Any, error: Exception) -> None:
        task = self._connecting
        current = task is not None and task.done() and not task.cancelled() and task.exception() is None
        if task is not None and current and task.result()[0] is producer:
            log.warning("connecting to the event log anew", error=str(error))
            self._connecting = None
            self._closing = asyncio.create_task(self._thread.call(_end, producer))

    def _open(self) -> tuple[Any, str]:
        topic_id = prepare_topics(self._broker)
        timeout = int(self._broker.timeout * 1000)
        producer = KafkaProducer(
            **self._broker.connection(),
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            allow_auto_create_topics=False,
            request_timeout_ms=timeout // 2,
            delivery_timeout_ms=timeout,
            max_block_ms=timeout,
            max_request_size=_MAX_REQUEST_BYTES,
            metadata_max_age_ms=METADATA_AGE_MS,
        )
        return producer, topic_id

    @staticmethod
    def _send_all(producer: Any, topic: str, messages: Sequence[Message]) -> list[Any]:
        return [producer.send(topic, message.value, message.key, headers=list(message.headers)) for message in messages]


def _end(producer: Any) -> None:
    """Ends a producer that has failed, with what it has under way.

    Its `close(0)` alone gives up while records are under way, and leaves its thread and connections behind.
    """
    producer._sender.force_close()  # noqa: SLF001  # nothing public does
    with suppress(KafkaTimeoutError):
        producer.close(_END_SECONDS)


async def _wrap(future: Any) -> Any:
    """Waits on the event loop for a future of kafka-python, which is resolved on a thread of its own."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def resolve(result: Any) -> None:
        if not done.done():
            if isinstance(result, BaseException):
                done.set_exception(result)
            else:
                done.set_result(result)

    def resolved(result: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(resolve, result)

    future.add_both(resolved)
    return await done
