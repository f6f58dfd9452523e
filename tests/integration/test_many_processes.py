"""Several servers and consumers over one Qdrant server and one log: the deployment that outgrew one machine."""

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from urllib.request import urlopen

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from cli.local_broker import LOCAL_SETTINGS
from kindred.v1 import catalog_service_pb2 as catalog
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as recommendation
from kindred.v1.item_pb2 import Item
from tests.support.films import SPACE, USERS, fill_with_films
from tests.support.fleet import all_applied, fleet, listed, ready, recommended, record
from tests.support.kafka_log import Raw, read_records, write_records
from tests.support.place import Place
from tests.support.processes import free_port, process, serving
from tests.support.services import qdrant_process
from tests.support.system import BOUND, Client, connected, failure_of, fresh_names
from tests.support.tcp_proxy import wire_to

pytestmark = pytest.mark.timeout(120)


class TestOneAnswerEverywhere:
    async def test_a_write_through_one_server_is_read_through_another(self, qdrant_films: Place, kafka: str) -> None:
        """With the token of one server's write the other answers with it; a consumer applies it in between."""
        async with fleet(qdrant_films, kafka) as parts:
            one, other = await parts.server(), await parts.server()
            await parts.consumer()
            for count, film in enumerate(SPACE[:3], start=1):
                answer = await recommended(other, "newcomer", await record(one, "newcomer", film))
                assert answer.as_of.stored_ratings == count
                assert film not in {each.item.item_id for each in answer.recommendations}

    async def test_tokens_hold_across_two_servers_and_two_consumers(self, qdrant_films: Place, kafka: str) -> None:
        """What one server wrote the other one reads, and with an answer's token the next answer is not older."""
        async with fleet(qdrant_films, kafka) as parts:
            servers = [await parts.server(), await parts.server()]
            await parts.consumer()
            await parts.consumer()

            async def user(number: int) -> None:
                name = f"reader-{number}"
                for count, film in enumerate(SPACE[:4], start=1):
                    one, other = servers[(number + count) % 2], servers[(number + count + 1) % 2]
                    answer = await recommended(other, name, await record(one, name, film))
                    assert answer.as_of.stored_ratings == count
                    again = await recommended(one, name, answer.as_of.freshness_token)
                    assert again.as_of.stored_ratings == count

            await asyncio.gather(*(user(number) for number in range(30)))

    async def test_a_watcher_hears_of_what_another_process_applied(self, qdrant_films: Place, kafka: str) -> None:
        """A stream on one server gets a new list for a rating through another one, applied by a consumer elsewhere."""
        async with fleet(qdrant_films, kafka) as parts:
            one, other = await parts.server(), await parts.server()
            await parts.consumer()
            request = recommendation.RecommendRequest(user_id="listener", limit=50)
            call = one.recommendations.WatchRecommendations(recommendation.WatchRecommendationsRequest(request=request))
            async with asyncio.timeout(BOUND):
                await call.read()
                for film in SPACE[:3]:
                    token = await record(other, "listener", film)
                    answer = (await call.read()).response
                    assert answer.as_of.freshness_token == token
                    assert film not in {each.item.item_id for each in answer.recommendations}
            call.cancel()

    async def test_neighbors_that_change_are_seen_by_every_server(self, qdrant_films: Place, kafka: str) -> None:
        """A server with warm caches uses a neighbor's new rating in the first answer after it was applied."""
        async with fleet(qdrant_films, kafka) as parts:
            servers = [await parts.server(), await parts.server()]
            await parts.consumer()
            [missing] = [film for film in SPACE if film not in USERS["7"]]
            before = [await recommended(each, "7") for each in servers]
            support = {each.item.item_id: each.support for each in before[0].recommendations}[missing]
            assert before[0] == before[1]
            friend = await record(servers[0], "new-friend", *SPACE)
            await recommended(servers[0], "new-friend", friend)  # it is applied
            for each in servers:
                answer = await recommended(each, "7")
                assert {each.item.item_id: each.support for each in answer.recommendations}[missing] == support + 1

    async def test_forgetting_through_one_server_is_forgetting_everywhere(
        self, qdrant_films: Place, kafka: str
    ) -> None:
        """When ForgetUser of one server returns, the other knows the user no more, as query and as neighbor."""
        async with fleet(qdrant_films, kafka) as parts:
            one, other = await parts.server(), await parts.server()
            await parts.consumer()
            before = await recommended(other, "7")
            receipt = await one.ratings.ForgetUser(rating.ForgetUserRequest(user_id="ann"), timeout=BOUND)
            assert receipt.ratings_removed == len(USERS["ann"])
            assert await listed(other, "ann") == 0
            assert (await recommended(other, "7")).neighbors_used == before.neighbors_used - 1

    async def test_a_new_item_can_be_used_everywhere_at_once(self, qdrant_films: Place, kafka: str) -> None:
        """An item added through one server can be rated through another, and the consumer knows it, too."""
        async with fleet(qdrant_films, kafka) as parts:
            one, other = await parts.server(swap_interval=60), await parts.server(swap_interval=60)
            await parts.consumer(swap_interval=60)
            for number in range(5):
                item = Item(item_id=f"new-{number}", title=f"New {number}")
                await one.catalog.UpsertItems(catalog.UpsertItemsRequest(items=[item]), timeout=BOUND)
                got = await other.catalog.GetItem(catalog.GetItemRequest(item_id=item.item_id), timeout=BOUND)
                assert got.item.title == item.title
                answer = await recommended(other, "newcomer", await record(other, "newcomer", item.item_id))
                assert answer.as_of.stored_ratings == number + 1
            assert await read_records(kafka, parts.settings.dead_letter_topic) == []

    async def test_search_and_counts_follow(self, qdrant_films: Place, kafka: str) -> None:
        """Titles that one server changed, and what the consumer counted, reach the other server by themselves."""
        async with fleet(qdrant_films, kafka) as parts:
            one, other = await parts.server(), await parts.server()
            await parts.consumer()
            item = Item(item_id="50", title="La guerre")
            await one.catalog.UpsertItems(catalog.UpsertItemsRequest(items=[item]), timeout=BOUND)
            before = await other.catalog.GetItem(catalog.GetItemRequest(item_id="50"), timeout=BOUND)
            await recommended(one, "newcomer", await record(one, "newcomer", "50"))
            async with asyncio.timeout(BOUND):
                while True:
                    found = await other.catalog.SearchItems(catalog.SearchItemsRequest(query="guerre"), timeout=BOUND)
                    got = await other.catalog.GetItem(catalog.GetItemRequest(item_id="50"), timeout=BOUND)
                    if found.total_size == 1 and got.rated_count == before.rated_count + 1:
                        break
            assert got.liked_count == before.liked_count + 1


