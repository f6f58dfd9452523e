from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kindred import attribute_names
from kindred.attribute_filter import AttributeFilter, Has
from kindred.attribute_names import KEEP_KNOWN, KEEP_UNKNOWN, AttributeNames
from kindred.errors import UnavailableError
from kindred.ratings import EMPTY_PROFILE, AttributesSet, AttributeValue, merge
from kindred.user_filter import UserFilter
from tests.support.edge import EdgeBackend
from tests.support.stores import build, write
from tests.support.watched_store import WatchedStore


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


async def sets(store: WatchedStore, user_id: str, **attributes: AttributeValue) -> None:
    """Lets a new user have attributes."""
    assert await store.write_users([write(user_id, merge(EMPTY_PROFILE, [AttributesSet(attributes, 1)]))]) == [True]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[WatchedStore]:
    """A store in which one user has an age."""
    build(backend := EdgeBackend(tmp_path / "data"))
    watched = WatchedStore(await backend.open())
    await sets(watched, "1", age=30.0)
    yield watched
    await watched.close()


async def test_names_that_many_have_are_looked_for_once_a_minute(store: WatchedStore) -> None:
    """Names of the sample cost one call in a minute; a name set meanwhile is found by looking for it alone."""
    names = AttributeNames(store, clock := Clock())
    for _ in range(3):
        assert await names.known(["age"]) == {"age"}
    assert (store.calls["some_attribute_names"], store.calls["has_attribute"]) == (1, 0)
    await sets(store, "2", country="FR")
    assert await names.known(["age", "country"]) == {"age", "country"}
    assert (store.calls["some_attribute_names"], store.calls["has_attribute"]) == (1, 1)
    clock.now += KEEP_KNOWN
    assert await names.known(["age"]) == {"age", "country"}
    assert (store.calls["some_attribute_names"], store.calls["has_attribute"]) == (2, 1)


async def test_a_name_that_nobody_has_is_looked_for_again_after_a_second(store: WatchedStore) -> None:
    """Unknown names are left out for a second without asking the store, and found as soon as they are there then."""
    names = AttributeNames(store, clock := Clock())
    for _ in range(3):
        assert await names.known(["country"]) == {"age"}
    assert store.calls["has_attribute"] == 1
    await sets(store, "2", country="FR")
    assert await names.known(["country"]) == {"age"}
    clock.now += KEEP_UNKNOWN
    for _ in range(3):
        assert await names.known(["country"]) == {"age", "country"}
        clock.now += KEEP_UNKNOWN
    assert store.calls["has_attribute"] == 2


async def test_few_names_that_nobody_has_are_looked_for_at_once(store: WatchedStore) -> None:
    """A filter of made-up names costs three looks at all users; these three are named."""
    filter_ = AttributeFilter(all_of=tuple(Has(f"made up {place}") for place in range(9)), any_of=(Has("age"),))
    wrong = await AttributeNames(store).check(UserFilter(filter_), "users")
    assert [each.field for each in wrong] == [f"users.attributes.all_of[{place}].name" for place in range(3)]
    assert store.calls["has_attribute"] == 3


async def test_a_filter_without_names_asks_nothing(store: WatchedStore) -> None:
    """Without names the store is left alone."""
    assert await AttributeNames(store).known([]) == set()
    assert not store.calls["some_attribute_names"]


async def test_made_up_names_take_no_memory_without_end(store: WatchedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of names is bounded: beyond that the store is asked again."""
    monkeypatch.setattr(attribute_names, "MAX_REMEMBERED", 5)
    names = AttributeNames(store, Clock())
    for place in range(6):
        await names.known([f"made up {place}"])
    await names.known(["made up 5"])
    assert store.calls["has_attribute"] == 6
    await names.known(["made up 0"])
    assert store.calls["has_attribute"] == 7


async def test_a_store_that_is_away_is_an_error_and_nothing_is_remembered(store: WatchedStore) -> None:
    """While the store is away nobody is told that a name is unknown, and afterwards it is found."""
    names = AttributeNames(store, Clock())
    store.away("some_attribute_names", "has_attribute")
    with pytest.raises(UnavailableError):
        await names.known(["age"])
    store.back()
    assert await names.known(["age"]) == {"age"}
