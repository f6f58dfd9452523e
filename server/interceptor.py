"""What happens around every call: it is counted and timed, and what it raises becomes a status."""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import cast

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from google.rpc.code_pb2 import Code
from grpc_status import rpc_status

from kindred.deadline import deadline_in
from kindred.errors import FieldViolation, InvalidArgumentError
from kindred.telemetry import CALL_SECONDS, CALLS
from server.errors import status_of
from server.grpc_types import Context, Handle, MethodHandler
from server.state import REPLY_SHARE

log = structlog.get_logger(__name__)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the unary calls of Kindred's own services, each method once."""

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
        if handler is None or handler.unary_unary is None or not method.startswith("/kindred.v1."):
            return handler
        # Without serializers of gRPC's own: bytes that are no message are then refused like any other wrong request.
        self._wrapped[method] = grpc.unary_unary_rpc_method_handler(_guarded(method, handler))
        return self._wrapped[method]


def _guarded(method: str, handler: MethodHandler) -> Handle:
    name = method.removeprefix("/kindred.v1.")
    seconds = CALL_SECONDS.labels(name)
    handle = cast("Handle", handler.unary_unary)
    deserialize = cast("Callable[[bytes], Message]", handler.request_deserializer)

    async def guarded(data: bytes, context: Context) -> bytes:
        start = perf_counter()
        code = "CANCELLED"
        try:
            with deadline_in(_until_reply(context)):
                response: Message = await handle(_parse(data, deserialize), context)
            answer = response.SerializeToString(deterministic=True)  # maps, too, in one order: the same bytes
            code = "OK"
        except Exception as error:  # the top of a call: logged and mapped
            status = status_of(error)
            code = Code.Name(status.code)
            if status.code == Code.INTERNAL:
                log.exception("call failed", method=name)
            await context.abort_with_status(rpc_status.to_status(status))
        finally:  # also if the caller went away, or its deadline came
            seconds.observe(perf_counter() - start)
            CALLS.labels(name, code).inc()
        return answer

    return guarded


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
