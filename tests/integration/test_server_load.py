import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from prometheus_client import REGISTRY

from cli.runtime import running
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as pb
from tests.support.place import Place
from tests.support.system import BOUND, Client, connected, fresh_names, read_failure

pytestmark = pytest.mark.timeout(60)

SEVEN = pb.RecommendRequest(user_id="7", limit=1)


@pytest.fixture
async def client(request: pytest.FixtureRequest, kafka: str, films: Place) -> AsyncIterator[Client]:
    """A client of a server whose calls may wait for so many seconds as the test's parameter says."""
    patient = {"max_queue_seconds": request.param, "qdrant_timeout": BOUND}  # a busy store is another matter
    settings = films.settings(port=0, kafka=kafka, **patient, **fresh_names())
    async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as found:
        yield found


async def burst(
    client: Client, calls: int, timeout: float | None = BOUND
) -> list[grpc.aio.AioRpcError | pb.RecommendResponse]:
    """What becomes of many calls at once."""
    made = [client.recommendations.Recommend(SEVEN, timeout=timeout) for _ in range(calls)]
    results = await asyncio.gather(*made, return_exceptions=True)
    assert all(isinstance(result, grpc.aio.AioRpcError | pb.RecommendResponse) for result in results)
    return results  # type: ignore[return-value]  # as was just asserted


class TestManyCallsAtOnce:
    @pytest.mark.parametrize("client", [3_600], indirect=True)
    async def test_every_call_of_a_burst_is_answered(self, client: Client) -> None:
        """Where calls may wait, three thousand at once are all answered, none of them dropped by the server."""
        results = await burst(client, 3_000, timeout=None)  # a deadline would be a reason to refuse
        refused = [read_failure(result) for result in results if isinstance(result, grpc.aio.AioRpcError)]
        assert refused == []

    @pytest.mark.parametrize("client", [0.05], indirect=True)
    async def test_what_would_wait_too_long_is_refused(self, client: Client) -> None:
        """Of a burst, what the server cannot answer in time is RESOURCE_EXHAUSTED with a time to retry after."""
        shed_before = shed_calls()
        results = await burst(client, 1_000)
        failures = [read_failure(result) for result in results if isinstance(result, grpc.aio.AioRpcError)]
        assert 0 < len(failures) < len(results)
        assert {(failure.code, failure.reason) for failure in failures} == {
            (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        }
        waits = [failure.details[RetryInfo].retry_delay.ToMilliseconds() for failure in failures]
        assert all(50 <= wait < BOUND * 1_000 for wait in waits)
        assert shed_calls() - shed_before == len(failures)

    @pytest.mark.parametrize("client", [0.05], indirect=True)
    async def test_afterwards_all_is_well(self, client: Client) -> None:
        """A server that has refused calls answers the next one."""
        assert Counter(type(result) for result in await burst(client, 1_000))[grpc.aio.AioRpcError]
        assert await client.recommendations.Recommend(SEVEN, timeout=BOUND)

    @pytest.mark.parametrize("client", [0.05], indirect=True)
    async def test_health_is_told_in_a_burst(self, client: Client) -> None:
        """A health check is answered, not refused, while calls are."""
        health = HealthStub(client.channel)
        under_way = asyncio.create_task(burst(client, 1_000))
        checks = await asyncio.gather(*(health.Check(HealthCheckRequest(), timeout=BOUND) for _ in range(20)))
        assert {check.status for check in checks} == {HealthCheckResponse.SERVING}
        assert any(isinstance(result, grpc.aio.AioRpcError) for result in await under_way)

    async def test_calls_that_wait_for_the_log_hold_up_nobody(self, films: Place) -> None:
        """With a hundred writes that wait for a broker which says nothing, nothing is refused."""
        one = rating.RecordRatingsRequest(user_id="7", ratings=[rating.NewRating(item_id="50", value=4)])
        with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
            kafka = f"127.0.0.1:{silent.getsockname()[1]}"
            settings = films.settings(port=0, kafka=kafka, kafka_timeout=30, max_queue_seconds=0.05, **fresh_names())
            async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
                writes = []
                for _ in range(100):
                    writes.append(client.ratings.RecordRatings(one, timeout=BOUND))
                    assert await client.recommendations.Recommend(SEVEN, timeout=BOUND)
                assert not any(write.done() for write in writes)
                for write in writes:
                    write.cancel()


def shed_calls() -> float:
    """How many calls of Recommend this process has refused."""
    name = "kindred_shed_calls_total"
    return REGISTRY.get_sample_value(name, {"method": "RecommendationService/Recommend"}) or 0.0
