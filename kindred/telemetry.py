"""Logs and metrics: what there is to see of a running process."""

import logging
import sys
from typing import Literal

import structlog
from prometheus_client import Counter, Gauge, Histogram, start_http_server

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

CALLS = Counter("kindred_calls_total", "gRPC calls answered.", ["method", "code"])
CALL_SECONDS = Histogram("kindred_call_seconds", "Time to answer a gRPC call.", ["method"], buckets=_SECONDS)
EVENTS = Counter("kindred_events_total", "Events read, by what became of them.", ["outcome"])
CONFLICTS = Counter("kindred_write_conflicts_total", "Writes of users that another writer was faster with.")
BATCH_SECONDS = Histogram("kindred_batch_seconds", "Time to apply a batch of events.", buckets=_SECONDS)
FRESHNESS_SECONDS = Histogram("kindred_freshness_seconds", "From an event's record to its effect.", buckets=_SECONDS)
LAG = Gauge("kindred_consumer_lag", "Records that wait to be read.", ["partition"])


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


def serve_metrics(port: int) -> None:
    """Serves the metrics of this process over HTTP, for Prometheus.

    Args:
        port: The port; 0 for none.

    Raises:
        OSError: The port is taken.
    """
    if port:
        try:
            start_http_server(port)
        except OSError as error:
            raise OSError(f"cannot serve metrics on port {port}; choose another one with --metrics-port") from error