class TestConsumers:
    async def test_two_consumers_share_the_partitions(self, qdrant_films: Place, kafka: str) -> None:
        """With two members of the group every event is applied once, and each has a part of the partitions."""
        names = fresh_names()
        options = {**LOCAL_SETTINGS, "session_timeout": 6, "partitions": 8, "kafka": kafka, **names}
        environment = Place({**qdrant_films.options, **options}).environment
        users = [f"user-{number}" for number in range(200)]
        with process("consume", **environment) as one, process("consume", **environment) as other:
            await ready(one)
            await ready(other)
            await write_records(kafka, names["topic"], [_event(user, "50") for user in users])
            await all_applied(qdrant_films, users)
            # One of them goes without a word; the other one takes over its partitions.
            one.kill()
            later = [f"later-{number}" for number in range(200)]
            await write_records(kafka, names["topic"], [_event(user, "50") for user in later])
            await all_applied(qdrant_films, later)
            other.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(other.wait, BOUND) == 0

    async def test_a_log_that_goes_away_loses_nothing(self, qdrant_films: Place, kafka: str) -> None:
        """While Kafka is away reads answer and writes are UNAVAILABLE; when it is back the consumer goes on."""
        with wire_to(kafka) as wire:
            # The broker tells clients its own address: only the way to find it leads through the wire at first.
            async with fleet(qdrant_films, kafka) as parts:
                reads = await parts.server(kafka=f"127.0.0.1:{wire.port}", kafka_timeout=1.0)
                wire.refuse()
                request = rating.RecordRatingsRequest(
                    user_id="newcomer", ratings=[rating.NewRating(item_id="50", value=5)]
                )
                failure = await failure_of(reads.ratings.RecordRatings(request, timeout=3))
                assert failure.code is grpc.StatusCode.UNAVAILABLE
                assert RetryInfo in failure.details
                assert (await recommended(reads, "7")).recommendations
                wire.heal()
                await parts.consumer()
                async with asyncio.timeout(BOUND):
                    while True:
                        with suppress(grpc.aio.AioRpcError):
                            token = await record(reads, "newcomer", "50")
                            break
                assert (await recommended(reads, "newcomer", token)).as_of.stored_ratings == 1


