import asyncio
import math
from collections import Counter
from itertools import count

import grpc
import pytest
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from kindred.events import FUTURE_TOLERANCE_MS, now_ms, to_message
from kindred.v1 import catalog_service_pb2 as catalog
from kindred.v1 import rating_event_pb2 as events
from kindred.v1 import rating_service_pb2 as pb
from kindred.v1 import recommendation_service_pb2 as recommendation
from kindred.v1.item_pb2 import Item
from kindred.v1.reaction_pb2 import REACTION_DISLIKE, REACTION_LIKE
from tests.support.films import ROMANCE, SPACE
from tests.support.kafka_log import Raw, read_records, write_records
from tests.support.system import BOUND, System, failure_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

_numbers = count(1)


LONG_AGO = 1_000_000_000_000
"""2001, in milliseconds since 1970."""


@pytest.fixture
def user() -> str:
    """A user whom no other test knows."""
    return f"user-{next(_numbers)}"


def at(milliseconds: int) -> Timestamp:
    """A protobuf timestamp."""
    made = Timestamp()
    made.FromMilliseconds(milliseconds)
    return made


def new(item_id: str, value: float, when: int | None = None) -> pb.NewRating:
    """A rating to record."""
    return pb.NewRating(item_id=item_id, value=value, rated_at=None if when is None else at(when))


async def record(system: System, user: str, *ratings: pb.NewRating) -> str:
    """Records ratings; the freshness token."""
    request = pb.RecordRatingsRequest(user_id=user, ratings=ratings)
    return (await system.client.ratings.RecordRatings(request, timeout=BOUND)).freshness_token


async def retract(system: System, user: str, *item_ids: str) -> str:
    """Takes ratings back; the freshness token."""
    request = pb.RetractRatingsRequest(user_id=user, item_ids=item_ids)
    return (await system.client.ratings.RetractRatings(request, timeout=BOUND)).freshness_token


async def describe(system: System, user: str, **attributes: Value) -> str:
    """Sets attributes; the freshness token."""
    request = pb.SetUserAttributesRequest(user_id=user, attributes=attributes)
    return (await system.client.ratings.SetUserAttributes(request, timeout=BOUND)).freshness_token


async def listed(system: System, user: str, token: str = "") -> pb.ListRatingsResponse:
    """A user's ratings."""
    request = pb.ListRatingsRequest(user_id=user, at_least_as_fresh=token, page_size=1_000)
    return await system.client.ratings.ListRatings(request, timeout=BOUND)


async def values(system: System, user: str, token: str = "") -> dict[str, float]:
    """A user's ratings by item id."""
    return {each.item.item_id: each.value for each in (await listed(system, user, token)).ratings}


async def forget(system: System, user: str) -> pb.ForgetUserResponse:
    """Forgets a user."""
    return await system.client.ratings.ForgetUser(pb.ForgetUserRequest(user_id=user), timeout=BOUND)


async def recommend(system: System, token: str = "", **fields: object) -> recommendation.RecommendResponse:
    """Recommends."""
    request = recommendation.RecommendRequest(at_least_as_fresh=token, **fields)
    return await system.client.recommendations.Recommend(request, timeout=BOUND)


