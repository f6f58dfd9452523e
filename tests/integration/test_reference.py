"""On MovieLens 100K the pipeline answers as the reference does."""

import csv
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from kindred.backend import Backend
from kindred.ratings import Forgotten, Reaction, Retracted
from kindred.recommendation import Explained, InlineRating, RecommendationRequest, Source, Strategy
from kindred.recount import recount
from kindred.stores.edge import EdgeBuilder
from kindred.stores.port import LogPosition
from kindred.updater import UserEvent
from loader.load import LoadOptions, load
from loader.readers.movielens import open_movielens
from tests.support.community import assert_agrees, ids_of, opened
from tests.support.reference import Community, mean_and_std

RECIPES = ["default", "tutorial-similarity", "tutorial-ratings"]
USERS = 943
NOW = 2_000_000_000_000

Open = Callable[[str], AbstractAsyncContextManager[Backend]]
Communities = Mapping[str, Community]


@pytest.fixture(scope="module")
def ratings(ml100k: Path) -> dict[str, dict[str, float]]:
    """Stars by user and item, read without the loader."""
    stars: dict[str, dict[str, float]] = {}
    with (ml100k / "ml-100k.inter").open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            stars.setdefault(row["user_id:token"], {})[row["item_id:token"]] = float(row["rating:float"])
    assert len(stars) == USERS
    return stars


@pytest.fixture(scope="module")
def communities(ratings: dict[str, dict[str, float]]) -> Communities:
    """The reference by recipe."""
    z_scores = Community(ratings, mean_and_std(ratings))
    return {"default": Community(ratings), "tutorial-similarity": z_scores, "tutorial-ratings": z_scores}


