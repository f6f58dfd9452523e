import numpy as np

from kindred.asker_cache import AskerCache
from kindred.ratings import UserProfile
from kindred.stores.port import StoredUser


def test_all_or_none_are_remembered() -> None:
    """Users come back as they were put, if every one asked for is there."""
    cache: AskerCache[str] = AskerCache(2**20)
    users = {name: StoredUser(name, UserProfile(), 1) for name in ("7", "ann")}
    for name, user in users.items():
        cache.put(name, user)
    assert cache.get(["ann", "7"]) == [users["ann"], users["7"]]
    assert cache.get(["7", "bob"]) is None
    assert cache.get([]) == []


def test_who_is_dropped_is_not_there() -> None:
    """Users who are dropped are gone, with their bytes; dropping somebody who is not there changes nothing."""
    cache: AskerCache[str] = AskerCache(2**20)
    cache.put("7", StoredUser("7", UserProfile(), 1))
    kept = cache.bytes
    cache.put("ann", StoredUser("ann", UserProfile(), 1))
    cache.drop(["ann", "bob"])
    assert (cache.get(["ann"]), cache.bytes) == (None, kept)
    assert cache.get(["7"]) is not None


def test_the_ones_who_asked_last_stay() -> None:
    """No more bytes are held than allowed; who has not asked for longest goes first."""
    cache: AskerCache[str] = AskerCache(100_000)
    for number in range(1_000):
        cache.put(str(number), StoredUser(str(number), UserProfile(np.arange(10, dtype=np.uint32)), 1))
        assert cache.get(["0"]) is not None
    assert 50_000 < cache.bytes <= 100_000
    assert cache.get(["999"]) is not None
    assert cache.get(["1"]) is None


def test_attributes_count() -> None:
    """What is known of users takes memory, too: no more of them are kept than fit."""
    cache: AskerCache[str] = AskerCache(100_000)
    for number in range(1_000):
        profile = UserProfile(attributes={f"{number} attribute {place}": "x" * 1_000 for place in range(10)})
        cache.put(str(number), StoredUser(str(number), profile, 1))
    assert 1 <= len(cache) <= 10
