"""Apache Kafka for tests: what other tests rely on when they use it."""

import os
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError
from kafka.net.compat import KafkaNetClient
from kafka.structs import OffsetAndMetadata, TopicPartition

from tests.support.apache_kafka.broker import ApacheKafka, KafkaStartError, SecuredKafka
from tests.support.apache_kafka.certificates import make_certificates
from tests.support.apache_kafka.jars import KafkaUnavailableError, kafka_jars

# kafka-python does not close a socket whose client is closed while it still connects; only a busy machine shows it.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

_BOUND = 20.0
_REFUSED_MS = 1_000
"""kafka-python does not say that a login was refused: it tries again until its time is up, and says only that.

It often does not know: what a broker says before it closes the connection is lost if both arrive at once.
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A broker, shared by the module."""
    try:
        broker = SecuredKafka(tmp_path_factory.mktemp("kafka"), settings={"offsets.topic.num.partitions": "1"})
    except KafkaUnavailableError as error:
        pytest.skip(f"Apache Kafka cannot be had: {error}")
    with broker:
        yield broker


@contextmanager
def _admin(address: str, **options: Any) -> Iterator[Any]:
    clients: list[KafkaNetClient] = []

    def client(**configs: Any) -> KafkaNetClient:
        clients.append(KafkaNetClient(**configs))
        return clients[-1]

    try:
        with KafkaAdminClient(bootstrap_servers=address, kafka_client=client, **options) as admin:
            yield admin
    except KafkaTimeoutError:
        for each in clients:  # an admin client that cannot connect leaves its thread behind
            each.close()
            each._net.stop()
        raise


def _make_topic(address: str) -> str:
    topic = f"topic-{uuid4().hex}"
    with _admin(address) as admin:
        admin.create_topics([NewTopic(topic, 1, 1)])
    return topic


def _topic_id(address: str, topic: str) -> str:
    with _admin(address) as admin:
        return str(admin.describe_topics([topic])[0]["topic_id"])


def _write(address: str, topic: str, *values: bytes, **options: Any) -> list[int]:
    """Writes records; gives their offsets."""
    producer = KafkaProducer(bootstrap_servers=address, acks="all", enable_idempotence=True, **options)
    try:
        return [sent.get(_BOUND).offset for sent in [producer.send(topic, value) for value in values]]
    finally:
        producer.close()


def _read(
    address: str, topic: str, number: int, *, group: str | None = None, commit: int | None = None, **options: Any
) -> list[bytes]:
    """Reads so many records as a member of a group; commits an offset if one is given."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=address,
        group_id=group or uuid4().hex,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **options,
    )
    try:
        found: list[bytes] = []
        deadline = time.monotonic() + _BOUND
        while len(found) < number:
            # One long poll: kafka-python never ends a rebalance that outlasts the poll that began it.
            left = deadline - time.monotonic()
            assert left > 0, f"only {found} can be read"
            found += [record.value for records in consumer.poll(int(left * 1000)).values() for record in records]
        if commit is not None:
            consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata(commit, "", -1)})
        return found
    finally:
        consumer.close(autocommit=False)


def test_a_group_continues_where_it_committed(broker: SecuredKafka) -> None:
    """A group's next member reads from the offset that the last one committed; another group reads everything."""
    topic = _make_topic(broker.address)
    assert _write(broker.address, topic, b"a", b"b", b"c") == [0, 1, 2]
    assert _read(broker.address, topic, 3, group=topic, commit=2) == [b"a", b"b", b"c"]
    assert _read(broker.address, topic, 1, group=topic) == [b"c"]
    assert _read(broker.address, topic, 3) == [b"a", b"b", b"c"]


def test_topics_are_not_made_by_using_them(broker: SecuredKafka) -> None:
    """A topic that nobody made does not exist, also after somebody asked for it."""
    with _admin(broker.address) as admin:
        assert admin.describe_topics(["nobody-made-this"])[0]["error_code"] == UnknownTopicOrPartitionError.errno
        assert "nobody-made-this" not in admin.list_topics()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_everything_is_there_after_a_restart(broker: SecuredKafka, end: str) -> None:
    """Records, committed offsets and the topic's id survive a kill -9 and an orderly end, at the same address."""
    address, topic = broker.address, _make_topic(broker.address)
    topic_id = _topic_id(address, topic)
    _write(address, topic, b"a", b"b", b"c")
    _read(address, topic, 3, group=topic, commit=2)

    getattr(broker, end)()
    assert not broker.running
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) != 0
    broker.start()

    assert broker.running
    assert broker.address == address
    assert _topic_id(address, topic) == topic_id
    assert _read(address, topic, 3) == [b"a", b"b", b"c"]
    assert _read(address, topic, 1, group=topic) == [b"c"]
    assert _write(address, topic, b"d") == [3]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
