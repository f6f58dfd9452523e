"""The promises of building and opening a collection, crashes included. An adapter's test class inherits them."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from kindred.errors import SchemaError, StoreLoadedError, StoreNotLoadedError
from kindred.ratings import RatingScale
from kindred.scales import PRESETS
from kindred.stores.port import SCHEMA_VERSION, CollectionMetadata, LogPosition, UserWrite, point_id_of
from kindred.weighting import LikingWeighting, Weighting, ZScoreWeighting
from tests.support.stores import METADATA, StoreBackend, build, by_id, entry, found, profile_of, scanned, write

BOUND = 60
"""Seconds after which another process that has not answered is taken for stuck."""

WRITER = """
import asyncio, inspect, itertools
from kindred.ratings import EMPTY_PROFILE, Rated, merge
from kindred.stores.port import StoredUser, UserWrite, point_id_of
from kindred.weighting import stored_vector

async def main():
    store = {opening}
    if inspect.isawaitable(store):
        store = await store
    print("ready", flush=True)
    profiles = {{}}
    for number in itertools.count():
        name = ("7", "ann", "8", "bob", "new")[number % 5]
        profile = merge(profiles.get(name, EMPTY_PROFILE), [Rated(number, 4.5, number)])
        revision = number // 5 + 1
        write = UserWrite(StoredUser(name, profile, revision), stored_vector(store.metadata.weighting, profile))
        assert await store.write_users([write]) == [True]
        profiles[name] = profile
        print(name, number, revision, flush=True)

asyncio.run(main())
"""
"""Another process: it writes until it is killed, and prints each write when it is acknowledged."""


@asynccontextmanager
async def other_process(source: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs Python source in another process, which is killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(BOUND):
            yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def line_of(process: asyncio.subprocess.Process) -> str:
    """The next line that a process prints; it must print one."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line.endswith(b"\n"), "the process ended early"
    return line.decode().strip()


