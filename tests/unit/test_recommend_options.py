import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from kindred.attribute_filter import AttributeFilter, Equals
from kindred.backend import Backend
from kindred.boosts import Boost, FromYear, GenreIs, TagIs
from kindred.errors import InvalidArgumentError, ItemNotFoundError
from kindred.item_filter import ItemFilter, WordFilter
from kindred.items import Item
from kindred.rating_period import RatingPeriod
from kindred.ratings import AttributesSet, Rated, Reaction
from kindred.recommendation import (
    Explained,
    InlineRating,
    RecommendationAnswer,
    RecommendationRequest,
    Source,
    Strategy,
)
from kindred.settings import Settings
from kindred.stores.port import LogPosition
from kindred.updater import UserEvent
from kindred.user_filter import UserFilter
from tests.support.community import build_community, ids_of, index_of, opened
from tests.support.watched_store import watched_backend

DAY = 86_400_000
ITEMS = [
    Item("war", "War", 1990, ("Drama", "War"), ("long",)),
    Item("love", "Love", 1995, ("Drama", "Romance")),
    Item("laugh", "Laugh", 2001, ("Comedy",)),
    Item("fight", "Fight", 1992, ("Action", "War"), ("long",)),
    Item("seen", "Seen", 1993, ("Drama", "War")),
    Item("also seen", "Also Seen", 1994, ("Comedy",)),
    Item("new war", "New War", 2020, ("Drama", "War")),
    Item("new laugh", "New Laugh", 2021, ("Comedy",)),
    Item("new nothing", "New Nothing", 2022),
]
RATINGS = {
    "me": {"seen": 5.0, "also seen": 4.0, "third": 4.5},
    **{f"warrior {n}": {"seen": 5.0, "war": 5.0, "fight": 4.0 + n / 10} for n in range(6)},
    **{f"lover {n}": {"seen": 5.0, "love": 5.0, "third": 4.0} for n in range(5)},
    **{f"joker {n}": {"also seen": 5.0, "laugh": 5.0} for n in range(5)},
    "stranger": {"elsewhere": 5.0},
}


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    """A small community: six who like war, five love, five jokes; three items are new."""
    build_community(tmp_path / "data", RATINGS, items=ITEMS)
    async with opened(tmp_path / "data") as backend:
        yield backend


def event(user_id: str, what: object) -> UserEvent:
    """An event."""
    return UserEvent(user_id, what, LogPosition("topic", 0, 1))  # type: ignore[arg-type]  # events of a profile


async def ask(backend: Backend, **options: object) -> RecommendationAnswer:
    """What is recommended to me."""
    return await backend.recommender.recommend(RecommendationRequest("me", **options))  # type: ignore[arg-type]


async def ids(backend: Backend, **options: object) -> list[str]:
    """The items that are recommended to me."""
    return ids_of(backend.catalog, (await ask(backend, **options)).items)


def scores(backend: Backend, answer: RecommendationAnswer) -> Mapping[str, float]:
    """The scores by item."""
    return dict(zip(ids_of(backend.catalog, answer.items), [item.score for item in answer.items], strict=True))


class TestItemFilters:
    async def test_only_items_that_pass_are_returned(self, backend: Backend) -> None:
        """Neighbors' items and popular ones alike have to pass the filter of items."""
        assert set(await ids(backend)) == {"war", "love", "fight", "laugh", "elsewhere"}
        assert await ids(backend, items=ItemFilter(genres=WordFilter(any_of=("comedy",)))) == ["laugh"]
        assert set(await ids(backend, items=ItemFilter(candidates=("war", "elsewhere", "me too")[:2]))) == {
            "war",
            "elsewhere",
        }

    async def test_too_few_items_say_what_each_filter_left_out(self, backend: Backend) -> None:
        """Where fewer items than asked for remain, each criterion says how many of the catalog's items it refuses."""
        wanted = ItemFilter(genres=WordFilter(all_of=("War",)), min_year=2_000)
        answer = await ask(backend, items=wanted)
        assert [(each.field, each.removed, each.total) for each in answer.filter_effects] == [
            ("items.genres", 7, 11),
            ("items.years", 7, 11),
        ]
        assert answer.items == []
        full = await ask(backend, items=ItemFilter(genres=WordFilter(any_of=("war",))), limit=2)
        assert full.filter_effects == ()

    async def test_names_that_nothing_has_are_refused(self, backend: Backend) -> None:
        """An unknown genre is refused with the nearest known one; an unknown candidate is not found."""
        with pytest.raises(InvalidArgumentError) as raised:
            await ask(backend, items=ItemFilter(genres=WordFilter(any_of=("Commedy",))))
        [violation] = raised.value.violations
        assert violation.field == "items.genres.any_of[0]"
        assert "'Comedy'" in violation.description
        with pytest.raises(ItemNotFoundError):
            await ask(backend, items=ItemFilter(candidates=("none",)))


