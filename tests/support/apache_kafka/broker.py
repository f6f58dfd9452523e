"""Apache Kafka itself, without containers: one KRaft node, broker and controller in one process on the loopback."""

import base64
import ctypes
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.support.apache_kafka.certificates import make_certificates
from tests.support.apache_kafka.jars import java, kafka_jars

_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.02
_TAIL_LINES = 50
_STARTED = b"Kafka Server started"
"""The broker's last word of a start: it is in the cluster, and its listeners answer. Their ports are open before."""
_PORTS = range(15_000, 32_000)
"""Below those that a system gives to outgoing connections: nobody else gets a port of a broker that is down."""
_PR_SET_PDEATHSIG = 1

_JVM = (
    "-Xmx512m",
    "-XX:+UseSerialGC",  # it starts sooner and takes less memory than the default
    "-XX:TieredStopAtLevel=1",  # tests are over before the optimizing compiler pays
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",  # that it has started
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.network.Selector=info",  # that a login failed, and why
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)

_SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    # How long a broker that was killed is kept out when it comes back: its former self may still be alive. It is 9 s by
    # default. A machine that is too busy for a heartbeat in this time leaves the topics without a leader for a moment.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "300",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "2",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "2",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "2",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "log.retention.ms": "-1",  # a test may date its records as it likes
    "log.cleaner.dedupe.buffer.size": "4194304",  # 128 MiB by default
}


class KafkaStartError(Exception):
    """The broker did not start; the message ends with what it said."""


class ApacheKafka:
    """A broker whose log is kept in a folder.

    It is a context manager that starts and stops it. In between it may be stopped or killed and started again, as often
    as a test likes: it comes back at the same address with the same log.

    Args:
        folder: An empty folder for its log, its settings and its output.
        settings: Further settings of the broker, which take precedence over ours.

    Raises:
        KafkaUnavailableError: Apache Kafka cannot be had on this machine.
    """

    _protocols: Sequence[str] = ("PLAINTEXT",)

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self._java = java()
        self._jars = kafka_jars()
        self._log = folder / "log"
        self._properties = folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        names = [*self._protocols, "CONTROLLER"]
        self._ports = dict(zip(names, _free_ports(len(names)), strict=True))
        self._settings = {**_SETTINGS, **self._listeners(), "log.dirs": str(self._log), **(settings or {})}
        self.output = folder / "broker.out"
        self.address = self._address("PLAINTEXT")

    def __enter__(self) -> Self:
        """Starts it."""
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stops it."""
        self.stop()

    @property
    def running(self) -> bool:
        """Whether there is a process that has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it and waits until clients can use it.

        On Linux it ends with the thread that calls this, so that it never outlives a test run.

        Raises:
            KafkaStartError: It does not start.
        """
        if self.running:
            raise RuntimeError("it runs already")
        if not (self._log / "meta.properties").exists():
            self._format()
        before = self.output.stat().st_size
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  # our own jars, with our own arguments
                [*self._command(), "kafka.Kafka", str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._properties.parent,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # one prctl call
                start_new_session=True,  # Ctrl-C is for the tests: the broker goes last
            )
        try:
            self._wait_until_started(before)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stops it in good order: SIGTERM. Idempotent."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """Ends it at once: SIGKILL. Idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _address(self, listener: str) -> str:
        return f"{_HOST}:{self._ports[listener]}"

    def _listeners(self) -> dict[str, str]:
        return {
            "listeners": ",".join(f"{name}://{self._address(name)}" for name in self._ports),
            "advertised.listeners": ",".join(f"{name}://{self._address(name)}" for name in self._protocols),
            "listener.security.protocol.map": ",".join(
                f"{name}:{'PLAINTEXT' if name == 'CONTROLLER' else name}" for name in self._ports
            ),
            "controller.quorum.voters": f"1@{self._address('CONTROLLER')}",
        }

    def _format_options(self) -> Sequence[str]:
        return ()

    def _format(self) -> None:
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in self._settings.items()))
        cluster = base64.urlsafe_b64encode(b"k" + secrets.token_bytes(15)).decode()  # it must not begin with a dash
        with self.output.open("ab") as output:
            done = subprocess.run(  # noqa: S603  # our own jars, with our own arguments
                [
                    *self._command(),
                    "kafka.tools.StorageTool",
                    "format",
                    "--cluster-id",
                    cluster,
                    "--config",
                    str(self._properties),
                    *self._format_options(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._properties.parent,
                timeout=_START_SECONDS,
                check=False,
            )
        if done.returncode:
            raise KafkaStartError(f"its storage cannot be formatted:\n{self._tail()}")

    def _command(self) -> list[str]:
        return [self._java, *_JVM, "-cp", str(self._jars / "*")]

    def _wait_until_started(self, before: int) -> None:
        """Waits for the broker's word in what it put out since the file had a size."""
        process, deadline = self._process, time.monotonic() + _START_SECONDS
        with self.output.open("rb") as output:
            output.seek(before)
            said = b""
            while process is not None and process.poll() is None and time.monotonic() < deadline:
                said += output.read()
                if _STARTED in said:
                    return
                time.sleep(_POLL_SECONDS)
        raise KafkaStartError(f"it did not start at {self.address}:\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


class SecuredKafka(ApacheKafka):
    """A broker that also listens where clients have to log in, and where they speak TLS.

    Who logs in may do everything: the broker has no access control. PLAIN and SCRAM-SHA-256 take the same user.

    Args:
        folder: An empty folder for its log, its settings, its output and its certificates.
        settings: Further settings of the broker, which take precedence over ours.

    Raises:
        KafkaUnavailableError: Apache Kafka or openssl cannot be had on this machine.
    """

    _protocols = ("PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL")

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        certificates = make_certificates(folder)
        self.username = "kindred"
        self.password = secrets.token_hex(16)
        self.ca_file = certificates.ca_file
        super().__init__(folder, settings={**self._logins(), **_keystore(certificates.keystore), **(settings or {})})
        self.sasl_address = self._address("SASL_PLAINTEXT")
        self.tls_address = self._address("SSL")
        self.sasl_tls_address = self._address("SASL_SSL")

    def _logins(self) -> dict[str, str]:
        security = "org.apache.kafka.common.security"
        plain = f'{security}.plain.PlainLoginModule required user_{self.username}="{self.password}";'
        logins = {"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256"}
        for listener in ("sasl_plaintext", "sasl_ssl"):
            logins[f"listener.name.{listener}.plain.sasl.jaas.config"] = plain
            logins[f"listener.name.{listener}.scram-sha-256.sasl.jaas.config"] = (
                f"{security}.scram.ScramLoginModule required;"
            )
        return logins

    def _format_options(self) -> Sequence[str]:
        return ("--add-scram", f"SCRAM-SHA-256=[name={self.username},password={self.password}]")


def _keystore(file: Path) -> dict[str, str]:
    return {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(file)}


def _free_ports(number: int) -> list[int]:
    """Different ports that nobody listens on."""
    ports: list[int] = []
    with ExitStack() as probes:
        for port in random.sample(_PORTS, k=len(_PORTS)):
            probe = probes.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == number:
                break
    return ports


def _die_with_parent() -> None:
    # Even a kill -9 of ours must not leave the broker behind: see prctl(2).
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
