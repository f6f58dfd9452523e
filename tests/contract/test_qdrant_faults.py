"""What becomes of calls when the Qdrant server, or the way to it, goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from uuid import uuid4

import grpc
import pytest
import trustme
from qdrant_client.models import CreateAlias, CreateAliasOperation

from kindred.deadline import deadline_in
from kindred.errors import KindredError, PreconditionError, SchemaError, UnavailableError
from kindred.stores.port import Store, StoredUser, point_id_of
from kindred.stores.qdrant.builder import QdrantBuilder
from kindred.stores.qdrant.collections import Layout
from kindred.stores.qdrant.server import QdrantServer
from kindred.stores.qdrant.store import QdrantStore
from kindred.user_filter import UserFilter
from tests.support.qdrant import QdrantBackend
from tests.support.qdrant_over_edge import RunningQdrant, qdrant_over_edge
from tests.support.stores import METADATA, build, entry, found, profile_of, sparse, write
from tests.support.tcp_proxy import Wire, wire_to

CALLS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "search": lambda store: store.search([sparse({1: 1.0})], 5),
    "search many": lambda store: store.search([sparse({1: 1.0})] * 2, 5),
    "search filtered": lambda store: store.search([sparse({1: 1.0})], 5, [UserFilter(min_ratings=1)]),
    "count users": lambda store: store.count_users(),
    "has attribute": lambda store: store.has_attribute("age"),
    "some attribute names": lambda store: store.some_attribute_names(),
    "users": lambda store: store.users([7]),
    "write_users": lambda store: store.write_users([write("7", profile_of({2: 5.0}), 2)]),
    "items": lambda store: store.items(),
    "insert_items": lambda store: store.insert_items([entry(9)]),
    "replace_items": lambda store: store.replace_items([entry(1, "new")]),
    "counts": lambda store: store.counts(),
    "changed_items": lambda store: store.changed_items(0),
    "is_current": lambda store: store.is_current(),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningQdrant]:
    """A server for the module."""
    with qdrant_over_edge(tmp_path_factory.mktemp("qdrant")) as running:
        yield running


@pytest.fixture
def qdrant(server: RunningQdrant) -> Iterator[RunningQdrant]:
    """The server, with nothing wrong before and after a test."""
    server.faults.calls.clear()
    yield server
    server.faults.heal()
    server.faults.version, server.faults.api_key = "1.17.1", ""


@pytest.fixture
def backend(qdrant: RunningQdrant) -> QdrantBackend:
    """A collection of one test."""
    return _loaded(qdrant.url)


@pytest.fixture(scope="module")
def shared(server: RunningQdrant) -> QdrantBackend:
    """A collection of which it does not matter what other tests have done to it."""
    return _loaded(server.url)


def _loaded(url: str) -> QdrantBackend:
    backend = QdrantBackend(url, f"films-{uuid4().hex}", timeout=5.0)
    build(backend, [write("7", profile_of({1: 5.0}))], [entry(1, "one")])
    return backend


@pytest.fixture
async def store(backend: QdrantBackend) -> AsyncIterator[QdrantStore]:
    """The open collection."""
    store = await backend.open()
    yield store
    await store.close()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
class TestEveryCall:
    @pytest.fixture
    async def store(self, qdrant: RunningQdrant, shared: QdrantBackend) -> AsyncIterator[QdrantStore]:
        """The open collection."""
        store = await shared.open()
        yield store
        await store.close()

    async def test_a_short_outage_is_not_noticed(
        self, qdrant: RunningQdrant, store: QdrantStore, call: Callable[[Store], Awaitable[object]]
    ) -> None:
        """A call that is UNAVAILABLE twice is made again, and answers as if nothing had been."""
        qdrant.faults.code, qdrant.faults.failures = grpc.StatusCode.UNAVAILABLE, 2
        await call(store)
        assert not qdrant.faults.failures

    async def test_an_outage_is_told_so(
        self, qdrant: RunningQdrant, store: QdrantStore, call: Callable[[Store], Awaitable[object]]
    ) -> None:
        """A call that is UNAVAILABLE again and again gives up soon, says nothing of the server's, and works later."""
        qdrant.faults.code = grpc.StatusCode.UNAVAILABLE
        start = monotonic()
        with pytest.raises(UnavailableError) as failed:
            await call(store)
        assert monotonic() - start < 3
        assert (failed.value.service, str(failed.value)) == ("store", "Qdrant does not answer")
        qdrant.faults.heal()
        await call(store)

    @pytest.mark.parametrize("hangs", [True, False])
    async def test_the_callers_deadline_holds(
        self, qdrant: RunningQdrant, store: QdrantStore, call: Callable[[Store], Awaitable[object]], *, hangs: bool
    ) -> None:
        """A server that hangs or is slow costs no more than the deadline of the work under way."""
        qdrant.faults.hanging, qdrant.faults.delay = hangs, 1.0
        start = monotonic()
        with deadline_in(0.2), pytest.raises(UnavailableError, match="in time"):
            await call(store)
        assert monotonic() - start < 0.9
        qdrant.faults.heal()
        await call(store)

    async def test_a_slow_answer_in_time_is_an_answer(
        self, qdrant: RunningQdrant, store: QdrantStore, call: Callable[[Store], Awaitable[object]]
    ) -> None:
        """A server that is slow within the time is waited for."""
        qdrant.faults.delay = 0.05
        await call(store)

    @pytest.mark.parametrize(
        "code",
        [
            grpc.StatusCode.INTERNAL,
            grpc.StatusCode.ABORTED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.UNKNOWN,
            grpc.StatusCode.NOT_FOUND,
        ],
        ids=lambda code: code.name,
    )
    async def test_what_may_pass_is_unavailable(
        self,
        qdrant: RunningQdrant,
        store: QdrantStore,
        call: Callable[[Store], Awaitable[object]],
        code: grpc.StatusCode,
    ) -> None:
        """Failures of the server's are UNAVAILABLE to our callers, without a word of theirs."""
        qdrant.faults.code = code
        with pytest.raises(UnavailableError) as failed:
            await call(store)
        assert "secret" not in str(failed.value)


