"""The cache of neighbors' profiles, as a scrape of the metrics shows it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.local_broker import LOCAL_SETTINGS
from cli.runtime import running
from kindred.v1.rating_service_pb2 import NewRating, RecordRatingsRequest
from kindred.v1.recommendation_service_pb2 import RecommendRequest
from tests.support.films import SPACE
from tests.support.place import Place
from tests.support.processes import free_port
from tests.support.system import BOUND, Client, connected, fresh_names

pytestmark = pytest.mark.timeout(60)

CAPACITY = 100_000
NEIGHBORS = 5
"""The other space travellers: a romantic's similarity to one of them is not above 0."""


@dataclass(frozen=True, slots=True)
class Cache:
    """What a scrape says of it."""

    hits: float
    misses: float
    bytes: float
    capacity: float

    def since(self, before: "Cache") -> tuple[float, float]:
        """How many hits and misses there were since."""
        return self.hits - before.hits, self.misses - before.misses


@dataclass(frozen=True, slots=True)
class Scraped:
    """A server with a consumer, and its metrics."""

    client: Client
    metrics_port: int

    async def recommend(self, token: str = "") -> None:
        """Asks for one of the space travellers."""
        request = RecommendRequest(user_id="7", limit=1, at_least_as_fresh=token)
        await self.client.recommendations.Recommend(request, timeout=BOUND)

    async def rate(self, user_id: str) -> str:
        """A rating of somebody; the token."""
        request = RecordRatingsRequest(user_id=user_id, ratings=[NewRating(item_id=SPACE[0], value=4.5)])
        return (await self.client.ratings.RecordRatings(request, timeout=BOUND)).freshness_token

    async def cache(self) -> Cache:
        """Scrapes."""
        text = await asyncio.to_thread(_scrape, self.metrics_port)
        found = {
            sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples
        }
        names = ("hits_total", "misses_total", "bytes", "capacity_bytes")
        return Cache(*(found[f"kindred_profile_cache_{name}"] for name in names))


@pytest.fixture
async def scraped(kafka: str, own_films: Place) -> AsyncIterator[Scraped]:
    """A system of its own: nothing is in its cache."""
    more = {**LOCAL_SETTINGS, **fresh_names(), "recount_interval": 86_400, "cache_bytes": CAPACITY}
    settings = own_films.settings(port=0, metrics_port=(port := free_port()), kafka=kafka, **more)
    async with running(settings, serve=True, consume=True) as parts, connected(parts.address) as client:
        await parts.joined.wait()
        yield Scraped(client, port)


async def test_the_second_call_hits(scraped: Scraped) -> None:
    """The first call misses everybody it finds, itself included, and the next finds them all; the bytes are told."""
    start = await scraped.cache()
    assert (start.bytes, start.capacity) == (0, CAPACITY)
    await scraped.recommend()
    first = await scraped.cache()
    hits, found = first.since(start)
    assert hits == 0
    assert found >= 1 + NEIGHBORS
    await scraped.recommend()
    second = await scraped.cache()
    assert second.since(first) == (found, 0)
    assert 0 < second.bytes <= CAPACITY


async def test_a_neighbor_who_rates_is_a_miss_once(scraped: Scraped) -> None:
    """After a write of a neighbor that one is read anew, all others are hits; the call after that hits again."""
    await scraped.recommend()
    await scraped.recommend()
    before = await scraped.cache()
    token = await scraped.rate("11")
    await scraped.recommend(token)
    once = await scraped.cache()
    await scraped.recommend()
    again = await scraped.cache()
    hits, misses = once.since(before)
    assert misses == 1
    assert again.since(once) == (hits + 1, 0)
    # They have one rating more at most; of the old version nothing is kept.
    assert before.bytes <= again.bytes < before.bytes + 100


def _scrape(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=BOUND) as response:
        text: str = response.read().decode()
        return text