class TestReadYourWrites:
    async def test_recorded_ratings_count_at_once(self, system: System, user: str) -> None:
        """With the token of a recording the next answers include it, to the value and the millisecond."""
        token = await record(
            system, user, new("50", 4.3, 1_234_567_890_123), new("amélie", 0.5, 1_234_567_890_122), new("172", 5)
        )
        answer = await recommend(system, token, user_id=user, limit=3)
        assert answer.strategy == recommendation.STRATEGY_PERSONALIZED
        assert answer.as_of.stored_ratings == 3
        assert 1 <= answer.as_of.profile_revision <= 3  # as many as the broker made batches of it
        stored = await listed(system, user)
        assert [(each.item.item_id, each.value) for each in stored.ratings] == [
            ("172", 5.0),
            ("50", 4.3),
            ("amélie", 0.5),
        ]
        assert stored.ratings[1].rated_at == at(1_234_567_890_123)
        assert stored.ratings[1].item == Item(item_id="50", title="Star Wars", year=1977)
        assert abs(stored.ratings[0].rated_at.ToMilliseconds() - now_ms()) < 60_000

    async def test_reactions_are_stored_as_stars(self, system: System, user: str) -> None:
        """LIKE is stored as five stars and DISLIKE as one; an external id as the catalog's own."""
        token = await record(
            system,
            user,
            pb.NewRating(item_id="imdb:tt0076759", reaction=REACTION_LIKE),
            pb.NewRating(item_id="14", reaction=REACTION_DISLIKE),
        )
        assert await values(system, user, token) == {"50": 5.0, "14": 1.0}

    async def test_retracted_ratings_are_gone_at_once(self, system: System, user: str) -> None:
        """With the token of a retraction the rating is gone, as if it had never been given; others stay."""
        await record(system, user, new("50", 4), new("172", 4))
        token = await retract(system, user, "imdb:tt0076759", "181")
        assert await values(system, user, token) == {"172": 4.0}
        answer = await recommend(system, user_id=user, limit=100)
        assert "50" in [each.item.item_id for each in answer.recommendations]
        assert answer.as_of.stored_ratings == 1

    async def test_attributes_are_replaced_at_once(self, system: System, user: str) -> None:
        """With the token of a setting the attributes are exactly those; empty ones remove them all."""
        wanted = {"s": Value(string_value="ü"), "n": Value(number_value=-0.5), "b": Value(bool_value=False)}
        token = await describe(system, user, **wanted)
        assert dict((await listed(system, user, token)).attributes) == wanted
        token = await describe(system, user, other=Value(number_value=0))
        assert dict((await listed(system, user, token)).attributes) == {"other": Value(number_value=0)}
        token = await describe(system, user)
        assert not (await listed(system, user, token)).attributes

    async def test_the_largest_attributes_are_applied(self, system: System, user: str) -> None:
        """Attributes at every limit at once are accepted, and then they are there."""
        wanted = {f"{number:02}" + "x" * 98: Value(string_value="🎬" * 1_000) for number in range(64)}
        token = await describe(system, user, **wanted)
        request = pb.ListRatingsRequest(user_id=user, at_least_as_fresh=token)
        answer = await system.client.ratings.ListRatings(request, timeout=5)
        assert dict(answer.attributes) == wanted

    async def test_a_token_works_for_every_reader(self, system: System, user: str) -> None:
        """A token waits for its own user's events, whoever is asked about: it says what the store must include."""
        token = await record(system, user, new("50", 4))
        answer = await recommend(system, token, user_id="ann", limit=1)
        assert answer.as_of.stored_ratings == 7
        assert await values(system, user) == {"50": 4.0}

    async def test_a_batch_waits_for_each_token(self, system: System, user: str) -> None:
        """In a batch each request is as fresh as its own token says."""
        tokens = {f"{user}-{number}": await record(system, f"{user}-{number}", new("50", 4)) for number in range(20)}
        requests = [
            recommendation.RecommendRequest(user_id=user_id, at_least_as_fresh=token)
            for user_id, token in tokens.items()
        ]
        answer = await system.client.recommendations.BatchRecommend(
            recommendation.BatchRecommendRequest(requests=requests), timeout=BOUND
        )
        assert [result.response.as_of.stored_ratings for result in answer.results] == [1] * 20

    async def test_a_token_that_is_not_reached_fails_before_the_deadline(self, system: System, user: str) -> None:
        """An event that does not come is FAILED_PRECONDITION, in time for the caller to see it."""
        token = await record(system, user, new("50", 4))
        await values(system, user, token)
        unreached = _later(token)
        loop = asyncio.get_running_loop()
        start = loop.time()
        request = recommendation.RecommendRequest(user_id=user, at_least_as_fresh=unreached)
        failure = await failure_of(system.client.recommendations.Recommend(request, timeout=1))
        assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FRESHNESS_NOT_REACHED")
        assert 0.5 < loop.time() - start < 1


