"""Several servers and consumers over one Qdrant server and one log: the deployment that outgrew one machine."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from subprocess import Popen
from urllib.request import urlopen

import grpc
import numpy as np
import pytest
import yaml
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from cli.local_broker import LOCAL_SETTINGS
from cli.runtime import Running, running
from kindred.errors import SchemaError
from kindred.eventlog.broker import AppliedTo
from kindred.eventlog.reader import LogReader
from kindred.items import CatalogEntry
from kindred.settings import Settings
from kindred.stores.choice import open_store, shared_builder
from kindred.stores.port import SharedBuilder, UserWrite, point_id_of
from kindred.v1 import catalog_service_pb2 as catalog
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as recommendation
from kindred.v1.item_pb2 import Item
from kindred.v1.reaction_pb2 import REACTION_LIKE
from kindred.weighting import stored_vector
from loader.reindex import ReindexReport, reindex
from tests.support.films import ROMANCE, SPACE, USERS, fill_with_films
from tests.support.kafka_log import Raw, read_records, write_records
from tests.support.place import Place, on_qdrant
from tests.support.processes import free_port, process, serving
from tests.support.services import KAFKA_IMAGE, QDRANT_IMAGE, qdrant_process
from tests.support.system import BOUND, Client, connected, failure_of, fresh_names
from tests.support.tcp_proxy import wire_to

pytestmark = pytest.mark.timeout(120)


class Fleet:
    """Servers and consumers that run in this process, each with its own connections and caches."""

    def __init__(self, place: Place, kafka: str, stack: AsyncExitStack) -> None:
        self.settings = place.settings(
            kafka=kafka, port=0, **(LOCAL_SETTINGS | {"session_timeout": 3} | fresh_names()), recount_interval=0.2
        )
        self._stack = stack

    async def server(self, **changes: object) -> Client:
        """Starts a server, and gives a client of it alone."""
        settings = self.settings.model_copy(update=changes)
        parts = await self._stack.enter_async_context(running(settings, serve=True, consume=False))
        return await self._stack.enter_async_context(connected(parts.address))

    async def consumer(self, **changes: object) -> Running:
        """Starts a consumer that has joined."""
        settings = self.settings.model_copy(update=changes)
        parts = await self._stack.enter_async_context(running(settings, serve=False, consume=True))
        async with asyncio.timeout(BOUND):
            await parts.joined.wait()
        return parts


@asynccontextmanager
async def fleet(place: Place, kafka: str) -> AsyncIterator[Fleet]:
    """A fleet that is stopped in the end."""
    async with AsyncExitStack() as stack:
        yield Fleet(place, kafka, stack)


async def record(client: Client, user: str, *films: str) -> str:
    """Records five stars for films, and gives the token."""
    ratings = [rating.NewRating(item_id=film, value=5) for film in films]
    answer = await client.ratings.RecordRatings(
        rating.RecordRatingsRequest(user_id=user, ratings=ratings), timeout=BOUND
    )
    token: str = answer.freshness_token
    return token


async def recommended(client: Client, user: str, token: str = "") -> recommendation.RecommendResponse:
    """What is recommended to a user, at least as fresh as a token."""
    request = recommendation.RecommendRequest(user_id=user, at_least_as_fresh=token, limit=50)
    return await client.recommendations.Recommend(request, timeout=BOUND)


async def listed(client: Client, user: str) -> int:
    """How many ratings of a user are stored."""
    answer = await client.ratings.ListRatings(rating.ListRatingsRequest(user_id=user), timeout=BOUND)
    size: int = answer.total_size
    return size


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
            await _ready(one)
            await _ready(other)
            await write_records(kafka, names["topic"], [_event(user, "50") for user in users])
            await _all_applied(qdrant_films, users)
            # One of them goes without a word; the other one takes over its partitions.
            one.kill()
            later = [f"later-{number}" for number in range(200)]
            await write_records(kafka, names["topic"], [_event(user, "50") for user in later])
            await _all_applied(qdrant_films, later)
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
                await _ready(consumer)
                await write_records(kafka, names["topic"], [_event("early", "50")])
                await _all_applied(place, ["early"])
            users = [f"user-{number}" for number in range(50)]
            await write_records(kafka, names["topic"], [_event(user, "50") for user in users])
            await _says(consumer, "trying again")
            with qdrant_process(folder, store):
                await _all_applied(place, ["early", *users])
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


class TestReindex:
    @pytest.mark.parametrize("weighting", ["zscore", "default"])
    async def test_nobody_notices(  # noqa: C901, PLR0915  # three kinds of callers at once
        self, qdrant_films: Place, kafka: str, weighting: str
    ) -> None:
        """While a collection is written anew readers and writers meet no error, and nothing that they wrote is lost."""
        async with fleet(qdrant_films, kafka) as parts:
            servers = [await parts.server(), await parts.server()]
            await parts.consumer()
            await parts.consumer()
            done = asyncio.Event()
            written: dict[str, int] = {}

            async def read(client: Client) -> int:
                answers = 0
                while not done.is_set():
                    request = recommendation.RecommendRequest(
                        user_id="8", ratings=[recommendation.InlineRating(item_id="50", reaction=REACTION_LIKE)]
                    )
                    assert (await client.recommendations.Recommend(request, timeout=BOUND)).recommendations
                    answers += 1
                return answers

            async def write(client: Client, name: str) -> None:
                films = [*SPACE, *ROMANCE]
                number = 0
                while not done.is_set():
                    user, film = f"{name}-{number // len(films)}", films[number % len(films)]
                    token = await record(client, user, film)
                    written[user] = number % len(films) + 1
                    answer = await recommended(client, user, token)  # read your own write, whatever goes on
                    assert answer.as_of.stored_ratings == written[user]
                    number += 1

            async def add_items(client: Client) -> int:
                number = 0
                while not done.is_set():
                    item = Item(item_id=f"item-{number}", title=f"Item {number}")
                    await client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=[item]), timeout=BOUND)
                    await record(client, f"fan-{number}", item.item_id)
                    written[f"fan-{number}"] = 1
                    number += 1
                    await asyncio.sleep(0.02)
                return number

            async def rewrite() -> ReindexReport:
                try:
                    await asyncio.sleep(0.5)
                    return await reindex(parts.settings, weighting, 7.0)
                finally:
                    await asyncio.sleep(0.5)
                    done.set()

            async with asyncio.timeout(100):
                report, *_, items = await asyncio.gather(
                    rewrite(),
                    *(read(client) for client in servers),
                    *(write(client, f"writer-{place}") for place, client in enumerate(servers)),
                    add_items(servers[0]),
                )
            assert report.users >= len(USERS)
            store = await qdrant_films.open()
            assert store.metadata.weighting.name == weighting
            assert {f"item-{number}" for number in range(items)} <= {each.item.item_id for each in await store.items()}
            async with asyncio.timeout(BOUND):
                while True:
                    users = await store.users([point_id_of(user) for user in written])
                    counts = {
                        name: user.profile.rating_count if user else 0
                        for name, user in zip(written, users, strict=True)
                    }
                    if counts == written:
                        break
            await store.close()
            for client in servers:
                assert (await recommended(client, "7")).recipe == (
                    recommendation.RECIPE_DEFAULT if weighting == "default" else recommendation.RECIPE_TUTORIAL_RATINGS
                )
            assert await read_records(kafka, parts.settings.dead_letter_topic) == []

    async def test_it_needs_the_log(self, qdrant_films: Place) -> None:
        """Without Kafka nothing is begun, and the old collection stays."""
        settings = qdrant_films.settings(kafka=f"127.0.0.1:{free_port()}", kafka_timeout=1.0)
        before = await qdrant_films.open()
        with pytest.raises(Exception, match="no Kafka broker answers"):
            await reindex(settings, "zscore", 5.0)
        assert await before.is_current()
        await before.close()

    async def test_a_consumer_that_comes_later_reads_what_the_new_collection_lacks(
        self, qdrant_films: Place, kafka: str
    ) -> None:
        """Offsets that were committed for the old collection do not hide events from the new one."""
        async with fleet(qdrant_films, kafka) as parts:
            server = await parts.server(swap_interval=0.1)
            async with fleet(qdrant_films, kafka) as first:
                first.settings = parts.settings
                await first.consumer()
                await recommended(server, "early", await record(server, "early", "50"))
                # The copy is made, and swapped in only after more was applied to the old one.
                builder = await _copy_aside(parts.settings)
                await recommended(server, "late", await record(server, "late", "50"))
            with builder:
                builder.swap()
                store = await qdrant_films.open()
                [missing] = await store.users([point_id_of("late")])
                assert missing is None
                await parts.consumer()
                await _all_applied(qdrant_films, ["early", "late"])
                await store.close()
                await asyncio.sleep(0.5)  # the server follows before the old collection goes
                builder.drop_replaced()

    @pytest.mark.parametrize("kind", ["embedded", "qdrant"])
    async def test_a_collection_of_the_schema_before_is_written_anew(
        self, kind: str, own_films_dir: Path, qdrant_films: Place, kafka: str
    ) -> None:
        """A collection without counts of its own, as version 1 had it, has them afterwards, and opens."""
        place = Place({"data_dir": own_films_dir}) if kind == "embedded" else qdrant_films
        store = await place.open()
        counts, metadata = await store.counts(), store.metadata
        users = [user async for page in store.scan_users(100) for user in page]
        items = [CatalogEntry(entry.index, entry.item) for entry in await store.items()]
        await store.close()
        with place.builder(replace=True) as builder:
            builder.add_items(items)
            builder.add_users(UserWrite(user, stored_vector(metadata.weighting, user.profile)) for user in users)
            builder.commit(replace(metadata, schema_version=1))
        with pytest.raises(SchemaError, match="kindred reindex"):
            await place.open()
        await reindex(place.settings(kafka=kafka, **fresh_names()), "default", 5.0)
        store = await place.open()
        assert store.metadata.schema_version == 2
        assert all(np.array_equal(*pair) for pair in zip(await store.counts(), counts, strict=True))
        await store.close()

    async def test_an_embedded_collection_is_written_anew(self, own_films_dir: Path) -> None:
        """Over a data directory a copy with the new weighting takes the place of the old one."""
        settings = Settings(data_dir=own_films_dir)
        place = Place({"data_dir": own_films_dir})
        before = await place.open()
        users = sorted([user async for page in before.scan_users(5) for user in page], key=lambda user: user.user_id)
        items = await before.items()
        await before.close()
        report = await reindex(settings, "zscore", 5.0)
        assert (report.users, report.items, report.events) == (len(users), len(items), 0)
        after = await place.open()
        assert after.metadata.weighting.name == "zscore"
        again = sorted([user async for page in after.scan_users(5) for user in page], key=lambda user: user.user_id)
        assert (again, await after.items()) == (users, items)
        await after.close()


class TestLoad:
    async def test_a_replacing_load_is_followed(self, qdrant_films: Place, kafka: str) -> None:
        """Servers answer from a collection that was loaded anew, without a restart and without an error."""
        async with fleet(qdrant_films, kafka) as parts:
            client = await parts.server()
            assert await listed(client, "7") == len(USERS["7"])
            with shared_builder(qdrant_films.settings()) as builder:
                store = await qdrant_films.open()
                builder.add_items(await store.items())
                metadata = store.metadata
                await store.close()
                builder.seal(metadata)
                builder.swap()
                async with asyncio.timeout(BOUND):
                    while await listed(client, "7"):
                        pass
                builder.drop_replaced()
            answer = await recommended(client, "7")
            assert answer.strategy == recommendation.STRATEGY_POPULAR_FALLBACK


class TestDeployment:
    async def test_the_story_is_told_against_a_deployment(self, qdrant: str, kafka: str, ml100k: Path) -> None:
        """What docker-compose.yml starts, started by hand: two workers, two consumers, a load, and the demo's story."""
        port, names = free_port(), fresh_names()
        with on_qdrant(qdrant) as place, ExitStack() as stack:
            options = {**LOCAL_SETTINGS, "session_timeout": 6, "kafka": kafka, **names}
            environment = Place({**place.options, **options}).environment | {"PATH": os.environ["PATH"]}
            stack.enter_context(process("serve", "--workers", 2, "--port", port, **environment))
            consumers = [stack.enter_context(process("consume", **environment)) for _ in range(2)]
            for _ in range(2):  # a second load replaces the first while everything runs
                load = stack.enter_context(process("load", "--path", ml100k, "--replace", **environment))
                said, wrong = await asyncio.to_thread(load.communicate, timeout=BOUND)
                assert load.returncode == 0, wrong
                assert "943 users" in said
                async with serving(port):
                    pass
                for consumer in consumers:
                    await _ready(consumer)
                consumers = []
                demo = stack.enter_context(
                    process("demo", "--server", f"127.0.0.1:{port}", "--kafka", kafka, **environment)
                )
                told, wrong = await asyncio.to_thread(demo.communicate, timeout=60)
                assert demo.returncode == 0, wrong
                assert "1. Search the catalog" in told
                assert "an answer that includes all three" in told
                assert "Removed: 23 ratings, 4 attributes." in told
                assert "popular fallback" in told

    async def test_a_replacing_load_needs_the_consumers_log(self, qdrant_films: Place, ml100k: Path) -> None:
        """Without Kafka a load that would lose what consumers apply is refused, and goes on if there are none."""
        environment = qdrant_films.environment | {"PATH": os.environ["PATH"], "KINDRED_KAFKA_TIMEOUT": "1"}
        arguments = ("load", "--path", ml100k, "--replace", "--kafka", f"127.0.0.1:{free_port()}")
        with process(*arguments, **environment) as refused:
            _, wrong = await asyncio.to_thread(refused.communicate, timeout=BOUND)
        assert refused.returncode == 1
        assert "--without-log" in wrong
        assert "Traceback" not in wrong
        with process(*arguments, "--without-log", **environment) as loaded:
            said, wrong = await asyncio.to_thread(loaded.communicate, timeout=BOUND)
        assert (loaded.returncode, "943 users" in said) == (0, True), wrong

    def test_docker_compose_names_what_there_is(self) -> None:
        """Every command in docker-compose.yml is ours, every variable a setting, and the images are the tests'."""
        compose = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())
        services = compose["services"]
        assert services["qdrant"]["image"] == QDRANT_IMAGE
        assert services["kafka"]["image"] == KAFKA_IMAGE
        commands = {service["command"][0] for service in services.values() if service["image"] == "kindred"}
        assert commands == {"serve", "consume", "load"}
        variables = {name for service in services.values() for name in service.get("environment", {})}
        ours = {name.removeprefix("KINDRED_").lower() for name in variables if name.startswith("KINDRED_")}
        assert ours
        assert ours <= Settings.model_fields.keys()


