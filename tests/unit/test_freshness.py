import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.errors import FreshnessError, InvalidArgumentError, StaleTokenError, UnavailableError
from kindred.freshness import Freshness, FreshnessToken
from kindred.ratings import Rated
from kindred.stores.port import LogPosition, point_id_of
from kindred.updater import ProfileUpdater, UserEvent
from tests.support.edge import EdgeBackend
from tests.support.stores import build, profile_of, write
from tests.support.watched_store import WatchedStore

BOUND = 20.0

POSITIONS = st.builds(LogPosition, st.text(max_size=30), st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1))


def token(offset: int, user_id: str = "ann", topic: str = "topic", partition: int = 0) -> FreshnessToken:
    """A token."""
    return FreshnessToken(user_id, LogPosition(topic, partition, offset))


class TestFreshnessToken:
    @given(st.text(min_size=1, max_size=256), POSITIONS)
    def test_a_token_reads_back(self, user_id: str, position: LogPosition) -> None:
        """Whatever the user and the place, the token stands for them, in characters that fit a header and a URL."""
        text = FreshnessToken(user_id, position).encode()
        assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        assert FreshnessToken.decode(text, "field") == FreshnessToken(user_id, position)

    @pytest.mark.parametrize(
        "text",
        [
            "x",
            "not a token",
            "AAAA",
            "é",
            "=",
            "====",
            "\0",
            "CgE3!",
            "CgE3\n",
            "🎬",
            "CgE",
            "a" * 100_000,
        ],
    )
    def test_what_is_no_token_is_refused(self, text: str) -> None:
        """Text that no rating call has given is a wrong argument, named by its field."""
        with pytest.raises(InvalidArgumentError) as refused:
            FreshnessToken.decode(text, "requests[3].at_least_as_fresh")
        assert [each.field for each in refused.value.violations] == ["requests[3].at_least_as_fresh"]

    @given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: base64.urlsafe_b64encode(data).decode()))
    def test_any_text_is_a_token_or_refused(self, text: str) -> None:
        """No text breaks the reader."""
        try:
            read = FreshnessToken.decode(text, "field")
        except InvalidArgumentError:
            return
        assert read.user_id