def _later(token: str) -> str:
    """A token of an event that nobody has written."""
    from dataclasses import replace  # noqa: PLC0415

    from kindred.freshness import FreshnessToken  # noqa: PLC0415

    read = FreshnessToken.decode(token, "")
    return replace(read, position=read.position._replace(offset=read.position.offset + 10**6)).encode()


class TestMerging:
    async def test_the_latest_rating_wins_whatever_the_order(self, system: System, user: str) -> None:
        """Ratings of one item arrive in any order; the one given last stands."""
        await record(system, user, new("50", 1, LONG_AGO + 2_000))
        await record(system, user, new("50", 5, LONG_AGO + 3_000))
        await record(system, user, new("50", 2, LONG_AGO + 1_000))
        token = await record(system, user, new("172", 4, LONG_AGO + 1))
        assert await values(system, user, token) == {"50": 5.0, "172": 4.0}

    async def test_of_two_at_the_same_time_the_later_record_wins(self, system: System, user: str) -> None:
        """At the same millisecond the order of the log decides."""
        await record(system, user, new("50", 1, LONG_AGO + 2_000))
        token = await record(system, user, new("50", 2, LONG_AGO + 2_000))
        assert await values(system, user, token) == {"50": 2.0}

    async def test_a_thousand_ratings_at_once_are_all_there(self, system: System, user: str) -> None:
        """The largest recording is applied whole."""
        items = [Item(item_id=f"{user}/{number}", title="One of many") for number in range(1_000)]
        await system.client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=items), timeout=BOUND)
        token = await record(system, user, *(new(item.item_id, 0.5 + 4.5 * (n / 999)) for n, item in enumerate(items)))
        stored = await listed(system, user, token)
        assert stored.total_size == 1_000
        assert {each.item.item_id for each in stored.ratings} == {item.item_id for item in items}