class CollectionContract:
    """The promises of a place for a collection."""

    @pytest.fixture
    def backend(self) -> StoreBackend:
        """An empty place; the adapter's test class gives it."""
        raise NotImplementedError

    async def test_opening_an_empty_place_says_that_it_is_not_loaded(self, backend: StoreBackend) -> None:
        """Where nothing was ever loaded, opening fails with the command that loads."""
        with pytest.raises(StoreNotLoadedError, match="kindred load"):
            await backend.open()

    @pytest.mark.parametrize(
        ("scale", "weighting"),
        [
            (RatingScale(0.5, 5.0), LikingWeighting(RatingScale(0.5, 5.0), 3.25)),
            (RatingScale(0.0, 100.0), ZScoreWeighting(52.858600009999, 11.257673599)),
            (PRESETS["plays"], LikingWeighting(PRESETS["plays"], 3.25)),
        ],
    )
    async def test_metadata_comes_back(self, backend: StoreBackend, scale: RatingScale, weighting: Weighting) -> None:
        """The name, the scale, the weighting with its exact parameters and the time are as they were committed."""
        metadata = CollectionMetadata("Filme für alle", scale, weighting, "2024-05-06T07:08:09+00:00")
        build(backend, metadata=metadata)
        store = await backend.open()
        assert store.metadata == metadata
        await store.close()

    async def test_metadata_says_where_the_log_goes_on(self, backend: StoreBackend) -> None:
        """The places in the log before which everything is included come back."""
        included = (LogPosition("topic-Ω", 0, 2**40), LogPosition("topic-Ω", 11, 0))
        build(backend, metadata=replace(METADATA, included=included))
        store = await backend.open()
        assert store.metadata.included == included
        await store.close()

    async def test_a_replacement_is_another_generation(self, backend: StoreBackend) -> None:
        """A collection keeps its generation when it is opened again; its replacement has another one."""
        build(backend)
        generations = []
        for _ in range(2):
            store = await backend.open()
            assert await store.is_current()
            generations.append(store.generation)
            await store.close()
        build(backend, replace=True)
        store = await backend.open()
        assert await store.is_current()
        assert generations[0] == generations[1] != store.generation
        await store.close()

    async def test_batches_and_revisions_of_a_load_are_kept(self, backend: StoreBackend) -> None:
        """Items and users may come in many batches, in any order, empty ones too, with any revision."""
        users = [write(str(user), profile_of({user: 5.0}), user + 1) for user in range(25)]
        with backend.builder() as builder:
            builder.add_users(users[:10])
            builder.add_items([entry(1)])
            builder.add_users([])
            builder.add_items([])
            builder.add_users(iter(users[10:]))
            builder.add_items(entry(index) for index in (5, 3))
            builder.commit(METADATA)
            assert builder.engine_seconds > 0
        store = await backend.open()
        assert by_id(await scanned(store.scan_users(10))) == {each.user.user_id: each.user for each in users}
        assert sorted(each.index for each in await store.items()) == [1, 3, 5]
        await store.close()

    async def test_an_uncommitted_first_load_leaves_nothing(self, backend: StoreBackend) -> None:
        """A builder that is left without commit leaves a place that is not loaded and can be loaded."""
        with backend.builder() as builder:
            builder.add_users([write("7", profile_of({1: 5.0}))])
        with pytest.raises(StoreNotLoadedError):
            await backend.open()
        build(backend, [write("8", profile_of({1: 5.0}))])
        await _holds(backend, ["8"])

    async def test_an_uncommitted_replacement_leaves_the_old_collection(self, backend: StoreBackend) -> None:
        """A replacing builder that is left without commit changes nothing."""
        build(backend, [write("old", profile_of({1: 5.0}))], [entry(1)])
        with backend.builder(replace=True) as builder:
            builder.add_users([write("new", profile_of({1: 5.0}))])
            builder.add_items([entry(2)])
        await _holds(backend, ["old"])

    async def test_a_failed_replacement_leaves_the_old_collection(self, backend: StoreBackend) -> None:
        """An error inside a replacing builder goes through and changes nothing."""

        def users() -> Iterator[UserWrite]:
            yield write("new", profile_of({1: 5.0}))
            raise LookupError("a bad row")

        build(backend, [write("old", profile_of({1: 5.0}))], [entry(1)])
        with pytest.raises(LookupError, match="a bad row"):
            build(backend, users(), [entry(2)], replace=True)
        await _holds(backend, ["old"])

    async def test_a_replacement_swaps_everything(self, backend: StoreBackend) -> None:
        """After a replacement only the new users, items and metadata are there."""
        build(backend, [write("old", profile_of({1: 5.0})), write("7", profile_of({1: 5.0}), 9)], [entry(1)])
        metadata = replace(METADATA, name="the second")
        build(backend, [write("7", profile_of({1: 4.0}))], [entry(2)], metadata, replace=True)
        store = await backend.open()
        assert store.metadata.name == "the second"
        assert [each.index for each in await store.items()] == [2]
        assert await scanned(store.scan_users(10)) == [write("7", profile_of({1: 4.0})).user]
        assert await found(store, {1: 1.0}) == ["7"]
        await store.close()

    async def test_a_replacement_of_nothing_is_a_load(self, backend: StoreBackend) -> None:
        """Replacing works where nothing is loaded yet."""
        build(backend, [write("7", profile_of({1: 5.0}))], replace=True)
        await _holds(backend, ["7"])

    async def test_a_load_never_overwrites(self, backend: StoreBackend) -> None:
        """Building over a collection without asking for a replacement fails, names the way, and changes nothing."""
        build(backend, [write("old", profile_of({1: 5.0}))])
        for _ in range(2):
            with pytest.raises(StoreLoadedError, match="--replace"):
                backend.builder()
        await _holds(backend, ["old"])

    async def test_another_schema_version_is_refused(self, backend: StoreBackend) -> None:
        """A collection of another schema version does not open; the error names both and the command that mends it."""
        build(backend, metadata=replace(METADATA, schema_version=SCHEMA_VERSION + 1))
        for _ in range(2):
            with pytest.raises(SchemaError, match=rf"version {SCHEMA_VERSION + 1}.*reads {SCHEMA_VERSION};.*--replace"):
                await backend.open()
        build(backend, [write("7", profile_of({1: 5.0}))], replace=True)
        await _holds(backend, ["7"])

    async def test_an_older_schema_version_is_refused_with_the_way_to_write_it_anew(
        self, backend: StoreBackend
    ) -> None:
        """A collection of the schema version before does not open; the error names the command that writes it anew."""
        build(backend, metadata=replace(METADATA, schema_version=SCHEMA_VERSION - 1))
        with pytest.raises(SchemaError, match=rf"version {SCHEMA_VERSION - 1}, .*kindred reindex"):
            await backend.open()

    async def test_a_killed_writer_loses_no_acknowledged_write(self, backend: StoreBackend) -> None:
        """After kill -9 in mid-write the collection opens, and every write that was acknowledged is there, whole."""
        build(backend, [write("untouched", profile_of({1: 5.0}))], [entry(1)])
        async with other_process(WRITER.format(opening=backend.opening)) as process:
            assert await line_of(process) == "ready"
            lines = [await line_of(process) for _ in range(400)]
            process.kill()
            rest, _ = await process.communicate()
        lines += [line.decode() for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
        acknowledged = {name: (int(item), int(revision)) for name, item, revision in map(str.split, lines)}
        store = await backend.open()
        try:
            users = by_id(await store.users([point_id_of(name) for name in acknowledged]))
            for name, (last, revision) in acknowledged.items():
                assert users[name].revision in (revision, revision + 1)  # one more may have been under way
                expected = list(range(last % 5, last + 1, 5))
                assert users[name].profile.items[: len(expected)].tolist() == expected
                assert users[name].profile.rating_count == users[name].revision
                assert name in await found(store, {last: 1.0})
            assert await found(store, {1: 1.0}) == ["untouched", "ann"]
            first = write("after", profile_of({1: 5.0}))
            assert await store.write_users([first]) == [True]
        finally:
            await store.close()

    async def test_writes_go_on_after_a_crash(self, backend: StoreBackend) -> None:
        """A second writer goes on where a killed one ended, and its writes survive a kill too."""
        build(backend)
        revision = 0
        for _ in range(3):
            async with other_process(ONE_MORE.format(opening=backend.opening)) as process:
                revision = int(await line_of(process))
        assert revision == 3
        store = await backend.open()
        [user] = await store.users([point_id_of("ann")])
        await store.close()
        assert user is not None
        assert (user.revision, user.profile.items.tolist()) == (3, [0, 1, 2])


ONE_MORE = """
import asyncio, inspect, sys
from kindred.ratings import EMPTY_PROFILE, Rated, merge
from kindred.stores.port import StoredUser, UserWrite, point_id_of
from kindred.weighting import stored_vector

async def main():
    store = {opening}
    if inspect.isawaitable(store):
        store = await store
    [user] = await store.users([point_id_of("ann")])
    user = user or StoredUser("ann", EMPTY_PROFILE, 0)
    profile = merge(user.profile, [Rated(user.revision, 4.5, 1)])
    write = UserWrite(StoredUser("ann", profile, user.revision + 1), stored_vector(store.metadata.weighting, profile))
    assert await store.write_users([write]) == [True]
    print(user.revision + 1, flush=True)
    sys.stdin.read()

asyncio.run(main())
"""
"""Another process: it adds one rating to a user, says so, and holds the store open until it is killed."""


async def _holds(backend: StoreBackend, names: list[str]) -> None:
    store = await backend.open()
    try:
        assert sorted(user.user_id for user in await scanned(store.scan_users(100))) == names
        assert await found(store, {1: 1.0}, 10) != []
    finally:
        await store.close()
