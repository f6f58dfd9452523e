"""`kindred serve`: the gRPC server."""

from cli.process import Collection, DataDir, Host, Kafka, Metrics, Port, QdrantUrl, Workers, run_process


def serve(
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    collection: Collection = None,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    kafka: Kafka = None,
    metrics_port: Metrics = None,
) -> None:
    """Runs the gRPC server, over a Qdrant server or an embedded store.

    Ratings that it is sent go to Kafka, and `kindred consume` applies them. An embedded store serves one process at a
    time, so nothing applies them while this one runs: use `kindred up`, which consumes as well.

    [bold]Examples[/bold]

      kindred serve --qdrant-url http://qdrant:6334 --kafka kafka:9092 --workers 4
      kindred serve --data-dir data --port 50051
    """
    run_process(
        serve=True,
        consume=False,
        data_dir=data_dir,
        qdrant_url=qdrant_url,
        collection=collection,
        host=host,
        port=port,
        workers=workers,
        kafka=kafka,
        metrics_port=metrics_port,
    )