class TestWrites:
    @pytest.mark.parametrize("user", ["7", "new"])
    async def test_a_write_whose_answer_was_lost_is_known_to_be_ours(
        self, qdrant: RunningQdrant, store: QdrantStore, user: str
    ) -> None:
        """A write that happened, and whose first answer was a failure, is made again, changes nothing, and is ours."""
        [old] = await store.users([point_id_of(user)])
        qdrant.faults.code, qdrant.faults.failures = grpc.StatusCode.UNAVAILABLE, 1
        qdrant.faults.after, qdrant.faults.methods = True, ("UpdateBatch",)
        new = write(user, profile_of({3: 4.0}), old.revision + 1 if old else 1)
        assert await store.write_users([new]) == [True]
        assert qdrant.faults.calls.count("UpdateBatch") == 2
        assert await store.users([point_id_of(user)]) == [new.user]

    async def test_a_write_that_cannot_be_read_back_is_an_error(
        self, qdrant: RunningQdrant, store: QdrantStore
    ) -> None:
        """If nobody can tell what became of a write, it fails; making it again finds that it is there."""
        qdrant.faults.code, qdrant.faults.methods = grpc.StatusCode.UNAVAILABLE, ("Get",)
        new = write("7", profile_of({3: 4.0}), 2)
        with pytest.raises(UnavailableError):
            await store.write_users([new])
        qdrant.faults.heal()
        assert await store.write_users([new]) == [False]
        assert await store.users([7]) == [new.user]

    async def test_a_server_that_is_too_busy_to_answer_is_waited_for(
        self, qdrant: RunningQdrant, backend: QdrantBackend
    ) -> None:
        """While it optimizes a load a server may not say in time whether it still does: it is asked again."""
        with backend.builder(replace=True) as builder:
            builder.add_users([write("8", profile_of({1: 5.0}))])
            qdrant.faults.code, qdrant.faults.failures = grpc.StatusCode.DEADLINE_EXCEEDED, 3
            qdrant.faults.methods = ("Get",)
            builder.commit(METADATA)
        assert not qdrant.faults.failures
        store = await backend.open()
        assert await found(store, {1: 1.0}) == ["8"]
        await store.close()

    async def test_a_failed_upload_leaves_nothing(self, qdrant: RunningQdrant, backend: QdrantBackend) -> None:
        """A load whose server fails ends with the error, and the old collection is as it was."""
        with pytest.raises(UnavailableError), backend.builder(replace=True) as builder:  # noqa: PT012  # uploads overlap
            qdrant.faults.code, qdrant.faults.methods = grpc.StatusCode.INTERNAL, ("Upsert",)
            for user in range(20):
                builder.add_users([write(f"user-{user}", profile_of({1: 5.0}))])
        qdrant.faults.heal()
        store = await backend.open()
        assert await found(store, {1: 1.0}) == ["7"]
        await store.close()


