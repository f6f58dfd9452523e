"""What many processes over one Qdrant server can rely on: each store here is one process's, with its own connection."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from time import monotonic, time_ns
from uuid import uuid4

import numpy as np
import pytest

from kindred import catalog_writer
from kindred.catalog import Catalog
from kindred.catalog_follower import CatalogFollower
from kindred.catalog_writer import CatalogWriter
from kindred.errors import StoreLoadedError, UnavailableError
from kindred.items import CatalogEntry, Item
from kindred.ratings import EMPTY_PROFILE, Rated, merge
from kindred.stores.indexes import IndexKind
from kindred.stores.port import RatingCounts, Store, StoredUser, point_id_of
from kindred.stores.qdrant.builder import QdrantBuilder
from kindred.stores.qdrant.collections import Layout
from tests.support.edge import EdgeBackend
from tests.support.qdrant import QdrantBackend
from tests.support.qdrant_over_edge import RunningQdrant, qdrant_over_edge
from tests.support.stores import METADATA, build, entry, found, profile_of, sparse, write


@pytest.fixture(scope="module")
def qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningQdrant]:
    """A server for the module."""
    with qdrant_over_edge(tmp_path_factory.mktemp("qdrant")) as running:
        yield running


@pytest.fixture
def backend(qdrant: RunningQdrant) -> QdrantBackend:
    """A name under which nothing is loaded."""
    return QdrantBackend(qdrant.url, f"test-{uuid4().hex}")


@pytest.fixture
async def two(backend: QdrantBackend) -> AsyncIterator[tuple[Store, Store]]:
    """Two stores over one collection with a few items."""
    build(backend, [write("7", profile_of({1: 5.0}))], [entry(1, "one"), entry(2, "two")])
    stores = await backend.open(), await backend.open()
    yield stores
    for store in stores:
        await store.close()


class TestUsers:
    async def test_two_writers_lose_no_update(self, two: tuple[Store, Store]) -> None:
        """Writers of two processes who read, merge and write one user until it succeeds leave all of their ratings."""
        lost = 0

        async def rate(store: Store, item: int) -> None:
            nonlocal lost
            while True:
                [user] = await store.users([point_id_of("ann")])
                user = user or StoredUser("ann", EMPTY_PROFILE, 0)
                merged = merge(user.profile, [Rated(item, 4.0, item)])
                if (await store.write_users([write("ann", merged, user.revision + 1)]))[0]:
                    return
                lost += 1

        async with asyncio.timeout(60):
            await asyncio.gather(*(rate(two[item % 2], item) for item in range(24)))
        [user] = await two[0].users([point_id_of("ann")])
        assert user is not None
        assert user.profile.items.tolist() == list(range(24))
        # A write that was overtaken before it was confirmed counts as lost, and is done again.
        assert 24 <= user.revision <= 24 + lost
        assert lost > 0

    async def test_the_same_write_by_two_is_told_to_one(self, two: tuple[Store, Store]) -> None:
        """Of two writers with the very same write of the same revision, one is told that it was the one."""
        for revision in range(1, 6):
            same = write("ann", profile_of({revision: 5.0}), revision)
            [[one], [other]] = await asyncio.gather(*(store.write_users([same]) for store in two))
            assert (one, other).count(True) == 1

    async def test_a_batch_may_hold_any_revisions(self, two: tuple[Store, Store]) -> None:
        """Users of many different revisions are written in one call, each on its own condition."""
        names = [f"user-{number}" for number in range(30)]
        for number, name in enumerate(names):
            for revision in range(1, number % 5 + 2):
                assert await two[0].write_users([write(name, profile_of({revision: 5.0}), revision)]) == [True]
        batch = [write(name, profile_of({99: 5.0}), number % 5 + 2) for number, name in enumerate(names)]
        stale = [write(name, profile_of({98: 5.0}), number % 5 + 2) for number, name in enumerate(names)]
        assert await two[1].write_users(batch) == [True] * 30
        assert await two[0].write_users(stale) == [False] * 30
        assert sorted(await found(two[0], {99: 1.0})) == sorted(names)

    async def test_a_write_of_one_is_seen_by_the_other_at_once(self, two: tuple[Store, Store]) -> None:
        """When a write returns, every process finds it, under a version that nobody has cached."""
        [before] = await two[1].search([sparse({1: 1.0})], 10)
        await two[0].write_users([write("7", profile_of({1: 5.0, 2: 5.0}), 2)])
        [after] = await two[1].search([sparse({1: 1.0})], 10)
        assert after.versions != before.versions
        assert await found(two[1], {2: 1.0}) == ["7"]


class TestItems:
    async def test_two_writers_give_every_item_an_index_of_its_own(
        self, two: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two processes that add items whose probes begin at the same index at once end with one index for each."""
        monkeypatch.setattr(catalog_writer, "first_probe", lambda item_id: 2**32 - 2)
        catalogs = [Catalog(await store.items()) for store in two]
        writers = [
            CatalogWriter(store, catalog, CatalogFollower(store, catalog))
            for store, catalog in zip(two, catalogs, strict=True)
        ]
        names = [[f"{place}-{number}" for number in range(12)] + ["both"] for place in (0, 1)]
        await asyncio.gather(
            *(writer.upsert([Item(name)]) for writer, own in zip(writers, names, strict=True) for name in own)
        )
        stored = [each for each in await two[0].items() if each.index not in (1, 2)]
        assert len({each.index for each in stored}) == len(stored) == 25
        assert {each.item.item_id for each in stored} == {*names[0], *names[1]}

    async def test_an_item_that_another_process_added_is_replaced_not_added(self, two: tuple[Store, Store]) -> None:
        """A process that has not seen an item yet replaces it all the same, and says so."""
        catalogs = [Catalog(await store.items()) for store in two]
        one, other = (
            CatalogWriter(store, catalog, CatalogFollower(store, catalog))
            for store, catalog in zip(two, catalogs, strict=True)
        )
        assert await one.upsert([Item("new", "First")]) == (1, 0)
        assert await other.upsert([Item("new", "Second")]) == (0, 1)
        titles = {each.item.item_id: each.item.title for each in await two[0].items()}
        assert titles == {"1": "one", "2": "two", "new": "Second"}


