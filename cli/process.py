"""What the long-running commands share: their options, and running until a signal comes."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The embedded store's folder (KINDRED_DATA_DIR).")]
Host = Annotated[str | None, typer.Option(help="The address to listen on (KINDRED_HOST); 0.0.0.0 for every network.")]
Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="The server's port (KINDRED_PORT); 0 takes a free one.")
]
Kafka = Annotated[str | None, typer.Option(help="Kafka's bootstrap servers (KINDRED_KAFKA).", metavar="HOST:PORT")]
Metrics = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Port of the Prometheus metrics (KINDRED_METRICS_PORT).")
]


def run_process(*, serve: bool, consume: bool, drain: bool = False, **options: Any) -> None:
    """Runs a server, a consumer or both until SIGTERM or Ctrl-C.

    Args:
        serve: Whether to answer calls.
        consume: Whether to apply events.
        drain: Whether to apply what the log still holds before stopping.
        options: Settings by name; None leaves a setting as it is.
    """
    from cli.runtime import running
    from kindred.settings import load_settings
    from kindred.telemetry import configure_logging

    settings = load_settings(**options)
    configure_logging(settings.log_level, settings.log_format)

    async def run() -> None:
        async with running(settings, serve=serve, consume=consume, drain=drain) as parts:
            if serve:
                typer.echo(f"gRPC   {parts.address}")
            typer.echo(f"Kafka  {settings.kafka}  topic {settings.topic}")
            typer.echo(f"Data   {settings.data_dir}")
            await parts.until_signal(lambda: typer.echo("ready: ratings are applied as they come"))
            typer.echo("stopping")

    asyncio.run(run())
