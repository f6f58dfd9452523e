from random import Random
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from kindred.neighborhood import PackedProfile, packed_numbers
from kindred.profile_cache import ProfileCache


def packed(user_id: str, ratings: int = 100, version: int = 1) -> PackedProfile:
    """A profile with so many ratings: 7 bytes each."""
    columns = bytes(2 * ratings), bytes(ratings), bytes(4 * ratings)
    return PackedProfile(version, user_id, *columns, packed_numbers(ratings, 1.0, 1.0, 0.0, -1))


class TestProfileCache:
    def test_what_was_put_is_there_in_its_version(self) -> None:
        """A profile is found under its point and version, in the order asked for; anything else is a miss."""
        cache = ProfileCache(2**20)
        name = UUID(int=7)
        cache.put(7, seven := packed("7", version=3))
        cache.put(name, other := packed("other", version=4))
        assert cache.get([name, 7, 8], [4, 3, 3]) == [other, seven, None]
        assert cache.get([7, name], [4, 3]) == [None, None]
        assert cache.get([], []) == []

    def test_who_needs_times_misses_what_has_none(self) -> None:
        """A profile that was kept without times is a hit only for those who do not ask for them."""
        cache = ProfileCache(2**20)
        cache.put(1, without := packed("1")._replace(times=b""))
        cache.put(2, timed := packed("2"))
        assert cache.get([1, 2], [1, 1]) == [without, timed]
        assert cache.get([1, 2], [1, 1], timed=True) == [None, timed]

    def test_a_newer_version_replaces_the_older(self) -> None:
        """A point has one entry: after a new version the old one is gone, and its bytes are."""
        cache = ProfileCache(2**20)
        cache.put(1, packed("1", 1_000))
        before = cache.bytes
        cache.put(1, new := packed("1", 10, version=2))
        assert cache.get([1, 1], [1, 2]) == [None, new]
        assert len(cache) == 1
        assert cache.bytes == before - 990 * 7

    def test_a_version_that_went_back_is_a_miss(self) -> None:
        """A lower version than the kept one is a miss as well: a collection may have been replaced."""
        cache = ProfileCache(2**20)
        cache.put(1, packed("1", version=9))
        assert cache.get([1], [8]) == [None]

    def test_bytes_are_bounded(self) -> None:
        """However many profiles are put, no more bytes are held than allowed, and nearly as many."""
        cache = ProfileCache(50_000)
        for point in range(1_000):
            cache.put(point, packed(str(point), 10 + point % 90))
            assert 7 * 10 < cache.bytes <= 50_000
        assert cache.bytes > 50_000 - 1_600
        last = [found for found in cache.get([*range(990, 1_000)], [1] * 10) if found is not None]
        assert sum(profile.nbytes for profile in last) <= cache.bytes <= 50_000

    def test_what_is_used_stays(self) -> None:
        """What is asked for now and then stays, however many others come; what is not goes. A miss is no use."""
        cache = ProfileCache(20 * _size_of_one())
        for point in (1, 2, 3):
            cache.put(point, packed(str(point)))
        for other in range(10, 110):
            cache.put(other, packed(str(other)))
            if other % 5 == 0:
                assert cache.get([1, 2], [1, 99]) == [cache.get([1], [1])[0], None]
                assert cache.get([1], [1]) != [None]
        assert [found is not None for found in cache.get([1, 2, 3], [1] * 3)] == [True, False, False]

    def test_bytes_are_what_is_held(self) -> None:
        """Whatever was replaced or dropped, the bytes are those of the entries."""
        random = Random(5)  # noqa: S311  # no secret
        size = _size_of_one()
        cache = ProfileCache(16 * size)
        for _ in range(2_000):
            point = random.randrange(30)
            if random.random() < 0.5:
                cache.put(point, packed(str(point), version=random.randrange(3)))
            else:
                cache.get([point, random.randrange(30)], [random.randrange(3), 1])
            assert cache.bytes == len(cache) * size <= 16 * size

    def test_what_waited_longest_goes_first(self) -> None:
        """Room is made by dropping the oldest entries that were not used; use counts once, and a miss is none."""
        cache = ProfileCache(3 * _size_of_one())
        for point in (1, 2, 3):
            cache.put(point, packed(str(point)))
        cache.get([1, 3, 2], [1, 1, 9])
        held = []
        for point in (4, 5, 6):
            cache.put(point, packed(str(point)))
            held.append([each for each in range(1, 7) if each in cache])
        assert held == [[1, 3, 4], [1, 3, 5], [3, 5, 6]]

    def test_what_is_used_is_noted_for_a_thousand_lookups(self) -> None:
        """Where no entry comes any more it is not noted what is used; with the next one that begins again."""
        cache = ProfileCache(3 * _size_of_one())
        for point in (1, 2, 3):
            cache.put(point, packed(str(point)))
        for _ in range(1_000):
            cache.get([1], [1])
        cache.get([2], [1])
        cache.put(4, packed("4"))
        assert [point for point in range(1, 5) if point in cache] == [1, 3, 4]
        cache.get([3], [1])
        cache.put(5, packed("5"))
        assert [point for point in range(1, 6) if point in cache] == [1, 3, 5]

    def test_a_profile_that_grew_too_large_is_a_miss(self) -> None:
        """Where the newer version of a profile does not fit, the older one is found as such alone."""
        cache = ProfileCache(2_000)
        cache.put(1, old := packed("1", 10, version=1))
        cache.put(1, packed("1", 1_000, version=2))
        assert cache.get([1, 1], [1, 2]) == [old, None]

    @pytest.mark.parametrize("capacity", [0, 1, 1_000])
    def test_what_is_too_large_is_not_kept(self, capacity: int) -> None:
        """A profile larger than the cache is not held, and nothing breaks."""
        cache = ProfileCache(capacity)
        cache.put(1, packed("1", 100))
        assert (len(cache), cache.bytes) == (0, 0)
        assert cache.get([1], [1]) == [None]


class TestMetrics:
    def test_hits_and_misses_are_counted(self) -> None:
        """Each profile looked up is a hit or a miss, and another version is a miss."""
        cache = ProfileCache(20 * _size_of_one())
        for point in range(15):
            cache.put(point, packed(str(point)))
        hits, misses = _metric("hits_total"), _metric("misses_total")
        cache.get([14, 0, 1, 99], [1, 1, 2, 1])
        cache.get([], [])
        assert (_metric("hits_total") - hits, _metric("misses_total") - misses) == (2, 2)

    def test_a_peek_is_not_counted(self) -> None:
        """A peek finds what a lookup finds, and is none in the metrics."""
        cache = ProfileCache(2**20)
        cache.put(1, one := packed("1"))
        before = _metric("hits_total"), _metric("misses_total")
        assert cache.peek([1, 2], [1, 1]) == [one, None]
        assert (_metric("hits_total"), _metric("misses_total")) == before

    def test_bytes_and_capacity_are_told(self) -> None:
        """The gauges have the newest cache's capacity, and at each lookup the bytes that it holds."""
        ProfileCache(2**10)
        cache = ProfileCache(2**20)
        assert (_metric("bytes"), _metric("capacity_bytes")) == (0, 2**20)
        cache.put(1, packed("1"))
        cache.get([1], [1])
        assert _metric("bytes") == cache.bytes > 0


def _metric(name: str) -> float:
    value = REGISTRY.get_sample_value(f"kindred_profile_cache_{name}")
    assert value is not None
    return value


def _size_of_one() -> int:
    cache = ProfileCache(2**20)
    cache.put(1, packed("1"))
    return cache.bytes