class TestStoreAway:
    async def test_a_server_waits_for_its_store_and_is_ready_by_itself(self, kafka: str, tmp_path: Path) -> None:
        """Without Qdrant a server is not ready and says why; with it, loaded, it is; without it again, UNAVAILABLE."""
        port, store = free_port(), free_port()
        options = {"qdrant_url": f"http://127.0.0.1:{store}", "swap_interval": 0.1, "kafka": kafka, "port": port}
        environment = Place(options).environment
        folder = tmp_path / "qdrant"
        with process("serve", **environment) as server:
            async with connected(f"127.0.0.1:{port}") as client:
                await _health(client, HealthCheckResponse.NOT_SERVING)
                failure = await failure_of(_recommend(client))
                assert failure.code is grpc.StatusCode.UNAVAILABLE
                for _ in range(2):
                    with qdrant_process(folder, store):
                        if not (folder / "aliases.json").exists():
                            await _says(server, "kindred load")
                            await _health(client, HealthCheckResponse.NOT_SERVING)
                            fill_with_films(Place({"qdrant_url": options["qdrant_url"]}).builder())
                        await _health(client, HealthCheckResponse.SERVING)
                        assert (await _recommend(client)).recommendations
                    loop = asyncio.get_running_loop()
                    start = loop.time()
                    failure = await failure_of(_recommend(client, timeout=2))
                    assert loop.time() - start < 2
                    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
                    assert failure.details[RetryInfo].retry_delay.ToMilliseconds() > 0
                    await _health(client, HealthCheckResponse.NOT_SERVING)
            server.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(server.wait, BOUND) == 0
            said = server.stderr.read() if server.stderr else ""
        assert "the store is back" in said

    @pytest.mark.parametrize("command", ["serve", "consume"])
    async def test_a_process_that_waits_can_be_stopped(self, kafka: str, command: str) -> None:
        """SIGTERM ends a process whose store never came, with exit code 0."""
        place = Place({"qdrant_url": f"http://127.0.0.1:{free_port()}", "port": 0, "kafka": kafka})
        with process(command, **place.environment) as waiting:
            assert waiting.stderr is not None
            line = await asyncio.to_thread(waiting.stderr.readline)
            assert "waiting for the store" in line
            waiting.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(waiting.wait, 10) == 0

    async def test_a_consumer_goes_on_where_its_store_went_away(self, kafka: str, tmp_path: Path) -> None:
        """Events that come while Qdrant is away are applied when it is back, none is lost and none is a dead letter."""
        store, names = free_port(), fresh_names()
        options = {"qdrant_url": f"http://127.0.0.1:{store}", "kafka": kafka, "session_timeout": 6, **names}
        folder = tmp_path / "qdrant"
        place = Place({**LOCAL_SETTINGS, **options})
        with process("consume", **place.environment) as consumer:
            with qdrant_process(folder, store):
                fill_with_films(place.builder())
                await ready(consumer)
                await write_records(kafka, names["topic"], [_event("early", "50")])
                await all_applied(place, ["early"])
            users = [f"user-{number}" for number in range(50)]
            await write_records(kafka, names["topic"], [_event(user, "50") for user in users])
            await _says(consumer, "trying again")
            with qdrant_process(folder, store):
                await all_applied(place, ["early", *users])
        assert await read_records(kafka, names["dead_letter_topic"]) == []

    async def test_another_schema_is_refused(self, qdrant: str, qdrant_films: Place) -> None:
        """A collection of another schema ends the process with the command that mends it."""
        store = await qdrant_films.open()
        client = store._server.client()  # to damage it
        client.update_collection(store._users, metadata={"schema_version": 99})
        client.close()
        await store.close()
        for command in ("serve", "consume"):
            with process(command, **qdrant_films.environment, KINDRED_PORT=0) as refused:
                assert await asyncio.to_thread(refused.wait, BOUND) == 1
                said = refused.stderr.read() if refused.stderr else ""
            assert "schema version 99" in said
            assert "kindred load … --replace" in said


