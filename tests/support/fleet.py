"""Servers and consumers over one store and one log, run by a test, and what is asked of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from subprocess import Popen

from cli.local_broker import LOCAL_SETTINGS
from cli.runtime import Running, running
from kindred.stores.port import point_id_of
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as recommendation
from tests.support.place import Place
from tests.support.system import BOUND, Client, connected, fresh_names


class Fleet:
    """Servers and consumers that run in this process, each with its own connections and caches."""

    def __init__(self, place: Place, kafka: str, stack: AsyncExitStack) -> None:
        self.settings = place.settings(
            kafka=kafka, port=0, **(LOCAL_SETTINGS | {"session_timeout": 3} | fresh_names()), recount_interval=0.2
        )
        self._stack = stack

    async def server(self, **changes: object) -> Client:
        """Starts a server, and gives a client of it alone."""
        settings = self.settings.model_copy(update=changes)
        parts = await self._stack.enter_async_context(running(settings, serve=True, consume=False))
        return await self._stack.enter_async_context(connected(parts.address))

    async def consumer(self, **changes: object) -> Running:
        """Starts a consumer that has joined."""
        settings = self.settings.model_copy(update=changes)
        parts = await self._stack.enter_async_context(running(settings, serve=False, consume=True))
        async with asyncio.timeout(BOUND):
            await parts.joined.wait()
        return parts


@asynccontextmanager
async def fleet(place: Place, kafka: str) -> AsyncIterator[Fleet]:
    """A fleet that is stopped in the end."""
    async with AsyncExitStack() as stack:
        yield Fleet(place, kafka, stack)


async def record(client: Client, user: str, *films: str) -> str:
    """Records five stars for films, and gives the token."""
    ratings = [rating.NewRating(item_id=film, value=5) for film in films]
    answer = await client.ratings.RecordRatings(
        rating.RecordRatingsRequest(user_id=user, ratings=ratings), timeout=BOUND
    )
    token: str = answer.freshness_token
    return token


async def recommended(client: Client, user: str, token: str = "") -> recommendation.RecommendResponse:
    """What is recommended to a user, at least as fresh as a token."""
    request = recommendation.RecommendRequest(user_id=user, at_least_as_fresh=token, limit=50)
    return await client.recommendations.Recommend(request, timeout=BOUND)


async def listed(client: Client, user: str) -> int:
    """How many ratings of a user are stored."""
    answer = await client.ratings.ListRatings(rating.ListRatingsRequest(user_id=user), timeout=BOUND)
    size: int = answer.total_size
    return size


async def ready(consumer: Popen[str]) -> None:
    """Waits until a consumer process says that it has partitions."""
    assert consumer.stdout is not None
    async with asyncio.timeout(BOUND):
        while "ready" not in await asyncio.to_thread(consumer.stdout.readline):
            assert consumer.poll() is None


async def all_applied(place: Place, users: Sequence[str]) -> None:
    """Waits until each of some users has a rating."""
    store = await place.open()
    async with asyncio.timeout(BOUND):
        while not all(await store.users([point_id_of(user) for user in users])):  # noqa: ASYNC110  # others write
            await asyncio.sleep(0.05)
    await store.close()
