import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from pathlib import Path

import pytest

from kindred import updater as module
from kindred.errors import UnavailableError
from kindred.ratings import AttributesSet, Forgotten, ProfileEvent, Rated, Retracted
from kindred.stores.port import LogPosition, UserWrite, point_id_of
from kindred.updater import Applied, ProfileUpdater, UserEvent
from tests.support.edge import EdgeBackend
from tests.support.stores import build, found, profile_of, write
from tests.support.watched_store import WatchedStore


def events(user_id: str, *changes: ProfileEvent, start: int = 0, partition: int = 0) -> list[UserEvent]:
    """Events of a user, one after the other in the log."""
    return [
        UserEvent(user_id, change, LogPosition("topic", partition, start + place))
        for place, change in enumerate(changes)
    ]


class TestProfileUpdater:
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[WatchedStore]:
        """A store with one loaded user, 7, who has rated item 1."""
        backend = EdgeBackend(tmp_path / "data")
        build(backend, [write("7", profile_of({1: 5.0}))])
        inner = await backend.open()
        yield WatchedStore(inner)
        await inner.close()

    @pytest.fixture
    def announced(self) -> list[list[str]]:
        """What was announced, batch by batch."""
        return []

    @pytest.fixture
    def updater(self, store: WatchedStore, announced: list[list[str]]) -> ProfileUpdater:
        """An updater of the store."""
        return ProfileUpdater(store, lambda user_ids: announced.append(sorted(user_ids)))

    async def test_a_batch_costs_one_read_and_one_write(
        self, store: WatchedStore, updater: ProfileUpdater, announced: list[list[str]]
    ) -> None:
        """However many events of however many users, the store is read once and written once."""
        batch = [
            event
            for number in range(30)
            for event in events(str(number), *(Rated(item, 4.0, item) for item in range(20)), start=number * 20)
        ]
        assert await updater.apply(batch) == Applied(events=600, replayed=0, users=30, conflicts=0)
        assert store.calls == {"users": 1, "write_users": 1}
        assert announced == [sorted(str(number) for number in range(30))]
        assert updater.users_written == 30
        [user] = await store.users([point_id_of("29")])
        assert user is not None
        assert (user.revision, user.profile.rating_count) == (1, 20)
        assert user.source == LogPosition("topic", 0, 599)

    async def test_events_of_a_user_are_merged_in_log_order(self, store: WatchedStore, updater: ProfileUpdater) -> None:
        """Events of one user apply in their order, also between those of others, over what is stored."""
        mine = events("7", Rated(2, 1.0, 5_000), Rated(2, 3.0, 5_000), Retracted(1, 5_000), AttributesSet({"a": 1}, 1))
        others = events("ann", Rated(2, 5.0, 5_000), start=100)
        await updater.apply([*mine[:2], *others, *mine[2:]])
        [user] = await store.users([7])
        assert user is not None
        assert user.profile.items[user.profile.current].tolist() == [2]
        assert user.profile.values[user.profile.current].tolist() == [3.0]
        assert user.profile.attributes == {"a": 1}
        assert (user.revision, user.source) == (2, LogPosition("topic", 0, 3))
        assert await found(store, {2: 1.0}) == ["ann", "7"]

    async def test_nothing_to_apply_touches_nothing(self, store: WatchedStore, updater: ProfileUpdater) -> None:
        """An empty batch costs no call of the store."""
        assert await updater.apply([]) == Applied(0, 0, 0, 0)
        assert not store.calls

    async def test_a_replay_is_not_written(
        self, store: WatchedStore, updater: ProfileUpdater, announced: list[list[str]]
    ) -> None:
        """Events that a user's point says it has applied are read past: no write, the revision stays."""
        batch = events("ann", Rated(1, 5.0, 1), Rated(2, 5.0, 2))
        await updater.apply(batch)
        store.calls.clear()
        assert await updater.apply(batch) == Applied(events=0, replayed=2, users=0, conflicts=0)
        assert store.calls == {"users": 1}
        assert announced == [["ann"], ["ann"]]
        [user] = await store.users([point_id_of("ann")])
        assert user is not None
        assert user.revision == 1

    async def test_only_the_new_part_of_a_replay_is_applied(self, store: WatchedStore, updater: ProfileUpdater) -> None:
        """A batch that overlaps with what was applied counts and applies what is new of it."""
        batch = events("ann", Rated(1, 5.0, 1), Rated(2, 5.0, 2), Rated(3, 5.0, 3))
        await updater.apply(batch[:2])
        assert await updater.apply(batch) == Applied(events=1, replayed=2, users=1, conflicts=0)
        [user] = await store.users([point_id_of("ann")])
        assert user is not None
        assert (user.revision, user.profile.items.tolist()) == (2, [1, 2, 3])

    @pytest.mark.parametrize(
        "position", [LogPosition("another topic", 0, 0), LogPosition("topic", 1, 0), LogPosition("", 0, 0)]
    )
    async def test_offsets_of_another_log_do_not_count(
        self, store: WatchedStore, updater: ProfileUpdater, position: LogPosition
    ) -> None:
        """Offsets compare within one partition of one topic: an event of another one is always applied."""
        await updater.apply(events("ann", Rated(1, 5.0, 1), start=1_000))
        assert (await updater.apply([UserEvent("ann", Rated(2, 5.0, 2), position)])).events == 1
        [user] = await store.users([point_id_of("ann")])
        assert user is not None
        assert (user.profile.items.tolist(), user.source) == ([1, 2], position)

    async def test_a_lost_race_is_done_again(self, store: WatchedStore, updater: ProfileUpdater) -> None:
        """When another writer was faster, their user is read again and merged anew; both writers' ratings are there."""
        rival = ProfileUpdater(store.inner, lambda _: None)
        races = iter(range(3))

        async def faster(writes: Sequence[UserWrite]) -> None:
            for race in islice(races, 1):
                await rival.apply(events("7", Rated(100 + race, 5.0, 9_000), start=race, partition=9))

        store.before_write = faster
        batch = [*events("7", Rated(2, 5.0, 9_000)), *events("ann", Rated(2, 5.0, 9_000), start=1)]
        assert await updater.apply(batch) == Applied(events=2, replayed=0, users=2, conflicts=3)
        assert store.calls == {"users": 4, "write_users": 4}
        [user, ann] = await store.users([7, point_id_of("ann")])
        assert user is not None
        assert ann is not None
        assert user.profile.items.tolist() == [1, 2, 100, 101, 102]
        assert (user.revision, ann.revision) == (5, 1)

    async def test_a_race_lost_forever_is_unavailable(
        self, store: WatchedStore, updater: ProfileUpdater, announced: list[list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When other writers are faster again and again it ends, says so, and applying the batch later is right."""
        monkeypatch.setattr(module, "_BACKOFF", 0.0)
        rival = ProfileUpdater(store.inner, lambda _: None)
        offset = 0

        async def faster(writes: Sequence[UserWrite]) -> None:
            nonlocal offset
            offset += 1
            await rival.apply(events("7", Rated(3, 5.0, 9_000), start=offset, partition=9))

        store.before_write = faster
        batch = [*events("7", Rated(2, 5.0, 9_000)), *events("ann", Rated(2, 5.0, 9_000), start=1)]
        with pytest.raises(UnavailableError, match="1 of 2 users"):
            await updater.apply(batch)
        assert announced == []
        store.before_write = None
        assert await updater.apply(batch) == Applied(events=1, replayed=1, users=1, conflicts=0)
        [user] = await store.users([7])
        assert user is not None
        assert user.profile.items.tolist() == [1, 2, 3]

    @pytest.mark.parametrize("method", ["users", "write_users"])
    async def test_a_store_that_is_away_leaves_the_batch_undone(
        self, store: WatchedStore, updater: ProfileUpdater, announced: list[list[str]], method: str
    ) -> None:
        """A failing read or write comes out as it is, nothing is announced, and the same batch works afterwards."""
        store.away(method)
        batch = events("7", Rated(2, 5.0, 9_000))
        with pytest.raises(UnavailableError, match="away"):
            await updater.apply(batch)
        assert announced == []
        assert updater.users_written == 0
        store.back()
        assert (await updater.apply(batch)).events == 1
        assert announced == [["7"]]

    async def test_parallel_batches_of_one_user_all_count(self, store: WatchedStore, updater: ProfileUpdater) -> None:
        """Many batches of one user at once, each from a partition of its own, lose nothing."""
        batches = [events("ann", Rated(number, 4.0, number), partition=number) for number in range(8)]
        applied = await asyncio.gather(*map(updater.apply, batches))
        assert sum(each.events for each in applied) == 8
        [user] = await store.users([point_id_of("ann")])
        assert user is not None
        assert user.profile.items.tolist() == [*range(8)]
        assert user.revision == 8

    async def test_a_forgotten_user_leaves_the_search(self, store: WatchedStore, updater: ProfileUpdater) -> None:
        """Forgetting removes the user from every posting list, and an older event from elsewhere changes nothing."""
        await updater.apply(events("ann", Rated(1, 5.0, 1_000)))
        await updater.apply(events("ann", Forgotten(2_000), start=1))
        await updater.apply(events("ann", Rated(1, 5.0, 1_500), partition=4))
        assert await found(store, {1: 1.0}) == ["7"]
        [user] = await store.users([point_id_of("ann")])
        assert user is not None
        assert (user.profile.items.size, user.profile.forgotten_at, user.user_id) == (0, 2_000, "")
        await updater.apply(events("ann", Rated(2, 5.0, 2_001), start=2))
        assert await found(store, {2: 1.0}) == ["ann"]