class TestListRatings:
    async def test_an_unknown_user_has_none(self, system: System, user: str) -> None:
        """A user nobody has heard of has no ratings: that is no error."""
        assert await listed(system, user) == pb.ListRatingsResponse()

    @pytest.mark.parametrize("size", [1, 2, 5, 12, 13, 1_000])
    async def test_pages_are_complete_and_in_order(self, system: System, user: str, size: int) -> None:
        """Pages of any size, put together, are all ratings, newest first, ties by item id, each once."""
        times = {film: LONG_AGO + 1_000 * (place // 3) for place, film in enumerate([*SPACE, *ROMANCE])}
        token = await record(system, user, *(new(film, 3, when) for film, when in times.items()))
        expected = sorted(times, key=lambda film: (-times[film], film))
        pages = await _pages(system, user, token, size)
        assert [film for page in pages for film in page] == expected
        assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
        assert len(pages) == -(-12 // size)

    async def test_paging_goes_on_where_it_was_although_ratings_come_and_go(self, system: System, user: str) -> None:
        """While ratings are added and taken back, what was there all the time is listed exactly once."""
        films = [*SPACE, *ROMANCE]
        token = await record(system, user, *(new(film, 3, LONG_AGO + place) for place, film in enumerate(films[:10])))
        request = pb.ListRatingsRequest(user_id=user, page_size=4, at_least_as_fresh=token)
        first = await system.client.ratings.ListRatings(request, timeout=BOUND)
        await record(system, user, new(films[10], 3))
        token = await retract(system, user, first.ratings[0].item.item_id, films[0])
        request = pb.ListRatingsRequest(
            user_id=user, page_size=100, page_token=first.next_page_token, at_least_as_fresh=token
        )
        second = await system.client.ratings.ListRatings(request, timeout=BOUND)
        seen = [each.item.item_id for each in (*first.ratings, *second.ratings)]
        assert Counter(seen) == Counter(films[1:10])
        assert second.next_page_token == ""
        assert second.total_size == 9


async def _pages(system: System, user: str, token: str, size: int) -> list[list[str]]:
    pages = []
    page_token = ""
    while True:
        request = pb.ListRatingsRequest(user_id=user, page_size=size, page_token=page_token, at_least_as_fresh=token)
        answer = await system.client.ratings.ListRatings(request, timeout=BOUND)
        assert answer.total_size == 12
        pages.append([each.item.item_id for each in answer.ratings])
        page_token = answer.next_page_token
        if not page_token:
            return pages


class TestForgetUser:
    async def test_a_forgotten_user_is_gone_when_the_call_answers(self, system: System, user: str) -> None:
        """From the next call on, without any token, the user is neither a query nor a neighbor, and has nothing."""
        item = Item(item_id=f"only-{user}", title="Known to one")
        await system.client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=[item]), timeout=BOUND)
        await describe(system, user, age=Value(number_value=41), country=Value(string_value="NL"))
        token = await record(system, user, new(item.item_id, 5), new("50", 5), new("14", 1))
        inline = [recommendation.InlineRating(item_id=item.item_id, reaction=REACTION_LIKE)]
        before = await recommend(system, token, ratings=inline)
        assert before.neighbors_used == 1
        receipt = await forget(system, user)
        assert (receipt.ratings_removed, receipt.attributes_removed) == (3, 2)
        assert abs(receipt.forgotten_at.ToMilliseconds() - now_ms()) < 60_000
        assert await listed(system, user) == pb.ListRatingsResponse()
        after = await recommend(system, ratings=inline)
        assert (after.neighbors_used, after.strategy) == (0, recommendation.STRATEGY_POPULAR_FALLBACK)
        gone = await recommend(system, user_id=user)
        assert gone.strategy == recommendation.STRATEGY_POPULAR_FALLBACK
        assert gone.as_of.stored_ratings == 0
        assert await values(system, user, receipt.freshness_token) == {}

    async def test_forgetting_nobody_is_fine(self, system: System, user: str) -> None:
        """A user nobody has heard of is forgotten with an empty receipt, and so is one who was forgotten before."""
        for _ in range(2):
            receipt = await forget(system, user)
            assert (receipt.ratings_removed, receipt.attributes_removed) == (0, 0)

    async def test_older_events_do_not_bring_the_user_back(self, system: System, user: str) -> None:
        """After the user was forgotten, the same records again, and late ones from before, change nothing."""
        token = await record(system, user, new("50", 5), new("172", 4))
        await values(system, user, token)
        settings = system.settings
        mine = [each for each in await read_records(settings.kafka, settings.topic) if each.key == user.encode()]
        assert len(mine) == 2
        await forget(system, user)
        again = [Raw(each.key, each.value, [*each.headers]) for each in mine]
        late = events.RatingEvent(user_id=user, occurred_at=at(now_ms() - 60_000))
        late.attributes_set.attributes["age"].number_value = 4
        message = to_message(late, "test")
        again.append(Raw(message.key, message.value, [*message.headers]))
        await write_records(settings.kafka, settings.topic, again)
        token = await retract(system, user, "181")
        assert await listed(system, user, token) == pb.ListRatingsResponse()

    async def test_a_later_rating_starts_anew(self, system: System, user: str) -> None:
        """What is rated after the answer starts a new profile with nothing of the old one."""
        await describe(system, user, age=Value(number_value=41))
        await record(system, user, new("50", 5))
        await forget(system, user)
        token = await record(system, user, new("14", 4))
        stored = await listed(system, user, token)
        assert {each.item.item_id for each in stored.ratings} == {"14"}
        assert not stored.attributes

    async def test_ratings_right_before_are_forgotten_and_on_the_receipt(self, system: System, user: str) -> None:
        """Ratings that were acknowledged and not yet applied are forgotten too, and the receipt counts them."""
        for number in range(10):
            name = f"{user}-{number}"
            await record(system, name, new("50", 5), new("172", 5))
            receipt = await forget(system, name)
            assert await values(system, name) == {}
            assert receipt.ratings_removed == 2

    async def test_ratings_of_a_clock_that_is_ahead_are_forgotten(self, system: System, user: str) -> None:
        """A rating given up to five minutes ahead of our clock is forgotten, whether it was applied yet or not."""
        ahead = now_ms() + FUTURE_TOLERANCE_MS - 60_000
        token = await record(system, user, new("50", 5, ahead))
        await values(system, user, token)
        await forget(system, user)
        assert await values(system, user) == {}
        for number in range(10):
            name = f"{user}-{number}"
            await record(system, name, new("50", 5, ahead))
            await forget(system, name)
            assert await values(system, name, await retract(system, name, "181")) == {}

    async def test_a_rating_after_forgetting_counts_although_a_clock_was_ahead(self, system: System, user: str) -> None:
        """After a user with a rating from the future was forgotten, what they rate now is there."""
        token = await record(system, user, new("50", 5, now_ms() + FUTURE_TOLERANCE_MS - 60_000))
        await values(system, user, token)
        await forget(system, user)
        assert await values(system, user, await record(system, user, new("14", 4))) == {"14": 4.0}

    async def test_attributes_of_a_clock_that_is_ahead_are_forgotten(self, system: System, user: str) -> None:
        """Attributes that another service set ahead of our clock are forgotten with the user."""
        event = events.RatingEvent(user_id=user, occurred_at=at(now_ms() + FUTURE_TOLERANCE_MS - 60_000))
        event.attributes_set.attributes["age"].number_value = 41
        message = to_message(event, "test")
        raw = Raw(message.key, message.value, [*message.headers])
        await write_records(system.settings.kafka, system.settings.topic, [raw])
        token = await retract(system, user, "181")
        assert (await listed(system, user, token)).attributes
        await forget(system, user)
        assert not (await listed(system, user)).attributes


class TestNewItems:
    async def test_a_new_item_is_rated_and_recommended(self, system: System, user: str) -> None:
        """An item that was just added can be rated, and is recommended to who rates alike."""
        item = Item(item_id=f"neu/{user}", title="Just out", external_ids={"imdb": f"tt-{user}"})
        await system.client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=[item]), timeout=BOUND)
        for number in range(3):
            await record(system, f"{user}-{number}", new(f"imdb:tt-{user}", 5), *(new(film, 5) for film in SPACE[:3]))
        token = await record(system, f"{user}-4", new(item.item_id, 5), *(new(film, 5) for film in SPACE[:3]))
        answer = await recommend(
            system,
            token,
            ratings=[recommendation.InlineRating(item_id=film, value=5) for film in SPACE[:3]],
            limit=100,
        )
        assert item.item_id in [each.item.item_id for each in answer.recommendations]


