import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.errors import FreshnessError, InvalidArgumentError, UnavailableError
from kindred.freshness import Freshness, FreshnessToken
from kindred.ratings import Rated
from kindred.stores.port import LogPosition
from kindred.updater import ProfileUpdater, UserEvent
from tests.support.edge import EdgeBackend
from tests.support.stores import build, profile_of, write
from tests.support.watched_store import WatchedStore

NEVER = 3_600.0
"""Seconds between looks at the store: only an announcement wakes whoever waits."""
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
        user = await Freshness(store, NEVER).wait(token(offset), 0)
        assert user.profile.items.tolist() == [5]
        assert store.calls == {"users": 1}

    async def test_an_announcement_wakes(self, store: WatchedStore) -> None:
        """Who waits for an event is woken when it is applied in this process, without looking in between."""
        freshness = Freshness(store, NEVER)
        waiting = [asyncio.create_task(freshness.wait(token(5), BOUND)) for _ in range(3)]
        await store.until("users", 3)
        freshness.announce(["7"])
        await self.apply(store, 4, freshness)
        await store.until("users", 6)
        assert not any(task.done() for task in waiting)
        await self.apply(store, 5, freshness)
        users = await asyncio.gather(*waiting)
        assert [user.revision for user in users] == [2, 2, 2]
        assert store.calls == {"users": 9}

    async def test_a_write_of_another_process_is_found(self, store: WatchedStore) -> None:
        """Without an announcement the store is looked at again and again."""
        waiting = asyncio.create_task(Freshness(store, 0.001).wait(token(5), BOUND))
        await store.until("users", 3)
        await self.apply(store, 5)
        assert (await waiting).user_id == "ann"

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

    async def test_a_store_that_is_away_is_said_so(self, store: WatchedStore) -> None:
        """A failing store ends the wait with its own error."""
        store.away("users")
        with pytest.raises(UnavailableError, match="away"):
            await Freshness(store).wait(token(5), BOUND)

    async def test_a_last_look_that_runs_out_of_time_is_no_outage(self, store: WatchedStore) -> None:
        """If the store answered before and the time is over, what is missing is the event, not the store."""
        waiting = asyncio.create_task(Freshness(store, 0.001).wait(token(5), 0.05))
        await store.until("users", 2)
        store.away("users")
        with pytest.raises(FreshnessError):
            await waiting

    async def test_nobody_is_remembered(self, store: WatchedStore) -> None:
        """After an answer, a failure and a cancelled call nothing is kept of those who waited."""
        freshness = Freshness(store, NEVER)
        await self.apply(store, 5)
        await freshness.wait(token(5), 0)
        with pytest.raises(FreshnessError):
            await freshness.wait(token(6), 0)
        cancelled = asyncio.create_task(freshness.wait(token(6), BOUND))
        await store.until("users", 3)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert freshness._waiting == {}
