"""What happens around every call: it waits for its turn, it is counted and timed, what it raises becomes a status."""

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
from kindred.errors import FieldViolation, InvalidArgumentError, ResourceExhaustedError
from kindred.telemetry import CALL_SECONDS, CALLS, SHED_CALLS, STREAMS
from kindred.timing import Step, lap
from kindred.v1.recommendation_service_pb2 import BatchRecommendRequest
from server.admission import OVERLOADED, Admission
from server.errors import status_of
from server.grpc_types import Context, Handle, MethodHandler
from server.state import REPLY_SHARE
from server.steps import TIMED, Answer, with_steps_told

log = structlog.get_logger(__name__)

_OURS = "/kindred.v1."

Deserialize = Callable[[bytes], Message]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the calls of Kindred's own services, each method once.

    Args:
        admission: The queue of the calls that are answered once. Those that are answered many times have bounds of
            their own.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._wrapped: dict[str, MethodHandler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MethodHandler | None:
        """Wraps the handler of a call."""
        method: str = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None or not method.startswith(_OURS):
                return handler
            self._wrapped[method] = self._wrap(method, handler)
        wrapped = self._wrapped[method]
        if wrapped.unary_unary is None:
            return wrapped
        try:
            self._admission.arrive()
        except ResourceExhaustedError as error:
            return self._refusal(method.removeprefix(_OURS), error)
        return wrapped

    def _wrap(self, method: str, handler: MethodHandler) -> MethodHandler:
        # Without serializers of gRPC's own: bytes that are no message are then refused like any other wrong request.
        name = method.removeprefix(_OURS)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(_guarded(name, handler, self._admission))
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(_guarded_stream(name, handler, handler.unary_stream))
        return grpc.stream_stream_rpc_method_handler(_guarded_stream(name, handler, handler.stream_stream))

    def _refusal(self, name: str, error: ResourceExhaustedError) -> MethodHandler:
        """Refuses a call before its request is read: as a stream's handler, which alone is called before that."""

        async def refuse(_: AsyncIterator[bytes], context: Context) -> None:
            status = _status_of(name, error)
            CALLS.labels(name, Code.Name(status.code)).inc()
            try:
                await context.abort_with_status(rpc_status.to_status(status))
            finally:
                self._admission.read()

        return grpc.stream_stream_rpc_method_handler(refuse)


def _guarded(name: str, handler: MethodHandler, admission: Admission) -> Handle:
    seconds = CALL_SECONDS.labels(name)
    answer = _answering(name, handler, admission)
    if name in TIMED:
        answer = with_steps_told(name, answer)

    async def guarded(data: bytes, context: Context) -> bytes:
        start = perf_counter()
        admission.read()
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


def _answering(name: str, handler: MethodHandler, admission: Admission) -> Answer:
    handle = cast("Handle", handler.unary_unary)
    deserialize = cast("Deserialize", handler.request_deserializer)

    async def answer(data: bytes, context: Context) -> bytes:
        request = _parse(data, deserialize)
        lap(Step.DECODE)
        if await admission.turn(name, _units(request), _until_reply(context)):
            lap(Step.WAIT)
        response: Message = await handle(request, context)
        answered = response.SerializeToString(deterministic=True)  # maps, too, in one order: the same bytes
        lap(Step.ENCODE)
        return answered

    return answer


def _guarded_stream(name: str, handler: MethodHandler, handle: Any) -> Any:
    """Wraps a call that answers many times. Its time is the caller's choice, so it is not measured."""
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


def _units(request: Message) -> int:
    """How many times the work of one request this is."""
    return max(1, len(request.requests)) if isinstance(request, BatchRecommendRequest) else 1


def _status_of(name: str, error: Exception) -> Status:
    status = status_of(error)
    if isinstance(error, ResourceExhaustedError) and error.reason == OVERLOADED:
        SHED_CALLS.labels(name).inc()
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