class TestWorkers:
    async def test_workers_share_a_port(self, qdrant_films: Place, kafka: str) -> None:
        """Connections are spread over the workers; one that is killed is replaced, and a signal ends them all."""
        port, metrics = free_port(), free_port()
        arguments = ("--workers", 2, "--port", port, "--kafka", kafka, "--metrics-port", metrics)
        with process("serve", *arguments, **qdrant_films.environment) as parent:
            async with serving(port) as client:
                assert (await recommended(client, "7")).recommendations
            workers = await _workers(parent.pid, 2)
            os.kill(killed := min(workers), signal.SIGKILL)
            async with asyncio.timeout(BOUND):
                while killed in (again := await _workers(parent.pid, 2)):
                    pass
            assert len(again & workers) == 1
            for _ in range(20):
                async with serving(port) as client:
                    assert (await recommended(client, "7")).recommendations
            answer = await asyncio.to_thread(_read_metrics, metrics)
            assert 'kindred_calls_total{code="OK",method="RecommendationService/Recommend"}' in answer
            parent.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(parent.wait, BOUND) == 0
        assert not any(os.path.exists(f"/proc/{pid}") for pid in again)  # noqa: ASYNC240, PTH110  # the kernel's own

    async def test_what_a_killed_worker_had_is_not_told_any_more(self, qdrant_films: Place, kafka: str) -> None:
        """The gauges are sums over the workers there are: one that was killed and replaced is not in them twice."""
        port, metrics = free_port(), free_port()
        arguments = ("--workers", 2, "--port", port, "--kafka", kafka, "--metrics-port", metrics)
        environment = {**qdrant_films.environment, "KINDRED_CACHE_BYTES": 1_000_000}
        with process("serve", *arguments, **environment) as parent:
            both = "kindred_profile_cache_capacity_bytes 2e+06"
            async with serving(port):
                await _tells(metrics, both)
            os.kill(killed := min(await _workers(parent.pid, 2)), signal.SIGKILL)
            await _tells(metrics, "kindred_profile_cache_capacity_bytes 1e+06")  # once it is forgotten
            await _tells(metrics, both)
            assert killed not in await _workers(parent.pid, 2)

    def test_workers_need_a_store_that_is_shared(self, own_films_dir: Path) -> None:
        """Several workers over an embedded store are refused, with the reason and the setting."""
        with process("serve", "--workers", 2, "--data-dir", own_films_dir, "--port", 0) as refused:
            assert refused.wait(BOUND) == 1
            said = refused.stderr.read() if refused.stderr else ""
        assert "one process at a time" in said
        assert "KINDRED_QDRANT_URL" in said

    async def test_ctrl_c_replaces_no_worker(self, qdrant_films: Place, kafka: str) -> None:
        """Ctrl-C, which reaches parent and workers alike, ends them without a word of workers that ended."""
        port = free_port()
        with process("serve", "--workers", 2, "--port", port, "--kafka", kafka, **qdrant_films.environment) as parent:
            async with serving(port):
                workers = await _workers(parent.pid, 2)
            for pid in (*workers, parent.pid):
                os.kill(pid, signal.SIGINT)
            assert await asyncio.to_thread(parent.wait, BOUND) == 0
            assert "starting another" not in (parent.stderr.read() if parent.stderr else "")

    async def test_a_port_that_is_taken_is_told_so(self, qdrant_films: Place, kafka: str) -> None:
        """Workers do not join a port that another server has, even one that shares it."""
        port = free_port()
        with process("serve", "--workers", 2, "--port", port, **qdrant_films.environment):
            async with serving(port):
                with process("serve", "--workers", 2, "--port", port, **qdrant_films.environment) as second:
                    assert await asyncio.to_thread(second.wait, BOUND) == 1
                    said = second.stderr.read() if second.stderr else ""
        assert f"cannot listen on 127.0.0.1:{port}" in said


def _event(user: str, film: str) -> Raw:
    value = json.dumps({"userId": user, "rated": {"itemId": film, "value": 5}})
    return Raw(user.encode(), value.encode())


async def _says(process: Popen[str], text: str) -> None:
    """Waits until a process has logged a text."""
    assert process.stderr is not None
    async with asyncio.timeout(BOUND):
        while text not in await asyncio.to_thread(process.stderr.readline):
            assert process.poll() is None


async def _health(client: Client, wanted: int) -> None:
    """Waits until a server's health is what is wanted."""
    check = HealthStub(client.channel).Check
    async with asyncio.timeout(BOUND):
        while True:
            with suppress(grpc.aio.AioRpcError):
                if (await check(HealthCheckRequest(), wait_for_ready=True, timeout=BOUND)).status == wanted:
                    return
            await asyncio.sleep(0.02)


async def _recommend(client: Client, timeout: float = BOUND) -> recommendation.RecommendResponse:
    return await client.recommendations.Recommend(recommendation.RecommendRequest(user_id="7"), timeout=timeout)


async def _workers(parent: int, count: int) -> set[int]:
    """The ids of a parent's workers, once there are so many: children of the process that forks them."""
    async with asyncio.timeout(BOUND):
        while True:
            forked = {grandchild for child in _children(parent) for grandchild in _children(child)}
            if len(forked) == count:
                return forked
            await asyncio.sleep(0.05)


def _children(pid: int) -> set[int]:
    try:
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except FileNotFoundError:
        return set()


async def _tells(port: int, line: str) -> None:
    """Waits until the metrics have a line."""
    async with asyncio.timeout(BOUND):
        while line not in (await asyncio.to_thread(_read_metrics, port)).splitlines():
            pass


def _read_metrics(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=BOUND) as response:
        text: str = response.read().decode()
        return text