class TestSwap:
    @pytest.mark.parametrize("after", [True, False])
    async def test_a_swap_whose_answer_is_lost_drops_nothing(
        self, qdrant: RunningQdrant, backend: QdrantBackend, *, after: bool
    ) -> None:
        """Whether the alias was moved or not before the connection broke, a whole collection is the current one."""
        faults = qdrant.faults
        with suppress(UnavailableError), backend.builder(replace=True) as builder:
            builder.add_users([write("new", profile_of({1: 5.0}))])
            builder.seal(METADATA)
            faults.code, faults.methods, faults.after = grpc.StatusCode.UNAVAILABLE, ("UpdateAliases",), after
            builder.swap()
        faults.heal()
        store = await backend.open()
        assert await found(store, {1: 1.0}) == ["new" if after else "7"]
        await store.close()

    async def test_of_two_builds_the_later_swap_is_refused(self, backend: QdrantBackend) -> None:
        """A build that was overtaken by another one fails, and what it would have replaced stays."""
        overtaken = backend.builder(replace=True)
        overtaken.seal(METADATA)
        build(backend, [write("first", profile_of({1: 5.0}))], replace=True)
        with pytest.raises(PreconditionError, match="another build") as refused:
            overtaken.swap()
        overtaken.__exit__()
        assert refused.value.kind == "SWAPPED"
        store = await backend.open()
        assert await found(store, {1: 1.0}) == ["first"]
        await store.close()

    async def test_a_replaced_collection_that_cannot_be_dropped_is_left(
        self, qdrant: RunningQdrant, backend: QdrantBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A load whose last call fails has loaded; a later build drops what it left."""
        with backend.builder(replace=True) as builder:
            builder.add_users([write("new", profile_of({1: 5.0}))])
            qdrant.faults.code, qdrant.faults.methods = grpc.StatusCode.DEADLINE_EXCEEDED, ("Delete",)
            builder.commit(METADATA)
        qdrant.faults.heal()
        monkeypatch.setattr("kindred.stores.qdrant.collections._DEAD_AFTER", -1)
        client = backend.server.client()
        before = [each.name for each in client.get_collections().collections if each.name.startswith(backend.name)]
        with backend.builder(replace=True):
            pass
        left = [each.name for each in client.get_collections().collections if each.name.startswith(backend.name)]
        client.close()
        assert (len(before), len(left)) == (4, 2)

    @pytest.mark.parametrize("alias", [True, False])
    async def test_a_name_that_is_somebody_elses_is_refused(self, backend: QdrantBackend, *, alias: bool) -> None:
        """An alias of another collection, or a collection of this name, is refused before anything is uploaded."""
        client = backend.server.client()
        taken = f"other-{uuid4().hex}"
        client.create_collection(f"{taken}-real" if alias else taken, vectors_config={})
        if alias:
            operation = CreateAliasOperation(
                create_alias=CreateAlias(collection_name=f"{taken}-real", alias_name=taken)
            )
            client.update_collection_aliases([operation])
        client.close()
        with pytest.raises(PreconditionError, match="choose another --collection"):
            QdrantBuilder(backend.server, taken, Layout(), replace=True)


class TestClosing:
    async def test_calls_under_way_on_a_store_that_is_closed_are_unavailable(
        self, qdrant: RunningQdrant, store: QdrantStore
    ) -> None:
        """Who still uses a store that was replaced and closed is told so, and is not cancelled itself."""
        qdrant.faults.hanging = True
        calls = [asyncio.ensure_future(store.users([7])) for _ in range(3)]
        async with asyncio.timeout(5):
            while qdrant.faults.calls.count("Get") < 4:  # noqa: ASYNC110  # one is of opening
                await asyncio.sleep(0.01)
        await store.close()
        for call in calls:
            with pytest.raises(UnavailableError, match="closed"):
                await call
        with pytest.raises(UnavailableError, match="closed"):
            await store.users([7])

    async def test_a_call_that_its_caller_gives_up_is_cancelled(
        self, qdrant: RunningQdrant, store: QdrantStore
    ) -> None:
        """Cancelling who waits for a call cancels them, as everywhere."""
        qdrant.faults.hanging = True
        call = asyncio.ensure_future(store.users([7]))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    async def test_what_the_server_refuses_is_told_without_its_words(
        self, qdrant: RunningQdrant, store: QdrantStore, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """A refusal ends with its code; what Qdrant says is in the log of this process only."""
        qdrant.faults.code = grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(PreconditionError, match="INVALID_ARGUMENT") as refused:
            await store.users([7])
        assert "secret" not in str(refused.value)
        assert "secret details" in "".join(capfd.readouterr())


class TestWire:
    @pytest.fixture
    async def wired(self, qdrant: RunningQdrant, backend: QdrantBackend) -> AsyncIterator[tuple[Wire, QdrantStore]]:
        """A store behind a wire that can be cut."""
        with wire_to(qdrant.url.rpartition("/")[2]) as wire:
            server = QdrantServer(f"http://127.0.0.1:{wire.port}", timeout=2.0)
            store = await QdrantStore.open(server, backend.name)
            yield wire, store
            await store.close()

    async def test_a_refused_connection_is_unavailable_and_comes_back(self, wired: tuple[Wire, QdrantStore]) -> None:
        """Where nobody listens a call fails soon; when somebody does again, calls work by themselves."""
        wire, store = wired
        wire.refuse()
        with pytest.raises(UnavailableError):
            await store.users([7])
        wire.heal()
        await _until_it_works(lambda: store.users([7]))

    async def test_a_connection_that_dies_in_mid_answer_is_unavailable(self, wired: tuple[Wire, QdrantStore]) -> None:
        """An answer that breaks off is no answer; the next call has one."""
        wire, store = wired
        wire.cut_after = 40
        with suppress(UnavailableError):  # or gRPC has made the call again: both are right
            await store.items()
        wire.heal()
        await _until_it_works(lambda: store.users([7]))

    async def test_a_silent_connection_costs_the_time_of_a_call(self, wired: tuple[Wire, QdrantStore]) -> None:
        """A server that is gone without a word is told within the time of a call."""
        wire, store = wired
        wire.silent = True
        start = monotonic()
        with pytest.raises(UnavailableError, match="in time"):
            await store.search([sparse({1: 1.0})], 5)
        assert monotonic() - start < 3
        wire.heal()
        await _until_it_works(lambda: store.users([7]))


class TestOpening:
    @pytest.mark.parametrize("version", ["1.15.5", "0.11.0", "", "unknown"])
    async def test_an_old_server_is_refused(self, qdrant: RunningQdrant, backend: QdrantBackend, version: str) -> None:
        """A server older than 1.16 is refused by name, for reading and for building."""
        qdrant.faults.version = version
        for attempt in (backend.open, lambda: asyncio.to_thread(backend.builder, replace=True)):
            with pytest.raises(PreconditionError, match=r"1\.16 or newer") as refused:
                await attempt()
            assert refused.value.kind == "QDRANT_VERSION"

    @pytest.mark.parametrize("version", ["1.16.0", "1.17.1", "1.100.2-dev", "2.0.0"])
    async def test_a_newer_server_is_taken(self, qdrant: RunningQdrant, backend: QdrantBackend, version: str) -> None:
        """1.16 and everything after it is fine."""
        qdrant.faults.version = version
        await (await backend.open()).close()

    @pytest.mark.parametrize("key", ["", "wrong"])
    async def test_a_wrong_api_key_is_told_so(self, qdrant: RunningQdrant, backend: QdrantBackend, key: str) -> None:
        """Without the right key both ways end with the setting's name, and never with the key."""
        qdrant.faults.api_key = "hunter2"
        wrong = QdrantBackend(qdrant.url, backend.name, api_key=key)
        for attempt in (wrong.open, lambda: asyncio.to_thread(wrong.builder, replace=True)):
            with pytest.raises(PreconditionError, match="KINDRED_QDRANT_API_KEY") as refused:
                await attempt()
            assert refused.value.kind == "QDRANT_ACCESS"
            assert not key or key not in str(refused.value)
        assert not key or key not in repr(wrong.server)

    async def test_the_right_api_key_opens(self, qdrant: RunningQdrant, backend: QdrantBackend) -> None:
        """With the key everything works: loading, reading and writing."""
        qdrant.faults.api_key = "hunter2"
        right = QdrantBackend(qdrant.url, backend.name, api_key="hunter2")
        await asyncio.to_thread(build, right, [write("8", profile_of({1: 5.0}))], replace=True)
        store = await right.open()
        assert await store.write_users([write("9", profile_of({1: 5.0}))]) == [True]
        assert sorted(await found(store, {1: 1.0})) == ["8", "9"]
        await store.close()

    async def test_a_port_that_is_not_qdrants_is_told_so(self) -> None:
        """A gRPC server that is no Qdrant gets the setting's name."""
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        with pytest.raises(PreconditionError, match="KINDRED_QDRANT_URL") as refused:
            await QdrantStore.open(QdrantServer(f"http://127.0.0.1:{port}"), "films")
        assert refused.value.kind == "QDRANT_URL"
        await server.stop(0)

    async def test_a_collection_without_metadata_is_a_schema_error(self, backend: QdrantBackend) -> None:
        """An alias to a collection that Kindred did not describe is refused with the command that mends it."""
        builder = backend.builder(replace=True)
        builder.swap()
        builder._close()
        with pytest.raises(SchemaError, match="--replace"):
            await backend.open()

    @pytest.mark.parametrize("trusted", [True, False])
    async def test_tls_needs_a_certificate_that_we_trust(self, tmp_path: Path, *, trusted: bool) -> None:
        """With the CA's file an https server is used; without it it is unavailable."""
        ca = trustme.CA()
        certificate = ca.issue_cert("localhost")
        credentials = grpc.ssl_server_credentials(
            [(certificate.private_key_pem.bytes(), b"".join(each.bytes() for each in certificate.cert_chain_pems))]
        )
        ca.cert_pem.write_to_path(tmp_path / "ca.pem")
        with qdrant_over_edge(tmp_path / "qdrant", credentials=credentials) as running:
            ca_file = tmp_path / "ca.pem" if trusted else None
            backend = QdrantBackend(running.url, "films", ca_file=ca_file, timeout=2.0)
            if not trusted:
                with pytest.raises(UnavailableError):
                    await backend.open()
                return
            await asyncio.to_thread(build, backend, [write("8", profile_of({1: 5.0}))])
            store = await backend.open()
            assert await found(store, {1: 1.0}) == ["8"]
            await store.close()

    async def test_a_ca_file_that_is_missing_is_told_so(self, qdrant: RunningQdrant, tmp_path: Path) -> None:
        """A CA file that cannot be read ends with the setting's name."""
        server = QdrantServer(qdrant.url.replace("http:", "https:"), ca_file=tmp_path / "none.pem")
        with pytest.raises(PreconditionError, match="KINDRED_QDRANT_CA"):
            await QdrantStore.open(server, "films")


async def _until_it_works(call: Callable[[], Awaitable[list[StoredUser | None]]]) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                assert await call() != [None]
            except KindredError:
                continue
            return