class TestFollower:
    async def test_changes_of_others_are_taken_over(self, two: tuple[Store, Store]) -> None:
        """New and changed items come into the catalog with one look, and the counts stay as they are."""
        catalog = Catalog(await two[0].items())
        catalog.counts.put(np.array([catalog.row_of("1")]), np.array([5.0]), np.array([4.0]))
        follower = CatalogFollower(two[0], catalog)
        await two[1].replace_items([CatalogEntry(1, Item("1", "changed"))])
        await two[1].insert_items([entry(9, "new")])
        assert await follower.look() == 2
        changed = catalog.entry(catalog.row_of("1") or 0)
        assert (changed.item.title, changed.rated_count, changed.liked_count) == ("changed", 5, 4)
        assert catalog.index_of("9") == 9
        assert await follower.look() == 0

    async def test_a_clock_that_is_ahead_hides_nothing(
        self, two: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An item written by a process whose clock is an hour ahead does not hide what others write afterwards."""
        catalog = Catalog(await two[0].items())
        follower = CatalogFollower(two[0], catalog)
        with monkeypatch.context() as ahead:
            ahead.setattr("kindred.stores.qdrant.store.time_ns", lambda: time_ns() + 3_600 * 10**9)
            await two[1].insert_items([entry(8, "ahead")])
        assert await follower.look() == 1
        await two[1].insert_items([entry(9, "now")])
        assert await follower.look() == 1
        assert catalog.index_of("9") == 9

    async def test_many_who_miss_an_item_cause_few_looks(self, two: tuple[Store, Store], qdrant: RunningQdrant) -> None:
        """However many ask for items that are not there, the store is asked about ten times a second at most."""
        follower = CatalogFollower(two[0], Catalog(await two[0].items()))
        qdrant.faults.calls.clear()
        loop = asyncio.get_running_loop()
        start = loop.time()
        for _ in range(5):
            await asyncio.gather(*(follower.look_for([f"nothing-{number}"]) for number in range(100)))
        assert qdrant.faults.calls.count("Scroll") <= 2 + (loop.time() - start) / 0.1
        await follower.look_for(["1", "2"])

    async def test_a_missed_item_is_found_after_one_look(self, two: tuple[Store, Store]) -> None:
        """An item that another process added a moment ago is known when the look returns."""
        catalog = Catalog(await two[0].items())
        follower = CatalogFollower(two[0], catalog)
        for number in range(10, 14):
            await two[1].insert_items([entry(number)])
            await follower.look_for([str(number)])
            assert catalog.index_of(str(number)) == number

    async def test_an_item_that_may_be_in_the_other_collection_is_not_called_unknown(
        self, backend: QdrantBackend, two: tuple[Store, Store]
    ) -> None:
        """While a swap is under way nobody can tell whether there is an item: UNAVAILABLE, until all have settled."""
        follower = CatalogFollower(two[0], Catalog(await two[0].items()))
        await follower.look_for(["nothing"])
        with backend.builder(replace=True) as builder:
            builder.add_items([entry(1, "one")])
            builder.seal(METADATA)
            builder.swap()
        with pytest.raises(UnavailableError, match="swapped in"):
            await follower.look_for(["nothing"])
        await follower.look_for(["1"])
        current = await backend.open()
        follower = CatalogFollower(current, Catalog(await current.items()))
        follower.settled_at = monotonic() + 0.5
        with pytest.raises(UnavailableError, match="swapped in"):
            await follower.look_for(["nothing"])
        async with asyncio.timeout(10):
            while True:
                with suppress(UnavailableError):
                    await follower.look_for(["nothing"])
                    break
        await current.close()

    async def test_counts_of_others_are_taken_over(self, two: tuple[Store, Store]) -> None:
        """What another process counted is known after one call, for items that the catalog lacks, too."""
        catalog = Catalog(await two[0].items())
        counts = RatingCounts(*(np.array(column, np.uint32) for column in ([1, 77], [9, 5], [8, 4])))
        await two[1].write_counts(counts)
        await CatalogFollower(two[0], catalog).take_counts()
        rows = catalog.rows_of(np.array([1, 2, 77], np.uint32))
        assert catalog.counts.rated[rows].tolist() == [9, 0, 5]
        assert catalog.counts.liked[rows].tolist() == [8, 0, 4]


class TestSwap:
    async def test_an_open_store_is_told_that_it_was_replaced(self, backend: QdrantBackend) -> None:
        """A store over the old collection answers until that is dropped, and knows that it is not the current one."""
        build(backend, [write("old", profile_of({1: 5.0}))])
        store = await backend.open()
        assert await store.is_current()
        with backend.builder(replace=True) as builder:
            builder.add_users([write("new", profile_of({1: 5.0}))])
            builder.seal(METADATA)
            assert await store.is_current()
            builder.swap()
            assert not await store.is_current()
            assert await found(store, {1: 1.0}) == ["old"]
            new = await backend.open()
            assert await found(new, {1: 1.0}) == ["new"]
            builder.drop_replaced()
        for each in (store, new):
            await each.close()

    async def test_leftovers_of_a_dead_build_are_dropped(
        self, backend: QdrantBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a build that was killed has left is dropped by a later one; one that lives is let alone."""
        build(backend, [write("old", profile_of({1: 5.0}))])
        living = backend.builder(replace=True)  # not left: as if it were another process
        with QdrantBuilder(backend.server, backend.name, Layout(), replace=True):
            assert _generations(backend) == {await _current(backend), living.generation, *_others(backend, living)}
        monkeypatch.setattr("kindred.stores.qdrant.collections._DEAD_AFTER", -1)
        with QdrantBuilder(backend.server, backend.name, Layout(), replace=True) as builder:
            assert _generations(backend) == {await _current(backend), builder.generation}
        with pytest.raises(StoreLoadedError):
            backend.builder()
        living.__exit__()
        assert _generations(backend) == {await _current(backend)}

    async def test_the_layout_is_what_the_settings_say(self, backend: QdrantBackend) -> None:
        """Shards, copies, write consistency and what stays on disk are as asked; the payload indexes are made."""
        layout = Layout(shards=3, replicas=2, write_consistency=2, payload_on_disk=True, index_on_disk=True)
        with QdrantBuilder(backend.server, backend.name, layout) as builder:
            builder.commit(METADATA)
        client = backend.server.client()
        params = client.get_collection(backend.name).config.params
        client.close()
        assert (params.shard_number, params.replication_factor, params.write_consistency_factor) == (3, 2, 2)
        assert params.on_disk_payload
        assert params.sparse_vectors["ratings"].index.on_disk

    async def test_indexes_are_made_by_a_load_and_by_opening(self, backend: QdrantBackend) -> None:
        """A load makes the indexes that are named; opening a collection makes those that it lacks, once."""
        backend.indexed = {"age": IndexKind.NUMBER}
        build(backend, [write("7", profile_of({1: 5.0}))])
        ours = {"revision": "integer", "rating_count": "integer", "last_rated_at": "datetime"}
        assert _indexes(backend) == ours | {"attributes.age": "float"}
        backend.indexed = {"age": IndexKind.KEYWORD, "a.b": IndexKind.BOOL}
        for _ in range(2):
            await (await backend.open()).close()
            assert _indexes(backend) == ours | {"attributes.age": "keyword", 'attributes."a.b"': "bool"}

    async def test_indexes_that_are_there_are_not_made_again(
        self, qdrant: RunningQdrant, backend: QdrantBackend
    ) -> None:
        """Opening a collection that has its indexes asks the server for none."""
        backend.indexed = {"age": IndexKind.NUMBER, "a.b": IndexKind.BOOL}
        build(backend, [write("7", profile_of({1: 5.0}))])
        qdrant.faults.calls.clear()
        await (await backend.open()).close()
        assert "CreateFieldIndex" not in qdrant.faults.calls


class TestAgreement:
    async def test_edge_and_server_agree(self, backend: QdrantBackend, tmp_path: object) -> None:
        """The same users get the same order, and scores within 1e-5, from the embedded engine and from the server."""
        random = np.random.default_rng(5)
        users = [
            write(
                str(user) if user % 3 else f"user-{user}",
                profile_of({int(item): float(random.integers(1, 11)) / 2 for item in random.integers(0, 300, 40)}),
            )
            for user in range(400)
        ]
        embedded = EdgeBackend(tmp_path / "data")  # type: ignore[operator]
        for each in (embedded, backend):
            build(each, users)
        stores = await embedded.open(), await backend.open()
        for _ in range(20):
            items = random.choice(300, 25, replace=False)
            query = sparse({int(item): float(random.uniform(-0.25, 1)) for item in items})
            [[edge], [server]] = [await store.search([query], 50) for store in stores]
            assert edge.scores == pytest.approx(server.scores, abs=1e-5)
            assert edge.point_ids == server.point_ids
        for store in stores:
            await store.close()


def _indexes(backend: QdrantBackend) -> dict[str, str]:
    client = backend.server.client()
    schema = client.get_collection(backend.name).payload_schema
    client.close()
    return {path: index.data_type.value for path, index in schema.items()}


def _generations(backend: QdrantBackend) -> set[str]:
    client = backend.server.client()
    names = [each.name for each in client.get_collections().collections]
    client.close()
    return {name.rpartition("_")[2] for name in names if name.startswith(backend.name)}


def _others(backend: QdrantBackend, living: QdrantBuilder) -> set[str]:
    return _generations(backend) - {living.generation, living.replaced}


async def _current(backend: QdrantBackend) -> str:
    store = await backend.open()
    await store.close()
    return store.generation
