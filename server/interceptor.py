"""What happens around every call: it is counted and timed, and what it raises becomes a status."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from time import perf_counter
from typing import Any, cast

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from kindred.deadline import deadline_in
from kindred.errors import FieldViolation, InvalidArgumentError
from kindred.telemetry import CALL_SECONDS, CALLS, STREAMS
from kindred.timing import Step, lap
from server.errors import status_of
from server.grpc_types import Context, Handle, MethodHandler
from server.state import REPLY_SHARE
from server.steps import TIMED, Answer, with_steps_told

log = structlog.get_logger(__name__)

Deserialize = Callable[[bytes], Message]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the calls of Kindred's own services, each method once."""

    def __init__(self) -> None:
        self._wrapped: dict[str, MethodHandler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MethodHandler | None:
        """Wraps the handler of a call."""
        method: str = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if handler is None or not method.startswith("/kindred.v1."):
            return handler
        # Without serializers of gRPC's own: bytes that are no message are then refused like any other wrong request.
        wrapped: MethodHandler
        if handler.unary_unary is not None:
            wrapped = grpc.unary_unary_rpc_method_handler(_guarded(method, handler))
        elif handler.unary_stream is not None:
            wrapped = grpc.unary_stream_rpc_method_handler(_guarded_stream(method, handler, handler.unary_stream))
        else:
            wrapped = grpc.stream_stream_rpc_method_handler(_guarded_stream(method, handler, handler.stream_stream))
        self._wrapped[method] = wrapped
        return wrapped


def _guarded(method: str, handler: MethodHandler) -> Handle:
    name = method.removeprefix("/kindred.v1.")
    seconds = CALL_SECONDS.labels(name)
    answer = _answering(handler)
    if name in TIMED:
        answer = with_steps_told(name, answer)

    async def guarded(data: bytes, context: Context) -> bytes:
        start = perf_counter()
        code = "CANCELLED"
        try:
            with deadline_in(_until_reply(context)):
                answered = await answer(data, context)
            code = "OK"
        except Exception as error:  # noqa: BLE001  # the top of a call: logged and mapped
            status = _status_of(name, error)
            code = Code.Name(status.code)
            await context.abort_with_status(rpc_status.to_status(status))
        finally:  # also if the caller went away, or its deadline came
            seconds.observe(perf_counter() - start)
            CALLS.labels(name, code).inc()
        return answered

    return guarded


def _answering(handler: MethodHandler) -> Answer:
    handle = cast("Handle", handler.unary_unary)
    deserialize = cast("Deserialize", handler.request_deserializer)

    async def answer(data: bytes, context: Context) -> bytes:
        request = _parse(data, deserialize)
        lap(Step.DECODE)
        response: Message = await handle(request, context)
        answered = response.SerializeToString(deterministic=True)  # maps, too, in one order: the same bytes
        lap(Step.ENCODE)
        return answered

    return answer


def _guarded_stream(method: str, handler: MethodHandler, handle: Any) -> Any:
    """Wraps a call that answers many times. Its time is the caller's choice, so it is not measured."""
    name = method.removeprefix("/kindred.v1.")
    open_streams = STREAMS.labels(name)
    deserialize = cast("Deserialize", handler.request_deserializer)

    async def requests(received: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        async for data in received:
            yield _parse(data, deserialize)

    async def guarded(received: bytes | AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        code = "CANCELLED"
        open_streams.inc()
        try:
            request = _parse(received, deserialize) if isinstance(received, bytes) else requests(received)
            async with aclosing(handle(request, context)) as responses:
                async for response in responses:
                    yield response.SerializeToString(deterministic=True)
            code = "OK"
        except Exception as error:  # noqa: BLE001  # the top of a call: logged and mapped
            status = _status_of(name, error)
            code = Code.Name(status.code)
            await context.abort_with_status(rpc_status.to_status(status))
        finally:
            open_streams.dec()
            CALLS.labels(name, code).inc()

    return guarded


def _status_of(name: str, error: Exception) -> Status:
    status = status_of(error)
    if status.code == Code.INTERNAL:
        log.error("call failed", method=name, exc_info=error)
    return status


def _until_reply(context: Context) -> float | None:
    """How many seconds the work may take, so that what became of it reaches the caller before the deadline."""
    remaining = context.time_remaining()
    return None if remaining is None else remaining * REPLY_SHARE


def _parse(data: bytes, deserialize: Callable[[bytes], Message]) -> Message:
    try:
        return deserialize(data)
    except DecodeError as error:
        violation = FieldViolation("request", "the bytes are no message of this call's type")
        raise InvalidArgumentError([violation]) from error
