import asyncio

import pytest

from kindred.attribute_filter import AttributeFilter, Equals, Has
from kindred.attribute_names import AttributeNames
from kindred.catalog import Catalog
from kindred.errors import InvalidArgumentError, OutOfTimeError
from kindred.filter_effect import FilterEffect
from kindred.items import CatalogEntry, Item
from kindred.popular_lists import PopularAnswer, PopularLists, PopularRequest, Window
from kindred.user_filter import UserFilter
from tests.support.user_list import UserList, user_of

DAY = 86_400_000
NOW = 1_000 * DAY
AGE = 300.0
DUTCH = UserFilter(AttributeFilter(all_of=(Equals("country", "NL"),)))

USERS = [
    user_of("ann", (1, 5.0, NOW - DAY // 2), (2, 4.0, NOW - 3 * DAY), attributes={"country": "NL"}),
    user_of("bob", (1, 4.0, NOW - 20 * DAY), (3, 1.0, NOW - DAY), attributes={"country": "NL"}),
    user_of("eve", (2, 4.5, NOW - 200 * DAY), (3, 5.0, NOW - 500 * DAY), attributes={"country": "BE"}),
    user_of("joe"),
]


def lists(now: int = NOW) -> tuple[PopularLists, UserList, Catalog]:
    """Lists over four users and three items, whose kept counts are right, at a time."""
    store = UserList(USERS)
    catalog = Catalog(
        [CatalogEntry(1, Item("1"), 2, 2), CatalogEntry(2, Item("2"), 2, 2), CatalogEntry(3, Item("3"), 2, 1)]
    )
    return PopularLists(store, catalog, AttributeNames(store), AGE, lambda: now), store, catalog


def seen(answer: PopularAnswer) -> list[tuple[int, int, int]]:
    """Item, likes and ratings of each."""
    return [(each.row + 1, each.likes, each.ratings) for each in answer.items]


async def test_everyones_favorites_need_no_scan() -> None:
    """The counts that are kept with the items are answered at once, and nobody says when they were counted."""
    popular, store, _ = lists()
    answer = await popular.popular(PopularRequest())
    assert seen(answer) == [(1, 2, 2), (2, 2, 2), (3, 1, 2)]
    assert (answer.counted_at, answer.users_counted, store.scans) == (None, 3, 0)


@pytest.mark.parametrize(
    ("window", "expected", "users"),
    [
        (Window.DAY, [(1, 1, 1)], 2),
        (Window.WEEK, [(1, 1, 1), (2, 1, 1)], 2),
        (Window.MONTH, [(1, 2, 2), (2, 1, 1)], 2),
        (Window.YEAR, [(1, 2, 2), (2, 2, 2)], 3),
    ],
)
async def test_a_window_ends_now(window: Window, expected: list[tuple[int, int, int]], users: int) -> None:
    """The ratings of the span before now count, and the answer says when that was."""
    popular, _, _ = lists()
    answer = await popular.popular(PopularRequest(window=window))
    assert seen(answer) == expected
    assert (answer.counted_at, answer.users_counted) == (NOW, users)


async def test_a_window_may_end_in_the_past() -> None:
    """With an end the ratings of the span before it count; of all time those before it."""
    popular, _, _ = lists()
    assert seen(await popular.popular(PopularRequest(window=Window.DAY, until=NOW - 2 * DAY - 1))) == [(2, 1, 1)]
    assert seen(await popular.popular(PopularRequest(until=NOW - 300 * DAY))) == [(3, 1, 1)]


@pytest.mark.parametrize("until", [NOW - int(AGE * 1_000) + 1, NOW, NOW + DAY])
async def test_a_moment_ago_is_now(until: int) -> None:
    """An end that is less than the age ago shares the counts of now."""
    popular, store, _ = lists()
    now = await popular.popular(PopularRequest(window=Window.WEEK))
    assert await popular.popular(PopularRequest(window=Window.WEEK, until=until)) == now
    assert store.scans == 1


async def test_a_filter_of_users_counts_them_alone() -> None:
    """The ratings of the allowed users count; with too few items the answer says whom the filter left out."""
    popular, _, _ = lists()
    answer = await popular.popular(PopularRequest(users=DUTCH))
    assert seen(answer) == [(1, 2, 2), (2, 1, 1)]
    assert answer.users_counted == 2
    assert answer.filter_effects == [FilterEffect("users", 2, 4)]


async def test_different_questions_do_not_share_counts() -> None:
    """What differs in window, end or users is counted apart, also where values compare as equal in Python."""
    popular, store, _ = lists()
    truth, one = (UserFilter(AttributeFilter(all_of=(Equals("vip", value),))) for value in (True, 1.0))
    for request in (
        PopularRequest(window=Window.DAY),
        PopularRequest(window=Window.WEEK),
        PopularRequest(window=Window.DAY, until=NOW - DAY),
    ):
        await popular.popular(request)
        await popular.popular(request)
    for users in (truth, one, truth, one):
        await popular.counts(users=users)
    assert store.scans == 5


async def test_an_attribute_that_nobody_has_is_named() -> None:
    """A filter of users on an attribute that nobody has is refused, with the nearest name, and nothing is counted."""
    popular, store, _ = lists()
    with pytest.raises(InvalidArgumentError, match="'country'") as refused:
        await popular.popular(PopularRequest(users=UserFilter(AttributeFilter(none_of=(Has("contry"),)))))
    assert [each.field for each in refused.value.violations] == ["users.attributes.none_of[0].name"]
    assert store.scans == 0


async def test_who_has_no_time_is_told_and_the_counting_goes_on() -> None:
    """A caller without patience fails; the count that was begun for them serves the next one."""
    popular, store, _ = lists()
    store.open.clear()
    with pytest.raises(OutOfTimeError):
        await popular.counts(Window.WEEK, patience=0.001)
    store.open.set()
    assert (await asyncio.wait_for(popular.counts(Window.WEEK), 5)).users == 2
    assert store.scans == 1


async def test_items_that_are_no_items_are_not_listed() -> None:
    """A rated item that the catalog lacks is not returned, and one that came after the count has no likes."""
    popular, store, catalog = lists()
    store.users.append(user_of("kim", (77, 5.0, NOW - 1), (1, 5.0, NOW - 1)))
    assert seen(await popular.popular(PopularRequest(window=Window.DAY))) == [(1, 2, 2)]
    catalog.put([CatalogEntry(78, Item("78"))])
    assert seen(await popular.popular(PopularRequest(window=Window.DAY))) == [(1, 2, 2)]