@pytest.mark.parametrize("tls", [False, True])
def test_the_right_password_logs_in(broker: SecuredKafka, mechanism: str, tls: bool) -> None:
    """With the user's password a client writes and reads, with either mechanism, with TLS and without."""
    topic = _make_topic(broker.address)
    address, options = _login(broker, mechanism, tls, broker.password)
    assert _write(address, topic, b"secret", **options) == [0]
    assert _read(address, topic, 1, **options) == [b"secret"]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_wrong_password_is_refused(broker: SecuredKafka, mechanism: str, tls: bool) -> None:
    """With another password a client does not get in, and the broker says why."""
    before = broker.output.stat().st_size
    address, options = _login(broker, mechanism, tls, "not " + broker.password)
    with pytest.raises(KafkaTimeoutError), _admin(address, bootstrap_timeout_ms=_REFUSED_MS, **options):
        pass
    assert "Authentication failed" in broker.output.read_text()[before:]


def test_nobody_gets_in_without_a_login(broker: SecuredKafka) -> None:
    """A client that does not log in is not served where a login is needed."""
    with pytest.raises(KafkaTimeoutError), _admin(broker.sasl_address, bootstrap_timeout_ms=_REFUSED_MS):
        pass


def test_tls_without_a_login(broker: SecuredKafka) -> None:
    """With the CA's file a client writes and reads over TLS."""
    topic = _make_topic(broker.address)
    options: dict[str, Any] = {"security_protocol": "SSL", "ssl_cafile": str(broker.ca_file)}
    assert _write(broker.tls_address, topic, b"secret", **options) == [0]
    assert _read(broker.tls_address, topic, 1, **options) == [b"secret"]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_certificate_is_the_brokers(broker: SecuredKafka, name: str, tmp_path: Path) -> None:
    """The CA's file is what makes the broker trusted, under both of its names; another CA does not."""
    _handshake(broker.tls_address, name, broker.ca_file)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|unable to get local issuer|signature failure"):
        _handshake(broker.tls_address, name, make_certificates(tmp_path).ca_file)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        _handshake(broker.tls_address, "kindred.example", broker.ca_file)


def test_a_broker_that_does_not_start_says_why(broker: SecuredKafka, tmp_path: Path) -> None:
    """The error has the end of the broker's output, here that its port is taken."""
    other = ApacheKafka(tmp_path)
    with (
        socket.create_server(("127.0.0.1", int(other.address.rpartition(":")[2]))),
        pytest.raises(KafkaStartError, match="Address already in use"),
    ):
        other.start()
    assert not other.running


def test_settings_take_precedence(broker: SecuredKafka) -> None:
    """A setting that a test gives is the broker's, also where ours is another one."""
    topic = _make_topic(broker.address)
    _write(broker.address, topic, b"a")
    _read(broker.address, topic, 1, commit=1)
    with _admin(broker.address) as admin:
        assert len(admin.describe_topics(["__consumer_offsets"])[0]["partitions"]) == 1


def test_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Java there is no broker, and the error says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KafkaUnavailableError, match="there is no java on the PATH"):
        ApacheKafka(tmp_path)


def test_with_an_old_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Java that is too old will not do."""
    _put_on_path(monkeypatch, tmp_path, "java", """echo 'openjdk version "11.0.22" 2024-01-16' >&2""")
    with pytest.raises(KafkaUnavailableError, match="needs Java 17 or newer, java is 11"):
        ApacheKafka(tmp_path)


def test_without_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Maven the jars cannot be fetched."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KafkaUnavailableError, match="there is no mvn on the PATH"):
        kafka_jars(tmp_path / "cache")


def test_when_the_registry_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maven's first error is the reason, and nothing is left in the cache."""
    _put_on_path(monkeypatch, tmp_path, "mvn", "echo '[ERROR] Unknown host -> [Help 1]'; echo '[ERROR] Help'; exit 1")
    with pytest.raises(KafkaUnavailableError, match=r"Unknown host$"):
        kafka_jars(tmp_path / "cache")
    assert [each.suffix for each in (tmp_path / "cache").iterdir()] == [".lock"]


def test_when_maven_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maven gets no more than the time that it was given."""
    _put_on_path(monkeypatch, tmp_path, "mvn", "exec sleep 60")
    with pytest.raises(KafkaUnavailableError, match="within 1 s"):
        kafka_jars(tmp_path / "cache", seconds=1.0)


def test_jars_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several that need the jars at the same time one fetches them; the others wait and use the same."""
    script = f'echo called >> {tmp_path}/calls; mkdir "${{8#*=}}"; echo jar > "${{8#*=}}/kafka.jar"'
    _put_on_path(monkeypatch, tmp_path, "mvn", script)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: kafka_jars(tmp_path / "cache"), range(4)))
    assert [each.name for folder in folders for each in folder.iterdir()] == ["kafka.jar"]
    assert (tmp_path / "calls").read_text() == "called\n"


def _login(broker: SecuredKafka, mechanism: str, tls: bool, password: str) -> tuple[str, dict[str, Any]]:
    login = {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": broker.username,
        "sasl_plain_password": password,
    }
    if tls:
        return broker.sasl_tls_address, {**login, "security_protocol": "SASL_SSL", "ssl_cafile": str(broker.ca_file)}
    return broker.sasl_address, {**login, "security_protocol": "SASL_PLAINTEXT"}


def _handshake(address: str, name: str, ca_file: Path) -> None:
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # as from Python 3.13 on
    with (
        socket.create_connection((host, int(port)), _BOUND) as connection,
        context.wrap_socket(connection, server_hostname=name),
    ):
        pass


def _put_on_path(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, script: str) -> None:
    tool = folder / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
