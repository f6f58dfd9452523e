"""Answers a stream of requests in their order while the next ones are read, a few at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

_AHEAD = 8
"""Requests under way at most. While there are so many none is read, and gRPC's flow control slows the caller down."""


async def answer_in_order(
    requests: AsyncIterator[RequestT],
    begin: Callable[[RequestT], Awaitable[Awaitable[ResponseT]]],
    closing: Callable[[], Coroutine[Any, Any, None]],
) -> AsyncIterator[ResponseT]:
    """Begins requests one after the other, and yields their responses in the same order as they end.

    Args:
        requests: The requests.
        begin: Takes a request on, and gives what to wait for. What it raises ends the stream, after the responses to
            the requests before.
        closing: Returns when no more requests are to be read.

    Yields:
        The responses.
    """
    under_way: asyncio.Queue[asyncio.Future[ResponseT] | None] = asyncio.Queue(_AHEAD)

    async def receive() -> None:
        end = asyncio.create_task(closing())
        try:
            while True:
                coming = asyncio.ensure_future(anext(requests, None))
                await asyncio.wait({coming, end}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done() or (request := coming.result()) is None:
                    coming.cancel()
                    break
                await under_way.put(asyncio.ensure_future(await begin(request)))
            await under_way.put(None)
        except Exception as error:  # noqa: BLE001  # raised where the caller is answered
            failed = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            await under_way.put(failed)
        finally:
            end.cancel()

    receiving = asyncio.create_task(receive())
    try:
        while (response := await under_way.get()) is not None:
            yield await response
    finally:
        receiving.cancel()
        with suppress(asyncio.CancelledError):
            await receiving
        left = [under_way.get_nowait() for _ in range(under_way.qsize())]
        await asyncio.gather(*(each for each in left if each is not None), return_exceptions=True)
