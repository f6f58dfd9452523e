from pathlib import Path

import pytest

from kindred.attribute_filter import AttributeFilter, Has
from kindred.attribute_names import AttributeNames
from kindred.errors import InvalidArgumentError, PreconditionError
from kindred.ratings import Reaction
from kindred.recommendation import InlineRating
from kindred.similar_users import SimilarUser, SimilarUsers, SimilarUsersRequest
from kindred.user_filter import UserFilter
from tests.support.community import build_community, opened
from tests.support.reference import Ratings

TWINS: dict[str, Ratings] = {
    "zoe": {"1": 5.0, "2": 5.0},
    "ann": {"1": 5.0, "2": 5.0},
    "bob": {"1": 5.0, "3": 1.0},
    "eve": {"4": 5.0},
    "own": {"1": 5.0, "2": 5.0, "3": 5.0},
}


async def similar(path: Path, request: SimilarUsersRequest) -> list[SimilarUser]:
    """The users of a small community who are similar, by a server that may name them."""
    build_community(path, TWINS)
    async with opened(path) as backend:
        recommender = backend.recommender
        users = SimilarUsers(
            backend.store,
            backend.catalog,
            AttributeNames(backend.store),
            reader=recommender.reader,
            finder=recommender.finder,
            recipe=backend.recipes["default"],
            allowed=True,
        )
        return list((await users.similar(request)).users)


async def test_ties_come_by_user_id_and_the_user_does_not(tmp_path: Path) -> None:
    """Users who rate alike are equally similar, in the order of their ids; the user is never one of them."""
    found = await similar(tmp_path / "data", SimilarUsersRequest("own"))
    assert [(each.user_id, each.shared_items, each.rated_items) for each in found] == [
        ("ann", 2, 2),
        ("zoe", 2, 2),
        ("bob", 2, 2),
    ]
    assert found[0].similarity == found[1].similarity > found[2].similarity > 0


async def test_the_limit_cuts_off_the_least_similar(tmp_path: Path) -> None:
    """With a limit the most similar are returned."""
    found = await similar(tmp_path / "data", SimilarUsersRequest("own", limit=2))
    assert [each.user_id for each in found] == ["ann", "zoe"]


async def test_dislikes_alone_find_nobody(tmp_path: Path) -> None:
    """A query that weighs nothing has no similar users."""
    ratings = [InlineRating("1", Reaction.DISLIKE)]
    assert await similar(tmp_path / "data", SimilarUsersRequest(ratings=ratings)) == []


async def test_nobody_is_named_unless_it_is_allowed(tmp_path: Path) -> None:
    """The settings' default is not to name anybody."""
    build_community(tmp_path / "data", TWINS)
    async with opened(tmp_path / "data") as backend:
        with pytest.raises(PreconditionError, match="KINDRED_NAME_NEIGHBORS=true"):
            await backend.similar_users.similar(SimilarUsersRequest("own"))


async def test_an_attribute_that_nobody_has_is_refused(tmp_path: Path) -> None:
    """A filter that names what no user has is wrong, and named by its path."""
    users = UserFilter(AttributeFilter(none_of=(Has("contry"),)))
    with pytest.raises(InvalidArgumentError, match="'contry'") as refused:
        await similar(tmp_path / "data", SimilarUsersRequest("own", users=users))
    assert [each.field for each in refused.value.violations] == ["filter.attributes.none_of[0].name"]
