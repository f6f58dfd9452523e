"""The calls that go on: WatchRecommendations and StreamRatings, through the whole system."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo

from cli.local_broker import LOCAL_SETTINGS
from cli.runtime import running
from kindred.freshness import FreshnessToken
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as pb
from kindred.v1.reaction_pb2 import REACTION_LIKE
from tests.support.films import ROMANCE, SPACE
from tests.support.place import Place
from tests.support.system import BOUND, Client, Failure, System, connected, failure_of, fresh_names, read_failure

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]


@asynccontextmanager
async def watching(client: Client, user: str, **more: object) -> AsyncIterator[grpc.aio.UnaryStreamCall]:
    """An open stream of what is recommended to a user."""
    request = pb.RecommendRequest(user_id=user, limit=50, **more)
    call = client.recommendations.WatchRecommendations(pb.WatchRecommendationsRequest(request=request))
    try:
        yield call
    finally:
        call.cancel()


async def answer(call: grpc.aio.UnaryStreamCall) -> pb.RecommendResponse:
    """The next answer of a stream."""
    async with asyncio.timeout(BOUND):
        message = await call.read()
    assert message is not grpc.aio.EOF, "the stream has ended"
    return message.response


async def failure_of_stream(call: grpc.aio.Call) -> Failure:
    """What a stream fails with, whatever it answered before."""
    try:
        async with asyncio.timeout(BOUND):
            while await call.read() is not grpc.aio.EOF:
                pass
            code = await call.code()
    except grpc.aio.AioRpcError as error:
        return read_failure(error)
    raise AssertionError(f"the stream ended with {code}")


async def record(client: Client, user: str, *films: str, value: float = 5) -> str:
    """Records ratings, and gives the token."""
    ratings = [rating.NewRating(item_id=film, value=value) for film in films]
    request = rating.RecordRatingsRequest(user_id=user, ratings=ratings)
    return (await client.ratings.RecordRatings(request, timeout=BOUND)).freshness_token


def ids(response: pb.RecommendResponse) -> list[str]:
    """The recommended items."""
    return [each.item.item_id for each in response.recommendations]


class TestWatch:
    async def test_the_first_answer_comes_at_once(self, system: System) -> None:
        """The stream begins with what Recommend answers."""
        alone = await system.client.recommendations.Recommend(pb.RecommendRequest(user_id="7", limit=50))
        async with watching(system.client, "7") as call:
            assert await answer(call) == alone

    async def test_a_rating_changes_the_answer(self, system: System) -> None:
        """What the user rates is gone from the next answer, which says that it includes the event."""
        async with watching(system.client, "watcher-1") as call:
            assert (await answer(call)).strategy == pb.STRATEGY_POPULAR_FALLBACK
            token = await record(system.client, "watcher-1", SPACE[0])
            changed = await answer(call)
            assert changed.strategy in (pb.STRATEGY_PERSONALIZED, pb.STRATEGY_MIXED)
            assert SPACE[0] not in ids(changed)
            assert changed.as_of.stored_ratings == 1
            assert changed.as_of.freshness_token == token

    async def test_a_burst_is_few_answers(self, system: System) -> None:
        """Ratings in quick succession make few answers, and the last one includes them all."""
        films = [*SPACE, *ROMANCE]
        async with watching(system.client, "watcher-2") as call:
            await answer(call)
            for value in (3, 4, 5):
                for film in films:
                    await record(system.client, "watcher-2", film, value=value)
            seen = 0
            token = await record(system.client, "watcher-2", films[0], value=1)
            while True:
                last = await answer(call)
                seen += 1
                if last.as_of.freshness_token == token:
                    break
            assert last.as_of.stored_ratings == len(films)
            assert seen < len(films)

    async def test_what_changes_nothing_is_no_answer(self, system: System) -> None:
        """Another user's rating and attributes of the user's own leave the list, and so the stream, as it is."""
        async with watching(system.client, "watcher-3") as call:
            await record(system.client, "watcher-3", SPACE[0])
            await answer(call)
            first = await answer(call)
            await record(system.client, "somebody-else", ROMANCE[0])
            request = rating.SetUserAttributesRequest(user_id="watcher-3")
            request.attributes["age"].number_value = 30
            await system.client.ratings.SetUserAttributes(request, timeout=BOUND)
            token = await record(system.client, "watcher-3", SPACE[1])
            second = await answer(call)
            assert second.as_of.freshness_token == token
            assert ids(first) != ids(second)

    async def test_forgetting_is_a_change(self, system: System) -> None:
        """A user who is forgotten gets what a stranger gets."""
        async with watching(system.client, "watcher-4") as call:
            stranger = await answer(call)
            await record(system.client, "watcher-4", SPACE[0])
            await answer(call)
            await system.client.ratings.ForgetUser(rating.ForgetUserRequest(user_id="watcher-4"), timeout=BOUND)
            assert ids(await answer(call)) == ids(stranger)

    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            (pb.RecommendRequest(), "request.user_id"),
            (pb.RecommendRequest(ratings=[pb.InlineRating(item_id="50", value=5)]), "request.user_id"),
            (pb.RecommendRequest(user_id="7", limit=0), "limit"),
            (pb.RecommendRequest(user_id="7", at_least_as_fresh="nonsense"), "at_least_as_fresh"),
        ],
        ids=["nothing", "inline ratings alone", "limit", "token"],
    )
    async def test_a_wrong_request_is_refused(self, system: System, request_: pb.RecommendRequest, field: str) -> None:
        """What is wrong with the request ends the stream before it begins, and is named."""
        call = system.client.recommendations.WatchRecommendations(pb.WatchRecommendationsRequest(request=request_))
        failure = await failure_of_stream(call)
        assert (failure.code, failure.paths) == (grpc.StatusCode.INVALID_ARGUMENT, [field])

    async def test_there_are_not_too_many(self, own_films: Place, kafka: str) -> None:
        """One stream more than a server or a caller may have is RESOURCE_EXHAUSTED; one that ends makes room."""
        for bound in ({"max_watches": 2}, {"max_watches_per_caller": 2}):
            settings = own_films.settings(port=0, kafka=kafka, **fresh_names(), **bound)
            async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
                async with watching(client, "7") as first:
                    await answer(first)
                    async with watching(client, "7") as second:
                        await answer(second)
                        async with watching(client, "7") as third:
                            failure = await failure_of_stream(third)
                        assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
                        assert next(iter(bound)).upper() in failure.message
                async with asyncio.timeout(BOUND):
                    while True:  # the server hears of the end a moment later
                        async with watching(client, "7") as again:
                            if await again.read() is not grpc.aio.EOF:
                                break

    async def test_a_server_that_stops_ends_it_cleanly(self, own_films: Place, kafka: str) -> None:
        """When the server drains, the stream ends with OK, and not only after the grace of the calls under way."""
        settings = own_films.settings(port=0, kafka=kafka, drain_grace=60, **fresh_names())
        async with running(settings, serve=True, consume=False) as parts:
            client_context = connected(parts.address)
            client = await client_context.__aenter__()
            request = pb.WatchRecommendationsRequest(request=pb.RecommendRequest(user_id="7"))
            call = client.recommendations.WatchRecommendations(request)
            await answer(call)
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
        await client_context.__aexit__(None, None, None)


def request_of(*ratings: tuple[str, str, float], tokens: bool = True) -> rating.StreamRatingsRequest:
    """Ratings as (user, film, value)."""
    return rating.StreamRatingsRequest(
        ratings=[
            rating.UserRating(user_id=user, rating=rating.NewRating(item_id=film, value=value))
            for user, film, value in ratings
        ],
        want_freshness_tokens=tokens,
    )


async def stored(client: Client, user: str, token: str) -> dict[str, float]:
    """A user's ratings, at least as fresh as a token."""
    request = rating.ListRatingsRequest(user_id=user, at_least_as_fresh=token)
    response = await client.ratings.ListRatings(request, timeout=BOUND)
    return {each.item.item_id: each.value for each in response.ratings}


