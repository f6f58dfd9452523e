"""What happens around every call: it is counted and timed, and what it raises becomes a status."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, cast

import grpc
import structlog
from google.rpc.code_pb2 import Code
from grpc_status import rpc_status

from kindred.errors import KindredError
from kindred.telemetry import CALL_SECONDS, CALLS
from server.errors import status_of
from server.grpc_types import Context, Handle, MethodHandler

log = structlog.get_logger(__name__)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the unary calls of Kindred's own services, each method once."""

    def __init__(self) -> None:
        self._wrapped: dict[str, MethodHandler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MethodHandler:
        """Wraps the handler of a call."""
        method: str = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None or not method.startswith("/kindred.v1."):
            return handler
        self._wrapped[method] = grpc.unary_unary_rpc_method_handler(
            _guarded(method.removeprefix("/kindred.v1."), cast("Handle", handler.unary_unary)),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return self._wrapped[method]


def _guarded(method: str, handle: Handle) -> Handle:
    seconds = CALL_SECONDS.labels(method)

    async def guarded(request: Any, context: Context) -> Any:
        start = perf_counter()
        code = "CANCELLED"
        try:
            response = await handle(request, context)
            code = "OK"
        except (KindredError, Exception) as error:  # the top of a call: logged and mapped
            status = status_of(error)
            code = Code.Name(status.code)
            if status.code == Code.INTERNAL:
                log.exception("call failed", method=method)
            await context.abort_with_status(rpc_status.to_status(status))
        except asyncio.CancelledError:
            raise  # the caller went away, or its deadline came
        finally:
            seconds.observe(perf_counter() - start)
            CALLS.labels(method, code).inc()
        return response

    return guarded