class TestManyAtOnce:
    async def test_fifty_users_at_once_lose_nothing(self, system: System, user: str) -> None:
        """Fifty users who record, read, retract and ask at the same time each end with exactly what they did."""

        async def live(name: str, number: int) -> None:
            own = [*SPACE, *ROMANCE] if number % 2 else [*ROMANCE, *SPACE]
            for film in own[:6]:
                await record(system, name, new(film, 5), new(own[-1], 1))
            token = await retract(system, name, own[0])
            answer, stored = await asyncio.gather(
                recommend(system, token, user_id=name, limit=1), values(system, name, token)
            )
            assert stored == {**dict.fromkeys(own[1:6], 5.0), own[-1]: 1.0}
            assert answer.as_of.stored_ratings == 6
            assert math.isfinite(answer.recommendations[0].score)

        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(live(f"{user}-{number}", number))

    async def test_one_user_from_many_sides_at_once(self, system: System, user: str) -> None:
        """Forty calls at once for one user are all applied."""
        items = [Item(item_id=f"{user}/{number}", title="One of many") for number in range(40)]
        await system.client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=items), timeout=BOUND)
        await asyncio.gather(*(record(system, user, new(item.item_id, 4)) for item in items))
        token = await describe(system, user)
        assert set(await values(system, user, token)) == {item.item_id for item in items}
