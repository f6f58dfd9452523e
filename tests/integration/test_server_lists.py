"""ListSimilarItems, ListSimilarUsers and ListPopularItems over real gRPC, on either kind of store."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import PreconditionFailure, ResourceInfo

from cli.runtime import running
from kindred.v1 import recommendation_service_pb2 as pb
from kindred.v1.filter_pb2 import AttributeCondition, AttributeFilter, ItemFilter, UserFilter, WordFilter
from kindred.v1.item_pb2 import ITEM_VIEW_ID, Item
from tests.support.films import CROWD, LOADED_AT, ROMANCE, SPACE, USERS, fill_with_films
from tests.support.place import Place, data_dir, on_qdrant
from tests.support.system import BOUND, System, connected, failure_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

LOADED = Timestamp(seconds=LOADED_AT // 1000 + 60)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def naming(films: Place) -> AsyncIterator[System]:
    """A server that may name users."""
    settings = films.settings(port=0, name_neighbors=True)
    async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
        yield System(settings, parts.address, client)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", "qdrant"])
async def crowd(
    request: pytest.FixtureRequest, qdrant: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """A server over the same films and more people."""
    path = tmp_path_factory.mktemp("crowd") / "data"
    with nullcontext(data_dir(path)) if request.param == "embedded" else on_qdrant(qdrant) as place:
        users = CROWD | {"romantic99": {}, "newcomer": {}}
        fill_with_films(
            place.builder(), users=users, attributes_of=lambda user_id: {"camp": user_id.rstrip("0123456789")}
        )
        settings = place.settings(port=0, segment_attributes="camp")
        async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
            yield System(settings, parts.address, client)


async def similar_items(system: System, item_id: str, **fields: Any) -> pb.ListSimilarItemsResponse:
    """The items similar to one."""
    request = pb.ListSimilarItemsRequest(item_id=item_id, **fields)
    return await system.client.recommendations.ListSimilarItems(request, timeout=BOUND)


async def similar_users(system: System, **fields: Any) -> pb.ListSimilarUsersResponse:
    """The users similar to one."""
    return await system.client.recommendations.ListSimilarUsers(pb.ListSimilarUsersRequest(**fields), timeout=BOUND)


async def popular(system: System, **fields: Any) -> pb.ListPopularItemsResponse:
    """What is popular."""
    return await system.client.recommendations.ListPopularItems(pb.ListPopularItemsRequest(**fields), timeout=BOUND)


async def recommend(system: System, **fields: Any) -> pb.RecommendResponse:
    """Recommends six films."""
    return await system.client.recommendations.Recommend(pb.RecommendRequest(limit=6, **fields), timeout=BOUND)


class TestSimilarItems:
    async def test_a_film_of_one_camp_is_like_the_others_of_it(self, crowd: System) -> None:
        """The people who like a film like the films of their camp; the film itself is not returned."""
        answer = await similar_items(crowd, "50", limit=5)
        assert {each.item.item_id for each in answer.items} == set(SPACE) - {"50"}
        assert {each.similarity for each in answer.items} == {pb.SIMILARITY_RATERS}
        assert {each.support for each in answer.items} == {12, 13}
        assert answer.raters_used == 16
        scores = [each.score for each in answer.items]
        assert scores == sorted(scores, reverse=True)
        assert not answer.filter_effects

    async def test_an_external_id_names_the_same_film(self, crowd: System) -> None:
        """An item may be named by an external id."""
        assert await similar_items(crowd, "imdb:tt0076759") == await similar_items(crowd, "50")

    async def test_an_item_without_raters_gets_what_shares_its_genres(self, crowd: System) -> None:
        """An item that nobody has rated gets items of its genre, the most alike first, and each says so."""
        answer = await similar_items(crowd, "unrated")
        assert answer.raters_used == 0
        assert {each.item.item_id for each in answer.items} == {"14", "七人の侍", "213", "275", "a/b c?d=e&f"}
        assert {(each.similarity, each.support) for each in answer.items} == {(pb.SIMILARITY_CONTENT, 0)}
        assert {each.item.item_id for each in answer.items[:2]} == {"七人の侍", "a/b c?d=e&f"}

    async def test_a_few_raters_say_less_than_genres(self, naming: System) -> None:
        """Where fewer than five of the people share an item, it comes by its genres and tags or not at all."""
        answer = await similar_items(naming, "50")
        assert answer.raters_used == 5
        assert {each.item.item_id for each in answer.items} == set(SPACE) - {"50"}
        assert {each.similarity for each in answer.items} == {pb.SIMILARITY_CONTENT}

    async def test_what_shares_raters_comes_first(self, crowd: System) -> None:
        """Items that share genres alone fill up behind those that share raters, and nothing comes twice."""
        answer = await similar_items(crowd, "14", limit=50)
        kinds = [each.similarity for each in answer.items]
        assert kinds == sorted(kinds)
        assert [each.item.item_id for each in answer.items if each.similarity == pb.SIMILARITY_CONTENT] == ["unrated"]
        ids = [each.item.item_id for each in answer.items]
        assert set(ids) == {*ROMANCE, "unrated"} - {"14"}
        assert len(set(ids)) == len(ids)

    async def test_a_filter_holds_for_both_kinds(self, crowd: System) -> None:
        """Only items that pass are returned, and if they are too few the answer says what the filter left out."""
        items = ItemFilter(genres=WordFilter(any_of=["romance"]), min_year=1990)
        answer = await similar_items(crowd, "14", items=items)
        assert {each.item.item_id for each in answer.items} == {"amélie", "275"}
        assert list(answer.filter_effects) == [
            pb.FilterEffect(field="items.genres", removed=9, total=12),
            pb.FilterEffect(field="items.years", removed=8, total=12),
        ]

    async def test_a_view_decides_how_much_is_returned(self, crowd: System) -> None:
        """The smallest view has the id alone."""
        answer = await similar_items(crowd, "50", limit=1, item_view=ITEM_VIEW_ID)
        assert answer.items[0].item == Item(item_id=answer.items[0].item.item_id)

    @pytest.mark.parametrize(
        ("fields", "missing"),
        [
            ({"item_id": "nope"}, "nope"),
            ({"item_id": "50", "items": ItemFilter(candidate_item_ids=["172", "imdb:no"])}, "imdb:no"),
        ],
    )
    async def test_an_unknown_item_is_not_found(self, crowd: System, fields: dict[str, Any], missing: str) -> None:
        """An item or a candidate that the catalog lacks is NOT_FOUND."""
        failure = await failure_of(similar_items(crowd, **fields))
        assert failure.code is grpc.StatusCode.NOT_FOUND
        assert failure.details[ResourceInfo].resource_name == missing


class TestSimilarUsers:
    async def test_a_user_is_like_their_own_camp(self, naming: System) -> None:
        """The most similar to a space traveller are the other five, with what they share; never the user."""
        answer = await similar_users(naming, user_id="7", limit=5)
        assert {each.user_id for each in answer.users} == {"11", "ann", "Σωκράτης", "42", "18"}
        assert [each.similarity for each in answer.users] == sorted(
            (each.similarity for each in answer.users), reverse=True
        )
        for each in answer.users:
            assert each.rated_items == len(USERS[each.user_id]) == 7
            assert each.shared_items == len(USERS[each.user_id].keys() & USERS["7"].keys())

    async def test_ratings_alone_will_do(self, naming: System) -> None:
        """Ratings of the request find the people who share them, without an account."""
        ratings = [pb.InlineRating(item_id="14", value=5), pb.InlineRating(item_id="imdb:tt0211915", reaction=1)]
        answer = await similar_users(naming, ratings=ratings, limit=6)
        assert {each.user_id for each in answer.users} <= {"8", "12", "bob", "用户-1", "43", "👩‍🚀"}
        assert answer.users[0].shared_items == 2

    async def test_a_minimum_of_shared_items_holds(self, naming: System) -> None:
        """Who shares fewer items than asked for is not returned."""
        every = await similar_users(naming, user_id="7", limit=500)
        wanted = [each for each in every.users if each.shared_items >= 6]
        assert 0 < len(wanted) < len(every.users)
        answer = await similar_users(naming, user_id="7", limit=500, min_overlap=6)
        assert list(answer.users) == wanted

    async def test_a_filter_of_users_holds(self, naming: System) -> None:
        """Only users who pass are returned, and if they are too few the answer says how many the filter left out."""
        answer = await similar_users(naming, user_id="7", filter=UserFilter(min_ratings=8))
        assert list(answer.users) == []
        assert list(answer.filter_effects) == [pb.FilterEffect(field="filter", removed=12, total=12)]

    @pytest.mark.parametrize(
        ("fields", "paths"),
        [
            ({"at_least_as_fresh": "nonsense!"}, ["at_least_as_fresh"]),
            ({"ratings": [pb.InlineRating(item_id="50", value=9)]}, ["ratings[0].value"]),
            ({"ratings": [pb.InlineRating(item_id=each, value=4) for each in ("50", "50")]}, ["ratings[1].item_id"]),
        ],
    )
    async def test_what_is_wrong_is_named(self, naming: System, fields: dict[str, Any], paths: list[str]) -> None:
        """A wrong token, and ratings that are off the scale or of one item, are named."""
        failure = await failure_of(similar_users(naming, user_id="7", **fields))
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        assert failure.paths == paths

    async def test_a_stranger_is_like_nobody(self, naming: System) -> None:
        """A user who has rated nothing has no similar users."""
        assert await similar_users(naming, user_id="stranger") == pb.ListSimilarUsersResponse()

    async def test_users_are_named_only_where_it_is_allowed(self, own_films: Place) -> None:
        """Without the setting it is FAILED_PRECONDITION, and the message names the setting."""
        settings = own_films.settings(port=0)
        async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
            failure = await failure_of(similar_users(System(settings, parts.address, client), user_id="7"))
        assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NAME_NEIGHBORS")
        assert "KINDRED_NAME_NEIGHBORS=true" in failure.message
        assert failure.details[PreconditionFailure].violations[0].subject == "KINDRED_NAME_NEIGHBORS"


class TestPopularItems:
    async def test_everyones_favorites_are_the_counts_of_the_items(self, naming: System) -> None:
        """Of all time and of everyone the most liked come first, ties by item id, with their likes and ratings."""
        answer = await popular(naming, limit=500)
        liked = {
            film: (sum(own.get(film, 0) >= 4 for own in USERS.values()), sum(film in own for own in USERS.values()))
            for film in SPACE + ROMANCE
        }
        expected = sorted(liked, key=lambda film: (-liked[film][0], film))
        assert [each.item.item_id for each in answer.items] == expected
        assert [(each.likes, each.ratings) for each in answer.items] == [liked[film] for film in expected]
        assert answer.users_counted == 12
        assert not answer.HasField("counted_at")

    async def test_all_time_until_a_moment_is_counted(self, naming: System) -> None:
        """Until a moment after the load everything counts, as it does without one; the answer says when it counted."""
        everything = await popular(naming, limit=500)
        counted = await popular(naming, limit=500, until=LOADED)
        assert list(counted.items) == list(everything.items)
        assert counted.users_counted == 12
        assert counted.HasField("counted_at")

    @pytest.mark.parametrize("window", [pb.WINDOW_DAY, pb.WINDOW_WEEK, pb.WINDOW_MONTH, pb.WINDOW_YEAR])
    async def test_a_window_ends_where_it_is_told_to(self, naming: System, window: int) -> None:
        """A window that ends after the load has its ratings; one that ends with it, or now, has none."""
        assert len((await popular(naming, window=window, until=LOADED, limit=500)).items) == 12
        at_load = Timestamp(seconds=LOADED_AT // 1000)
        for until in (at_load, None):
            answer = await popular(naming, window=window, until=until)
            assert (list(answer.items), answer.users_counted) == ([], 0)

    async def test_a_window_is_half_open(self, naming: System) -> None:
        """Of the ratings a millisecond apart those from the beginning on count, and the one at the end does not."""
        until = Timestamp()
        until.FromMilliseconds(LOADED_AT + 1)
        answer = await popular(naming, window=pb.WINDOW_DAY, until=until, limit=500)
        firsts = [next(iter(own)) for own in USERS.values()]
        assert sum(each.ratings for each in answer.items) == len(firsts) == 12

    async def test_a_filter_of_items_holds(self, naming: System) -> None:
        """Only items that pass are returned, and if they are too few the answer says what the filter left out."""
        answer = await popular(naming, items=ItemFilter(tags=WordFilter(any_of=["SPACE"])))
        assert {each.item.item_id for each in answer.items} == {"50", "alien-1979"}
        assert list(answer.filter_effects) == [pb.FilterEffect(field="items.tags", removed=11, total=13)]

    async def test_a_filter_of_users_holds(self, naming: System) -> None:
        """The ratings of the users who pass count."""
        dutch = AttributeFilter(all_of=[AttributeCondition(name="country", equals=Value(string_value="NL"))])
        everyone = await popular(naming, limit=500)
        answer = await popular(naming, limit=500, users=UserFilter(attributes=dutch, min_ratings=7))
        assert list(answer.items) == list(everyone.items)
        assert answer.users_counted == 12
        nobody = await popular(naming, users=UserFilter(min_ratings=8))
        assert (list(nobody.items), nobody.users_counted) == ([], 0)
        assert list(nobody.filter_effects) == [pb.FilterEffect(field="users", removed=12, total=12)]

    async def test_a_time_to_come_is_now(self, naming: System) -> None:
        """Who passes a time in the future, or of a moment ago, gets the counts of now, made once for all."""
        ahead = Timestamp()
        ahead.GetCurrentTime()
        ahead.seconds += 3_600
        answers = [await popular(naming, window=pb.WINDOW_DAY, until=until) for until in (ahead, None)]
        assert answers[0].counted_at == answers[1].counted_at


class TestNewcomers:
    async def test_a_newcomer_gets_what_people_alike_like(self, crowd: System) -> None:
        """A user without ratings gets what is popular among users with the same attributes, and is told whose it is."""
        answer = await recommend(crowd, user_id="romantic99")
        assert answer.strategy == pb.STRATEGY_POPULAR_FALLBACK
        assert {each.item.item_id for each in answer.recommendations} == set(ROMANCE)
        alike = AttributeFilter(all_of=[AttributeCondition(name="camp", equals=Value(string_value="romantic"))])
        assert answer.popular_among == alike
        counted = await popular(crowd, limit=6, users=UserFilter(attributes=alike))
        assert [(each.item, each.score) for each in answer.recommendations] == [
            (each.item, each.likes) for each in counted.items
        ]

    async def test_a_newcomer_of_another_kind_gets_everyones_favorites(self, crowd: System) -> None:
        """A user whose attributes few share gets what is popular among everyone."""
        answer = await recommend(crowd, user_id="newcomer")
        assert answer.strategy == pb.STRATEGY_POPULAR_FALLBACK
        assert not answer.HasField("popular_among")
        everyone = await popular(crowd, limit=6)
        assert [each.item for each in answer.recommendations] == [each.item for each in everyone.items]