class TestNeighbors:
    async def test_only_allowed_users_are_neighbors(self, backend: Backend) -> None:
        """With a filter of neighbors, everybody else has no say."""
        await backend.updater.apply(
            [event(f"lover {n}", AttributesSet({"country": "NL"}, 5_000)) for n in range(3)]
            + [event("stranger", AttributesSet({"country": "BE"}, 5_000))]
        )
        dutch = UserFilter(AttributeFilter(all_of=(Equals("country", "NL"),)))
        answer = await ask(backend, neighbors=dutch)
        assert answer.neighbors_used == 3
        personal = [item for item in answer.items if item.source is Source.NEIGHBORS]
        assert ids_of(backend.catalog, personal) == ["love"]

    async def test_a_filter_that_allows_nobody_is_told(self, backend: Backend) -> None:
        """Where no neighbor is left, popular items come, with how many users the filter refused."""
        await backend.updater.apply([event("stranger", AttributesSet({"country": "BE"}, 5_000))])
        belgian = UserFilter(AttributeFilter(all_of=(Equals("country", "BE"),)))
        answer = await ask(backend, neighbors=belgian, limit=2)
        assert answer.strategy is Strategy.POPULAR_FALLBACK
        assert [(each.field, each.removed, each.total) for each in answer.filter_effects] == [
            ("neighbors.filter", 17, 18)
        ]

    async def test_neighbors_share_enough(self, backend: Backend) -> None:
        """With a minimum of two shared items, only the lovers share enough with me."""
        answer = await ask(backend, min_overlap=2)
        assert answer.neighbors_used == 5
        assert (await ask(backend, min_overlap=4)).strategy is Strategy.POPULAR_FALLBACK

    async def test_enough_neighbors_are_looked_for(self, tmp_path: Path) -> None:
        """Where many are similar but share too little, the search goes on until K share enough."""
        many = {f"close {n:03}": {"a": 5.0} for n in range(150)}
        far = {f"far {n}": {"a": 3.0, "b": 3.0, f"x{n}": 5.0, "filler": 1.0} for n in range(3)}
        build_community(tmp_path / "data", {"me": {"a": 5.0, "b": 5.0}} | many | far)
        async with opened(tmp_path / "data") as backend:
            answer = await ask(backend, k=2, min_overlap=2)
        assert answer.neighbors_used == 2

    async def test_nobody_is_looked_for_who_cannot_be_there(self, tmp_path: Path) -> None:
        """More shared items than the query has are not there, however many users are looked at: one search will do."""
        many = {f"close {n:03}": {"a": 5.0, "b": 4.0} for n in range(150)}
        build_community(tmp_path / "data", {"me": {"a": 5.0, "b": 5.0}} | many)
        async with watched_backend(Settings(data_dir=tmp_path / "data")) as (backend, store):
            assert (await ask(backend, k=2, min_overlap=3)).strategy is Strategy.POPULAR_FALLBACK
        assert store.calls["search"] <= 3

    async def test_likes_of_long_ago_find_neighbors(self, tmp_path: Path) -> None:
        """However many newer opinions there are that weigh nothing, and however fast ratings decay, a like counts."""
        ratings = {"me": {"a": 5.0}, "alike": {"a": 5.0, "wanted": 5.0}, "other": {f"d{n}": 1.0 for n in range(100)}}
        build_community(tmp_path / "data", ratings)
        dislikes = [InlineRating(f"d{n}", Reaction.DISLIKE) for n in range(100)]
        async with opened(tmp_path / "data") as backend:
            answer = await ask(backend, ratings=dislikes, overrides={"recency_half_life": 0.5})
            assert (ids_of(backend.catalog, answer.items), answer.neighbors_used) == (["wanted"], 1)


