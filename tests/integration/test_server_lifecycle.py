import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from cli.runtime import running
from kindred.backend import Backend, Current
from kindred.settings import Settings
from kindred.v1 import catalog_service_pb2 as catalog
from kindred.v1 import item_pb2
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as recommendation
from server.app import SERVICES, KindredServer, serve_in_background
from tests.support.films import load_films
from tests.support.system import BOUND, Client, connected, failure_of
from tests.support.watched_store import WatchedStore, watched_backend

pytestmark = pytest.mark.timeout(60)

METHODS = [method for service in SERVICES for method in descriptor_pool.Default().FindServiceByName(service).methods]
NOWHERE = Settings(data_dir=Path("nowhere"), port=0)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[KindredServer, Client]]:
    """A server that listens, whose store is not open yet."""
    server = KindredServer("127.0.0.1", 0)
    await server.start()
    try:
        async with connected(server.address) as client:
            yield server, client
    finally:
        await server.stop(0)


async def empty_call(client: Client, method: object) -> bytes:
    """Calls a method with an empty request."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    return await client.channel.unary_unary(path)(b"", timeout=BOUND)


async def health(client: Client, service: str) -> int:
    """What the health service says."""
    stub = health_pb2_grpc.HealthStub(client.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=BOUND)
    return answer.status


@asynccontextmanager
async def watched(films_dir: Path) -> AsyncIterator[tuple[KindredServer, Client, WatchedStore]]:
    """A server over a store that can be told to hang and to fail."""
    async with watched_backend(Settings(data_dir=films_dir)) as (backend, store), listening() as (server, client):
        await server.open(Current(backend))
        yield server, client, store


class TestStart:
    @pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
    async def test_before_the_store_is_open_every_call_is_unavailable(self, method: object) -> None:
        """Until the store is open a right request is answered UNAVAILABLE, with the time after which to try again."""
        requests = {
            "Recommend": recommendation.RecommendRequest(user_id="7"),
            "BatchRecommend": recommendation.BatchRecommendRequest(
                requests=[recommendation.RecommendRequest(user_id="7")]
            ),
            "ListSimilarItems": recommendation.ListSimilarItemsRequest(item_id="50"),
            "ListSimilarUsers": recommendation.ListSimilarUsersRequest(user_id="7"),
            "ListPopularItems": recommendation.ListPopularItemsRequest(),
            "RecordRatings": rating.RecordRatingsRequest(
                user_id="7", ratings=[rating.NewRating(item_id="50", value=4)]
            ),
            "WatchRecommendations": recommendation.WatchRecommendationsRequest(
                request=recommendation.RecommendRequest(user_id="7")
            ),
            "StreamRatings": rating.StreamRatingsRequest(
                ratings=[rating.UserRating(user_id="7", rating=rating.NewRating(item_id="50", value=4))]
            ),
            "RetractRatings": rating.RetractRatingsRequest(user_id="7", item_ids=["50"]),
            "ListRatings": rating.ListRatingsRequest(user_id="7"),
            "ForgetUser": rating.ForgetUserRequest(user_id="7"),
            "SetUserAttributes": rating.SetUserAttributesRequest(user_id="7"),
            "SearchItems": catalog.SearchItemsRequest(),
            "GetItem": catalog.GetItemRequest(item_id="50"),
            "BatchGetItems": catalog.BatchGetItemsRequest(item_ids=["50"]),
            "UpsertItems": catalog.UpsertItemsRequest(items=[item_pb2.Item(item_id="50")]),
        }
        async with listening() as (_, client):
            path = f"/{method.containing_service.full_name}/{method.name}"
            call = client.channel.unary_unary(path)(requests[method.name].SerializeToString(), timeout=BOUND)
            failure = await failure_of(call)
        assert failure.code is grpc.StatusCode.UNAVAILABLE
        assert failure.reason in ("STORE_UNAVAILABLE", "LOG_UNAVAILABLE")
        assert failure.details[RetryInfo].retry_delay.ToMilliseconds() > 0

    async def test_health_tells_when_it_is_ready(self, films_dir: Path) -> None:
        """The whole and each service are NOT_SERVING until the store is open, then SERVING."""
        backend = await Backend.open(Settings(data_dir=films_dir))
        async with listening() as (server, client):
            for service in ("", *SERVICES):
                assert await health(client, service) == health_pb2.HealthCheckResponse.NOT_SERVING
            await server.open(Current(backend))
            for service in ("", *SERVICES):
                assert await health(client, service) == health_pb2.HealthCheckResponse.SERVING
            stub = health_pb2_grpc.HealthStub(client.channel)
            unknown = await failure_of(stub.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=BOUND))
            assert unknown.code is grpc.StatusCode.NOT_FOUND
        await backend.store.close()

    async def test_a_taken_port_is_an_error_that_names_it(self) -> None:
        """A second server on the same port does not share it: it fails, and says which address."""
        async with listening() as (server, _):
            host, _, port = server.address.rpartition(":")
            with pytest.raises(OSError, match=f"cannot listen on {server.address}"):
                await KindredServer(host, int(port)).start()

    async def test_a_failed_start_leaves_nothing_open(self, own_films_dir: Path) -> None:
        """Where a store is not loaded, the server's port is free again after the error, and another start works."""
        async with AsyncExitStack() as stack:
            blocker = KindredServer("127.0.0.1", 0)
            await blocker.start()
            port = int(blocker.address.rpartition(":")[2])
            await blocker.stop(0)
            for _ in range(2):
                with pytest.raises(Exception, match="holds no collection"):
                    await stack.enter_async_context(
                        running(Settings(data_dir=own_films_dir / "no", port=port), serve=True, consume=False)
                    )
            parts = await stack.enter_async_context(
                running(Settings(data_dir=own_films_dir, port=port), serve=True, consume=False)
            )
            client = await stack.enter_async_context(connected(parts.address))
            assert await health(client, "") == health_pb2.HealthCheckResponse.SERVING


