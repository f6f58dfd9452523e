import pytest

from kindred.attribute_filter import AttributeFilter, Equals
from kindred.attribute_names import AttributeNames
from kindred.catalog import Catalog
from kindred.items import CatalogEntry, Item
from kindred.popular_lists import PopularLists
from kindred.ratings import Attributes
from kindred.segment_attributes import parse_segment_attributes
from kindred.segments import LEAST_USERS, Segments
from kindred.stores.port import StoredUser
from tests.support.user_list import UserList, user_of


def group(name: str, count: int, item: int, stars: float = 5.0, **attributes: object) -> list[StoredUser]:
    """People with the same attributes who have all rated one item."""
    return [user_of(f"{name}{number}", (item, stars, 1), attributes=attributes) for number in range(count)]


USERS = [
    *group("nl", LEAST_USERS, 1, gender="F", country="NL"),
    *group("be", LEAST_USERS - 1, 2, gender="F", country="BE"),
    *group("nl men", LEAST_USERS - 1, 3, gender="M", country="NL"),
    *group("grumpy", LEAST_USERS, 2, 1.0, gender="X", country="NL"),
]
SILENT = [user_of(f"silent{number}", attributes={"gender": "M"}) for number in range(LEAST_USERS)]


def segments_of(store: UserList, telling: str = "gender,country") -> Segments:
    """Segments over some users and three items."""
    catalog = Catalog([CatalogEntry(index, Item(str(index))) for index in (1, 2, 3)])
    return Segments(
        store, PopularLists(store, catalog, AttributeNames(store), 300.0), parse_segment_attributes(telling), 300.0
    )


@pytest.mark.parametrize(
    ("attributes", "people", "liked"),
    [
        ({"gender": "F", "country": "NL"}, {"gender": "F", "country": "NL"}, [20, 0, 0]),
        ({"gender": "F", "country": "BE"}, {"gender": "F"}, [20, 19, 0]),
        ({"gender": "F", "age": 33.0}, {"gender": "F"}, [20, 19, 0]),
        ({"gender": "F", "country": "FR"}, {"gender": "F"}, [20, 19, 0]),
    ],
)
async def test_the_most_alike_who_are_enough_count(
    attributes: Attributes, people: dict[str, str], liked: list[int]
) -> None:
    """The counts are of those who share the most attributes, in their order, and are at least twenty."""
    found = await segments_of(UserList(USERS)).segment_counts(attributes)
    assert found is not None
    assert found[0].tolist() == found[1].tolist() == liked
    assert found[2] == AttributeFilter(all_of=tuple(Equals(name, value) for name, value in people.items()))


@pytest.mark.parametrize(
    "attributes",
    [{}, {"country": "NL"}, {"gender": "M", "country": "NL"}, {"gender": "X"}, {"gender": True}],
    ids=["nothing known", "the first is not known", "too few raters", "nobody likes anything", "another type"],
)
async def test_too_few_are_nobody(attributes: Attributes) -> None:
    """Without attributes, with fewer than twenty people who have rated, or without a like there is no segment."""
    assert await segments_of(UserList(USERS + SILENT)).segment_counts(attributes) is None


async def test_bands_of_numbers_are_segments() -> None:
    """People of the same ten years are alike."""
    users = group("young", 12, 1, age=21.0) + group("younger", 8, 2, age=29.0) + group("old", 30, 3, age=30.0)
    found = await segments_of(UserList(users), "age:10").segment_counts({"age": 25.0})
    assert found is not None
    assert found[1].tolist() == [12, 8, 0]


async def test_newcomers_share_one_count() -> None:
    """The next newcomer of a segment, or of one that is too small, needs no further scan."""
    store = UserList(USERS)
    segments = segments_of(store)
    for _ in range(3):
        await segments.segment_counts({"gender": "F", "country": "NL"})
        await segments.segment_counts({"gender": "M", "country": "NL"})
    assert store.scans == 1


async def test_a_newcomer_does_not_wait_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a segment is being counted for the first time there is none; then there is."""
    monkeypatch.setattr("kindred.segments._PATIENCE", 0.001)
    store = UserList(USERS)
    store.open.clear()
    segments = segments_of(store)
    assert await segments.segment_counts({"gender": "F"}) is None
    monkeypatch.setattr("kindred.segments._PATIENCE", 5.0)
    store.open.set()
    assert await segments.segment_counts({"gender": "F"}) is not None
    assert store.scans == 1


async def test_without_attributes_to_tell_apart_there_are_no_segments() -> None:
    """With the setting empty there is no segment, and nobody is counted."""
    store = UserList(USERS)
    assert await segments_of(store, "").segment_counts({"gender": "F"}) is None
    assert store.scans == 0