class TestPeriod:
    async def test_what_was_liked_lately(self, backend: Backend) -> None:
        """Only ratings within the period count, and support with them; who the neighbors are stays."""
        lately = [event(f"lover {n}", Rated(index_of("love"), 5.0, 100 * DAY)) for n in range(4)]
        await backend.updater.apply(lately)
        answer = await ask(backend, period=RatingPeriod(since=50 * DAY), limit=1)
        assert ids_of(backend.catalog, answer.items) == ["love"]
        assert (answer.items[0].support, answer.neighbors_used) == (4, 16)

    async def test_old_ratings_fade(self, backend: Backend) -> None:
        """With a half-life, a rating one span before the period's end counts half."""
        alike = scores(backend, await ask(backend, period=RatingPeriod(until=2_000, half_life=1e12)))
        faded = scores(backend, await ask(backend, period=RatingPeriod(until=2_000, half_life=1_000)))
        assert faded["war"] == pytest.approx(alike["war"] / 2)

    async def test_ratings_outside_predict_nothing(self, backend: Backend) -> None:
        """What nobody rated within the period is neither recommended by neighbors nor predicted."""
        answer = await ask(backend, period=RatingPeriod(since=10 * DAY))
        assert answer.strategy is Strategy.MIXED
        assert {(item.source, item.predicted) for item in answer.items} == {(Source.POPULAR, None)}


class TestBoosts:
    async def test_a_boost_multiplies_scores(self, backend: Backend) -> None:
        """Items of a genre, with a tag or from a year score by the factor more, and boosts of one item multiply."""
        plain = scores(backend, await ask(backend))
        boosts = (Boost(3, GenreIs("comedy")), Boost(0.5, TagIs("LONG")), Boost(2, FromYear(1_995)))
        boosted = scores(backend, await ask(backend, boosts=boosts))
        for item_id, factor in {"laugh": 6, "war": 0.5, "fight": 0.5, "love": 2}.items():
            assert boosted[item_id] == pytest.approx(plain[item_id] * factor)
        assert next(iter(boosted)) == max(boosted, key=boosted.__getitem__)

    async def test_a_boost_by_nothing_leaves_out(self, backend: Backend) -> None:
        """Items with a factor of 0 are not returned, from wherever."""
        assert not {"war", "fight"} & set(await ids(backend, boosts=(Boost(0, GenreIs("War")),)))

    async def test_popular_items_are_boosted_too(self, backend: Backend) -> None:
        """The order of popular items follows the boosts, and their scores are likes times factors."""
        plain = await backend.recommender.recommend(RecommendationRequest(recipe="popular", limit=9))
        request = RecommendationRequest(recipe="popular", limit=9, boosts=(Boost(10, GenreIs("Romance")),))
        answer = await backend.recommender.recommend(request)
        assert ids_of(backend.catalog, plain.items)[0] != "love"
        assert ids_of(backend.catalog, answer.items)[0] == "love"
        assert answer.items[0].score == 50

    async def test_a_boost_is_a_term_of_the_score(self, backend: Backend) -> None:
        """In a full explanation each boost says what it added, after the damping."""
        answer = await ask(
            backend, boosts=(Boost(3, GenreIs("War")), Boost(2, FromYear(1_992))), explained=Explained.FULL
        )
        [fight] = [item for item in answer.items if backend.catalog.item(item.row).item_id == "fight"]
        assert fight.explanation is not None
        damping, *boosts = fight.explanation.adjustments
        assert (damping.reason, [each.reason for each in boosts]) == ("score_damping", ["boosts[0]", "boosts[1]"])
        before = fight.score / 6
        assert [each.contribution for each in boosts] == pytest.approx([2 * before, 3 * before])


