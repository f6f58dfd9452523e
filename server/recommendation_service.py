"""RecommendationService: checks requests, asks the recommender, words the answers."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from kindred.backend import Backend
from kindred.errors import KindredError
from kindred.recommendation import RecommendationRequest
from kindred.timing import Step, lap
from kindred.v1 import recommendation_service_pb2 as pb
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceServicer
from server.answers import AnswerWriter
from server.checks import Checks
from server.errors import status_of
from server.grpc_types import Context
from server.lists import (
    popular_items_response,
    read_popular_items,
    read_similar_items,
    read_similar_users,
    similar_items_response,
    similar_users_response,
)
from server.recommend_requests import explained_items, read_request
from server.state import ServerState, patience

MAX_BATCH = 100
MAX_EXPLAINED_OF_BATCH = 200
"""Items with every term of their scores: 50 of them may take a megabyte, and clients take messages of four."""
SEARCHED_TOGETHER = 10
"""Requests of a batch that share a search: more spare nothing, and other calls would wait for all of them."""
_GATHER_SECONDS = 0.05
"""Seconds between two answers of a stream at least: what changes in between makes one."""


class RecommendationService(RecommendationServiceServicer):
    """See protos/kindred/v1/recommendation_service.proto.

    Args:
        state: The server's parts.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state

    async def Recommend(self, request: pb.RecommendRequest, context: Context) -> pb.RecommendResponse:
        """Recommends items."""
        checked = read_request(request)
        lap(Step.CHECK)
        if request.at_least_as_fresh:
            await self._state.be_fresh(request.at_least_as_fresh, patience(context))
        backend = self._state.backend
        await backend.follower.look_for(_named(checked))
        answer = await backend.recommender.recommend(checked)
        return _writer(backend).response(answer, request.item_view)

    async def BatchRecommend(self, request: pb.BatchRecommendRequest, context: Context) -> pb.BatchRecommendResponse:
        """Answers many requests, some with one search at a time."""
        checks = Checks()
        checks.count(request.requests, "requests", MAX_BATCH)
        if (explained := sum(map(explained_items, request.requests))) > MAX_EXPLAINED_OF_BATCH:
            rule = f"at most {MAX_EXPLAINED_OF_BATCH} are allowed: ask for fewer, or for EXPLANATION_SUMMARY"
            checks.wrong("requests", f"ask for {explained:,} items with EXPLANATION_FULL together, {rule}")
        checks.done()
        read: list[RecommendationRequest | KindredError] = []
        for each in request.requests:
            read.append(_read_or_error(each))
            await asyncio.sleep(0)  # other calls get their turn
        lap(Step.CHECK)
        waits = {each.at_least_as_fresh for each in request.requests if each.at_least_as_fresh}
        while True:
            backend = self._state.backend
            states = await asyncio.gather(*(self._fresh(token, patience(context)) for token in waits))
            if backend is self._state.backend:  # else another collection was swapped in while the last one waited
                break
        reached = dict(zip(waits, states, strict=True))
        read = [reached.get(each.at_least_as_fresh) or one for each, one in zip(request.requests, read, strict=True)]
        right = [one for one in read if isinstance(one, RecommendationRequest)]
        await backend.follower.look_for(item_id for one in right for item_id in _named(one))
        answers = iter(
            [
                answer
                for start in range(0, len(right), SEARCHED_TOGETHER)
                for answer in await backend.recommender.recommend_many(right[start : start + SEARCHED_TOGETHER])
            ]
        )
        response, writer = pb.BatchRecommendResponse(), _writer(backend)
        for each, one in zip(request.requests, read, strict=True):
            answer = one if isinstance(one, KindredError) else next(answers)
            if isinstance(answer, KindredError):
                response.results.add(error=status_of(answer))
            else:
                response.results.add(response=writer.response(answer, each.item_view))
                await asyncio.sleep(0)
        return response

    async def WatchRecommendations(
        self, request: pb.WatchRecommendationsRequest, context: Context
    ) -> AsyncIterator[pb.WatchRecommendationsResponse]:
        """Answers now, and again whenever the user's own ratings change the answer."""
        checks = Checks()
        if not request.request.user_id:
            checks.wrong("request.user_id", "is needed: it is the user whose ratings are watched")
        checks.done()
        checked = read_request(request.request)
        loop = asyncio.get_running_loop()
        with self._state.watches.admitted(context.peer()):
            await self._state.be_fresh(request.request.at_least_as_fresh, patience(context))
            with self._state.backend.freshness.watch(request.request.user_id) as watch:
                last = b""
                while True:
                    backend = self._state.backend
                    await backend.follower.look_for(_named(checked))
                    answer = await backend.recommender.recommend(checked)
                    watch.revision = answer.profile_revision
                    response = _writer(backend).response(answer, request.request.item_view)
                    if (seen := _without_as_of(response)) != last:
                        last = seen
                        yield pb.WatchRecommendationsResponse(response=response)
                    if not await self._state.watches.next(watch, loop.time() + _GATHER_SECONDS):
                        return

    async def ListSimilarItems(
        self, request: pb.ListSimilarItemsRequest, context: Context
    ) -> pb.ListSimilarItemsResponse:
        """Lists items that the people who like an item like, too."""
        checked = read_similar_items(request)
        backend = self._state.backend
        await backend.follower.look_for([checked.item_id, *checked.items.candidates])
        answer = await backend.similar_items.similar(checked)
        return similar_items_response(answer, backend.catalog, request.item_view)

    async def ListSimilarUsers(
        self, request: pb.ListSimilarUsersRequest, context: Context
    ) -> pb.ListSimilarUsersResponse:
        """Lists the people who rate like a user."""
        checked = read_similar_users(request)
        self._state.backend.similar_users.check_allowed()
        await self._state.be_fresh(request.at_least_as_fresh, patience(context))
        backend = self._state.backend
        await backend.follower.look_for(rating.item_id for rating in checked.ratings)
        return similar_users_response(await backend.similar_users.similar(checked))

    async def ListPopularItems(
        self, request: pb.ListPopularItemsRequest, context: Context
    ) -> pb.ListPopularItemsResponse:
        """Lists what most users like."""
        checked = read_popular_items(request)
        backend = self._state.backend
        await backend.follower.look_for(checked.items.candidates)
        answer = await backend.popular.popular(checked)
        return popular_items_response(answer, backend.catalog, request.item_view)

    async def _fresh(self, token: str, timeout: float) -> KindredError | None:
        try:
            await self._state.be_fresh(token, timeout)
        except KindredError as error:
            return error
        return None


def _writer(backend: Backend) -> AnswerWriter:
    return AnswerWriter(
        backend.catalog, backend.store.metadata.scale, backend.recipes, names_neighbors=backend.names_neighbors
    )


def _named(request: RecommendationRequest) -> Iterator[str]:
    """The items that have to be known."""
    yield from (rating.item_id for rating in request.ratings)
    yield from request.without
    yield from request.items.candidates


def _without_as_of(response: pb.RecommendResponse) -> bytes:
    """What a watcher sees of an answer: another revision of the profile alone is no news."""
    seen = pb.RecommendResponse()
    seen.CopyFrom(response)
    seen.ClearField("as_of")
    return seen.SerializeToString(deterministic=True)


def _read_or_error(request: pb.RecommendRequest) -> RecommendationRequest | KindredError:
    try:
        return read_request(request)
    except KindredError as error:
        return error
