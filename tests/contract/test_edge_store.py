"""The embedded store keeps the promises of every store, and those of a folder that serves one process at a time."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import qdrant_edge as qe

from kindred.errors import PreconditionError, SchemaError, StoreInUseError, StoreNotLoadedError, UnavailableError
from kindred.stores.data_dir import DataDir
from kindred.stores.edge import EdgeBuilder, EdgeStore
from kindred.stores.indexes import IndexKind
from tests.support.collection_contract import BOUND, CollectionContract, line_of, other_process
from tests.support.edge import EdgeBackend
from tests.support.filter_contract import FilterContract
from tests.support.store_contract import StoreContract
from tests.support.stores import METADATA, build, by_id, found, profile_of, scanned, write

HOLDER = "import sys; store = {opening}; print('ready', flush=True); sys.stdin.read()"
BUILDING = """
import sys
from pathlib import Path
from kindred.items import CatalogEntry, Item
from kindred.ratings import EMPTY_PROFILE
from kindred.stores.edge import EdgeBuilder
from kindred.stores.port import CollectionMetadata, StoredUser, UserWrite
from kindred.weighting import LikingWeighting, RatingScale, stored_vector
builder = EdgeBuilder(Path({path!r}), replace=True)
builder.add_items([CatalogEntry(2, Item("2"))])
vector = stored_vector(LikingWeighting(RatingScale(1, 5)), EMPTY_PROFILE)
builder.add_users([UserWrite(StoredUser(str(user), EMPTY_PROFILE, 1), vector) for user in range(1000)])
{then}
print("ready", flush=True)
sys.stdin.read()
"""


def metadata(**damage: object) -> bytes:
    """The content of a collection.json with some of it replaced."""
    return json.dumps(METADATA.to_json() | damage).encode()


class TestEdgeStore(StoreContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> EdgeBackend:
        """A data directory that is not there yet."""
        return EdgeBackend(tmp_path / "data")


class TestEdgeFilters(FilterContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> EdgeBackend:
        """A data directory that is not there yet."""
        return EdgeBackend(tmp_path / "data")


class TestEdgeIndexes:
    async def test_indexes_are_made_by_a_load_and_by_opening(self, tmp_path: Path) -> None:
        """A load makes the named indexes and those of activity; opening adds those that are named later."""
        backend = EdgeBackend(tmp_path / "data", {"age": IndexKind.NUMBER})
        build(backend, [write("7", profile_of({1: 5.0}))])
        activity = {"last_rated_at": "Datetime", "rating_count": "Integer"}
        assert _indexes(backend.path) == activity | {"attributes.age": "Float"}
        backend.indexed = {"age": IndexKind.KEYWORD, "a.b": IndexKind.BOOL}
        for _ in range(2):
            await (await backend.open()).close()
            assert _indexes(backend.path) == activity | {"attributes.age": "Keyword", 'attributes."a.b"': "Bool"}
        backend.indexed = {}
        await (await backend.open()).close()
        assert _indexes(backend.path) == activity | {"attributes.age": "Keyword", 'attributes."a.b"': "Bool"}

    async def test_what_replaces_a_collection_has_its_indexes(self, tmp_path: Path) -> None:
        """A successor of an open store gets the indexes that the store was opened with."""
        backend = EdgeBackend(tmp_path / "data", {"age": IndexKind.NUMBER})
        build(backend, [write("7", profile_of({1: 5.0}))])
        store = await backend.open()
        with store.successor() as builder:
            builder.commit(METADATA)
        await store.close()
        assert "attributes.age" in _indexes(backend.path)


def _indexes(path: Path) -> dict[str, str]:
    """The indexes of the users of a data directory that is closed: kinds by path."""
    data_dir = DataDir(path)
    shard = qe.EdgeShard.load(str(data_dir.current() / "users"))
    found = {path: str(index.data_type).rpartition(".")[2] for path, index in shard.info().payload_schema.items()}
    shard.close()
    data_dir.close()
    return found


class TestEdgeCollection(CollectionContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> EdgeBackend:
        """A data directory that is not there yet."""
        return EdgeBackend(tmp_path / "data")


class TestEdgeDataDir:
    @pytest.fixture
    def backend(self, tmp_path: Path) -> EdgeBackend:
        """A loaded data directory."""
        backend = EdgeBackend(tmp_path / "data")
        build(backend, [write("7", profile_of({1: 5.0}))])
        return backend

    async def test_a_second_open_in_the_process_is_refused(self, backend: EdgeBackend) -> None:
        """While a store is open, neither a second store nor a builder gets the folder; after closing both do."""
        store = await backend.open()
        for attempt in (EdgeStore.open, EdgeBuilder, lambda path: EdgeBuilder(path, replace=True)):
            with pytest.raises(StoreInUseError, match=f"process {os.getpid()}") as refused:
                attempt(backend.path)
            assert refused.value.subject == str(backend.path)
        assert await found(store, {1: 1.0}) == ["7"]
        await store.close()
        with EdgeBuilder(backend.path, replace=True):
            pass
        await (await backend.open()).close()

    async def test_a_builder_keeps_others_out(self, backend: EdgeBackend) -> None:
        """While a collection is being built, the folder does not open, committed or not."""
        with EdgeBuilder(backend.path, replace=True) as builder:
            with pytest.raises(StoreInUseError):
                await backend.open()
            builder.commit(METADATA)
            with pytest.raises(StoreInUseError):
                await backend.open()
        await (await backend.open()).close()

    async def test_another_process_is_refused(self, backend: EdgeBackend) -> None:
        """A process that opens the folder of another gets an error that names the holder, at once."""
        async with other_process(HOLDER.format(opening=backend.opening)) as holder:
            assert await line_of(holder) == "ready"
            for attempt in (EdgeStore.open, lambda path: EdgeBuilder(path, replace=True)):
                with pytest.raises(StoreInUseError, match=f"process {holder.pid}"):
                    attempt(backend.path)
        await (await backend.open()).close()

    async def test_this_process_refuses_another(self, backend: EdgeBackend) -> None:
        """An open store keeps a second process out, which fails with the error that names this one."""
        store = await backend.open()
        second = subprocess.run(  # noqa: ASYNC221, S603  # this interpreter; the refusal needs nothing from the loop
            [sys.executable, "-c", HOLDER.format(opening=backend.opening)],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=BOUND,
        )
        await store.close()
        assert second.stdout == ""
        assert f"StoreInUseError: {backend.path} is in use by process {os.getpid()} (" in second.stderr

    async def test_a_killed_load_leaves_the_old_collection(self, backend: EdgeBackend) -> None:
        """After kill -9 in mid-load the old collection opens, and nothing of the new one stays on the disk."""
        async with other_process(BUILDING.format(path=str(backend.path), then="")) as process:
            assert await line_of(process) == "ready"
            assert len([*(backend.path / "generations").iterdir()]) == 2
            process.kill()
        store = await backend.open()
        assert await found(store, {1: 1.0}) == ["7"]
        assert len([*(backend.path / "generations").iterdir()]) == 1
        await store.close()

    async def test_a_committed_load_survives_a_kill(self, backend: EdgeBackend) -> None:
        """After kill -9 right after the commit the new collection opens, whole."""
        commit = "builder.commit(CollectionMetadata('x', RatingScale(1, 5), LikingWeighting(RatingScale(1, 5)), ''))"
        async with other_process(BUILDING.format(path=str(backend.path), then=commit)) as process:
            assert await line_of(process) == "ready"
            process.kill()
        store = await backend.open()
        assert len(await scanned(store.scan_users(100))) == 1_000
        assert [each.index for each in await store.items()] == [2]
        await store.close()

    async def test_a_build_in_folds_holds_the_same(self, backend: EdgeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        """A build that finishes segments as it goes and merges them holds what one in one piece holds."""
        users = [write(str(user), profile_of({user % 7 + 1: 5.0, user % 11 + 10: 4.0})) for user in range(60)]
        held = []
        for fold_every in (10**9, 10):
            monkeypatch.setattr("kindred.stores.edge.FOLD_EVERY", fold_every)
            with EdgeBuilder(backend.path, replace=True) as builder:
                for first in range(0, 60, 4):
                    builder.add_users(users[first : first + 4])
                builder.commit(METADATA)
            store = await backend.open()
            held.append((by_id(await scanned(store.scan_users(100))), sorted(await found(store, {1: 1.0, 12: 0.5}))))
            assert await store.write_users([write("1", profile_of({3: 1.0}), 2)]) == [True]
            await store.close()
        assert held[0] == held[1]
        [config] = backend.path.glob("generations/*/users/edge_config.json")
        assert json.loads(config.read_text())["optimizers"]["default_segment_number"] == 4

    async def test_a_replacement_leaves_one_generation(self, backend: EdgeBackend) -> None:
        """After a swap the old generation is gone from the disk."""
        build(backend, [write("8", profile_of({1: 5.0}))], replace=True)
        assert len([*(backend.path / "generations").iterdir()]) == 1

    async def test_an_uncommitted_builder_leaves_one_generation(self, backend: EdgeBackend) -> None:
        """What a builder built and did not commit is gone from the disk when the builder is left."""
        with EdgeBuilder(backend.path, replace=True) as builder:
            builder.add_users([write("8", profile_of({1: 5.0}))])
        assert len([*(backend.path / "generations").iterdir()]) == 1

    async def test_what_is_written_before_the_swap_is_in_it(self, backend: EdgeBackend) -> None:
        """A sealed collection takes writes and another description; until the swap the old one is the current one."""
        old = EdgeStore.open(backend.path)
        with old.successor() as builder:
            builder.add_users([write("8", profile_of({1: 5.0}))])
            builder.seal(METADATA)
            copy = await builder.open()
            assert await copy.write_users([write("9", profile_of({2: 5.0})), write("8", profile_of({2: 4.0}), 2)])
            builder.describe(replace(METADATA, name="described"))
            assert backend.path.joinpath("current.json").read_text().count(old.generation) == 1
            builder.swap()
            await copy.close()
            builder.drop_replaced()
        await old.close()
        store = EdgeStore.open(backend.path)
        assert (store.metadata.name, store.generation) == ("described", copy.generation)
        assert {user.user_id for user in await scanned(store.scan_users(10))} == {"8", "9"}
        assert sorted(await found(store, {2: 1.0})) == ["8", "9"]
        await store.close()
        assert len([*(backend.path / "generations").iterdir()]) == 1

    async def test_what_is_opened_before_the_swap_goes_with_the_builder(self, backend: EdgeBackend) -> None:
        """A builder that is left before the swap leaves nothing of what was written, and the folder free."""
        with EdgeBuilder(backend.path, replace=True) as builder:
            builder.seal(METADATA)
            copy = await builder.open()
            await copy.write_users([write("9", profile_of({2: 5.0}))])
            await copy.close()
        store = EdgeStore.open(backend.path)
        assert "9" not in {user.user_id for user in await scanned(store.scan_users(10))}
        await store.close()
        assert len([*(backend.path / "generations").iterdir()]) == 1

    @pytest.mark.parametrize("there", [False, True])
    def test_opening_what_is_not_loaded_creates_nothing(self, tmp_path: Path, *, there: bool) -> None:
        """A folder that is missing stays missing, and one that is empty stays empty."""
        path = tmp_path / "mistyped"
        if there:
            path.mkdir()
        with pytest.raises(StoreNotLoadedError, match="mistyped"):
            EdgeStore.open(path)
        assert [*tmp_path.rglob("*")] == ([path] if there else [])

    @pytest.mark.parametrize(
        "damaged",
        [
            b"",
            b"{",
            b"\xff\xfe",
            b"null",
            b"[]",
            b'{"schema_version": 2}',
            metadata(scale={"minimum": 5, "maximum": 1}),
            metadata(scale=[1, 5]),
            metadata(weighting={"name": "default", "parameters": [5]}),
            metadata(weighting={"name": "unheard-of", "parameters": {}}),
            metadata(weighting={"name": "zscore", "parameters": {"mean": 3}}),
        ],
    )
    async def test_damaged_metadata_is_a_schema_error(self, backend: EdgeBackend, damaged: bytes) -> None:
        """A collection.json that cannot be read says so and how to mend it, every time; then it can be replaced."""
        _collection(backend).write_bytes(damaged)
        for _ in range(2):
            with pytest.raises(SchemaError, match="--replace"):
                await backend.open()
        build(backend, [write("8", profile_of({1: 5.0}))], replace=True)
        store = await backend.open()
        assert await found(store, {1: 1.0}) == ["8"]
        await store.close()

    async def test_missing_metadata_is_a_schema_error(self, backend: EdgeBackend) -> None:
        """A generation without its collection.json is damaged, and the error says so."""
        _collection(backend).unlink()
        with pytest.raises(SchemaError, match="--replace"):
            await backend.open()

    @pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"generation": "gone"}'])
    async def test_a_damaged_folder_can_be_loaded_anew(self, backend: EdgeBackend, damaged: bytes) -> None:
        """Where current.json is damaged the error names the way to mend it, and that way works."""
        (backend.path / "current.json").write_bytes(damaged)
        with pytest.raises(SchemaError, match="--replace"):
            await backend.open()
        build(backend, [write("8", profile_of({1: 5.0}))], replace=True)
        store = await backend.open()
        assert await found(store, {1: 1.0}) == ["8"]
        await store.close()

    async def test_a_folder_that_failed_to_open_is_not_held(self, backend: EdgeBackend) -> None:
        """After a failed open the same process can open the folder once it is mended."""
        collection = _collection(backend)
        good = collection.read_bytes()
        collection.write_text(json.dumps(json.loads(good) | {"schema_version": 99}))
        with pytest.raises(PreconditionError):
            await backend.open()
        collection.write_bytes(good)
        await (await backend.open()).close()

    async def test_damaged_data_is_unavailable(self, backend: EdgeBackend) -> None:
        """Where the engine cannot read its own files the error is ours and shows nothing of the engine's."""
        for file in (_collection(backend).parent / "users").rglob("*.json"):
            file.write_text("{")
        with pytest.raises(UnavailableError) as failed:
            await backend.open()
        assert "panicked" not in str(failed.value)
        assert str(failed.value) == "the embedded store failed; its log has the reason"

    async def test_a_closed_store_does_nothing(self, backend: EdgeBackend) -> None:
        """Calls after closing fail instead of pretending."""
        store = await backend.open()
        await store.close()
        with pytest.raises(UnavailableError):
            await store.write_users([write("8", profile_of({1: 5.0}))])
        with pytest.raises(UnavailableError):
            await found(store, {1: 1.0})


def _collection(backend: EdgeBackend) -> Path:
    [collection] = (backend.path / "generations").glob("*/collection.json")
    return collection
