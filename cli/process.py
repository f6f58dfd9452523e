"""What the long-running commands share: their options, and running until a signal comes."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The embedded store's folder (KINDRED_DATA_DIR).")]
QdrantUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="A Qdrant server's gRPC port, http://host:6334, instead (KINDRED_QDRANT_URL)."),
]
Collection = Annotated[str | None, typer.Option(help="The collection's name in Qdrant (KINDRED_COLLECTION).")]
Host = Annotated[str | None, typer.Option(help="The address to listen on (KINDRED_HOST); 0.0.0.0 for every network.")]
Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="The server's port (KINDRED_PORT); 0 takes a free one.")
]
Kafka = Annotated[str | None, typer.Option(help="Kafka's bootstrap servers (KINDRED_KAFKA).", metavar="HOST:PORT")]
Metrics = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Port of the Prometheus metrics (KINDRED_METRICS_PORT).")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, max=256, help="Processes that share the port (KINDRED_WORKERS); they need a Qdrant server."),
]


def run_process(*, serve: bool, consume: bool, drain: bool = False, **options: Any) -> None:
    """Runs a server, a consumer or both until SIGTERM or Ctrl-C.

    Args:
        serve: Whether to answer calls.
        consume: Whether to apply events.
        drain: Whether to apply what the log still holds before stopping.
        options: Settings by name; None leaves a setting as it is.

    Raises:
        PreconditionError: The settings do not go together, or the store cannot be used as it is.
    """
    # Before numpy is imported: its matrix library would otherwise take every core for each small product, and the
    # workers would fight for them. Measured on two cores: two workers answered less than one.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from kindred.settings import load_settings, unknown_variables

    settings = load_settings(**options)
    if serve and not consume and settings.workers > 1:
        from cli.workers import run_workers

        run_workers(settings)
        return
    import structlog

    from cli.runtime import running, stop_on_signals
    from kindred.following import StoppedError
    from kindred.stores.choice import where
    from kindred.telemetry import configure_logging

    configure_logging(settings.log_level, settings.log_format)
    if unknown := unknown_variables(os.environ):
        structlog.get_logger(__name__).warning("unknown settings, ignored", names=unknown)

    async def run() -> None:
        stop = stop_on_signals()
        async with running(settings, serve=serve, consume=consume, drain=drain, stop=stop) as parts:
            if serve:
                typer.echo(f"gRPC   {parts.address}")
            typer.echo(f"Kafka  {settings.kafka}  topic {settings.topic}")
            typer.echo(f"Data   {where(settings)}")
            await parts.until(stop, lambda: typer.echo("ready: ratings are applied as they come"))
            typer.echo("stopping")

    try:
        asyncio.run(run())
    except StoppedError:
        typer.echo("stopped before the store was open")
