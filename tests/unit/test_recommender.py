import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from kindred import neighbors
from kindred.backend import Backend
from kindred.errors import (
    InvalidArgumentError,
    ItemNotFoundError,
    KindredError,
    PreconditionError,
)
from kindred.items import Item
from kindred.profile_cache import ProfileCache
from kindred.rating_period import RatingPeriod
from kindred.ratings import Forgotten, ProfileEvent, Rated, Reaction, Retracted
from kindred.recipes import POPULAR, RECIPES
from kindred.recommendation import (
    Explained,
    InlineRating,
    RecommendationAnswer,
    RecommendationRequest,
    Source,
    Strategy,
)
from kindred.recommender import Recommender
from kindred.settings import Settings
from kindred.stores.port import LogPosition
from kindred.updater import UserEvent
from tests.support.community import assert_agrees, build_community, ids_of, index_of, opened, text, twins
from tests.support.reference import Community, Ratings, mean_and_std
from tests.support.watched_store import WatchedStore, watched_backend

STARS = [1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0]
PAIR = {
    "7": {"a": 5.0, "own": 5.0},
    "neighbor": {"a": 5.0, "x": 5.0, "y": 1.0},
    "8": {"b": 5.0, "z": 5.0},
}
"""7 and neighbor agree about a; nobody shares a rating with 8."""


