"""Connections to a Qdrant server, and what its failures mean.

The hot calls go over a plain channel of our own: the high-level client's wraps every call in an interceptor, which
costs more than the call's own work. Administration goes through the high-level client.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import grpc
import structlog
from google.protobuf.message import Message
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.grpc import HealthCheckRequest, QdrantStub

from kindred.deadline import time_left
from kindred.errors import PreconditionError, UnavailableError

log = structlog.get_logger(__name__)

OLDEST = (1, 16)
"""The first version with conditional updates and metadata of collections."""

_RETRIED = (
    *(
        ("qdrant.Points", name)
        for name in ("Count", "CreateFieldIndex", "Get", "Query", "QueryBatch", "Scroll", "Upsert", "UpdateBatch")
    ),
    *(("qdrant.Collections", name) for name in ("Get", "List", "ListAliases", "Update")),
    ("qdrant.Qdrant", "HealthCheck"),
)
"""What is safe to repeat: reads, and writes that are conditional or write the same again."""

_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],  # a name with many addresses is a cluster
    "methodConfig": [
        {
            "name": [{"service": service, "method": method} for service, method in _RETRIED],
            # gRPC's own retries: with jitter, within the call's deadline, fewer when many calls fail (gRFC A6).
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}

_OPTIONS: dict[str, Any] = {
    "grpc.service_config": json.dumps(_SERVICE_CONFIG),
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    # A server that is back is used within a second or two, and one that is gone without a word is found out.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 2_000,  # also what an attempt to connect may take: 20 s by default
    "grpc.max_reconnect_backoff_ms": 2_000,
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.http2.max_pings_without_data": 0,
}

ResponseT_co = TypeVar("ResponseT_co", covariant=True)


class AsyncMethod(Protocol[ResponseT_co]):
    """A unary call of an asyncio stub."""

    async def __call__(
        self, request: Message, *, timeout: float | None = None, metadata: tuple[tuple[str, str], ...] | None = None
    ) -> ResponseT_co:
        """Makes the call."""


@dataclass(frozen=True, slots=True)
class QdrantServer:
    """Where Qdrant is and how to talk to it.

    Args:
        url: `http://host:6334`, or https for TLS: the gRPC port.
        api_key: The api key; empty for none.
        ca_file: Certificates, PEM, that TLS trusts instead of the system's.
        timeout: Seconds that a call may take, if its caller does not say less.
    """

    url: str
    api_key: str = field(default="", repr=False)
    ca_file: Path | None = None
    timeout: float = 5.0

    @property
    def target(self) -> str:
        """Host and port."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        return f"[{host}]:{parts.port or 6334}" if ":" in host else f"{host}:{parts.port or 6334}"

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries: the api key."""
        return (("api-key", self.api_key),) if self.api_key else ()

    def channel(self) -> grpc.aio.Channel:
        """A channel for the event loop; the caller closes it."""
        if credentials := self._credentials():
            return grpc.aio.secure_channel(self.target, credentials, options=[*_OPTIONS.items()])
        return grpc.aio.insecure_channel(self.target, options=[*_OPTIONS.items()])

    def blocking_channel(self) -> grpc.Channel:
        """A channel for calls that block, or that several of are under way; the caller closes it."""
        if credentials := self._credentials():
            return grpc.secure_channel(self.target, credentials, options=[*_OPTIONS.items()])
        return grpc.insecure_channel(self.target, options=[*_OPTIONS.items()])

    def client(self) -> QdrantClient:
        """The high-level client, over gRPC; the caller closes it.

        Raises:
            PreconditionError: The server is too old, refuses the key, or is none.
            UnavailableError: It does not answer.
        """
        with self.blocking_channel() as channel, self._connecting(), answering(self):
            health = QdrantStub(channel).HealthCheck
            reply = health(HealthCheckRequest(), timeout=self.timeout, metadata=self.metadata)
            check_version(self, reply.version)
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        return QdrantClient(
            host=f"[{host}]" if ":" in host else host,
            grpc_port=parts.port or 6334,
            https=self._tls,
            prefer_grpc=True,
            timeout=max(1, round(self.timeout)),
            grpc_options=_OPTIONS | ({"root_certificates": roots} if (roots := self._roots()) else {}),
            pool_size=1,
            # Not as api_key: that warns of connections without TLS, which is the operator's choice, not ours.
            headers=dict(self.metadata),
            check_compatibility=False,  # it asks the REST port, which need not be open to us
        )

    async def call(self, method: AsyncMethod[ResponseT_co], request: Message) -> ResponseT_co:
        """Makes a call of an asyncio stub within the deadline of the work under way.

        Raises:
            PreconditionError: The server refuses the key, or is none.
            UnavailableError: It does not answer.
        """
        with answering(self):
            try:
                return await method(request, timeout=time_left(self.timeout), metadata=self.metadata)
            except asyncio.CancelledError:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise
                # Not we were cancelled but the call: its channel was closed.
                raise UnavailableError("store", "the connection to Qdrant is closed") from None

    async def check(self, channel: grpc.aio.Channel) -> None:
        """Asks for the version.

        Raises:
            PreconditionError: The server is too old, refuses the key, or is none.
            UnavailableError: It does not answer.
        """
        with self._connecting():
            reply = await self.call(QdrantStub(channel).HealthCheck, HealthCheckRequest())
        check_version(self, reply.version)

    @contextmanager
    def _connecting(self) -> Iterator[None]:
        """Tells who opens the connection where it leads, and why it does not: no name, nobody there, no TLS."""
        try:
            yield
        except UnavailableError as error:
            cause = error.__cause__
            why = str(cause.details() or "") if isinstance(cause, grpc.RpcError) else ""
            why = why.partition("Failed to connect to remote host: ")[2] or why
            hint = "; 6333 is usually REST, gRPC is 6334" if self.target.endswith(":6333") else ""
            raise UnavailableError("store", f"{error} at {self.target} ({why[:200]}){hint}") from error

    @property
    def _tls(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    def _credentials(self) -> grpc.ChannelCredentials | None:
        return grpc.ssl_channel_credentials(root_certificates=self._roots()) if self._tls else None

    def _roots(self) -> bytes | None:
        if self.ca_file is None or not self._tls:
            return None
        try:
            return self.ca_file.read_bytes()
        except OSError as error:
            raise PreconditionError("QDRANT_CA", str(self.ca_file), f"KINDRED_QDRANT_CA: {error}") from error


def check_version(server: QdrantServer, version: str) -> None:
    """Refuses a server that is too old.

    Args:
        server: Which.
        version: What it says it is, for instance `1.17.1`.

    Raises:
        PreconditionError: It lacks what the conditional writes need.
    """
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST:
        needed = ".".join(map(str, OLDEST))
        message = (
            f"Qdrant at {server.target} is version {version or 'unknown'}; Kindred needs {needed} or newer, "
            "for conditional updates: upgrade Qdrant"
        )
        raise PreconditionError("QDRANT_VERSION", server.target, message)


_AWAY = {
    grpc.StatusCode.UNAVAILABLE: "does not answer",
    grpc.StatusCode.DEADLINE_EXCEEDED: "did not answer in time",
    grpc.StatusCode.CANCELLED: "broke the call off",
    grpc.StatusCode.ABORTED: "gave the call up",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "is overloaded",
    grpc.StatusCode.INTERNAL: "failed; its log has the reason",
    grpc.StatusCode.DATA_LOSS: "failed; its log has the reason",
    grpc.StatusCode.UNKNOWN: "failed; its log has the reason",
    grpc.StatusCode.FAILED_PRECONDITION: "is not in a state to do that; its log has the reason",
    # A collection that another one has replaced: who opens it again finds the new one.
    grpc.StatusCode.NOT_FOUND: "no longer has the collection: it was replaced or dropped",
}
_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


@contextmanager
def answering(server: QdrantServer) -> Iterator[None]:
    """Turns what Qdrant's clients raise into errors of ours. No text of the server's goes into them."""
    try:
        yield
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        if code in _AWAY:
            raise UnavailableError("store", f"Qdrant {_AWAY[code]}") from error
        if code in _REFUSED:
            message = f"Qdrant at {server.target} refuses the api key, or needs one: set KINDRED_QDRANT_API_KEY"
            raise PreconditionError("QDRANT_ACCESS", server.target, message) from error
        if code is grpc.StatusCode.UNIMPLEMENTED:
            message = f"{server.target} is not Qdrant's gRPC port; KINDRED_QDRANT_URL names that one, usually 6334"
            raise PreconditionError("QDRANT_URL", server.target, message) from error
        log.exception("Qdrant refuses a call")  # what it says is for the operator, not for callers
        message = f"Qdrant refuses the call as {code.name}; the log of this process has the reason"
        raise PreconditionError("QDRANT_REFUSED", server.target, message) from error
    except grpc.aio.UsageError as error:
        raise UnavailableError("store", "the connection to Qdrant is closed") from error
    except ResourceExhaustedResponse as error:
        delay = float(error.retry_after_s)
        raise UnavailableError("store", "Qdrant is overloaded", retry_after=delay) from error
