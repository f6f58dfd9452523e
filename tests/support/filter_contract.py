"""The promises of `Store` about filters on users: what every adapter does, with any indexes and without."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from kindred.attribute_filter import AnyOf, AttributeFilter, Condition, Equals, Has, InRange
from kindred.filter_checks import check_user_filter
from kindred.ratings import (
    EMPTY_PROFILE,
    AttributesSet,
    AttributeValue,
    Forgotten,
    Rated,
    Retracted,
    UserProfile,
    merge,
)
from kindred.stores.indexes import NO_INDEXES, IndexKind
from kindred.stores.port import Store, UserWrite, point_id_of
from kindred.user_filter import EVERY_USER, UserFilter
from tests.support.stores import StoreBackend, build, profile_of, scanned, sparse, write

VALUES: Mapping[str, tuple[AttributeValue, ...]] = {
    "age": (18, 18.0, 30, 30.5, -1, 0),
    "country": ("FR", "fr", "F", "", "Österreich 🇦🇹"),
    "member": (True, False),
    "mixed": (True, False, 1, 0, 1.0, 0.0, -0.0, "1", "true", "", "2020-01-01T00:00:00Z", 2**53, 2**53 + 1, 1e308),
    "a.b": ("dot", 1),
    "x[0]": ("bracket", 2.5),
    "länder": ("umlaut", True),
    "two words": ("space",),
    "last_rated_at": ("a name that a field of ours has", 5),
}
"""What users of these tests have under which names."""
RIGHT = {
    "age": IndexKind.NUMBER,
    "country": IndexKind.KEYWORD,
    "member": IndexKind.BOOL,
    "a.b": IndexKind.KEYWORD,
    "länder": IndexKind.BOOL,
    "last_rated_at": IndexKind.NUMBER,
}
"""Indexes of the kind that the values have, or some of them."""
WRONG = {
    "age": IndexKind.KEYWORD,
    "country": IndexKind.NUMBER,
    "member": IndexKind.NUMBER,
    "mixed": IndexKind.BOOL,
    "x[0]": IndexKind.BOOL,
    "nobody has it": IndexKind.KEYWORD,
}
"""Indexes of other kinds than most of the values have."""
T = TypeVar("T")

DAY = 86_400_000
NEWEST = 1_700_000_000_123


class FilterContract:
    """The promises of filters."""

    @pytest.fixture
    def backend(self) -> StoreBackend:
        """A place for one collection; the adapter's test class gives it."""
        raise NotImplementedError

    @pytest.mark.parametrize("indexed", [NO_INDEXES, RIGHT, WRONG], ids=["no indexes", "right", "wrong"])
    async def test_filters_mean_what_the_reference_says(
        self, backend: StoreBackend, indexed: Mapping[str, IndexKind]
    ) -> None:
        """Any filter finds, scans and counts exactly the users whom `UserFilter.allows` allows, whatever is indexed."""
        random = np.random.default_rng(11)
        writes = [_random_user(random, place) for place in range(150)]
        profiles = {each.user.user_id: each.user.profile for each in writes}
        filters = [_random_filter(random) for _ in range(200)]
        backend.indexed = indexed
        build(backend, writes)
        store = await backend.open()
        query = sparse({0: 1.0, 1: 0.5, 2: 0.25})
        [everybody] = await store.search([query], 1_000)
        id_of = {point_id_of(user_id): user_id for user_id in profiles}
        answers = await store.search([query] * len(filters), 1_000, filters)
        telling = 0
        for place, (asked, hits) in enumerate(zip(filters, answers, strict=True)):
            assert check_user_filter(asked, "filter") == []
            allowed = {user_id for user_id, profile in profiles.items() if asked.allows(profile)}
            telling += 0 < len(allowed) < len(profiles)
            found = dict(zip(hits.point_ids, hits.scores, strict=True))
            among = zip(everybody.point_ids, everybody.scores, strict=True)
            assert found == pytest.approx({id_: score for id_, score in among if id_of[id_] in allowed}), asked
            assert await store.count_users(asked) == len(allowed), asked
            if place % 5 == 0:
                pages = [page async for page in store.scan_users(7, asked)]
                assert max(map(len, pages)) <= 7
                assert sorted(user.known_point for page in pages for user in page) == sorted(  # type: ignore[type-var]  # numbers all
                    point_id_of(user_id) for user_id in allowed
                ), asked
        await store.close()
        assert telling > len(filters) / 2

    async def test_a_limit_keeps_the_best_of_those_who_are_allowed(self, backend: StoreBackend) -> None:
        """Users whom the filter refuses take nobody's place, however near they are."""
        store = await _opened(
            backend, [_user(str(user), {"side": user % 2}, {3: 5.0}, {user % 5: 4.0}) for user in range(1, 40)]
        )
        asked = UserFilter(AttributeFilter((Equals("side", 1),)))
        [odd] = await store.search([sparse({3: 1.0})], 15, [asked])
        assert len(odd.point_ids) == 15
        assert all(int(point_id) % 2 for point_id in odd.point_ids)
        await store.close()

    async def test_each_query_of_a_batch_has_its_own_filter(self, backend: StoreBackend) -> None:
        """Filters go with queries by their place; None and a filter that says nothing find everybody."""
        store = await _opened(backend, [_user("1", {"a": 1}, {1: 5.0}), _user("2", {"a": 2}, {1: 5.0})])
        one, two = (UserFilter(AttributeFilter((Equals("a", value),))) for value in (1, 2))
        answers = await store.search([sparse({1: 1.0})] * 5, 10, [two, None, one, EVERY_USER, two])
        assert [sorted(map(int, hits.point_ids)) for hits in answers] == [[2], [1, 2], [1], [1, 2], [2]]
        with pytest.raises(ValueError, match="zip"):
            await store.search([sparse({1: 1.0})] * 2, 10, [one])
        await store.close()

    async def test_what_is_written_counts_at_once(self, backend: StoreBackend) -> None:
        """Attributes that change, ratings that come and a forgetting are seen by the next filter, over an index too."""
        backend.indexed = {"a": IndexKind.KEYWORD}
        store = await _opened(backend, [_user("1", {"a": "x"}, {1: 5.0}), _user("2", {"a": "x"}, {1: 5.0})])
        x, y = (UserFilter(AttributeFilter((Equals("a", value),))) for value in "xy")
        [first, second] = await store.users([1, 2])
        assert first is not None
        assert second is not None
        changed = merge(first.profile, [AttributesSet({"a": "y"}, 2_000), Rated(2, 4.0, 5 * DAY)])
        forgotten = merge(second.profile, [Forgotten(9_000)])
        await store.write_users(
            [
                UserWrite(replace(first, profile=changed, revision=2), sparse({1: 1.0})),
                UserWrite(replace(second, profile=forgotten, revision=2), sparse({})),
            ]
        )
        assert [await store.count_users(asked) for asked in (x, y, None)] == [0, 1, 2]
        active = [UserFilter(active_since=5 * DAY), UserFilter(active_since=5 * DAY + 1), UserFilter(min_ratings=2)]
        assert [await store.count_users(asked) for asked in active] == [1, 0, 1]
        [hits] = await store.search([sparse({1: 1.0})], 10, [y])
        assert hits.point_ids == [1]
        await store.close()

    async def test_activity_is_told_to_the_millisecond(self, backend: StoreBackend) -> None:
        """A rating at the very time counts, one a millisecond earlier does not, from the year 1 to the year 9999."""
        times = [-62_000_000_000_001, -1, 0, 999, NEWEST, 253_402_300_799_999]
        users = [write(str(place), profile_of({1: 5.0}, at)) for place, at in enumerate(times)]
        store = await _opened(backend, users)
        for place, at in enumerate(times):
            later = len(times) - place
            assert await store.count_users(UserFilter(active_since=at)) == later
            if at < times[-1]:
                assert await store.count_users(UserFilter(active_since=at + 1)) == later - 1
        await store.close()

    async def test_names_of_attributes_are_known(self, backend: StoreBackend) -> None:
        """A name is there if one user has it, whatever the value; a part of a name or a field of ours is no name."""
        facts: dict[str, AttributeValue] = {name: values[0] for name, values in VALUES.items()} | {"empty": ""}
        store = await _opened(backend, [write("1", profile_of({1: 5.0})), _user("2", facts, {1: 5.0}), write("3")])
        for name in facts:
            assert await store.has_attribute(name), name
        for name in ("a", "b", "x", "0", "Age", "rating_count", "profile", "two", "länder ", "a.b.c", ""):
            assert not await store.has_attribute(name), name
        assert await store.some_attribute_names() == set(facts)
        await store.close()

    async def test_nobody_has_attributes(self, backend: StoreBackend) -> None:
        """Without attributes there are no names, and without users nobody is counted."""
        store = await _opened(backend, [])
        assert (await store.some_attribute_names(), await store.count_users()) == (frozenset(), 0)
        assert await scanned(store.scan_users(10, UserFilter(min_ratings=1))) == []
        await store.close()

    async def test_indexes_are_made_of_what_is_there(self, backend: StoreBackend) -> None:
        """Opening with other indexes than a collection was built with, or of other kinds, changes no answer."""
        build(backend, [_user(str(user), {"a": user, "b": str(user)}, {1: 5.0}) for user in range(1, 30)])
        asked = UserFilter(AttributeFilter((InRange("a", 5, 20), AnyOf("b", ("7", "8", "21", "x")))))
        kinds: list[Mapping[str, IndexKind]] = [
            {},
            {"a": IndexKind.NUMBER},
            {"a": IndexKind.NUMBER, "b": IndexKind.KEYWORD},
            {"a": IndexKind.KEYWORD, "b": IndexKind.KEYWORD},
            {"b": IndexKind.NUMBER},
        ]
        for indexed in kinds:
            backend.indexed = indexed
            store = await backend.open()
            [hits] = await store.search([sparse({1: 1.0})], 10, [asked])
            await store.close()
            assert sorted(map(int, hits.point_ids)) == [7, 8]


