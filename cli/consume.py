"""`kindred consume`: the Kafka consumer."""

from cli.process import Collection, DataDir, Kafka, Metrics, QdrantUrl, run_process


def consume(
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    collection: Collection = None,
    kafka: Kafka = None,
    metrics_port: Metrics = None,
) -> None:
    """Runs the Kafka consumer, over a Qdrant server or an embedded store.

    It waits for the broker, makes the topics that are missing, applies every event and commits after it. Start as many
    as you like over one Qdrant server: they share the partitions. Stop it with Ctrl-C or SIGTERM: it finishes the batch
    under way.

    [bold]Examples[/bold]

      kindred consume --qdrant-url http://qdrant:6334 --kafka kafka:9092
      kindred consume --data-dir data --kafka broker:9092
    """
    run_process(
        serve=False,
        consume=True,
        data_dir=data_dir,
        qdrant_url=qdrant_url,
        collection=collection,
        kafka=kafka,
        metrics_port=metrics_port,
    )
