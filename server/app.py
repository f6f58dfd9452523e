"""The gRPC server's life: it listens, becomes ready when the store is open, and drains when it is told to stop."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kindred.backend import Backend, Current
from kindred.eventlog.producer import EventProducer
from kindred.settings import load_settings
from kindred.v1 import catalog_service_pb2, rating_service_pb2, recommendation_service_pb2
from kindred.v1.catalog_service_pb2_grpc import add_CatalogServiceServicer_to_server
from kindred.v1.rating_service_pb2_grpc import add_RatingServiceServicer_to_server
from kindred.v1.recommendation_service_pb2_grpc import add_RecommendationServiceServicer_to_server
from server.admission import Admission
from server.catalog_service import CatalogService
from server.interceptor import CallInterceptor
from server.rating_service import RatingService
from server.recommendation_service import RecommendationService
from server.state import ServerState
from server.watches import Watches

log = structlog.get_logger(__name__)

_OPTIONS = [
    # A burst waits for its turn: beyond gRPC's own bound of 1,000 calls are CANCELLED, which nobody retries.
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.server.max_pending_requests_hard_limit", 200_000),
]

SERVICES = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (recommendation_service_pb2, "RecommendationService"),
        (rating_service_pb2, "RatingService"),
        (catalog_service_pb2, "CatalogService"),
    )
)


class KindredServer:
    """A gRPC server.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        producer: Where ratings are written to; None for a server that only reads.
        topic: The topic of rating events.
        share_port: Whether other processes of ours listen on the port, too (SO_REUSEPORT).
        max_connection_age: Seconds after which a connection is given up in favour of a new one; 0 for never.
        watches: The open streams of WatchRecommendations.
        accept_unknown: Whether items that the catalog lacks may be rated.
        max_queue_seconds: Seconds that a call may have to wait for its turn; one that would wait longer is refused.
    """

    def __init__(
        self,
        host: str,
        port: int,
        producer: EventProducer | None = None,
        topic: str = "",
        *,
        share_port: bool = False,
        max_connection_age: float = 0,
        watches: Watches | None = None,
        accept_unknown: bool = False,
        max_queue_seconds: float = 0.5,
    ) -> None:
        watches = watches or Watches(1_000, 1_000)
        self._state = ServerState(producer, topic, watches=watches, accept_unknown=accept_unknown)
        self.ready = False
        """Whether calls can be answered."""
        self._health = health.aio.HealthServicer()
        # Without it a second server on the port is a mistake, and told so.
        options = [*_OPTIONS, ("grpc.so_reuseport", int(share_port))]
        if max_connection_age:
            options.append(("grpc.max_connection_age_ms", int(max_connection_age * 1000)))
        self._server = grpc.aio.server(interceptors=[CallInterceptor(Admission(max_queue_seconds))], options=options)
        add_RecommendationServiceServicer_to_server(RecommendationService(self._state), self._server)
        add_RatingServiceServicer_to_server(RatingService(self._state), self._server)
        add_CatalogServiceServicer_to_server(CatalogService(self._state), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        """Where it listens: with the real port once it has started."""

    async def start(self) -> None:
        """Listens. Calls are answered UNAVAILABLE, and health NOT_SERVING, until `open`.

        Raises:
            OSError: The address is taken or not ours.
        """
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        try:
            port = self._server.add_insecure_port(self.address)
        except RuntimeError as error:
            raise OSError(
                f"cannot listen on {self.address}: taken by another process, or no address of this machine"
            ) from error
        self.address = f"{self.address.rpartition(':')[0]}:{port}"
        await self._server.start()

    async def open(self, current: Current) -> None:
        """Begins to answer.

        Args:
            current: What to answer from; closing it is the caller's.
        """
        self._state.current = current
        await self.set_ready(True)

    async def set_ready(self, ready: bool) -> None:
        """Tells health checks whether calls can be answered."""
        self.ready = ready
        status = health_pb2.HealthCheckResponse
        await self._set_health(status.SERVING if ready else status.NOT_SERVING)

    async def stop(self, grace: float) -> None:
        """Takes no more calls, and lets those under way finish.

        Args:
            grace: Seconds that they get.
        """
        self.ready = False
        await self._health.enter_graceful_shutdown()
        self._state.watches.close()
        await self._server.stop(grace)

    async def _set_health(self, status: int) -> None:
        for service in ("", *SERVICES):
            await self._health.set(service, status)


@contextmanager
def serve_in_background(data_dir: Path) -> Iterator[str]:
    """Serves a data directory on a free port of this machine, without an event log, from a thread.

    Args:
        data_dir: The embedded store's folder.

    Yields:
        The address.

    Raises:
        PreconditionError: The store is in use, not loaded or of another form.
    """
    started: Future[str] = Future()
    stop = threading.Event()

    async def serve() -> None:
        backend = await Backend.open(load_settings(data_dir=data_dir))
        server = KindredServer("127.0.0.1", 0)
        await server.start()
        await server.open(Current(backend))
        started.set_result(server.address)
        await asyncio.to_thread(stop.wait)
        await server.stop(grace=1)
        await backend.store.close()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # whatever it is, it is raised where the address is waited for
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run, name="kindred-server")
    thread.start()
    try:
        yield started.result()
    finally:
        stop.set()
        thread.join()
