import asyncio
from dataclasses import dataclass, field

import pytest

from kindred.deadline import deadline_in, time_left
from kindred.errors import OutOfTimeError, ResourceExhaustedError, UnavailableError
from kindred.stale_cache import StaleCache

AGE = 100.0


@dataclass
class Maker:
    """Makes "key 1", "key 2" and so on, by a clock that the test moves, and waits where it is told to."""

    now: float = 0.0
    takes: float = 0.0
    made: list[str] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    seconds_left: float = 0.0

    async def make(self, key: str) -> str:
        """See `StaleCache`."""
        self.begun.set()
        self.seconds_left = time_left(7.0)
        await self.open.wait()
        self.now += self.takes
        if self.error is not None:
            raise self.error
        self.made.append(key)
        return f"{key} {self.made.count(key)}"


def caches(*, is_open: bool = True, capacity: int = 8, most_making: int = 8) -> tuple[StaleCache[str, str], Maker]:
    """A cache, and what it makes its values with."""
    maker = Maker()
    if is_open:
        maker.open.set()
    return StaleCache(maker.make, AGE, capacity, most_making, lambda: maker.now), maker


async def settled() -> None:
    """Lets the tasks that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_new_value_is_made_once() -> None:
    """Within the age a value is answered without being made again, each key's its own."""
    cache, maker = caches()
    assert await cache.get("a") == "a 1"
    maker.now = AGE - 1
    assert [await cache.get("a"), await cache.get("b")] == ["a 1", "b 1"]
    assert maker.made == ["a", "b"]


async def test_callers_at_the_same_time_wait_for_one_making() -> None:
    """Twenty who ask for the same key at once make it once."""
    cache, maker = caches(is_open=False)
    waiting = [asyncio.create_task(cache.get("a")) for _ in range(20)]
    await maker.begun.wait()
    maker.open.set()
    assert await asyncio.gather(*waiting) == ["a 1"] * 20
    assert maker.made == ["a"]


async def test_an_old_value_is_answered_while_a_new_one_is_made() -> None:
    """Past its age a value is answered at once and made again once; then the new one is answered."""
    cache, maker = caches()
    await cache.get("a")
    maker.now = AGE
    maker.open.clear()
    assert [await cache.get("a"), await cache.get("a")] == ["a 1", "a 1"]
    maker.open.set()
    await settled()
    assert maker.made == ["a", "a"]
    assert await cache.get("a") == "a 2"


async def test_a_value_twice_its_age_is_not_answered() -> None:
    """Past twice its age a value is waited for."""
    cache, maker = caches()
    await cache.get("a")
    maker.now = 2 * AGE - 1
    assert cache.peek("a") == "a 1"
    maker.now = 2 * AGE
    assert cache.peek("a") is None
    assert await cache.get("a") == "a 2"


async def test_what_takes_long_lasts_longer() -> None:
    """A value lasts twenty times as long as it took to make."""
    cache, maker = caches()
    maker.takes = AGE
    await cache.get("a")
    maker.now += 20 * AGE - 1
    assert await cache.get("a") == "a 1"
    await settled()
    assert maker.made == ["a"]
    maker.now += 1
    await cache.get("a")
    await settled()
    assert maker.made == ["a", "a"]


async def test_who_runs_out_of_time_is_told_and_the_making_goes_on() -> None:
    """A caller whose deadline comes first fails with OutOfTimeError; the next one finds the value."""
    cache, maker = caches(is_open=False)
    with deadline_in(0.001), pytest.raises(OutOfTimeError, match="ask again"):
        await cache.get("a")
    with pytest.raises(OutOfTimeError):
        await cache.get("a", patience=0.001)
    maker.open.set()
    assert await cache.get("a") == "a 1"
    assert maker.made == ["a"]


async def test_the_making_has_no_deadline() -> None:
    """The first caller's deadline does not bound what is made for those who come later."""
    cache, maker = caches()
    with deadline_in(3.0):
        await cache.get("a")
    assert maker.seconds_left == 7.0


async def test_a_failure_is_told_to_who_waits_and_not_kept() -> None:
    """An error reaches everybody who waited; the next call tries again."""
    cache, maker = caches()
    maker.error = UnavailableError("store", "away")
    failures = await asyncio.gather(cache.get("a"), cache.get("a"), return_exceptions=True)
    assert [type(failure) for failure in failures] == [UnavailableError] * 2
    maker.error = None
    assert await cache.get("a") == "a 1"


async def test_a_failure_in_the_background_leaves_the_old_value() -> None:
    """If making it again fails, the old value is answered for as long as it would have been."""
    cache, maker = caches()
    await cache.get("a")
    maker.now, maker.error = AGE, UnavailableError("store", "away")
    assert await cache.get("a") == "a 1"
    await settled()
    assert await cache.get("a") == "a 1"


async def test_the_least_recently_asked_for_goes_first() -> None:
    """No more keys are kept than fit."""
    cache, maker = caches(capacity=2)
    for key in ("a", "b", "a", "c"):
        await cache.get(key)
    assert len(cache) == 2
    await cache.get("a")
    assert maker.made == ["a", "b", "c"]


async def test_too_many_at_a_time_are_refused() -> None:
    """Beyond the bound a new key is refused, and an old value is answered as it is."""
    cache, maker = caches(most_making=1)
    await cache.get("old")
    maker.now = AGE
    maker.open.clear()
    waiting = asyncio.create_task(cache.get("a"))
    await settled()
    assert await cache.get("old") == "old 1"
    with pytest.raises(ResourceExhaustedError, match="ask again") as refused:
        await cache.get("b")
    assert refused.value.reason == "TOO_MANY_COUNTS"
    maker.open.set()
    assert await waiting == "a 1"
    assert await cache.get("b") == "b 1"
    assert maker.made == ["old", "a", "b"]