class TestExplanations:
    @pytest.mark.parametrize("recipe", ["default", "ridge"])
    async def test_terms_add_up_to_the_score(self, backend: Backend, recipe: str) -> None:
        """Neighbors, the rest of them and adjustments add up to the score; shared items to their neighbor's part."""
        options = {"boosts": (Boost(1.5, GenreIs("Drama")),), "period": RatingPeriod(until=3_000, half_life=5_000)}
        answer = await ask(backend, recipe=recipe, explained=Explained.FULL, **options)
        explained = [item for item in answer.items if item.source is Source.NEIGHBORS]
        assert len(explained) >= 4
        for item in explained:
            why = item.explanation
            assert why is not None
            total = why.other_neighbors + sum(term.contribution for term in why.neighbors)
            total += sum(each.contribution for each in why.adjustments)
            assert total == pytest.approx(item.score, abs=1e-9)
            assert len(why.neighbors) + why.other_neighbors_count == item.support
            for term in why.neighbors:
                through = sum(part for _, part in term.shared) + term.other_shared
                assert through == pytest.approx(term.contribution, abs=1e-9)
                assert term.user_id in RATINGS
                rating = RATINGS[term.user_id][backend.catalog.item(item.row).item_id]
                assert term.rating == pytest.approx(rating, abs=1e-6)

    async def test_terms_beyond_the_bound_are_summed_up(self, tmp_path: Path) -> None:
        """The fifty neighbors who say most are shown, with twenty shared items each, and the sums of the rest."""
        mine = {f"shared {n}": 4.0 + n % 3 / 2 for n in range(25)}
        ratings = {"me": mine} | {f"user {n:02}": mine | {"wanted": 5.0, f"own {n}": 5.0} for n in range(70)}
        build_community(tmp_path / "data", ratings)
        async with opened(tmp_path / "data") as backend:
            answer = await ask(backend, limit=1, explained=Explained.FULL)
        why = answer.items[0].explanation
        assert why is not None
        assert (len(why.neighbors), why.other_neighbors_count) == (50, 20)
        assert why.other_neighbors == pytest.approx(20 * why.neighbors[0].contribution)
        assert {len(term.shared) for term in why.neighbors} == {20}
        assert all(term.other_shared > 0 for term in why.neighbors)

    async def test_a_neighbor_whose_rating_says_nothing_is_one_of_the_raters(self, tmp_path: Path) -> None:
        """Two and a half stars are neither for nor against an item: they are shown, and contribute nothing."""
        tastes = [5.0, 2.5, 4.0]
        ratings = {"me": {"seen": 5.0}} | {f"{n}": {"seen": 5.0, "wanted": stars} for n, stars in enumerate(tastes)}
        build_community(tmp_path / "data", ratings)
        async with opened(tmp_path / "data") as backend:
            [item] = (await ask(backend, limit=1, explained=Explained.FULL)).items
        assert item.explanation is not None
        assert {term.rating: term.contribution > 0 for term in item.explanation.neighbors} == {
            5.0: True,
            2.5: False,
            4.0: True,
        }
        assert item.support == 3


class TestCounterfactual:
    async def test_the_answer_without_a_rating(self, backend: Backend) -> None:
        """Without what I have rated, what came through it goes; the item itself is no replacement."""
        answer = await ask(backend, without=("also seen",), limit=3)
        other = answer.counterfactual
        assert other is not None
        fewer = {item_id: stars for item_id, stars in RATINGS["me"].items() if item_id != "also seen"}
        expected = await backend.recommender.recommend(
            RecommendationRequest(
                ratings=[InlineRating(item_id, stars) for item_id, stars in fewer.items()],
                limit=3,
                excluded=("also seen",),
                k=200,
            )
        )
        # A stranger with my ratings has me as a neighbor, who adds nothing that is not rated already.
        assert ids_of(backend.catalog, other.items) == ids_of(backend.catalog, expected.items)
        assert "laugh" in ids_of(backend.catalog, answer.items)
        assert [backend.catalog.item(row).item_id for row in other.lost] == ["laugh"]

    async def test_without_everything_strangers_get_what_is_popular(self, backend: Backend) -> None:
        """Without any rating left, the answer would be popular items."""
        answer = await ask(backend, without=("seen", "also seen", "third"))
        assert answer.counterfactual is not None
        assert answer.counterfactual.strategy is Strategy.POPULAR_FALLBACK
        assert not {"seen", "also seen"} & set(ids_of(backend.catalog, answer.counterfactual.items))

    async def test_only_what_is_rated_can_be_left_out(self, backend: Backend) -> None:
        """An item without a rating, and one that nobody knows, are told."""
        with pytest.raises(InvalidArgumentError) as raised:
            await ask(backend, without=("seen", "war"))
        assert [each.field for each in raised.value.violations] == ["without_item_ids[1]"]
        with pytest.raises(ItemNotFoundError):
            await ask(backend, without=("none",))