def crowd(seed: int, users: int = 60, items: int = 40) -> dict[str, dict[str, float]]:
    """Random people: some ids are numbers and some are not."""
    random = Random(seed)  # noqa: S311  # no secret
    names = [str(item) if item % 3 else f"film {item}" for item in range(items)]
    return {
        str(user) if user % 2 else f"user {user}": {
            name: random.choice(STARS) for name in random.sample(names, random.randint(1, items // 2))
        }
        for user in range(users)
    }


def event(user_id: str, what: ProfileEvent, offset: int = 0) -> UserEvent:
    """An event at a place in the log."""
    return UserEvent(user_id, what, LogPosition("topic", 0, offset))


def likes(*item_ids: str) -> list[InlineRating]:
    """Likes in a request."""
    return [InlineRating(item_id, Reaction.LIKE) for item_id in item_ids]


@pytest.fixture
def built(tmp_path: Path) -> Callable[..., Path]:
    """Builds a collection of ratings and gives its folder."""

    def build(ratings: Mapping[str, Ratings], **more: object) -> Path:
        build_community(tmp_path / "data", ratings, **more)  # type: ignore[arg-type]  # as `build_community` has it
        return tmp_path / "data"

    return build


class TestAgainstTheReference:
    @pytest.mark.parametrize("recipe", ["default", "ridge", "tutorial-similarity", "tutorial-ratings"])
    @pytest.mark.parametrize("seed", range(8))
    async def test_random_people_get_what_the_reference_says(
        self, built: Callable[..., Path], seed: int, recipe: str
    ) -> None:
        """Whatever people rate and however ids look, everyone gets the reference's items, order and scores."""
        ratings = crowd(seed)
        z_scores = mean_and_std(ratings) if recipe.startswith("tutorial") else None
        community = Community(ratings, z_scores)
        async with opened(built(ratings, z_scores=z_scores is not None)) as backend:
            for user_id, profile in ratings.items():
                for k in (3, None):
                    answer = await backend.recommender.recommend(
                        RecommendationRequest(user_id, limit=40, k=k, recipe=recipe)
                    )
                    preferences = community.preferences[user_id]
                    expected = community.recommend(
                        preferences, recipe, myself=user_id, dropped=profile, k=k, limit=40, stars=profile
                    )
                    assert_agrees(backend.catalog, answer, expected)

    @pytest.mark.parametrize("count", [210, 250, 1_000])
    async def test_ties_at_the_last_neighbor_go_by_user_id(self, built: Callable[..., Path], count: int) -> None:
        """Of users as similar as each other, however many, those with the first ids as text are the neighbors."""
        ratings = twins(count)
        community = Community(ratings)
        async with opened(built(ratings)) as backend:
            for user_id in ("0", "55", str(count - 1)):
                for k in (1, 5, 200):
                    request = RecommendationRequest(user_id, limit=500, k=k)
                    answer = await backend.recommender.recommend(request)
                    expected = community.recommend(
                        community.preferences[user_id], myself=user_id, dropped=ratings[user_id], k=k
                    )
                    assert expected.neighbors == sorted(set(ratings) - {user_id})[:k]
                    assert_agrees(backend.catalog, answer, expected)

    async def test_ties_are_looked_for_up_to_a_bound(
        self, built: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of more ties than that some are left out, and no search asks for more."""
        monkeypatch.setattr(neighbors, "_MAX_CANDIDATES", 100)
        limits = []
        async with watched_backend(Settings(data_dir=built(twins(400)))) as (backend, store):
            search = store.inner.search

            async def noted(queries: object, limit: int, filters: object = ()) -> object:
                limits.append(limit)
                return await search(queries, limit, filters)  # type: ignore[arg-type]  # passed on as they came

            monkeypatch.setattr(store.inner, "search", noted)
            answer = await backend.recommender.recommend(RecommendationRequest("0", k=20))
        assert answer.neighbors_used == 20
        assert limits == [37, 100]


class TestSameBytes:
    async def test_the_same_data_gives_the_same_answer(self, built: Callable[..., Path]) -> None:
        """Neither opening the store again nor writing users again nor optimizing changes a bit of an answer."""
        ratings = twins(400) | crowd(5)
        requests = [
            RecommendationRequest(user_id, limit=limit, k=k, explained=Explained.SUMMARY)
            for user_id in ("77", "user 4", "21")
            for limit in (1, 20, 500)
            for k in (1, 7, 200)
        ]
        requests += [RecommendationRequest(ratings=likes("shared", "film 3"), explained=Explained.SUMMARY)]
        path = built(ratings)
        async with opened(path) as backend:
            first = await bits(backend, requests)
            assert await bits(backend, requests) == first
        async with opened(path) as backend:
            assert await bits(backend, requests) == first
            # Users written again are elsewhere in the engine, so that ties come in another order.
            again = [event(str(user), Rated(index_of("shared"), 5.0, 2_000), user) for user in range(399, 100, -3)]
            await backend.updater.apply(again)
            assert await bits(backend, requests) == first
        async with opened(path) as backend:  # opening optimizes
            assert await bits(backend, requests) == first

    async def test_the_cache_makes_no_difference(self, built: Callable[..., Path]) -> None:
        """With a large cache, a small one or none the answers are the same, the first time and later."""
        ratings = crowd(6)
        requests = [RecommendationRequest(user_id, limit=40, explained=Explained.SUMMARY) for user_id in ratings]
        path = built(ratings)
        answers = []
        for cache_bytes in (0, 5_000, 2**28):
            async with opened(path, cache_bytes=cache_bytes) as backend:
                answers += [await bits(backend, requests), await bits(backend, requests)]
        assert answers[1:] == answers[:1] * 5

    async def test_cached_neighbors_are_not_read_again(self, built: Callable[..., Path]) -> None:
        """Once cached, only the user is read; a neighbor who was written since is read once more."""
        async with opened(built(crowd(6))) as backend:
            store = WatchedStore(backend.store)
            recommender = Recommender(store, backend.catalog, RECIPES, ProfileCache(2**28), default="default")
            reads = []
            for offset in (None, None, 0, None):
                if offset is not None:
                    await backend.updater.apply([event("user 4", Rated(index_of("4"), 5.0, 2_000), offset)])
                before = store.calls["users"]
                await recommender.recommend(RecommendationRequest("1"))
                reads.append(store.calls["users"] - before)
        assert reads == [2, 1, 2, 1]

    async def test_times_are_read_once_somebody_asks(self, built: Callable[..., Path]) -> None:
        """Neighbors are kept without times until a period is asked for: then read again, once, and kept with them."""
        path = built(crowd(7))
        plain, lately = RecommendationRequest("1"), RecommendationRequest("1", period=RatingPeriod(half_life=1e9))
        async with opened(path) as backend:
            expected = [text(await backend.recommender.recommend(request)) for request in (lately, plain)]
        async with opened(path) as backend:
            store = WatchedStore(backend.store)
            recommender = Recommender(store, backend.catalog, RECIPES, cache := ProfileCache(2**28), default="default")
            reads, sizes, answers = [], [], []
            for request in (plain, plain, lately, lately, plain):
                before = store.calls["users"]
                answers.append(text(await recommender.recommend(request)))
                reads.append(store.calls["users"] - before)
                sizes.append(cache.bytes)
        assert reads == [2, 1, 2, 1, 1]
        assert sizes[0] == sizes[1] < sizes[2] == sizes[3] == sizes[4]
        assert answers == [expected[1], expected[1], expected[0], expected[0], expected[1]]


class TestAskingAgain:
    async def test_who_asks_again_is_searched_for_while_they_are_read(self, built: Callable[..., Path]) -> None:
        """On a shared store the search need not wait for the user's profile; one that has changed costs another one."""
        async with opened(built(crowd(6))) as backend:
            store = WatchedStore(backend.store)
            store.shared = True
            recommender = Recommender(store, backend.catalog, RECIPES, ProfileCache(2**28), default="default")
            searches = []
            for offset in (None, None, 0, None):
                if offset is not None:
                    await backend.updater.apply([event("1", Rated(index_of("4"), 5.0, 2_000), offset)])
                before = store.calls["search"]
                request = RecommendationRequest("1", limit=40, explained=Explained.SUMMARY)
                answer = await recommender.recommend(request)
                searches.append(store.calls["search"] - before)
                fresh = await backend.recommender.recommend(
                    RecommendationRequest("1", limit=40, explained=Explained.SUMMARY)
                )
                assert text(answer) == text(fresh)
        assert searches == [1, 1, 2, 1]

    async def test_a_user_who_was_forgotten_meanwhile_gets_a_strangers_answer(self, built: Callable[..., Path]) -> None:
        """What was remembered of somebody answers nothing once they are gone."""
        async with opened(built(crowd(6))) as backend:
            store = WatchedStore(backend.store)
            store.shared = True
            recommender = Recommender(store, backend.catalog, RECIPES, ProfileCache(2**28), default="default")
            assert (await recommender.recommend(RecommendationRequest("1"))).strategy is not Strategy.POPULAR_FALLBACK
            await backend.updater.apply([event("1", Forgotten(3_000), 0)])
            answer = await recommender.recommend(RecommendationRequest("1"))
        assert (answer.strategy, answer.stored_ratings) == (Strategy.POPULAR_FALLBACK, 0)


class TestMany:
    async def test_a_batch_answers_as_one_by_one(self, built: Callable[..., Path]) -> None:
        """Each request of a batch gets the answer or the error that it gets alone, whatever stands beside it."""
        ratings = twins(300) | crowd(7)
        requests = [
            RecommendationRequest("77", limit=1, k=3, explained=Explained.SUMMARY),
            RecommendationRequest(ratings=[InlineRating("unheard-of", 5.0)]),
            RecommendationRequest("user 4", limit=500, explained=Explained.SUMMARY),
            RecommendationRequest("nobody"),
            RecommendationRequest("77", ratings=[InlineRating("shared", 9.0)]),
            RecommendationRequest("77", limit=3, k=200, explained=Explained.SUMMARY),
            RecommendationRequest("21", recipe="tutorial-ratings"),
            RecommendationRequest(ratings=likes("shared", "film 3"), k=1_000, limit=400, explained=Explained.SUMMARY),
            RecommendationRequest("21", recipe="popular"),
            RecommendationRequest("21", excluded=["4", "film 0"], include_rated=True),
        ]
        async with opened(built(ratings)) as backend:
            together = await backend.recommender.recommend_many(requests)
            alone = [await outcome(backend, request) for request in requests]
        assert [text(each) for each in together] == [text(each) for each in alone]
        failed = [type(each) for each in together if isinstance(each, KindredError)]
        assert failed == [ItemNotFoundError, InvalidArgumentError, PreconditionError]

    async def test_an_empty_batch_is_answered(self, built: Callable[..., Path]) -> None:
        """No requests get no answers."""
        async with opened(built(PAIR)) as backend:
            assert await backend.recommender.recommend_many([]) == []


class TestNeighbors:
    @pytest.mark.parametrize("user_id", ["7", "neighbor"])
    async def test_nobody_is_their_own_neighbor(self, built: Callable[..., Path], user_id: str) -> None:
        """What only the user rates has no score, whether the user's id is a number or not."""
        async with opened(built(PAIR)) as backend:
            request = RecommendationRequest(user_id, include_rated=True, limit=500)
            answer = await backend.recommender.recommend(request)
            personalized = [item for item in answer.items if item.source is not Source.POPULAR]
        other = PAIR["7" if user_id == "neighbor" else "neighbor"]
        assert set(ids_of(backend.catalog, personalized)) == {item for item, stars in other.items() if stars > 2}
        assert answer.neighbors_used == 1

    async def test_the_user_takes_no_place_of_a_neighbor(self, built: Callable[..., Path]) -> None:
        """With k of 1 the one neighbor is the most similar other user, though the user is more similar still."""
        async with opened(built(PAIR)) as backend:
            answer = await backend.recommender.recommend(RecommendationRequest("7", k=1, limit=1))
            assert ids_of(backend.catalog, answer.items) == ["x"]
            assert (answer.neighbors_used, answer.strategy) == (1, Strategy.PERSONALIZED)

    async def test_a_write_is_seen_by_the_next_answer(self, built: Callable[..., Path]) -> None:
        """What a neighbor rates, changes or takes back counts in the next answer, also when it was cached before."""
        request = RecommendationRequest("7", limit=500)

        async def personalized(backend: Backend) -> list[str]:
            answer = await backend.recommender.recommend(request)
            return ids_of(backend.catalog, [item for item in answer.items if item.source is not Source.POPULAR])

        async with opened(built(PAIR)) as backend:
            assert await personalized(backend) == await personalized(backend) == ["x"]
            await backend.updater.apply([event("neighbor", Rated(index_of("y"), 5.0, 2_000), 0)])
            assert sorted(await personalized(backend)) == ["x", "y"]
            await backend.updater.apply([event("neighbor", Retracted(index_of("x"), 2_000), 1)])
            assert await personalized(backend) == ["y"]
            await backend.updater.apply([event("8", Rated(index_of("a"), 5.0, 2_000), 2)])
            assert sorted(await personalized(backend)) == ["b", "y", "z"]
            await backend.updater.apply([event("neighbor", Retracted(index_of("a"), 2_000), 3)])
            assert sorted(await personalized(backend)) == ["b", "z"]

    async def test_the_users_own_write_is_seen_by_the_next_answer(self, built: Callable[..., Path]) -> None:
        """A rating of the user's own leads to other neighbors at once, and the answer says what it includes."""
        async with opened(built(PAIR)) as backend:
            before = await backend.recommender.recommend(RecommendationRequest("8"))
            assert (before.strategy, before.profile_revision, before.stored_ratings) == (
                Strategy.POPULAR_FALLBACK,
                1,
                2,
            )
            await backend.updater.apply([event("8", Rated(index_of("a"), 5.0, 2_000))])
            after = await backend.recommender.recommend(RecommendationRequest("8", limit=2))
            assert sorted(ids_of(backend.catalog, after.items)) == ["own", "x"]
            assert (after.strategy, after.profile_revision, after.stored_ratings) == (Strategy.PERSONALIZED, 2, 3)

    async def test_a_query_that_says_nothing_gets_popular_items(self, built: Callable[..., Path]) -> None:
        """Dislikes alone exclude their items and find no neighbors."""
        async with opened(built(PAIR)) as backend:
            dislikes = [InlineRating("a", Reaction.DISLIKE), InlineRating("x", 2.5)]
            answer = await backend.recommender.recommend(RecommendationRequest(ratings=dislikes))
            assert answer.strategy is Strategy.POPULAR_FALLBACK
            assert ids_of(backend.catalog, answer.items) == ["b", "own", "z"]

    async def test_only_unlike_people_are_no_neighbors(self, built: Callable[..., Path]) -> None:
        """Where everyone who shares a rating disagrees, popular items come."""
        async with opened(built(PAIR)) as backend:
            answer = await backend.recommender.recommend(RecommendationRequest(ratings=likes("y")))
            assert (answer.strategy, answer.neighbors_used) == (Strategy.POPULAR_FALLBACK, 0)


class TestItems:
    async def test_items_outside_the_catalog_are_not_recommended(self, built: Callable[..., Path]) -> None:
        """An item that neighbors rate and no catalog has is passed over until the catalog has it."""
        async with opened(built(PAIR)) as backend:
            await backend.updater.apply([event("neighbor", Rated(4_711, 5.0, 2_000))])
            request = RecommendationRequest("7", limit=500)
            answer = await backend.recommender.recommend(request)
            assert "4711" not in ids_of(backend.catalog, answer.items)
            assert await backend.items.upsert([Item("4711", "Cologne")]) == (1, 0)
            answer = await backend.recommender.recommend(request)
            assert "4711" in ids_of(backend.catalog, answer.items)

    async def test_items_are_named_by_external_ids_too(self, built: Callable[..., Path]) -> None:
        """Ratings and exclusions may name items by external ids."""
        items = [Item("a", external_ids={"imdb": "tt1"}), Item("x", external_ids={"tmdb": "2"})]
        async with opened(built(PAIR, items=items)) as backend:
            answer = await backend.recommender.recommend(RecommendationRequest(ratings=likes("imdb:tt1"), limit=3))
            assert sorted(ids_of(backend.catalog, answer.items)) == ["b", "own", "x"]
            answer = await backend.recommender.recommend(
                RecommendationRequest(ratings=likes("imdb:tt1"), excluded=["tmdb:2"], limit=3)
            )
            assert sorted(ids_of(backend.catalog, answer.items)) == ["b", "own", "z"]

    async def test_items_that_nobody_likes_are_not_popular(self, built: Callable[..., Path]) -> None:
        """Popular items are those with a like at least: an answer may be shorter than asked for."""
        ratings = {"1": {"a": 5.0, "b": 3.5, "c": 1.0}, "2": {"a": 4.0}}
        async with opened(built(ratings, items=[Item("new")])) as backend:
            answer = await backend.recommender.recommend(RecommendationRequest("nobody"))
            assert [(item.score, item.source is Source.POPULAR) for item in answer.items] == [(2, True)]
            assert ids_of(backend.catalog, answer.items) == ["a"]

    @pytest.mark.parametrize("supporter", range(5))
    async def test_scores_that_cancel_out_are_no_recommendation(
        self, built: Callable[..., Path], supporter: int
    ) -> None:
        """What people as similar as each other like and dislike in balance is not theirs to recommend."""
        # One is for x and four are against it: 1 - 4/4. The filler makes their vectors as long as each other.
        filler = {f"filler {item}": 3.0 for item in range(15)}
        ratings: dict[str, Ratings] = {f"against {user}": {"a": 5.0, "x": 1.0} | filler for user in range(5)}
        del ratings[f"against {supporter}"]
        ratings |= {f"against {supporter} not": {"a": 5.0, "x": 5.0}, "closest": {"a": 5.0}}
        async with opened(built(ratings)) as backend:
            request = RecommendationRequest(ratings=likes("a"), limit=500)
            answer = await backend.recommender.recommend(request)
            assert answer.neighbors_used == 6
            personalized = [item for item in answer.items if item.source is not Source.POPULAR]
            assert set(ids_of(backend.catalog, personalized)) == set(filler)


class TestErrors:
    @pytest.mark.parametrize("value", [0.0, 0.4, 5.5, -1.0, math.nan, math.inf, -math.inf, 1e300])
    async def test_ratings_off_the_scale_are_refused(self, built: Callable[..., Path], value: float) -> None:
        """A rating off the scale is a violation at its place that says what the scale is."""
        request = RecommendationRequest(ratings=[InlineRating("a", 5.0), InlineRating("b", value)])
        async with opened(built(PAIR)) as backend:
            with pytest.raises(InvalidArgumentError) as refused:
                await backend.recommender.recommend(request)
        [violation] = refused.value.violations
        assert (violation.field, violation.description) == ("ratings[1].value", "must be 0.5 to 5")

    @pytest.mark.parametrize("value", [0.5, 5.0, 3.3])
    async def test_ratings_on_the_scale_are_taken(self, built: Callable[..., Path], value: float) -> None:
        """The scale's ends belong to it, and so does everything between."""
        async with opened(built(PAIR)) as backend:
            answer = await backend.recommender.recommend(RecommendationRequest(ratings=[InlineRating("a", value)]))
            assert answer.items

    async def test_an_item_is_rated_once(self, built: Callable[..., Path]) -> None:
        """An item that a request rates twice, under whatever id, is a violation; a stored rating is none."""
        items = [Item("a", external_ids={"imdb": "tt1"})]
        twice = [InlineRating("a", 5.0), *likes("b", "imdb:tt1", "b")]
        async with opened(built(PAIR, items=items)) as backend:
            with pytest.raises(InvalidArgumentError) as refused:
                await backend.recommender.recommend(RecommendationRequest(ratings=twice))
            assert [each.field for each in refused.value.violations] == ["ratings[2].item_id", "ratings[3].item_id"]
            await backend.recommender.recommend(RecommendationRequest("7", ratings=twice[:1]))

    async def test_every_violation_is_told(self, built: Callable[..., Path]) -> None:
        """All that is wrong with the ratings is told at once."""
        wrong = [InlineRating("a", 9.0), InlineRating("a", 5.0), InlineRating("b", math.nan)]
        async with opened(built(PAIR)) as backend:
            with pytest.raises(InvalidArgumentError) as refused:
                await backend.recommender.recommend(RecommendationRequest(ratings=wrong))
        assert [each.field for each in refused.value.violations] == [
            "ratings[0].value",
            "ratings[1].item_id",
            "ratings[2].value",
        ]

    @pytest.mark.parametrize("item_id", ["unheard-of", "imdb:tt9", "4711"])
    async def test_unknown_items_cannot_be_rated(self, built: Callable[..., Path], item_id: str) -> None:
        """A rating of an item that the catalog lacks fails with its id, also where users have rated it."""
        async with opened(built(PAIR)) as backend:
            await backend.updater.apply([event("7", Rated(4_711, 5.0, 2_000))])
            with pytest.raises(ItemNotFoundError) as failed:
                await backend.recommender.recommend(RecommendationRequest(ratings=likes("a", item_id)))
        assert failed.value.item_id == item_id

    @pytest.mark.parametrize(
        ("z_scores", "recipes"), [(False, ["tutorial-similarity", "tutorial-ratings"]), (True, ["default"])]
    )
    async def test_recipes_need_their_weighting(
        self, built: Callable[..., Path], recipes: list[str], *, z_scores: bool
    ) -> None:
        """A recipe on a collection of another weighting is an error that names both and the way out."""
        async with opened(built(PAIR, z_scores=z_scores)) as backend:
            for recipe in recipes:
                with pytest.raises(PreconditionError, match="load again with --replace") as failed:
                    await backend.recommender.recommend(RecommendationRequest("7", recipe=recipe))
                assert (failed.value.kind, failed.value.subject) == ("WEIGHTING", recipe)
            for recipe in (None, "popular"):
                assert (await backend.recommender.recommend(RecommendationRequest("7", recipe=recipe))).items


async def outcome(backend: Backend, request: RecommendationRequest) -> RecommendationAnswer | KindredError:
    """The answer to a request alone, or its error."""
    try:
        return await backend.recommender.recommend(request)
    except KindredError as error:
        return error


async def bits(backend: Backend, requests: list[RecommendationRequest]) -> list[str]:
    """Everything in the answers but the revision of the profile, which counts the user's own writes."""
    answers = [await backend.recommender.recommend(request) for request in requests]
    return [text(replace(answer, profile_revision=0)) for answer in answers]


async def test_an_own_recipe_on_popular_needs_nobody_and_asks_nobody(tmp_path: Path) -> None:
    """It answers without a user, and refuses what is about neighbors, as the built-in one does."""
    build_community(tmp_path / "data", PAIR)
    async with opened(tmp_path / "data") as backend:
        recipes = RECIPES | {"shelf": POPULAR.named("shelf")}
        recommender = Recommender(backend.store, backend.catalog, recipes, ProfileCache(2**20))
        answer = await recommender.recommend(RecommendationRequest(recipe="shelf"))
        assert (answer.strategy, answer.recipe) == (Strategy.POPULAR, "shelf")
        period = RatingPeriod(since=1)
        for wrong, fields in (
            (RecommendationRequest(recipe="shelf", k=3), ["neighbors"]),
            (RecommendationRequest(recipe="shelf", period=period), ["period"]),
            (RecommendationRequest(recipe="default"), ["user_id"]),
        ):
            with pytest.raises(InvalidArgumentError) as refused:
                await recommender.recommend(wrong)
            assert [each.field for each in refused.value.violations] == fields
