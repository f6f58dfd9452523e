import asyncio
import gc
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo

from cli.local_broker import local_broker
from cli.runtime import running
from kindred.backend import Backend, Current
from kindred.errors import OutOfTimeError, UnavailableError
from kindred.eventlog.broker import Broker, Message
from kindred.eventlog.consumer import EventConsumer
from kindred.eventlog.producer import EventProducer
from kindred.settings import Settings
from kindred.v1 import catalog_service_pb2 as catalog
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as recommendation
from kindred.v1.item_pb2 import Item
from server.app import KindredServer
from tests.support.system import BOUND, Client, connected, failure_of
from tests.support.watched_store import watched_backend

pytestmark = pytest.mark.timeout(60)

SEVEN = recommendation.RecommendRequest(user_id="7")
ONE_RATING = rating.RecordRatingsRequest(user_id="newcomer", ratings=[rating.NewRating(item_id="50", value=4)])


@contextmanager
def taken_port() -> Iterator[int]:
    """A port at which nobody answers, and that nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a broker may still come here
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    """Our own threads end with a test's system, and the sockets that kafka-python drops are collected here."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("kindred-"):
            thread.join(BOUND)
            assert not thread.is_alive()
    gc.collect()


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port at which nobody answers."""
    with taken_port() as port:
        yield port


class TestBrokerAway:
    @pytest.mark.parametrize(
        ("method", "request_"),
        [
            ("RecordRatings", ONE_RATING),
            ("RetractRatings", rating.RetractRatingsRequest(user_id="7", item_ids=["50"])),
            ("ForgetUser", rating.ForgetUserRequest(user_id="7")),
            ("SetUserAttributes", rating.SetUserAttributesRequest(user_id="7")),
        ],
    )
    async def test_writing_is_unavailable_within_the_deadline(
        self, films_dir: Path, dead_port: int, method: str, request_: object
    ) -> None:
        """Without a broker every write is UNAVAILABLE with a time to retry after, before the caller's deadline."""
        settings = Settings(data_dir=films_dir, port=0, kafka=f"127.0.0.1:{dead_port}", kafka_timeout=2)
        async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
            loop = asyncio.get_running_loop()
            start = loop.time()
            failure = await failure_of(getattr(client.ratings, method)(request_, timeout=1))
            assert loop.time() - start < 1
            assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "LOG_UNAVAILABLE")
            assert failure.details[RetryInfo].retry_delay.ToMilliseconds() > 0

    async def test_everything_else_works(self, films_dir: Path, dead_port: int) -> None:
        """Without a broker recommendations, lists and the catalog are as always, also while writes fail."""
        settings = Settings(data_dir=films_dir, port=0, kafka=f"127.0.0.1:{dead_port}", kafka_timeout=2)
        async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
            writes = [asyncio.ensure_future(client.ratings.RecordRatings(ONE_RATING, timeout=2)) for _ in range(20)]
            answer = await client.recommendations.Recommend(SEVEN, timeout=1)
            assert answer.strategy != recommendation.STRATEGY_POPULAR_FALLBACK
            listed = await client.ratings.ListRatings(rating.ListRatingsRequest(user_id="7"), timeout=1)
            assert listed.total_size == 7
            await client.catalog.GetItem(catalog.GetItemRequest(item_id="50"), timeout=1)
            failures = await asyncio.gather(*map(failure_of, writes))
            assert {failure.code for failure in failures} == {grpc.StatusCode.UNAVAILABLE}

    async def test_a_bad_request_is_told_so_without_a_broker(self, films_dir: Path, dead_port: int) -> None:
        """What is wrong in itself is INVALID_ARGUMENT, broker or not."""
        settings = Settings(data_dir=films_dir, port=0, kafka=f"127.0.0.1:{dead_port}", kafka_timeout=2)
        async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
            failure = await failure_of(client.ratings.RecordRatings(rating.RecordRatingsRequest(), timeout=BOUND))
            assert failure.code is grpc.StatusCode.INVALID_ARGUMENT

    async def test_a_broker_that_comes_later_is_used(self, films_dir: Path, dead_port: int) -> None:
        """A server that started before its broker records as soon as the broker is there."""
        settings = Settings(data_dir=films_dir, port=0, kafka=f"127.0.0.1:{dead_port}", kafka_timeout=1)
        async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
            assert (await failure_of(client.ratings.RecordRatings(ONE_RATING, timeout=2))).reason == "LOG_UNAVAILABLE"
            with local_broker(dead_port):
                await until_recorded(client)

    async def test_a_broker_that_goes_and_comes_back_is_used_again(self, films_dir: Path, dead_port: int) -> None:
        """While a broker is gone writes are UNAVAILABLE within their deadline; when it is back they work."""
        settings = Settings(data_dir=films_dir, port=0, kafka=f"127.0.0.1:{dead_port}", kafka_timeout=1)
        async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
            with local_broker(dead_port):
                await until_recorded(client)
            failure = await failure_of(client.ratings.RecordRatings(ONE_RATING, timeout=2))
            assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "LOG_UNAVAILABLE")
            with local_broker(dead_port):
                await until_recorded(client)

    async def test_a_server_without_a_log_reads_only(self, films_dir: Path) -> None:
        """A server that was started without a log refuses writes at once, and says why."""
        backend = await Backend.open(Settings(data_dir=films_dir))
        server = KindredServer("127.0.0.1", 0)
        await server.start()
        await server.open(Current(backend))
        async with connected(server.address) as client:
            failure = await failure_of(client.ratings.RecordRatings(ONE_RATING, timeout=BOUND))
            assert failure.code is grpc.StatusCode.UNAVAILABLE
            assert "reads only" in failure.message
            assert await client.recommendations.Recommend(SEVEN, timeout=BOUND)
        await server.stop(0)
        await backend.store.close()

    async def test_forgetting_without_a_consumer_runs_out_of_time(self, films_dir: Path, kafka: str) -> None:
        """Where nobody applies events, forgetting is recorded, and the caller is told that it is not done yet."""
        settings = Settings(data_dir=films_dir, port=0, kafka=kafka, topic="forget-nobody-applies")
        async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
            await until_recorded(client)
            failure = await failure_of(client.ratings.ForgetUser(rating.ForgetUserRequest(user_id="7"), timeout=1))
            assert (failure.code, failure.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "OUT_OF_TIME")
            assert "recorded" in failure.message


