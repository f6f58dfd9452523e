import math
import random
from pathlib import Path

import pytest

from kindred.errors import ItemNotFoundError
from kindred.items import Item
from kindred.similar_items import LEAST_SUPPORT, SIMILAR, SimilarItemsRequest, Similarity
from tests.support.community import build_community, opened
from tests.support.reference import Ratings

SHRINKAGE = 5.0
DRAMA, WAR = Item("drama", "A", None, ("Drama",)), Item("war", "B", None, ("Drama", "War"))


def liking(stars: float) -> float:
    """Phi, written down again."""
    return -0.25 + 0.5 * min(max(stars - 2, 0), 1) + 0.75 * min(max(stars - 3, 0), 1)


def expected_scores(ratings: dict[str, Ratings], item_id: str) -> dict[str, float]:
    """The score of every item that five of the people who like one have rated, by the formula, one rating at a time."""
    values = {
        user: liking(own[item_id]) / math.sqrt(SHRINKAGE + sum(liking(stars) ** 2 for stars in own.values()))
        for user, own in ratings.items()
        if item_id in own
    }
    people = {user: value for user, value in values.items() if value > 0}
    top = max(people.values())
    scores: dict[str, float] = {}
    for other in {each for own in ratings.values() for each in own} - {item_id}:
        raters = sum(other in own for own in ratings.values())
        terms = [value / top * liking(ratings[user][other]) for user, value in people.items() if other in ratings[user]]
        if len(terms) >= LEAST_SUPPORT and sum(terms) > 0:
            scores[other] = sum(terms) / (raters + 1) ** SIMILAR.score_damping
    return scores


def crowd(seed: int) -> dict[str, Ratings]:
    """Sixty people's ratings of twenty items."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    items = [str(number) for number in range(1, 21)]
    return {
        f"u{user}": {item: chance.choice((0.5, 2.5, 3.0, 4.0, 5.0)) for item in chance.sample(items, 8)}
        for user in range(60)
    }


@pytest.mark.parametrize("seed", range(3))
async def test_scores_are_those_of_the_formula(tmp_path: Path, seed: int) -> None:
    """Every score is the sum over the people who like the item, and the order is that of the scores."""
    ratings = crowd(seed)
    build_community(tmp_path / "data", ratings)
    async with opened(tmp_path / "data") as backend:
        for item_id in ("1", "7", "20"):
            answer = await backend.similar_items.similar(SimilarItemsRequest(item_id, 500))
            found = {backend.catalog.item(each.row).item_id: each.score for each in answer.items}
            assert found == pytest.approx(expected_scores(ratings, item_id), rel=1e-9)
            assert list(found.values()) == sorted(found.values(), reverse=True)
            assert answer.raters_used == sum(own.get(item_id, 0) > 2.5 for own in ratings.values())


async def test_people_who_dislike_an_item_are_not_asked(tmp_path: Path) -> None:
    """An item that everybody dislikes has no people, and is like what shares its genres."""
    ratings = {f"u{user}": {"war": 1.0, "2": 5.0} for user in range(9)}
    build_community(tmp_path / "data", ratings, items=[DRAMA, WAR])
    async with opened(tmp_path / "data") as backend:
        answer = await backend.similar_items.similar(SimilarItemsRequest("war"))
        assert answer.raters_used == 0
        [only] = answer.items
        assert (backend.catalog.item(only.row).item_id, only.similarity) == ("drama", Similarity.CONTENT)
        assert 0 < only.score < 1


@pytest.mark.parametrize(("people", "similarity"), [(LEAST_SUPPORT, Similarity.RATERS), (LEAST_SUPPORT - 1, None)])
async def test_five_people_are_enough(tmp_path: Path, people: int, similarity: Similarity | None) -> None:
    """With five people who share two items these are similar, with four they are not."""
    build_community(tmp_path / "data", {f"u{user}": {"1": 5.0, "2": 4.0} for user in range(people)})
    async with opened(tmp_path / "data") as backend:
        answer = await backend.similar_items.similar(SimilarItemsRequest("1"))
        assert [each.similarity for each in answer.items] == ([similarity] if similarity else [])
        assert answer.raters_used == people


async def test_an_item_that_is_no_item_is_not_found(tmp_path: Path) -> None:
    """An unknown id is an error that names it."""
    build_community(tmp_path / "data", {"u": {"1": 5.0}})
    async with opened(tmp_path / "data") as backend:
        with pytest.raises(ItemNotFoundError, match="'nope'"):
            await backend.similar_items.similar(SimilarItemsRequest("nope"))