class TestDiversity:
    async def test_items_differ_more(self, backend: Backend) -> None:
        """The more diverse the answer, the later comes an item of the same genres and raters."""
        rules = (Boost(3, GenreIs("War")),)
        assert set(await ids(backend, limit=2, boosts=rules)) == {"war", "fight"}
        plain, diverse = (
            await ids(backend, limit=4, boosts=rules),
            await ids(backend, limit=4, boosts=rules, diversity=0.9),
        )
        assert diverse[0] == plain[0]
        assert {*diverse[:2]} != {"war", "fight"}
        assert {*diverse} == {*plain}

    async def test_popular_items_differ_too(self, backend: Backend) -> None:
        """Without neighbors, popular items differ in their genres."""
        request = RecommendationRequest("nobody", limit=2, diversity=0.9, excluded=("seen", "also seen", "third"))
        genres = [
            set(backend.catalog.item(item.row).genres) for item in (await backend.recommender.recommend(request)).items
        ]
        assert not genres[0] & genres[1]


class TestNewItems:
    async def test_a_share_goes_to_new_items(self, backend: Backend) -> None:
        """Items that few have rated get their share of the places, by what they share with what I like."""
        answer = await ask(backend, new_item_share=0.5, limit=4, explained=Explained.SUMMARY)
        new = [item for item in answer.items if item.source is Source.NEW]
        assert ids_of(backend.catalog, new) == ["new laugh", "new war"]
        assert [item.source is Source.NEW for item in answer.items] == [False, True, False, True]
        assert [backend.catalog.item(item.reasons[0].row).item_id for item in new] == ["also seen", "seen"]
        assert answer.strategy is Strategy.MIXED

    async def test_new_items_pass_the_filters(self, backend: Backend) -> None:
        """A new item has to pass what the others have to pass, and has a score of 0 to 1."""
        comedies = ItemFilter(genres=WordFilter(any_of=("Comedy",)))
        answer = await ask(backend, new_item_share=0.5, limit=4, items=comedies)
        new = [item for item in answer.items if item.source is Source.NEW]
        assert ids_of(backend.catalog, new) == ["new laugh"]
        assert all(0 < item.score <= 1 for item in new)

    async def test_a_share_below_one_item_is_none(self, backend: Backend) -> None:
        """The share is rounded down."""
        answer = await ask(backend, new_item_share=0.3, limit=3)
        assert all(item.source is not Source.NEW for item in answer.items)


class TestPredictedRatings:
    async def test_predictions_are_on_the_scale(self, backend: Backend) -> None:
        """Every item of the neighbors has a prediction within the scale."""
        answer = await ask(backend)
        predicted = [item.predicted for item in answer.items if item.source is Source.NEIGHBORS]
        assert len(predicted) == 4
        assert all(value is not None and 3 < value <= 5 for value in predicted)

    async def test_a_dislike_without_a_number_is_no_rating(self, backend: Backend) -> None:
        """DISLIKE changes what is recommended, and no prediction into nothing."""
        request = RecommendationRequest(
            ratings=[InlineRating("seen", Reaction.LIKE), InlineRating("laugh", Reaction.DISLIKE)]
        )
        answer = await backend.recommender.recommend(request)
        assert answer.items[0].predicted is not None
        assert not math.isnan(answer.items[0].predicted)


async def test_items_that_come_between_the_answers_of_a_batch_disturb_none_of_them(backend: Backend) -> None:
    """Every answer of a batch is the one that its request has alone, also if the catalog grows meanwhile."""
    request = RecommendationRequest("me", explained=Explained.FULL)
    alone = await ask(backend, explained=Explained.FULL)

    async def add_items() -> None:
        for place in range(3):
            await backend.items.upsert([Item(f"added {place}")])
            await asyncio.sleep(0)

    answers, _ = await asyncio.gather(backend.recommender.recommend_many([request] * 3), add_items())
    assert answers == [alone] * 3
