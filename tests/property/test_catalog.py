"""A catalog that has followed changes equals one that is made anew of the same items."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.catalog import Catalog
from kindred.id_order import IdOrder
from kindred.item_filter import ItemFilter, WordFilter
from kindred.items import CatalogEntry, Item

WORDS = st.lists(st.sampled_from(["war", "War", "love", "space", "Straße", "STRASSE", "noir"]), max_size=3).map(tuple)
INDEXES = st.integers(0, 9)
FILTER = ItemFilter(genres=WordFilter(("war", "strasse")), max_year=1980)


def item_id(index: int) -> str:
    """The id of the item at an index: that of an odd index is not what the row is called before the item is there."""
    return f"item {10 - index}" if index % 2 else str(index)


@st.composite
def entries(draw: st.DrawFn) -> CatalogEntry:
    """An item at one of ten indexes."""
    index = draw(INDEXES)
    item = Item(
        item_id(index),
        draw(st.sampled_from(["", "A Day", "Night and Day", "Night"])),
        draw(st.none() | st.sampled_from([1979, 1980, 1981])),
        draw(WORDS),
        draw(WORDS),
        draw(st.just({}) | st.just({"imdb": f"tt{index}"})),
    )
    liked = draw(st.integers(0, 3))
    return CatalogEntry(index, item, liked + draw(st.integers(0, 3)), liked)


CHANGES = st.one_of(
    st.lists(entries(), max_size=4, unique_by=lambda entry: entry.index),
    st.lists(INDEXES, max_size=3),
    st.dictionaries(INDEXES, st.integers(0, 4), max_size=3),
)
Change = list[CatalogEntry] | list[int] | dict[int, int]


def apply(catalog: Catalog, change: Change) -> None:
    """Puts items, names indexes that may be unknown, or counts again."""
    if isinstance(change, dict):
        rows = catalog.rows_of(np.array(list(change), np.uint32))
        liked = np.array(list(change.values()), np.int64)
        catalog.counts.put(rows, 2 * liked, liked)
    elif change and isinstance(change[0], int):
        catalog.rows_of(np.array(change, np.uint32))
    else:
        catalog.put(change)  # type: ignore[arg-type]  # a list of both is never drawn


def made_anew(catalog: Catalog) -> Catalog:
    """A catalog of the same items, in another order."""
    listed = np.flatnonzero(catalog.listed)[::-1].tolist()
    again = Catalog(catalog.entry(row) for row in listed)
    rows = np.flatnonzero(~catalog.listed)
    others = again.rows_of(catalog.indexes[rows])
    again.counts.put(others, catalog.counts.rated[rows], catalog.counts.liked[rows])
    return again


def ids(catalog: Catalog, rows: Sequence[int]) -> list[str]:
    """The ids of rows."""
    return [catalog.item(row).item_id for row in rows]


def assert_equal(catalog: Catalog, again: Catalog) -> None:
    """Compares everything that a catalog says, by item."""
    assert (len(catalog), catalog.rows) == (len(again), again.rows)
    rows = again.rows_of(catalog.indexes)  # of `again`, in the order of the catalog's
    assert again.rows == catalog.rows
    assert catalog.rows_of(catalog.indexes).tolist() == list(range(catalog.rows))
    for row, other in enumerate(rows.tolist()):
        assert catalog.entry(row) == again.entry(other)
        for name in (catalog.item(row).item_id, f"imdb:tt{catalog.indexes[row]}"):
            assert catalog.index_of(name) == again.index_of(name)
    assert catalog.listed.tolist() == again.listed[rows].tolist()
    counts, others = catalog.counts, again.counts
    assert ids(catalog, np.argsort(counts.id_rank).tolist()) == sorted(ids(catalog, range(catalog.rows)))
    assert ids(catalog, counts.order.tolist()) == ids(again, others.order.tolist())
    assert counts.rank.tolist() == others.rank[rows].tolist()
    assert counts.damping(0.2).tolist() == others.damping(0.2)[rows].tolist()
    assert counts.terms.tolist() == others.terms[rows].tolist()
    assert catalog.masks.allowed(FILTER).tolist() == again.masks.allowed(FILTER)[rows].tolist()
    every = np.arange(catalog.rows)
    genres, other_genres = catalog.content.genres(every), again.content.genres(rows)
    assert (genres @ genres.T).tolist() == (other_genres @ other_genres.T).tolist()
    assert catalog.content.row_likeness(every, every) == pytest.approx(again.content.row_likeness(rows, rows))
    liked = np.arange(0, catalog.rows, 2)
    found = catalog.content.likeness(liked, 1.0 + liked)
    assert found == pytest.approx(again.content.likeness(rows[liked], 1.0 + liked)[rows])
    for query in ("day", "night"):
        assert ids(catalog, catalog.search(query, FILTER)) == ids(again, again.search(query, FILTER))


@given(st.lists(CHANGES, min_size=1, max_size=8), st.integers(0, 7), st.booleans())
def test_what_followed_equals_what_is_made_anew(changes: list[Change], first_look: int, prepared: bool) -> None:
    """After any changes, whenever it is looked at first, a catalog says what one of the same items says."""
    catalog = Catalog([])
    if prepared:
        catalog.prepare()
    for place, change in enumerate(changes):
        apply(catalog, change)
        if place >= first_look:
            assert_equal(catalog, made_anew(catalog))
    assert_equal(catalog, made_anew(catalog))


@given(st.lists(st.tuples(st.booleans(), st.lists(st.text("abC", max_size=3), max_size=4)), max_size=6))
def test_ids_stay_sorted(steps: list[tuple[bool, list[str]]]) -> None:
    """After any ids came, or took the place of others, the rows stand in the order of their ids."""
    order, expected = IdOrder(), list[str]()
    for renames, new in steps:
        if renames and len(new) <= len(expected):
            order.rename(dict(enumerate(new)))
            expected[: len(new)] = new
        else:
            order.append(new)
            expected += new
        assert [expected[row] for row in order.rows] == sorted(expected)
        assert order.rank[order.rows].tolist() == list(range(len(expected)))
