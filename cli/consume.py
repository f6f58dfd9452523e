"""`kindred consume`: the Kafka consumer."""

from cli.process import DataDir, Kafka, Metrics, run_process


def consume(data_dir: DataDir = None, kafka: Kafka = None, metrics_port: Metrics = None) -> None:
    """Runs the Kafka consumer over an embedded store.

    It waits for the broker, makes the topics that are missing, applies every event and commits after it. Stop it with
    Ctrl-C or SIGTERM: it finishes the batch under way.

    [bold]Example[/bold]

      kindred consume --data-dir data --kafka broker:9092
    """
    run_process(serve=False, consume=True, data_dir=data_dir, kafka=kafka, metrics_port=metrics_port)