class TestStreamRatings:
    async def test_each_request_is_answered_in_order(self, system: System) -> None:
        """A caller that waits for each answer gets it, with tokens that lead to what was recorded."""
        call = system.client.ratings.StreamRatings(timeout=BOUND)
        for number, film in enumerate(SPACE[:3], start=1):
            await call.write(request_of(("stream-1", film, number), ("stream-2", film, 5)))
            response = await call.read()
            assert (response.recorded_count, list(response.refused)) == (2, [])
            assert sorted(response.freshness_tokens) == ["stream-1", "stream-2"]
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
        wanted = {film: float(number) for number, film in enumerate(SPACE[:3], start=1)}
        assert await stored(system.client, "stream-1", response.freshness_tokens["stream-1"]) == wanted

    async def test_the_last_of_a_users_ratings_wins(self, system: System) -> None:
        """Ratings of one item by one user take effect in the order in which they were sent."""
        requests = [
            request_of(*(("stream-3", SPACE[0], value) for value in (1, 2, 3))),
            *(request_of(("stream-3", SPACE[0], value)) for value in (4, 5, 1, 2, 3, 4.5)),
        ]
        call = system.client.ratings.StreamRatings(iter(requests), timeout=BOUND)
        tokens = [response.freshness_tokens["stream-3"] async for response in call]
        offsets = [FreshnessToken.decode(token, "token").position.offset for token in tokens]
        assert offsets == sorted(offsets)
        assert len(tokens) == len(requests)
        assert await stored(system.client, "stream-3", tokens[-1]) == {SPACE[0]: 4.5}

    async def test_a_wrong_rating_stops_nobody(self, system: System) -> None:
        """Each rating that is wrong is refused with its place, field and reason; the others are recorded."""
        request = request_of(
            ("stream-4", SPACE[0], 4),
            ("", SPACE[0], 4),
            ("stream-4", "no such film", 4),
            ("stream-4", SPACE[1], 99),
            ("stream-4", SPACE[2], 5),
        )
        request.ratings.add(user_id="stream-4", rating=rating.NewRating(item_id=SPACE[3]))
        late = request.ratings.add(
            user_id="stream-4", rating=rating.NewRating(item_id=SPACE[3], reaction=REACTION_LIKE)
        )
        late.rating.rated_at.FromJsonString("2200-01-01T00:00:00Z")
        call = system.client.ratings.StreamRatings(iter([request]), timeout=BOUND)
        [response] = [each async for each in call]
        assert response.recorded_count == 2
        assert [(each.index, each.field) for each in response.refused] == [
            (1, "user_id"),
            (2, "rating.item_id"),
            (3, "rating.value"),
            (5, "rating"),
            (6, "rating.rated_at"),
        ]
        assert all(each.description for each in response.refused)
        token = response.freshness_tokens["stream-4"]
        assert await stored(system.client, "stream-4", token) == {SPACE[0]: 4, SPACE[2]: 5}

    async def test_tokens_only_if_asked_for(self, system: System) -> None:
        """Without asking there are no tokens."""
        call = system.client.ratings.StreamRatings(
            iter([request_of(("stream-5", SPACE[0], 4), tokens=False)]), timeout=BOUND
        )
        assert [dict(each.freshness_tokens) async for each in call] == [{}]

    @pytest.mark.parametrize("size", [0, 1_001])
    async def test_a_request_of_a_wrong_size_ends_the_stream(self, system: System, size: int) -> None:
        """The requests before it are answered; it itself is named as wrong, and nothing of it is recorded."""
        requests = [request_of(("stream-6", SPACE[0], 4)), request_of(*[("stream-7", SPACE[0], 4)] * size)]
        call = system.client.ratings.StreamRatings(iter(requests), timeout=BOUND)
        first = await call.read()
        assert first.recorded_count == 1
        failure = await failure_of_stream(call)
        assert (failure.code, failure.paths) == (grpc.StatusCode.INVALID_ARGUMENT, ["ratings"])
        assert await stored(system.client, "stream-7", "") == {}

    async def test_twenty_thousand_ratings(self, system: System) -> None:
        """A long stream is recorded whole; the caller reads answers while it writes."""
        users = [f"crowd-{number}" for number in range(200)]

        def requests() -> Iterable[rating.StreamRatingsRequest]:
            for round_ in range(100):
                yield request_of(*((user, SPACE[round_ % len(SPACE)], 1 + round_ % 5) for user in users))

        call = system.client.ratings.StreamRatings(iter(requests()), timeout=BOUND)
        responses = [each async for each in call]
        assert sum(each.recorded_count for each in responses) == 20_000
        seen = await stored(system.client, users[-1], responses[-1].freshness_tokens[users[-1]])
        assert len(seen) == len(SPACE)

    async def test_a_broker_that_is_away_ends_the_stream(self, own_films: Place) -> None:
        """What cannot be recorded ends the stream with UNAVAILABLE, and says when to try again."""
        settings = own_films.settings(port=0, kafka="127.0.0.1:1", kafka_timeout=0.3, **LOCAL_SETTINGS, **fresh_names())
        async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
            failure = await failure_of_stream(
                client.ratings.StreamRatings(iter([request_of(("7", SPACE[0], 4))]), timeout=BOUND)
            )
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "LOG_UNAVAILABLE")
        assert failure.details[RetryInfo].retry_delay.ToMilliseconds() > 0

    async def test_a_caller_that_goes_away_leaves_nothing(self, system: System) -> None:
        """A stream that is cancelled in the middle ends; the server goes on, and what it acknowledged is there."""
        call = system.client.ratings.StreamRatings(timeout=BOUND)
        await call.write(request_of(("stream-8", SPACE[0], 4)))
        response = await call.read()
        call.cancel()
        assert await stored(system.client, "stream-8", response.freshness_tokens["stream-8"]) == {SPACE[0]: 4}

    async def test_a_server_that_stops_ends_it_cleanly(self, own_films: Place, kafka: str) -> None:
        """When the server drains, an open stream ends with OK, and not only after the grace of the calls under way."""
        settings = own_films.settings(port=0, kafka=kafka, drain_grace=60, **fresh_names())
        async with running(settings, serve=True, consume=False) as parts:
            client_context = connected(parts.address)
            client = await client_context.__aenter__()
            call = client.ratings.StreamRatings()
            await call.write(request_of(("stream-9", SPACE[0], 4)))
            assert (await call.read()).recorded_count == 1
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
        await client_context.__aexit__(None, None, None)

    async def test_bytes_that_are_no_request_are_refused(self, system: System) -> None:
        """Bytes that are no message of the call are a wrong argument."""
        path = "/kindred.v1.RatingService/StreamRatings"
        call = system.client.channel.unary_unary(path)(b"\xff\xff", timeout=BOUND)
        assert (await failure_of(call)).code is grpc.StatusCode.INVALID_ARGUMENT