class TestContract:
    async def test_reflection_lists_every_service(self, films_dir: Path) -> None:
        """Reflection gives the three services, health and itself, with every method and message of the contract."""
        with serve_in_background(films_dir) as address:
            listed = await asyncio.to_thread(_reflected, address)
        services, methods = listed
        assert services == sorted([*SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"])
        assert methods == sorted(method.full_name for method in METHODS)

    @pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
    async def test_every_call_is_implemented(self, films_dir: Path, method: object) -> None:
        """No call of the contract answers UNIMPLEMENTED: an empty request is answered or named as wrong."""
        with serve_in_background(films_dir) as address:
            async with connected(address) as client:
                try:
                    answer = await empty_call(client, method)
                except grpc.aio.AioRpcError as error:
                    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT  # noqa: PT017  # either is right
                else:
                    GetMessageClass(method.output_type).FromString(answer)

    async def test_a_call_that_is_not_in_the_contract_is_unimplemented(self, films_dir: Path) -> None:
        """A method that nobody has is UNIMPLEMENTED."""
        with serve_in_background(films_dir) as address:
            async with connected(address) as client:
                call = client.channel.unary_unary("/kindred.v1.RecommendationService/Nothing")
                assert (await failure_of(call(b"", timeout=BOUND))).code is grpc.StatusCode.UNIMPLEMENTED


def _reflected(address: str) -> tuple[list[str], list[str]]:
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = descriptor_pool.DescriptorPool(database)
        services = sorted(database.get_services())
        methods = [
            method.full_name
            for name in services
            if name.startswith("kindred.")
            for method in pool.FindServiceByName(name).methods
        ]
        return services, sorted(methods)


class TestStop:
    async def test_a_call_under_way_finishes_and_new_ones_are_refused(self, films_dir: Path) -> None:
        """While the server drains it takes no call, says NOT_SERVING to who watches, and answers the ones it has."""
        async with watched(films_dir) as (server, client, store):
            stub = health_pb2_grpc.HealthStub(client.channel)
            watching = stub.Watch(health_pb2.HealthCheckRequest(service=""), timeout=BOUND)
            assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
            store.hanging = asyncio.Event()
            under_way = client.recommendations.Recommend(recommendation.RecommendRequest(user_id="7"), timeout=BOUND)
            under_way = asyncio.ensure_future(under_way)
            await store.reached.wait()
            stopping = asyncio.create_task(server.stop(BOUND))
            assert (await watching.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            async with connected(server.address) as newcomer:
                refused = await failure_of(
                    newcomer.recommendations.Recommend(recommendation.RecommendRequest(user_id="7"), timeout=BOUND)
                )
            assert refused.code is grpc.StatusCode.UNAVAILABLE
            assert not under_way.done()
            assert not stopping.done()
            store.back()
            assert (await under_way).recommendations
            watching.cancel()
            await stopping

    async def test_what_does_not_finish_is_cut_off(self, films_dir: Path) -> None:
        """A call that outlasts the grace is ended, and the server stops."""
        async with watched(films_dir) as (server, client, store):
            store.hanging = asyncio.Event()
            request = recommendation.RecommendRequest(user_id="7")
            under_way = asyncio.ensure_future(client.recommendations.Recommend(request, timeout=BOUND))
            await store.reached.wait()
            await server.stop(0.05)
            failure = await failure_of(under_way)
            assert failure.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


ASK = """
import hashlib, sys, grpc
from pathlib import Path
from kindred.v1 import recommendation_service_pb2 as pb, catalog_service_pb2 as catalog, rating_service_pb2 as rating
from server.app import serve_in_background
requests = {
    "RecommendationService/Recommend": pb.RecommendRequest(
        user_id="7", limit=10, explanation=pb.EXPLANATION_SUMMARY, item_view=3,
        ratings=[pb.InlineRating(item_id="14", value=4)]),
    "RecommendationService/ListSimilarItems": pb.ListSimilarItemsRequest(item_id="50", limit=500),
    "RecommendationService/ListPopularItems": pb.ListPopularItemsRequest(limit=500),
    "CatalogService/GetItem": catalog.GetItemRequest(item_id="imdb:tt0076759"),
    "CatalogService/SearchItems": catalog.SearchItemsRequest(limit=100, item_view=3),
    "RatingService/ListRatings": rating.ListRatingsRequest(user_id="7"),
}
with serve_in_background(Path(sys.argv[1])) as address, grpc.insecure_channel(address) as channel:
    for path, request in requests.items():
        for _ in range(3):
            answer = channel.unary_unary(f"/kindred.v1.{path}")(request.SerializeToString(), timeout=30)
            print(path, hashlib.sha256(answer).hexdigest())
"""


class TestSameBytes:
    async def test_the_same_request_gives_the_same_bytes_in_every_process(self, tmp_path: Path) -> None:
        """Answers to the same request over the same data are the same to the last bit, after every restart."""
        films_dir = load_films(tmp_path / "data")
        await _add_rich_item(films_dir)
        answers = [await _ask(films_dir) for _ in range(3)]
        assert {path: len(different) for path, different in answers[0].items()} == {
            "RecommendationService/Recommend": 1,
            "RecommendationService/ListSimilarItems": 1,
            "RecommendationService/ListPopularItems": 1,
            "CatalogService/GetItem": 1,
            "CatalogService/SearchItems": 1,
            "RatingService/ListRatings": 1,
        }
        for answer in answers[1:]:
            assert answer == answers[0]


async def _add_rich_item(films_dir: Path) -> None:
    """Adds an item with as many map entries as there may be: their order is where bytes may differ."""
    rich = item_pb2.Item(item_id="rich", title="Rich")
    for number in range(64):
        rich.attributes[f"attribute {number}"].number_value = number
    for number in range(16):
        rich.external_ids[f"scheme{number}"] = str(number)
    with serve_in_background(films_dir) as address:
        async with connected(address) as client:
            await client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=[rich]), timeout=BOUND)


async def _ask(films_dir: Path) -> dict[str, set[str]]:
    """By call the hashes of the different answers that a new process gives."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ASK, str(films_dir), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    answers: dict[str, set[str]] = {}
    for line in output.decode().splitlines():
        path, digest = line.split()
        answers.setdefault(path, set()).add(digest)
    return answers