async def until_recorded(client: Client) -> None:
    """Records until it succeeds; it must within the bound, and with nothing but UNAVAILABLE before."""
    async with asyncio.timeout(BOUND):
        while True:
            try:
                await client.ratings.RecordRatings(ONE_RATING, timeout=2)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017  # anything else is a defect
            else:
                return


class TestStore:
    @pytest.fixture
    async def parts(self, films_dir: Path) -> AsyncIterator[SimpleNamespace]:
        """A server over a store that can be told to fail and to hang."""
        async with watched_backend(Settings(data_dir=films_dir)) as (backend, store):
            server = KindredServer("127.0.0.1", 0, max_queue_seconds=BOUND)  # overload is another matter
            await server.start()
            await server.open(Current(backend))
            async with connected(server.address) as client:
                yield SimpleNamespace(store=store, client=client)
            store.back()
            await server.stop(0)

    @pytest.mark.parametrize("method", ["users", "search"])
    async def test_a_store_that_is_away_is_unavailable(self, parts: SimpleNamespace, method: str) -> None:
        """A failing engine is UNAVAILABLE, to retry; when it is back the same call works."""
        parts.store.away(method)
        failure = await failure_of(parts.client.recommendations.Recommend(SEVEN, timeout=BOUND))
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        parts.store.back()
        assert (await parts.client.recommendations.Recommend(SEVEN, timeout=BOUND)).recommendations

    async def test_a_write_that_the_store_refuses_changes_nothing(self, parts: SimpleNamespace) -> None:
        """Items that could not be written are not in the catalog of the server either."""
        parts.store.away("insert_items", "replace_items")
        for item in (Item(item_id="new", title="New"), Item(item_id="50", title="New")):
            failure = await failure_of(
                parts.client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=[item]), timeout=BOUND)
            )
            assert failure.code is grpc.StatusCode.UNAVAILABLE
        found = await parts.client.catalog.SearchItems(catalog.SearchItemsRequest(query="new"), timeout=BOUND)
        assert found.total_size == 0

    @pytest.mark.parametrize(
        ("raised", "code", "reason"),
        [
            (ValueError("password=hunter2"), grpc.StatusCode.INTERNAL, "INTERNAL"),
            (AssertionError("hunter2"), grpc.StatusCode.INTERNAL, "INTERNAL"),
            (RecursionError("hunter2"), grpc.StatusCode.INTERNAL, "INTERNAL"),
            (UnavailableError("store", "away"), grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"),
            (OutOfTimeError("late"), grpc.StatusCode.DEADLINE_EXCEEDED, "OUT_OF_TIME"),
        ],
        ids=lambda value: type(value).__name__,
    )
    async def test_what_is_raised_becomes_its_status(
        self,
        parts: SimpleNamespace,
        capfd: pytest.CaptureFixture[str],
        raised: Exception,
        code: grpc.StatusCode,
        reason: str,
    ) -> None:
        """A defect is INTERNAL without a word of its text, which the log has; our own errors are what they are."""
        parts.store.failing["users"] = raised
        failure = await failure_of(parts.client.recommendations.Recommend(SEVEN, timeout=BOUND))
        assert (failure.code, failure.reason) == (code, reason)
        assert ErrorInfo in failure.details
        assert "hunter2" not in failure.message
        logged = "".join(capfd.readouterr())
        assert ("hunter2" in logged) == (code is grpc.StatusCode.INTERNAL)

    async def test_a_deadline_ends_a_call_and_what_it_does(self, parts: SimpleNamespace) -> None:
        """A call whose store hangs ends at its deadline, and the server stops working on it."""
        parts.store.hanging = asyncio.Event()
        loop = asyncio.get_running_loop()
        before = len(asyncio.all_tasks())
        start = loop.time()
        failure = await failure_of(parts.client.recommendations.Recommend(SEVEN, timeout=0.2))
        assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert loop.time() - start < 5
        async with asyncio.timeout(BOUND):
            # The server hears of the deadline by itself, and nothing tells when its task ends.
            while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        parts.store.back()
        async with asyncio.timeout(BOUND):
            await parts.client.recommendations.Recommend(SEVEN, timeout=BOUND)
        assert parts.store.calls == {"users": 3, "search": 1}  # the one cut off, the user's, the neighbors'

    async def test_cancelled_calls_leave_nothing_behind(self, parts: SimpleNamespace) -> None:
        """Hundreds of calls that their callers give up do not stay on the server."""
        parts.store.hanging = asyncio.Event()
        before = len(asyncio.all_tasks())
        calls = [parts.client.recommendations.Recommend(SEVEN, timeout=BOUND) for _ in range(300)]
        waiting = [asyncio.ensure_future(call) for call in calls]
        await parts.store.until("users", 300)
        for call in calls:
            call.cancel()
        assert all(
            isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*waiting, return_exceptions=True)
        )
        parts.store.back()
        assert (await parts.client.recommendations.Recommend(SEVEN, timeout=BOUND)).recommendations
        assert len(asyncio.all_tasks()) <= before + 5