@pytest.fixture(scope="module")
def data_dirs(ml100k: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The collection by recipe, loaded as `kindred load` does it."""
    found = {}
    for weighting in ("default", "zscore"):
        path = tmp_path_factory.mktemp(weighting) / "data"
        with EdgeBuilder(path) as builder:
            load(open_movielens(ml100k), builder, LoadOptions(weighting=weighting))
        found[weighting] = path
    return {"default": found["default"]} | dict.fromkeys(RECIPES[1:], found["zscore"])


@pytest.fixture
def open_for(data_dirs: dict[str, Path]) -> Open:
    """Opens the collection of a recipe."""
    return lambda recipe: opened(data_dirs[recipe])


def inline(profile: Mapping[str, float]) -> list[InlineRating]:
    """A profile as ratings in a request."""
    return [InlineRating(item_id, stars) for item_id, stars in profile.items()]


@pytest.mark.parametrize("recipe", RECIPES)
async def test_every_user_gets_what_the_reference_says(
    open_for: Open, communities: Communities, ratings: dict[str, dict[str, float]], recipe: str
) -> None:
    """Every user gets the same items in the same order with the same scores, down to the 500th."""
    community = communities[recipe]
    async with open_for(recipe) as backend:
        for user_id, profile in ratings.items():
            request = RecommendationRequest(user_id, limit=500, recipe=recipe)
            answer = await backend.recommender.recommend(request)
            expected = community.recommend(
                community.preferences[user_id], recipe, myself=user_id, dropped=profile, limit=500
            )
            assert_agrees(backend.catalog, answer, expected)
            assert (answer.recipe, answer.stored_ratings, answer.profile_revision) == (recipe, len(profile), 1)


@pytest.mark.parametrize("recipe", RECIPES)
async def test_every_limit_gives_the_best(
    open_for: Open, communities: Communities, ratings: dict[str, dict[str, float]], recipe: str
) -> None:
    """Whatever the limit, the best items come, in the same order as under any other limit."""
    community = communities[recipe]
    async with open_for(recipe) as backend:
        for user_id in list(ratings)[::150]:
            preferences, profile = community.preferences[user_id], ratings[user_id]
            for limit in (1, 2, 10, 99, 500):
                request = RecommendationRequest(user_id, limit=limit, recipe=recipe)
                answer = await backend.recommender.recommend(request)
                expected = community.recommend(preferences, recipe, myself=user_id, dropped=profile, limit=limit)
                assert_agrees(backend.catalog, answer, expected)
                assert len(answer.items) == limit


@pytest.mark.parametrize("recipe", RECIPES)
async def test_ratings_need_no_account(
    open_for: Open, communities: Communities, ratings: dict[str, dict[str, float]], recipe: str
) -> None:
    """The ratings of a user without the user get the user's answer, but that the user is a neighbor then."""
    community = communities[recipe]
    themselves = 0
    async with open_for(recipe) as backend:
        for user_id in list(ratings)[::40]:
            profile = ratings[user_id]
            answer = await backend.recommender.recommend(
                RecommendationRequest(ratings=inline(profile), limit=100, recipe=recipe)
            )
            expected = community.recommend(community.preferences[user_id], recipe, dropped=profile, limit=100)
            assert_agrees(backend.catalog, answer, expected)
            assert (answer.profile_revision, answer.stored_ratings) == (0, 0)
            themselves += user_id in expected.neighbors
    assert themselves


@pytest.mark.parametrize("recipe", RECIPES)
async def test_reactions_stand_for_preferences(open_for: Open, communities: Communities, recipe: str) -> None:
    """LIKE is a preference of 1; DISLIKE is 0, or -1 as z-score, and its item is not recommended either way."""
    likes, dislikes = ["50", "181", "172", "96"], ["1", "100", "127"]
    async with open_for(recipe) as backend:
        for some in (dislikes, dislikes[:1], []):
            reactions = [InlineRating(item, Reaction.LIKE) for item in likes]
            reactions += [InlineRating(item, Reaction.DISLIKE) for item in some]
            answer = await backend.recommender.recommend(
                RecommendationRequest(ratings=reactions, limit=200, recipe=recipe)
            )
            dislike = 0.0 if recipe == "default" else -1.0
            preferences = dict.fromkeys(likes, 1.0) | dict.fromkeys(some, dislike)
            expected = communities[recipe].recommend(preferences, recipe, dropped=likes + some, limit=200)
            assert_agrees(backend.catalog, answer, expected)


@pytest.mark.parametrize("recipe", RECIPES)
async def test_ratings_in_the_request_overlay_the_stored_ones(
    open_for: Open, communities: Communities, ratings: dict[str, dict[str, float]], recipe: str
) -> None:
    """What the request says of an item counts instead of what is stored, item by item, for this request alone."""
    community = communities[recipe]
    async with open_for(recipe) as backend:
        for user_id in list(ratings)[::90]:
            profile = ratings[user_id]
            changed = {item: 6.0 - stars for item, stars in list(profile.items())[::3]}
            new = {item: 4.0 for item in ("50", "1682", "1000") if item not in profile}
            request = RecommendationRequest(user_id, inline(changed | new), limit=100, recipe=recipe)
            answer = await backend.recommender.recommend(request)
            overlaid = profile | changed | new
            expected = community.recommend(
                community.query(overlaid), recipe, myself=user_id, dropped=overlaid, limit=100
            )
            assert_agrees(backend.catalog, answer, expected)
            assert answer.stored_ratings == len(profile)
            again = await backend.recommender.recommend(RecommendationRequest(user_id, limit=100, recipe=recipe))
            expected = community.recommend(
                community.preferences[user_id], recipe, myself=user_id, dropped=profile, limit=100
            )
            assert_agrees(backend.catalog, again, expected)


@pytest.mark.parametrize("recipe", RECIPES)
async def test_excluded_items_are_passed_over(
    open_for: Open, communities: Communities, ratings: dict[str, dict[str, float]], recipe: str
) -> None:
    """Excluded items are left out, the others move up, and what no catalog has is nothing to exclude."""
    community = communities[recipe]
    async with open_for(recipe) as backend:
        for user_id in list(ratings)[::90]:
            preferences, profile = community.preferences[user_id], set(ratings[user_id])
            best = community.recommend(preferences, recipe, myself=user_id, dropped=profile, limit=20).items
            excluded = [item.item_id for item in best[::2]]
            request = RecommendationRequest(user_id, limit=500, excluded=[*excluded, "unheard-of"], recipe=recipe)
            answer = await backend.recommender.recommend(request)
            expected = community.recommend(
                preferences, recipe, myself=user_id, dropped=profile | set(excluded), limit=500
            )
            assert_agrees(backend.catalog, answer, expected)
            assert set(excluded).isdisjoint(ids_of(backend.catalog, answer.items))


@pytest.mark.parametrize("recipe", RECIPES)
async def test_rated_items_come_when_asked_for(
    open_for: Open, communities: Communities, ratings: dict[str, dict[str, float]], recipe: str
) -> None:
    """With `include_rated` the items that the user rates are recommended as any other, unless they are excluded."""
    community = communities[recipe]
    async with open_for(recipe) as backend:
        for user_id in list(ratings)[::90]:
            excluded = list(ratings[user_id])[:3]
            answer = await backend.recommender.recommend(
                RecommendationRequest(user_id, limit=500, excluded=excluded, include_rated=True, recipe=recipe)
            )
            preferences = community.preferences[user_id]
            expected = community.recommend(preferences, recipe, myself=user_id, dropped=excluded, limit=500)
            assert_agrees(backend.catalog, answer, expected)
            assert not ratings[user_id].keys().isdisjoint(ids_of(backend.catalog, answer.items))


@pytest.mark.parametrize("recipe", RECIPES)
async def test_k_bounds_the_neighbors(
    open_for: Open, communities: Communities, ratings: dict[str, dict[str, float]], recipe: str
) -> None:
    """As many neighbors are used as are asked for, or as have a positive similarity if these are fewer."""
    community = communities[recipe]
    async with open_for(recipe) as backend:
        for user_id in list(ratings)[::150]:
            preferences, profile = community.preferences[user_id], ratings[user_id]
            for k in (1, 2, 20, 199, 201, 500, 1_000):
                request = RecommendationRequest(user_id, limit=500, k=k, recipe=recipe)
                answer = await backend.recommender.recommend(request)
                expected = community.recommend(preferences, recipe, myself=user_id, dropped=profile, k=k, limit=500)
                assert_agrees(backend.catalog, answer, expected)
                assert answer.neighbors_used <= min(k, USERS - 1)


@pytest.mark.parametrize("likes", [0, 1, 2, 3, 9, 10])
async def test_short_profiles_have_rules_of_their_own(
    open_for: Open, communities: Communities, ratings: dict[str, dict[str, float]], likes: int
) -> None:
    """Sharpness and damping follow the number of likes: below 3, 3 to 9, 10 and more; other ratings do not count."""
    community = communities["default"]
    async with open_for("default") as backend:
        for user_id in list(ratings)[::60]:
            liked = [item for item, stars in ratings[user_id].items() if stars >= 4][:likes]
            lukewarm = [item for item, stars in ratings[user_id].items() if stars == 3][:5]
            profile = {item: ratings[user_id][item] for item in liked + lukewarm}
            request = RecommendationRequest(ratings=inline(profile), limit=200)
            answer = await backend.recommender.recommend(request)
            expected = community.recommend(community.query(profile), dropped=profile, limit=200)
            assert_agrees(backend.catalog, answer, expected)


@pytest.mark.parametrize("recipe", RECIPES)
async def test_reasons_are_shares_of_the_score(
    open_for: Open, communities: Communities, ratings: dict[str, dict[str, float]], recipe: str
) -> None:
    """Every personalized item names the liked items that carried most of its score, three at most, with their share."""
    community = communities[recipe]
    async with open_for(recipe) as backend:
        for user_id in list(ratings)[::120]:
            preferences, profile = community.preferences[user_id], ratings[user_id]
            request = RecommendationRequest(user_id, limit=25, explained=Explained.SUMMARY, recipe=recipe)
            answer = await backend.recommender.recommend(request)
            expected = community.recommend(
                preferences, recipe, myself=user_id, dropped=profile, limit=25, explained=True
            )
            assert_agrees(backend.catalog, answer, expected)
            for item, wanted in zip(answer.items, expected.items, strict=True):
                assert sum(wanted.shares.values()) == pytest.approx(1)
                liked = sorted(
                    (share for rated, share in wanted.shares.items() if preferences[rated] > 0 and share > 0),
                    reverse=True,
                )
                assert [reason.share for reason in item.reasons] == pytest.approx(liked[:3], abs=1e-6)
                for reason in item.reasons:
                    rated = backend.catalog.item(reason.row).item_id
                    assert preferences[rated] > 0
                    assert reason.share == pytest.approx(wanted.shares[rated], abs=1e-6)
                assert len({reason.row for reason in item.reasons}) == len(item.reasons)


async def test_the_recipe_follows_the_weighting(open_for: Open) -> None:
    """Without a recipe the default of the collection's weighting answers."""
    for loaded, answering in (("default", "default"), ("tutorial-similarity", "tutorial-ratings")):
        async with open_for(loaded) as backend:
            answer = await backend.recommender.recommend(RecommendationRequest("1"))
            assert answer == await backend.recommender.recommend(RecommendationRequest("1", recipe=answering))


async def test_reasons_are_given_on_request_only(open_for: Open) -> None:
    """Without asking there are no reasons, and popular items have none."""
    async with open_for("default") as backend:
        answer = await backend.recommender.recommend(RecommendationRequest("1"))
        assert all(not item.reasons for item in answer.items)
        answer = await backend.recommender.recommend(RecommendationRequest("nobody", explained=Explained.SUMMARY))
        assert all(not item.reasons for item in answer.items)


@pytest.mark.parametrize("recipe", RECIPES)
async def test_few_neighbors_are_filled_up_with_popular_items(
    open_for: Open, communities: Communities, ratings: dict[str, dict[str, float]], recipe: str
) -> None:
    """One neighbor has too few items: the rest is popular, but for what the neighbor dislikes."""
    community = communities[recipe]
    async with open_for(recipe) as backend:
        request = RecommendationRequest("1", limit=500, k=1, recipe=recipe)
        answer = await backend.recommender.recommend(request)
        expected = community.recommend(
            community.preferences["1"], recipe, myself="1", dropped=ratings["1"], k=1, limit=500
        )
        assert_agrees(backend.catalog, answer, expected)
        assert answer.strategy is Strategy.MIXED
        neighbor = community.preferences[expected.neighbors[0]]
        disliked = {item for item, preference in neighbor.items() if preference < 0}
        if recipe == "tutorial-similarity":  # every item in a neighbor's list counts
            assert disliked & set(ids_of(backend.catalog, answer.items))
        else:
            assert disliked.isdisjoint(ids_of(backend.catalog, answer.items))


@pytest.mark.parametrize("recipe", RECIPES)
async def test_strangers_get_popular_items(open_for: Open, communities: Communities, recipe: str) -> None:
    """Who has no ratings gets what most users like, and the answer says so."""
    async with open_for(recipe) as backend:
        answer = await backend.recommender.recommend(RecommendationRequest("nobody", limit=500, recipe=recipe))
        assert_agrees(backend.catalog, answer, communities[recipe].recommend({}, recipe, limit=500))
        assert answer.strategy is Strategy.POPULAR_FALLBACK
        assert (answer.neighbors_used, answer.profile_revision, answer.stored_ratings) == (0, 0, 0)


async def test_popular_items_can_be_asked_for(
    open_for: Open, communities: Communities, ratings: dict[str, dict[str, float]]
) -> None:
    """The recipe of popular items passes over what the user rates, and needs no neighbors and no weighting."""
    for recipe in ("default", "tutorial-ratings"):
        async with open_for(recipe) as backend:
            answer = await backend.recommender.recommend(RecommendationRequest("1", limit=500, recipe="popular"))
        expected = communities["default"].recommend({}, dropped=ratings["1"], limit=500)
        assert ids_of(backend.catalog, answer.items) == [item.item_id for item in expected.items]
        assert [item.score for item in answer.items] == [item.score for item in expected.items]
        assert all(item.source is Source.POPULAR and not item.support for item in answer.items)
        assert (answer.strategy, answer.neighbors_used) == (Strategy.POPULAR, 0)


@pytest.mark.parametrize("recipe", RECIPES)
async def test_retracted_and_forgotten_users_are_gone(
    data_dirs: dict[str, Path],
    communities: Communities,
    ratings: dict[str, dict[str, float]],
    tmp_path: Path,
    recipe: str,
) -> None:
    """Who took every rating back or is forgotten gets popular items, and answers are as if they had never been."""
    gone = communities[recipe].recommend(communities[recipe].preferences["1"], recipe, myself="1").neighbors[:2]
    retracted, forgotten = gone
    events = [
        UserEvent(retracted, Retracted(int(item), NOW), LogPosition("t", 0, offset))
        for offset, item in enumerate(ratings[retracted])
    ]
    events.append(UserEvent(forgotten, Forgotten(NOW), LogPosition("t", 1, 0)))
    left = {user_id: profile for user_id, profile in ratings.items() if user_id not in gone}
    shutil.copytree(data_dirs[recipe], path := tmp_path / "data")
    async with opened(path) as backend:
        await backend.updater.apply(events)
        assert await recount(backend.store, backend.catalog) > 0
        # The z-scores stay those of the collection: their mean and deviation are of the ratings that were loaded.
        community = Community(left, communities[recipe].z_scores)
        for user_id in gone:
            answer = await backend.recommender.recommend(RecommendationRequest(user_id, limit=500, recipe=recipe))
            assert_agrees(backend.catalog, answer, community.recommend({}, recipe, limit=500))
            assert answer.strategy is Strategy.POPULAR_FALLBACK
            assert (answer.profile_revision, answer.stored_ratings) == (2, 0)
        for user_id in ["1", *list(left)[::150]]:
            answer = await backend.recommender.recommend(RecommendationRequest(user_id, limit=500, recipe=recipe))
            preferences = community.preferences[user_id]
            expected = community.recommend(preferences, recipe, myself=user_id, dropped=left[user_id], limit=500)
            assert set(gone).isdisjoint(expected.neighbors)
            assert_agrees(backend.catalog, answer, expected)
