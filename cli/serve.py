"""`kindred serve`: the gRPC server."""

from cli.process import DataDir, Host, Kafka, Metrics, Port, run_process


def serve(
    data_dir: DataDir = None, host: Host = None, port: Port = None, kafka: Kafka = None, metrics_port: Metrics = None
) -> None:
    """Runs the gRPC server over an embedded store.

    Ratings that it is sent go to Kafka. An embedded store serves one process at a time, so nothing applies them while
    this one runs: use `kindred up`, which consumes as well.

    [bold]Example[/bold]

      kindred serve --data-dir data --port 50051
    """
    run_process(
        serve=True, consume=False, data_dir=data_dir, host=host, port=port, kafka=kafka, metrics_port=metrics_port
    )
