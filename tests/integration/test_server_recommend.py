import pytest
from google.rpc.error_details_pb2 import BadRequest, ResourceInfo
from google.rpc.status_pb2 import Status

from kindred.v1 import item_pb2
from kindred.v1 import recommendation_service_pb2 as pb
from kindred.v1.reaction_pb2 import REACTION_DISLIKE, REACTION_LIKE
from server.recommendation_service import SEARCHED_TOGETHER
from tests.support.films import FILMS, ROMANCE, SPACE, USERS
from tests.support.system import BOUND, System, failure_of, unpack

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


async def recommend(server: System, **fields: object) -> pb.RecommendResponse:
    """The answer to a request."""
    return await server.client.recommendations.Recommend(pb.RecommendRequest(**fields), timeout=BOUND)


def ids(answer: pb.RecommendResponse) -> list[str]:
    """The ids of the recommended items, best first."""
    return [each.item.item_id for each in answer.recommendations]


def likes(*item_ids: str) -> list[pb.InlineRating]:
    """Inline likes."""
    return [pb.InlineRating(item_id=item_id, reaction=REACTION_LIKE) for item_id in item_ids]


class TestRecommend:
    @pytest.mark.parametrize("user_id", USERS)
    async def test_a_stored_user_gets_what_their_camp_likes(self, server: System, user_id: str) -> None:
        """Each user's best recommendation is the one film of their camp that they have not rated."""
        answer = await recommend(server, user_id=user_id, limit=1)
        camp = SPACE if USERS[user_id].keys() & set(SPACE) >= set(list(USERS[user_id])[:5]) else ROMANCE
        [missed] = set(camp) - USERS[user_id].keys()
        assert ids(answer) == [missed]
        [best] = answer.recommendations
        assert (best.source, best.support) == (pb.SOURCE_NEIGHBORS, 5)
        assert answer.strategy == pb.STRATEGY_PERSONALIZED
        assert answer.recipe == pb.RECIPE_RIDGE
        assert answer.as_of == pb.AsOf(profile_revision=1, stored_ratings=7)
        assert (answer.personalized_count, answer.popular_count) == (1, 0)

    async def test_inline_likes_need_no_account(self, server: System) -> None:
        """Two liked films bring the rest of their camp, without a user and without storing anything."""
        answer = await recommend(server, ratings=likes("50", "imdb:tt0080684"), limit=4)
        assert set(ids(answer)) == set(SPACE) - {"50", "172"}
        assert answer.as_of == pb.AsOf()

    async def test_inline_ratings_overlay_the_stored_ones(self, server: System) -> None:
        """A space traveller who for once dislikes space and likes romance gets romance, minus what they name."""
        turned = [pb.InlineRating(item_id=film, reaction=REACTION_DISLIKE) for film in SPACE]
        answer = await recommend(server, user_id="7", ratings=[*turned, *likes(*ROMANCE[:4])], limit=2)
        assert set(ids(answer)) == set(ROMANCE[4:])
        assert answer.as_of.stored_ratings == 7
        assert ids(await recommend(server, user_id="7", limit=1)) == ["50"]

    async def test_an_unknown_user_gets_popular_items_and_is_told(self, server: System) -> None:
        """Somebody nobody has heard of gets what most users like, and the answer says so."""
        answer = await recommend(server, user_id="stranger", limit=5)
        assert answer.strategy == pb.STRATEGY_POPULAR_FALLBACK
        assert (answer.personalized_count, answer.popular_count, answer.neighbors_used) == (0, 5, 0)
        assert all(each.source == pb.SOURCE_POPULAR and each.support == 0 for each in answer.recommendations)
        scores = [each.score for each in answer.recommendations]
        assert scores == sorted(scores, reverse=True)
        assert answer.as_of == pb.AsOf()

    async def test_a_list_that_neighbors_do_not_fill_is_filled_with_popular_items(self, server: System) -> None:
        """What neighbors lack, popularity adds, after them, and the counts say how many of each."""
        answer = await recommend(server, ratings=likes("50"), limit=100, neighbors=pb.NeighborOptions(k=1))
        sources = [each.source for each in answer.recommendations]
        assert answer.strategy == pb.STRATEGY_MIXED
        assert sources == [pb.SOURCE_NEIGHBORS] * answer.personalized_count + [pb.SOURCE_POPULAR] * answer.popular_count
        assert answer.personalized_count > 0
        assert answer.popular_count > 0
        assert len(set(ids(answer))) == len(ids(answer))
        assert "50" not in ids(answer)
        assert "unrated" not in ids(answer)

    async def test_popular_items_need_nothing(self, server: System) -> None:
        """RECIPE_POPULAR answers without user and ratings; ties are by item id."""
        answer = await recommend(server, recipe=pb.RECIPE_POPULAR, limit=500)
        assert answer.strategy == pb.STRATEGY_POPULAR
        ranking = [(-each.score, each.item.item_id) for each in answer.recommendations]
        assert len(ranking) == 12
        assert ranking == sorted(ranking)

    async def test_the_default_limit_is_ten(self, server: System) -> None:
        """Without a limit there are ten items; with one, so many."""
        assert len(ids(await recommend(server, recipe=pb.RECIPE_POPULAR))) == 10
        assert len(ids(await recommend(server, recipe=pb.RECIPE_POPULAR, limit=3))) == 3

    async def test_excluded_items_are_left_out(self, server: System) -> None:
        """Excluded items, by whatever id, are never returned; unknown ones are ignored."""
        answer = await recommend(
            server, recipe=pb.RECIPE_POPULAR, exclude_item_ids=["imdb:tt0076759", "amélie", "nonsense", "x" * 300]
        )
        assert ids(answer)
        assert not {"50", "amélie"} & set(ids(answer))

    async def test_rated_items_come_back_if_asked_for(self, server: System) -> None:
        """Only with `include_rated` an item that the user has rated is returned."""
        without = ids(await recommend(server, user_id="7", limit=100))
        assert not USERS["7"].keys() & set(without)
        assert USERS["7"].keys() & set(ids(await recommend(server, user_id="7", limit=100, include_rated=True)))

    async def test_the_number_of_neighbors_is_bounded(self, server: System) -> None:
        """At most k neighbors are used."""
        assert (await recommend(server, user_id="7", neighbors=pb.NeighborOptions(k=2))).neighbors_used == 2
        assert (await recommend(server, user_id="7")).neighbors_used == 5

    async def test_a_summary_gives_reasons(self, server: System) -> None:
        """Each personalized item names at most three liked items, the largest share first; others name none."""
        answer = await recommend(
            server, ratings=likes("50", "172", "181", "195"), limit=100, explanation=pb.EXPLANATION_SUMMARY
        )
        for each in answer.recommendations:
            shares = [reason.share for reason in each.reasons]
            assert shares == sorted(shares, reverse=True)
            assert 0 <= sum(shares) <= 1 + 1e-9
            assert len(shares) == (3 if each.source == pb.SOURCE_NEIGHBORS else 0)
            assert {reason.item.item_id for reason in each.reasons} <= {"50", "172", "181", "195"}
            assert all(reason.item.title for reason in each.reasons)
        silent = await recommend(server, ratings=likes("50"), limit=100)
        assert not any(each.reasons for each in silent.recommendations)

    async def test_shares_add_up_to_one(self, server: System) -> None:
        """With three liked items the shares of all of them make 1."""
        answer = await recommend(server, ratings=likes("50", "172", "181"), limit=1, explanation=pb.EXPLANATION_SUMMARY)
        assert sum(reason.share for reason in answer.recommendations[0].reasons) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("view", "filled"),
        [
            (item_pb2.ITEM_VIEW_ID, {"item_id"}),
            (item_pb2.ITEM_VIEW_UNSPECIFIED, {"item_id", "title", "year"}),
            (item_pb2.ITEM_VIEW_BASIC, {"item_id", "title", "year"}),
            (
                item_pb2.ITEM_VIEW_FULL,
                {"item_id", "title", "year", "genres", "tags", "external_ids", "attributes"},
            ),
        ],
    )
    async def test_a_view_decides_how_much_of_an_item_is_returned(
        self, server: System, view: int, filled: set[str]
    ) -> None:
        """ID, BASIC and FULL return what they say, as it was loaded."""
        answer = await recommend(server, user_id="7", limit=1, item_view=view)
        item = answer.recommendations[0].item
        assert {field.name for field, _ in item.ListFields()} == filled
        if view == item_pb2.ITEM_VIEW_FULL:
            loaded = FILMS[0]
            assert (item.title, item.year, tuple(item.genres)) == (loaded.title, loaded.year, loaded.genres)
            assert dict(item.external_ids) == loaded.external_ids
            assert item.attributes["minutes"].number_value == 121
            assert item.attributes["color"].bool_value is True
            assert item.attributes["studio"].string_value == "Lucasfilm"

    async def test_the_same_request_gives_the_same_bytes(self, server: System) -> None:
        """Twenty answers to one request are one answer."""
        call = server.client.channel.unary_unary("/kindred.v1.RecommendationService/Recommend")
        request = pb.RecommendRequest(user_id="ann", limit=100, explanation=pb.EXPLANATION_SUMMARY, item_view=3)
        assert len({await call(request.SerializeToString(), timeout=BOUND) for _ in range(20)}) == 1

    async def test_a_dislike_weighs_nothing_and_excludes(self, server: System) -> None:
        """A film that was only disliked finds no neighbors, and is not returned."""
        answer = await recommend(server, ratings=[pb.InlineRating(item_id="50", reaction=REACTION_DISLIKE)], limit=100)
        assert answer.strategy == pb.STRATEGY_POPULAR_FALLBACK
        assert "50" not in ids(answer)