def resources() -> tuple[int, int]:
    """How many threads and open descriptors this process has."""
    return threading.active_count(), len([*Path("/proc/self/fd").iterdir()])


class TestLongOutage:
    async def test_stopping_does_not_wait_for_a_broker_that_is_away(self, own_films_dir: Path, dead_port: int) -> None:
        """A system whose broker never came stops within a few seconds."""
        settings = Settings(data_dir=own_films_dir, port=0, kafka=f"127.0.0.1:{dead_port}", kafka_timeout=2)
        async with asyncio.timeout(15):
            async with running(settings, serve=True, consume=True) as parts, connected(parts.address) as client:
                failure = await failure_of(client.ratings.RecordRatings(ONE_RATING, timeout=0.5))
                assert failure.code is grpc.StatusCode.UNAVAILABLE

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors where Linux lists them")
    async def test_trying_again_piles_nothing_up(self, dead_port: int) -> None:
        """However often a broker that is away is tried, no thread and no descriptor stays behind."""
        broker = Broker(f"127.0.0.1:{dead_port}", timeout=0.2)

        async def try_both() -> None:
            producer = EventProducer(broker)
            with pytest.raises(UnavailableError):
                await producer.send("topic", [Message(b"7", b"", {})], 1)
            await producer.close()
            with pytest.raises(UnavailableError):
                async with EventConsumer(broker, "group", session_timeout=6, max_records=1, fetch_wait=0.1):
                    pass

        await try_both()
        threads, descriptors = resources()
        for _ in range(5):
            await try_both()
        gc.collect()
        assert resources()[0] <= threads + 2
        assert resources()[1] <= descriptors + 4
