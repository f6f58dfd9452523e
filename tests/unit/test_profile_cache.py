from random import Random
from uuid import UUID

import numpy as np
import pytest
from prometheus_client import REGISTRY

from kindred.neighborhood import DecodedProfile
from kindred.profile_cache import ProfileCache


def decoded(user_id: str, ratings: int = 100) -> DecodedProfile:
    """A profile with so many ratings: 28 bytes each, in arrays."""
    rows = np.arange(ratings, dtype=np.int32)
    stars, times = np.ones(ratings, np.float32), np.zeros(ratings, np.int64)
    return DecodedProfile(
        user_id, rows, np.ones(ratings), stars, stars, times, np.array([ratings, 1.0, 1.0, 0.0, -1.0])
    )


class TestProfileCache:
    def test_what_was_put_is_there_in_its_version(self) -> None:
        """A profile is found under its point and version, in the order asked for; anything else is a miss."""
        cache = ProfileCache(2**20)
        name = UUID(int=7)
        cache.put(7, 3, seven := decoded("7"))
        cache.put(name, 4, other := decoded("other"))
        assert cache.get([name, 7, 8], [4, 3, 3]) == [other, seven, None]
        assert cache.get([7, name], [4, 3]) == [None, None]
        assert cache.get([], []) == []

    def test_a_newer_version_replaces_the_older(self) -> None:
        """A point has one entry: after a new version the old one is gone, and its bytes are."""
        cache = ProfileCache(2**20)
        cache.put(1, 1, decoded("1", 1_000))
        before = cache.bytes
        cache.put(1, 2, new := decoded("1", 10))
        assert cache.get([1, 1], [1, 2]) == [None, new]
        assert len(cache) == 1
        assert cache.bytes == before - 990 * 28

    def test_a_version_that_went_back_is_a_miss(self) -> None:
        """A lower version than the kept one is a miss as well: a collection may have been replaced."""
        cache = ProfileCache(2**20)
        cache.put(1, 9, decoded("1"))
        assert cache.get([1], [8]) == [None]

    def test_bytes_are_bounded(self) -> None:
        """However many profiles are put, no more bytes are held than allowed, and more than half of that."""
        cache = ProfileCache(50_000)
        for point in range(1_000):
            cache.put(point, 1, decoded(str(point), 10 + point % 90))
            assert 28 * 10 < cache.bytes <= 50_000
        assert cache.bytes > 25_000 - 4_000
        last = [found for found in cache.get([*range(990, 1_000)], [1] * 10) if found is not None]
        assert sum(profile.nbytes for profile in last) <= cache.bytes <= 50_000

    def test_what_is_used_stays(self) -> None:
        """What is asked for now and then stays, however many others come; what is not goes. A miss is no use."""
        cache = ProfileCache(20 * _size_of_one())
        for point in (1, 2, 3):
            cache.put(point, 1, decoded(str(point)))
        for other in range(10, 110):
            cache.put(other, 1, decoded(str(other)))
            if other % 5 == 0:
                assert cache.get([1, 2], [1, 99]) == [cache.get([1], [1])[0], None]
                assert cache.get([1], [1]) != [None]
        assert [found is not None for found in cache.get([1, 2, 3], [1] * 3)] == [True, False, False]

    def test_bytes_are_what_is_held(self) -> None:
        """Whatever moved between the generations, was replaced or dropped, the bytes are those of the entries."""
        random = Random(5)  # noqa: S311  # no secret
        size = _size_of_one()
        cache = ProfileCache(16 * size)
        for _ in range(2_000):
            point = random.randrange(30)
            if random.random() < 0.5:
                cache.put(point, random.randrange(3), decoded(str(point)))
            else:
                cache.get([point, random.randrange(30)], [random.randrange(3), 1])
            assert cache.bytes == len(cache) * size <= 16 * size

    @pytest.mark.parametrize("capacity", [0, 1, 1_000])
    def test_what_is_too_large_is_not_kept(self, capacity: int) -> None:
        """A profile larger than half of the cache is not held, and nothing breaks."""
        cache = ProfileCache(capacity)
        cache.put(1, 1, decoded("1", 100))
        assert (len(cache), cache.bytes) == (0, 0)
        assert cache.get([1], [1]) == [None]


class TestMetrics:
    def test_hits_and_misses_are_counted(self) -> None:
        """Each profile looked up is a hit or a miss: another version is a miss, the old generation's are hits."""
        cache = ProfileCache(20 * _size_of_one())
        for point in range(15):
            cache.put(point, 1, decoded(str(point)))
        hits, misses = _metric("hits_total"), _metric("misses_total")
        cache.get([14, 0, 1, 99], [1, 1, 2, 1])
        cache.get([], [])
        assert (_metric("hits_total") - hits, _metric("misses_total") - misses) == (2, 2)

    def test_a_peek_is_not_counted(self) -> None:
        """A peek finds what a lookup finds, and is none in the metrics."""
        cache = ProfileCache(2**20)
        cache.put(1, 1, one := decoded("1"))
        before = _metric("hits_total"), _metric("misses_total")
        assert cache.peek([1, 2], [1, 1]) == [one, None]
        assert (_metric("hits_total"), _metric("misses_total")) == before

    def test_bytes_and_capacity_are_told(self) -> None:
        """The gauges have the newest cache's capacity, and at each lookup the bytes that it holds."""
        ProfileCache(2**10)
        cache = ProfileCache(2**20)
        assert (_metric("bytes"), _metric("capacity_bytes")) == (0, 2**20)
        cache.put(1, 1, decoded("1"))
        cache.get([1], [1])
        assert _metric("bytes") == cache.bytes > 0


def _metric(name: str) -> float:
    value = REGISTRY.get_sample_value(f"kindred_profile_cache_{name}")
    assert value is not None
    return value


def _size_of_one() -> int:
    cache = ProfileCache(2**20)
    cache.put(1, 1, decoded("1"))
    return cache.bytes