async def _opened(backend: StoreBackend, writes: Sequence[UserWrite]) -> Store:
    build(backend, writes)
    return await backend.open()


def _user(user_id: str, attributes: Mapping[str, AttributeValue], *ratings: Mapping[int, float]) -> UserWrite:
    rated = {item: value for each in ratings for item, value in each.items()}
    return write(user_id, merge(profile_of(rated), [AttributesSet(attributes, 1_000)]))


def _random_user(random: np.random.Generator, place: int) -> UserWrite:
    """A user with some attributes and ratings; one in ten is forgotten, and may rate again."""
    profile: UserProfile = EMPTY_PROFILE
    attributes = {name: _one_of(random, values) for name, values in VALUES.items() if random.random() < 0.6}
    if attributes:
        profile = merge(profile, [AttributesSet(attributes, 1)])
    if place % 10 == 0:
        profile = merge(profile, [Forgotten(2)])
    for item in range(random.integers(0, 6)):
        profile = merge(profile, [Rated(item, 5.0, NEWEST - int(random.integers(0, 30)) * DAY)])
    if place % 4 == 0:
        profile = merge(profile, [Retracted(0, NEWEST + DAY)])
    return write(str(place), profile)


def _random_filter(random: np.random.Generator) -> UserFilter:
    parts = [tuple(_random_condition(random) for _ in range(random.integers(0, most))) for most in (2, 4, 2)]
    return UserFilter(
        # A contradiction is refused before it gets to a store.
        AttributeFilter(parts[0], parts[1], tuple(each for each in parts[2] if each.name not in _names(parts[0]))),
        NEWEST - int(random.integers(-1, 32)) * DAY + int(random.integers(-1, 2)) if random.random() < 0.3 else None,
        int(random.integers(1, 6)) if random.random() < 0.3 else None,
    )


def _names(conditions: Sequence[Condition]) -> set[str]:
    return {each.name for each in conditions}


def _random_condition(random: np.random.Generator) -> Condition:
    name = _one_of(random, [*VALUES, "nobody has it"])
    pool = VALUES[_one_of(random, [name if name in VALUES else "mixed", "mixed"])]
    match random.integers(0, 4):
        case 0:
            return Has(name)
        case 1:
            low = _one_of(random, (-1e300, -1.0, 0, 1, 18, 30.25, 2.0**53))
            wide = random.random() < 0.3
            return InRange(name, low, None if wide else low + _one_of(random, (0, 0.5, 20)))
        case 2:
            return AnyOf(name, tuple(_one_of(random, pool) for _ in range(random.integers(1, 5))))
        case _:
            return Equals(name, _one_of(random, pool))


def _one_of(random: np.random.Generator, values: Sequence[T]) -> T:
    return values[random.integers(0, len(values))]
