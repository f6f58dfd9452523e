"""Logs and metrics: what there is to see of a running process."""

import logging
import sys
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, Literal
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

_STEP_SECONDS = (0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.5, 10.0)

_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)

CALLS = Counter("kindred_calls_total", "gRPC calls answered.", ["method", "code"])
CALL_SECONDS = Histogram("kindred_call_seconds", "Time to answer a gRPC call.", ["method"], buckets=_SECONDS)
STEP_SECONDS = Histogram(
    "kindred_recommend_step_seconds",
    "Time of each step of a call that recommends, for one in seven calls.",
    ["method", "step"],
    buckets=_STEP_SECONDS,
)
SHED_CALLS = Counter("kindred_shed_calls_total", "gRPC calls refused because too many waited.", ["method"])
RECOMMENDATIONS = Counter(
    "kindred_recommendations_total", "Recommendations by recipe and by what answered.", ["recipe", "strategy"]
)
PROFILE_CACHE_HITS = Counter("kindred_profile_cache_hits_total", "Profiles of neighbors that were found in memory.")
PROFILE_CACHE_MISSES = Counter("kindred_profile_cache_misses_total", "Profiles of neighbors that had to be read.")
PROFILE_CACHE_BYTES = Gauge(
    "kindred_profile_cache_bytes", "Memory that neighbors' profiles take.", multiprocess_mode="livesum"
)
PROFILE_CACHE_CAPACITY_BYTES = Gauge(
    "kindred_profile_cache_capacity_bytes", "Memory that neighbors' profiles may take.", multiprocess_mode="livesum"
)
STREAMS = Gauge("kindred_streams", "gRPC streams that are open.", ["method"], multiprocess_mode="livesum")
EVENTS = Counter("kindred_events_total", "Events read, by what became of them.", ["outcome"])
DEAD_LETTERS = Counter("kindred_dead_letters_total", "Events that can never be applied, by reason.", ["reason"])
CONFLICTS = Counter("kindred_write_conflicts_total", "Writes of users that another writer was faster with.")
RETRIES = Counter("kindred_retries_total", "Times that something was tried again, by what was away.", ["service"])
BATCH_SECONDS = Histogram("kindred_batch_seconds", "Time to apply a batch of events.", buckets=_SECONDS)
BATCH_EVENTS = Histogram("kindred_batch_events", "Events in a batch.", buckets=_EVENTS)
FRESHNESS_SECONDS = Histogram("kindred_freshness_seconds", "From an event's record to its effect.", buckets=_SECONDS)
LAG = Gauge("kindred_consumer_lag", "Records that wait to be read.", ["partition"])
OLDEST_SECONDS = Gauge("kindred_oldest_unapplied_seconds", "Age of the oldest event that was read and is not applied.")
IN_HAND_SECONDS = Gauge("kindred_in_hand_seconds", "How long ago the events were read that are not applied yet.")
READY = Gauge("kindred_consumer_ready", "Whether the consumer has its partitions and can apply what it reads: 1 or 0.")
PARTITION_MOVES = Counter(
    "kindred_partition_moves_total", "Partitions that came to this consumer and went: rebalances.", ["how"]
)
NOTICES = Counter("kindred_applied_notices_total", "Notices of applied events, by what became of them.", ["outcome"])


def configure_logging(level: Literal["debug", "info", "warning", "error"], form: Literal["console", "json"]) -> None:
    """Sends structured logs to standard error.

    Args:
        level: The least severe messages to show.
        form: `console` for people, `json` for machines, one object a line.
    """
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    # Tracebacks without the values of variables: these may be what a caller sent.
    tracebacks = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    tail = [tracebacks] if form == "json" else []
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *tail,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # The libraries' own messages: only what an operator has to see.
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(name)s: %(message)s")
    # What goes wrong with Kafka is raised, and logged by us; this one also calls it an error to be closed.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


def serve_metrics(port: int, is_ready: Callable[[], bool] | None, registry: CollectorRegistry = REGISTRY) -> None:
    """Serves metrics over HTTP, for Prometheus, and whether this process is ready, for whoever asks for `/ready`.

    Args:
        port: The port; 0 for none.
        is_ready: Whether this process can do its work now, asked on another thread; None where it does none itself.
        registry: The metrics.

    Raises:
        OSError: The port is taken.
    """
    if not port:
        return
    metrics = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/ready":
            found: Iterable[bytes] = metrics(environ, start_response)
            return found
        if is_ready is None:
            status, text = "404 Not Found", b"ask each server by gRPC's health service\n"
        else:
            status, text = ("200 OK", b"ready\n") if is_ready() else ("503 Service Unavailable", b"not ready\n")
        start_response(status, [("Content-Type", "text/plain")])
        return [text]

    try:
        server = make_server("", port, answer, _ThreadingServer, handler_class=_SilentHandler)
    except OSError as error:
        raise OSError(f"cannot serve metrics on port {port}; choose another one with --metrics-port") from error
    threading.Thread(target=server.serve_forever, name="kindred-metrics", daemon=True).start()


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    """One thread a request: a scrape that hangs holds up nobody."""

    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    """Logs no request: they come every few seconds."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it
        """Says nothing."""