class TestBatchRecommend:
    async def test_each_request_answers_as_if_alone(self, server: System) -> None:
        """A batch gives, in order, the very answers that the requests get one by one."""
        requests = [
            *(pb.RecommendRequest(user_id=user_id, limit=20, explanation=2, item_view=3) for user_id in USERS),
            pb.RecommendRequest(user_id="stranger"),
            pb.RecommendRequest(ratings=likes("50", "14"), neighbors=pb.NeighborOptions(k=3)),
            pb.RecommendRequest(recipe=pb.RECIPE_POPULAR, limit=2),
        ]
        answer = await server.client.recommendations.BatchRecommend(
            pb.BatchRecommendRequest(requests=requests), timeout=BOUND
        )
        alone = [await server.client.recommendations.Recommend(request, timeout=BOUND) for request in requests]
        assert [result.response for result in answer.results] == alone

    async def test_a_batch_of_several_searches_keeps_its_order(self, server: System) -> None:
        """The answers of a batch that takes more than one search stand where their requests do."""
        requests = [pb.RecommendRequest(user_id=str(user), limit=3) for user in range(1, 2 * SEARCHED_TOGETHER + 6)]
        requests[SEARCHED_TOGETHER].limit = 0  # a wrong one moves none of the others
        answer = await server.client.recommendations.BatchRecommend(
            pb.BatchRecommendRequest(requests=requests), timeout=BOUND
        )
        right = [(request, result) for request, result in zip(requests, answer.results, strict=True) if request.limit]
        alone = [await server.client.recommendations.Recommend(request, timeout=BOUND) for request, _ in right]
        assert [result.response for _, result in right] == alone
        assert answer.results[SEARCHED_TOGETHER].HasField("error")

    async def test_each_request_fails_by_itself(self, server: System) -> None:
        """Wrong requests of a batch carry the status that they would fail with alone; the right ones are answered."""
        requests = [
            pb.RecommendRequest(user_id="7", limit=1),
            pb.RecommendRequest(user_id="7", limit=0),
            pb.RecommendRequest(ratings=likes("no such item")),
            pb.RecommendRequest(ratings=[pb.InlineRating(item_id="50", value=9)]),
            pb.RecommendRequest(user_id="7", recipe=pb.RECIPE_TUTORIAL_RATINGS),
            pb.RecommendRequest(user_id="7", at_least_as_fresh="nonsense!"),
            pb.RecommendRequest(),
            pb.RecommendRequest(user_id="8", limit=1),
        ]
        answer = await server.client.recommendations.BatchRecommend(
            pb.BatchRecommendRequest(requests=requests), timeout=BOUND
        )
        kinds = [result.WhichOneof("result") for result in answer.results]
        assert kinds == ["response", *["error"] * 6, "response"]
        for request, result in zip(requests, answer.results, strict=True):
            if result.HasField("error"):
                failure = await failure_of(server.client.recommendations.Recommend(request, timeout=BOUND))
                assert (failure.code.value[0], failure.message) == (result.error.code, result.error.message)
                assert failure.details == unpack(result.error)
        assert unpack(answer.results[2].error)[ResourceInfo].resource_name == "no such item"
        [violation] = unpack(answer.results[3].error)[BadRequest].field_violations
        assert violation.field == "ratings[0].value"

    async def test_a_batch_of_errors_is_an_answer(self, server: System) -> None:
        """A batch in which nothing is right still answers."""
        answer = await server.client.recommendations.BatchRecommend(
            pb.BatchRecommendRequest(requests=[pb.RecommendRequest()] * 100), timeout=BOUND
        )
        assert len(answer.results) == 100
        assert all(result.error != Status() for result in answer.results)

    async def test_a_full_batch_is_answered(self, server: System) -> None:
        """A hundred requests of the same user are a hundred times the same answer."""
        request = pb.RecommendRequest(user_id="7", limit=500, item_view=3, explanation=2)
        answer = await server.client.recommendations.BatchRecommend(
            pb.BatchRecommendRequest(requests=[request] * 100), timeout=BOUND
        )
        assert len({result.SerializeToString(deterministic=True) for result in answer.results}) == 1
