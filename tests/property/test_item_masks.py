"""Masks equal what the filters say of each item, however the catalog came about."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kindred.attribute_filter import AnyOf, AttributeFilter, Condition, Equals, Has, InRange
from kindred.catalog import Catalog
from kindred.item_filter import ItemFilter, WordFilter
from kindred.items import CatalogEntry, Item

WORDS = st.sampled_from(["Drama", "DRAMA", "drama", "Straße", "STRASSE", "War", "war", "Sci-Fi"])
WORD_LISTS = st.lists(WORDS, max_size=3).map(tuple)
YEARS = st.none() | st.sampled_from([-10_000, -1, 0, 1, 1979, 1980, 10_000])
VALUES = st.sampled_from([0, 1, -0.0, 1.0, 2.5, 1e300, True, False, "1", "true", "", "A", "a"])
NAMES = st.sampled_from(["a", "A", "b"])
BOUNDS = st.none() | st.sampled_from([-1.0, 0.0, 1.0, 2.5, 1e300])
INDEXES = st.integers(0, 6)


@st.composite
def entries(draw: st.DrawFn) -> CatalogEntry:
    """An item at one of seven indexes."""
    index = draw(INDEXES)
    item = Item(
        str(index),
        year=draw(YEARS),
        genres=draw(WORD_LISTS),
        tags=draw(WORD_LISTS),
        external_ids={"x": str(index)},
        attributes=draw(st.dictionaries(NAMES, VALUES, max_size=3)),
    )
    return CatalogEntry(index, item)


CONDITIONS = st.one_of(
    st.builds(Equals, NAMES, VALUES),
    st.builds(AnyOf, NAMES, st.lists(VALUES, max_size=4).map(tuple)),
    st.builds(InRange, NAMES, BOUNDS, BOUNDS),
    st.builds(Has, NAMES),
)
CONDITION_LISTS = st.lists(CONDITIONS, max_size=2).map(tuple)
FILTERS = st.builds(
    ItemFilter,
    genres=st.builds(WordFilter, WORD_LISTS, WORD_LISTS, WORD_LISTS),
    tags=st.builds(WordFilter, WORD_LISTS, WORD_LISTS, WORD_LISTS),
    min_year=YEARS,
    max_year=YEARS,
    attributes=st.builds(AttributeFilter, CONDITION_LISTS, CONDITION_LISTS, CONDITION_LISTS),
)
CHANGES = st.one_of(st.lists(entries(), max_size=3, unique_by=lambda entry: entry.index), st.lists(INDEXES, max_size=2))


@given(st.lists(st.tuples(CHANGES, FILTERS), min_size=1, max_size=5))
def test_masks_say_what_the_filters_say(steps: list[tuple[list[CatalogEntry] | list[int], ItemFilter]]) -> None:
    """After any changes of the catalog a filter allows the items that it allows one by one, and counts the others."""
    catalog = Catalog([])
    for change, wanted in steps:
        if change and isinstance(change[0], int):
            catalog.rows_of(np.array(change, np.uint32))  # ratings of items that come later or never
        else:
            catalog.put(change)
        items = [catalog.item(row) for row in range(catalog.rows)]
        assert catalog.masks.allowed(wanted).tolist() == [wanted.allows(item) for item in items]
        listed = [item for item, there in zip(items, catalog.listed, strict=True) if there]
        criteria = {
            "genres": ItemFilter(genres=wanted.genres),
            "tags": ItemFilter(tags=wanted.tags),
            "years": ItemFilter(min_year=wanted.min_year, max_year=wanted.max_year),
            "attributes": ItemFilter(attributes=wanted.attributes),
        }
        effects = catalog.masks.effects(wanted, catalog.listed)
        assert [(each.field, each.removed, each.total) for each in effects] == [
            (f"items.{name}", sum(not criterion.allows(item) for item in listed), len(listed))
            for name, criterion in criteria.items()
            if criterion
        ]


@given(st.lists(entries(), max_size=5), CONDITIONS, CONDITIONS)
def test_one_condition_is_never_taken_for_another(
    stored: list[CatalogEntry], first: Condition, other: Condition
) -> None:
    """Two conditions that Python takes for equal, like being 1 and being true, have masks of their own."""
    catalog = Catalog(stored)
    for condition in (first, other, first):
        expected = [condition.holds(catalog.item(row).attributes) for row in range(catalog.rows)]
        assert catalog.masks.attribute(condition).tolist() == expected


@given(st.lists(entries(), max_size=8), WORDS)
def test_what_no_item_has_is_unknown(stored: list[CatalogEntry], word: str) -> None:
    """A genre is known exactly if an item has it now, whatever its case."""
    catalog = Catalog([])
    catalog.masks.check(ItemFilter(genres=WordFilter((word,))))  # indexes that are there follow what comes
    for entry in stored:
        catalog.put([entry])
    there = {genre.casefold() for row in range(catalog.rows) for genre in catalog.item(row).genres}
    found = catalog.masks.check(ItemFilter(genres=WordFilter(none_of=(word,))))
    assert [each.field for each in found] == ([] if word.casefold() in there else ["items.genres.none_of[0]"])