async def _copy_aside(settings: Settings) -> SharedBuilder:
    """A copy of the collection that is sealed and not current yet, and says where the consumers were."""
    store = await open_store(settings)
    applied_to = AppliedTo(store.generation, store.metadata.included)
    async with LogReader(settings.broker(), settings.group, applied_to, max_records=10) as reader:
        included = await reader.positions()
    builder = shared_builder(settings)
    builder.add_items(await store.items())
    async for page in store.scan_users(100):
        builder.add_users(UserWrite(user, stored_vector(store.metadata.weighting, user.profile)) for user in page)
    builder.seal(replace(store.metadata, included=included))
    await store.close()
    return builder


def _event(user: str, film: str) -> Raw:
    value = json.dumps({"userId": user, "rated": {"itemId": film, "value": 5}})
    return Raw(user.encode(), value.encode())


async def _ready(consumer: Popen[str]) -> None:
    """Waits until a consumer process says that it has partitions."""
    assert consumer.stdout is not None
    async with asyncio.timeout(BOUND):
        while "ready" not in await asyncio.to_thread(consumer.stdout.readline):
            assert consumer.poll() is None


async def _says(process: Popen[str], text: str) -> None:
    """Waits until a process has logged a text."""
    assert process.stderr is not None
    async with asyncio.timeout(BOUND):
        while text not in await asyncio.to_thread(process.stderr.readline):
            assert process.poll() is None


async def _all_applied(place: Place, users: Sequence[str]) -> None:
    """Waits until each of some users has a rating."""
    store = await place.open()
    async with asyncio.timeout(BOUND):
        while not all(await store.users([point_id_of(user) for user in users])):  # noqa: ASYNC110  # others write
            await asyncio.sleep(0.05)
    await store.close()


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


def _read_metrics(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=BOUND) as response:
        text: str = response.read().decode()
        return text
