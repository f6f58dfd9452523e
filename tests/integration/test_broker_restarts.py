"""A broker that goes and comes back with its log, as Apache Kafka does: nothing that it acknowledged is lost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from cli.local_broker import LOCAL_SETTINGS
from cli.runtime import running
from kindred.settings import Settings
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as recommendation
from tests.support.apache_kafka.broker import ApacheKafka
from tests.support.apache_kafka.jars import KafkaUnavailableError
from tests.support.films import ROMANCE, SPACE
from tests.support.system import BOUND, Client, connected, fresh_names

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ApacheKafka]:
    """A broker of one test."""
    folder = tmp_path / "kafka"
    folder.mkdir()
    try:
        broker = ApacheKafka(folder, settings={"group.min.session.timeout.ms": "1000"})
    except KafkaUnavailableError as error:
        pytest.skip(f"Apache Kafka cannot be had: {error}")
    with broker:
        yield broker


def settings_of(films: Path, broker: ApacheKafka, **more: object) -> Settings:
    """Settings for a data directory and a broker."""
    quick = {**LOCAL_SETTINGS, "session_timeout": 3, "kafka_timeout": 2.0, **fresh_names(), **more}
    return Settings(data_dir=films, port=0, kafka=broker.address, **quick)


async def record(client: Client, user: str, film: str, timeout: float = BOUND) -> str:
    """Records five stars, and gives the token."""
    request = rating.RecordRatingsRequest(user_id=user, ratings=[rating.NewRating(item_id=film, value=5)])
    token: str = (await client.ratings.RecordRatings(request, timeout=timeout)).freshness_token
    return token


async def listed(client: Client, user: str, token: str = "") -> int:
    """How many ratings of a user are stored."""
    request = rating.ListRatingsRequest(user_id=user, at_least_as_fresh=token)
    size: int = (await client.ratings.ListRatings(request, timeout=BOUND)).total_size
    return size


async def test_what_was_acknowledged_survives_a_killed_broker(own_films_dir: Path, broker: ApacheKafka) -> None:
    """While the broker is away writes are UNAVAILABLE and reads answer; when it is back nothing is lost."""
    settings = settings_of(own_films_dir, broker)
    async with running(settings, serve=True, consume=True) as parts, connected(parts.address) as client:
        await listed(client, "ann", await record(client, "before", SPACE[0]))
        written = []
        for film in (*SPACE, *ROMANCE):  # the last ones may be acknowledged and not applied when it goes
            written.append(film)
            last = await record(client, "before", film)
        broker.kill()
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await record(client, "away", SPACE[0], timeout=3)
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
        request = recommendation.RecommendRequest(user_id="7")
        assert (await client.recommendations.Recommend(request, timeout=1)).recommendations
        broker.start()
        async with asyncio.timeout(60):
            while True:
                try:
                    token = await record(client, "after", SPACE[0])
                except grpc.aio.AioRpcError:
                    continue
                break
        assert await listed(client, "before", last) == len(written)
        assert await listed(client, "after", token) == 1


async def test_a_static_member_comes_back_as_itself(own_films_dir: Path, broker: ApacheKafka) -> None:
    """A consumer with a name of its own that restarts has its partitions at once, without a session timeout."""
    settings = settings_of(own_films_dir, broker, group_instance="consumer-1", session_timeout=20)
    loop = asyncio.get_running_loop()
    for number in range(2):
        start = loop.time()
        async with running(settings, serve=True, consume=True) as parts, connected(parts.address) as client:
            async with asyncio.timeout(15):
                await parts.joined.wait()
            assert await listed(client, "ann-2", await record(client, "ann-2", SPACE[number])) == number + 1
        assert loop.time() - start < 15
