"""`kindred up`: everything in one process."""

import os
from contextlib import ExitStack
from typing import Annotated

import typer

from cli.process import DataDir, Host, Kafka, Metrics, Port, run_process

BrokerPort = Annotated[int, typer.Option(min=0, max=65535, help="The local broker's port; 0 takes a free one.")]


def up(
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    kafka: Kafka = None,
    broker_port: BrokerPort = 9092,
    metrics_port: Metrics = None,
) -> None:
    """Runs everything in one process: a local broker, the consumer and the server, over one embedded store.

    The local broker is Kafka-compatible, listens on this machine only, and [bold]keeps nothing[/bold]: what it holds is
    applied before a clean stop, and lost with a killed process. With --kafka the events come from a broker of yours,
    which keeps them.

    [bold]Examples[/bold]

      kindred load --dataset ml-100k
      kindred up
      kindred up --kafka broker:9092 --host 0.0.0.0
    """
    from cli.local_broker import LOCAL_SETTINGS, local_broker
    from kindred.errors import PreconditionError
    from kindred.settings import load_settings

    if load_settings(data_dir=data_dir).qdrant_url:
        message = "kindred up is for an embedded store: give --data-dir, or run kindred serve and kindred consume"
        raise PreconditionError("SETTINGS", "KINDRED_QDRANT_URL", message)
    kafka = kafka or os.environ.get("KINDRED_KAFKA")
    with ExitStack() as stack:
        local = kafka is None
        run_process(
            serve=True,
            consume=True,
            drain=local,
            data_dir=data_dir,
            host=host,
            port=port,
            metrics_port=metrics_port,
            workers=1,
            kafka=stack.enter_context(local_broker(broker_port)) if local else kafka,
            **(LOCAL_SETTINGS if local else {}),
        )