class TestFreshness:
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[WatchedStore]:
        """A store with one loaded user, 7, whose point names no place in the log."""
        backend = EdgeBackend(tmp_path / "data")
        build(backend, [write("7", profile_of({1: 5.0}))])
        inner = await backend.open()
        yield WatchedStore(inner)
        await inner.close()

    @staticmethod
    async def apply(store: WatchedStore, offset: int, freshness: Freshness | None = None) -> None:
        """Applies one event of ann, and announces it if there is somebody to hear."""
        updater = ProfileUpdater(store.inner, freshness.announce if freshness else lambda _: None)
        await updater.apply([UserEvent("ann", Rated(offset, 4.0, offset), LogPosition("topic", 0, offset))])

    @pytest.mark.parametrize("offset", [0, 4, 5])
    async def test_what_is_applied_is_not_waited_for(self, store: WatchedStore, offset: int) -> None:
        """An event that the user's point includes is answered with one look at the store."""
        await self.apply(store, 5)
        user = await Freshness(store).wait(token(offset), 0)
        assert user is not None
        assert user.profile.items.tolist() == [5]
        assert store.calls == {"users": 1}

    async def test_an_announcement_wakes(self, store: WatchedStore) -> None:
        """Who waits for an event is woken when it is applied in this process; one look serves everybody."""
        freshness = Freshness(store)
        waiting = [asyncio.create_task(freshness.wait(token(5), BOUND)) for _ in range(3)]
        await store.until("users", 3)
        freshness.announce(["7"])
        await self.apply(store, 4, freshness)
        await store.until("users", 4)
        assert not any(task.done() for task in waiting)
        await self.apply(store, 5, freshness)
        users = await asyncio.gather(*waiting)
        assert [user.revision for user in users if user] == [2, 2, 2]
        assert store.calls == {"users": 5}

    async def test_a_burst_of_announcements_is_few_looks(self, store: WatchedStore) -> None:
        """While a look is under way, what is announced is looked at together by the next one."""
        freshness = Freshness(store)
        waiting = [asyncio.create_task(freshness.wait(token(5, user_id=f"user-{number}"), 0.2)) for number in range(50)]
        await store.until("users", 50)
        store.hanging = asyncio.Event()
        for number in range(50):
            freshness.announce([f"user-{number}"])
            await asyncio.sleep(0)
        store.back()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert store.calls["users"] <= 52

    async def test_a_write_of_another_process_is_found(self, store: WatchedStore) -> None:
        """Over a shared store the users who are waited for are looked at now and then, with one call for all."""
        store.shared = True
        freshness = Freshness(store, 0.001)
        waiting = [asyncio.create_task(freshness.wait(token(5), BOUND)) for _ in range(10)]
        await store.until("users", 12)
        await self.apply(store, 5)
        assert [user.user_id for user in await asyncio.gather(*waiting) if user] == ["ann"] * 10

    async def test_missed_announcements_are_made_up_for(self, store: WatchedStore) -> None:
        """Announcing everybody wakes who waits for an event that was applied unheard."""
        freshness = Freshness(store)
        waiting = asyncio.create_task(freshness.wait(token(5), BOUND))
        await store.until("users", 1)
        await self.apply(store, 5)
        freshness.announce_all()
        assert await waiting

    async def test_a_collection_includes_what_it_says(self, store: WatchedStore) -> None:
        """An event before the place where a collection says that the log goes on is in it, whoever's it is."""
        store.metadata = replace(store.metadata, included=(LogPosition("topic", 0, 6),))
        assert await Freshness(store).wait(token(5, user_id="nobody"), 0) is None
        with pytest.raises(FreshnessError):
            await Freshness(store).wait(token(6, user_id="nobody"), 0)

    @pytest.mark.parametrize(
        "unreached",
        [
            token(6),
            token(0, user_id="7"),
            token(0, user_id="nobody"),
            token(0, topic="another topic"),
            token(0, partition=1),
        ],
    )
    async def test_what_does_not_come_is_an_error(self, store: WatchedStore, unreached: FreshnessToken) -> None:
        """An event of a later place, another user or another log is not reached, and the error names the user."""
        await self.apply(store, 5)
        with pytest.raises(FreshnessError) as failed:
            await Freshness(store, 0.001).wait(unreached, 0.01)
        assert failed.value.subject == unreached.user_id

    async def test_what_never_comes_is_said_at_once(self, store: WatchedStore) -> None:
        """A check that knows that the event will never be applied ends the wait before it begins."""

        async def check(position: LogPosition, *, thoroughly: bool) -> None:
            raise StaleTokenError(position.topic_id)

        with pytest.raises(StaleTokenError):
            await Freshness(store).wait(token(5), BOUND, check)

    async def test_a_thorough_check_ends_a_wait_that_ran_out(self, store: WatchedStore) -> None:
        """What looked right at first is checked thoroughly before an event is called late."""
        asked = []

        async def check(position: LogPosition, *, thoroughly: bool) -> None:
            asked.append(thoroughly)
            if thoroughly:
                raise StaleTokenError(position.topic_id)

        with pytest.raises(StaleTokenError):
            await Freshness(store).wait(token(5), 0.01, check)
        assert asked == [False, True]

    async def test_a_store_that_is_away_is_said_so(self, store: WatchedStore) -> None:
        """A failing store ends the wait with its own error."""
        store.away("users")
        with pytest.raises(UnavailableError, match="away"):
            await Freshness(store).wait(token(5), BOUND)

    async def test_a_store_that_goes_away_is_waited_for(self, store: WatchedStore) -> None:
        """A store that is away while somebody waits costs them the moment; if it stays away, it is the reason."""
        store.shared = True
        freshness = Freshness(store, 0.001)
        waiting, late = (asyncio.create_task(freshness.wait(token(5), timeout)) for timeout in (BOUND, 0.05))
        await store.until("users", 3)
        store.away("users")
        with pytest.raises(UnavailableError, match="away"):
            await late
        store.back()
        await self.apply(store, 5)
        assert await waiting

    async def test_a_store_that_is_replaced_is_looked_at(self, store: WatchedStore) -> None:
        """Who waits when another collection is swapped in is answered from that one."""
        freshness = Freshness(store)
        waiting = asyncio.create_task(freshness.wait(token(5), BOUND))
        await store.until("users", 1)
        other = WatchedStore(store.inner)
        await self.apply(other, 5)
        freshness.follow(other)
        assert await waiting
        assert (store.calls["users"], other.calls["users"]) == (1, 1)

    async def test_a_store_that_is_replaced_before_the_waiter_goes_on_is_not_the_answer(
        self, store: WatchedStore, tmp_path: Path
    ) -> None:
        """What was seen in a store counts only if that is still the one when the waiter's turn comes."""
        backend = EdgeBackend(tmp_path / "other")
        build(backend, [])
        other = WatchedStore(await backend.open())
        freshness = Freshness(store)
        waiting = asyncio.create_task(freshness.wait(token(5), BOUND))
        await store.until("users", 1)
        await self.apply(store, 5)
        [user] = await store.inner.users([point_id_of("ann")])
        freshness._tell(store, "ann", user)  # a look ends, and before the waiter's turn the store is replaced
        freshness.follow(other)
        await other.until("users", 1)
        assert not waiting.done()
        await self.apply(other, 5, freshness)
        assert await waiting
        await other.close()

    async def test_a_watcher_hears_of_a_change(self, store: WatchedStore) -> None:
        """Who watches a user is told at once of what is announced, and in time of what was not."""
        store.shared = True
        freshness = Freshness(store, 0.001)
        with freshness.watch("ann") as watch, freshness.watch("7") as other:
            other.revision = 1
            freshness.announce(["ann"])
            assert watch.changed.is_set()
            watch.changed.clear()
            await self.apply(store, 5)
            async with asyncio.timeout(BOUND):
                await watch.changed.wait()
            assert not other.changed.is_set()

    async def test_nobody_is_remembered(self, store: WatchedStore) -> None:
        """After an answer, a failure and a cancelled call nothing is kept of those who waited, and nobody looks."""
        store.shared = True
        freshness = Freshness(store, 0.001)
        await self.apply(store, 5)
        await freshness.wait(token(5), 0)
        with pytest.raises(FreshnessError):
            await freshness.wait(token(6), 0)
        cancelled = asyncio.create_task(freshness.wait(token(6), BOUND))
        await store.until("users", 3)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        with freshness.watch("ann"):
            pass
        assert not freshness._waits
        assert not freshness._watches
        assert freshness._ticking is not None
        await freshness._ticking
