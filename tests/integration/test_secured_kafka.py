"""Kindred behind a Kafka that wants to know who comes: SASL, TLS and both, against Apache Kafka itself."""

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.local_broker import LOCAL_SETTINGS
from cli.runtime import running
from kindred.errors import UnavailableError
from kindred.eventlog.client import prepare_topics
from kindred.settings import Settings, load_settings
from kindred.v1 import rating_service_pb2 as rating
from tests.support.apache_kafka.broker import SecuredKafka
from tests.support.apache_kafka.jars import KafkaUnavailableError
from tests.support.system import BOUND, connected, fresh_names

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning"),  # kafka-python, where a handshake fails
]


@pytest.fixture(autouse=True)
def _sockets_end_here() -> Iterator[None]:
    """The sockets that kafka-python drops are collected in the test that made them."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A broker with every kind of listener."""
    try:
        broker = SecuredKafka(tmp_path_factory.mktemp("kafka"), settings={"group.min.session.timeout.ms": "1000"})
    except KafkaUnavailableError as error:
        pytest.skip(f"Apache Kafka cannot be had: {error}")
    with broker:
        yield broker


def options_of(broker: SecuredKafka, protocol: str, mechanism: str = "PLAIN") -> dict[str, object]:
    """The settings for one of the broker's listeners."""
    address = {"SSL": broker.tls_address, "SASL_PLAINTEXT": broker.sasl_address, "SASL_SSL": broker.sasl_tls_address}
    return {
        "kafka": address[protocol],
        "kafka_security": protocol,
        "kafka_sasl_mechanism": mechanism,
        "kafka_username": broker.username,
        "kafka_password": broker.password,
        "kafka_ca": broker.ca_file,
        **fresh_names(),
    }


@pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [
        ("SASL_PLAINTEXT", "PLAIN"),
        ("SASL_PLAINTEXT", "SCRAM-SHA-256"),
        ("SASL_SSL", "SCRAM-SHA-256"),
        ("SSL", "PLAIN"),
    ],
)
async def test_server_and_consumer_log_in(
    broker: SecuredKafka, own_films_dir: Path, protocol: str, mechanism: str
) -> None:
    """With the right settings a rating goes through the log and comes back in an answer."""
    options = {**LOCAL_SETTINGS, **options_of(broker, protocol, mechanism), "session_timeout": 2}
    settings = Settings(data_dir=own_films_dir, port=0, **options)
    async with running(settings, serve=True, consume=True) as parts, connected(parts.address) as client:
        request = rating.RecordRatingsRequest(user_id="ann", ratings=[rating.NewRating(item_id="50", value=5)])
        token = (await client.ratings.RecordRatings(request, timeout=BOUND)).freshness_token
        listed = rating.ListRatingsRequest(user_id="ann", at_least_as_fresh=token)
        assert (await client.ratings.ListRatings(listed, timeout=BOUND)).total_size


@pytest.mark.parametrize(
    ("protocol", "wrong"),
    [
        ("SASL_PLAINTEXT", {"kafka_password": "hunter2"}),
        ("SASL_PLAINTEXT", {"kafka_security": "PLAINTEXT"}),
        ("SASL_SSL", {"kafka_ca": None}),
        ("SSL", {"kafka_ca": None}),
    ],
    ids=["password", "no security", "sasl without the CA", "tls without the CA"],
)
def test_who_is_not_let_in_is_told_where_to_look(broker: SecuredKafka, protocol: str, wrong: dict[str, object]) -> None:
    """What does not log in ends in time, names the settings and no secret, and leaves no thread behind."""
    settings = Settings(**{**options_of(broker, protocol), **wrong, "kafka_timeout": 2.0})
    before = threading.active_count()
    for _ in range(2):
        with pytest.raises(UnavailableError) as refused:
            prepare_topics(settings.broker())
        assert "hunter2" not in str(refused.value)
        assert broker.password not in str(refused.value)
        if settings.kafka_security != "PLAINTEXT":
            assert "KINDRED_KAFKA_SECURITY" in str(refused.value)
    assert threading.active_count() <= before  # one of an earlier test may end meanwhile


def test_secrets_are_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings nor what is made of them shows a password or a key."""
    monkeypatch.setenv("KINDRED_KAFKA_PASSWORD", "hunter2")
    monkeypatch.setenv("KINDRED_QDRANT_API_KEY", "hunter3")
    settings = load_settings()
    assert settings.broker().security.password == "hunter2"  # noqa: S105  # it is none
    for text in (repr(settings), str(settings), repr(settings.broker()), settings.model_dump_json()):
        assert "hunter" not in text
