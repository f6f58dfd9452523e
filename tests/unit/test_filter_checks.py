import math

import pytest

from kindred.attribute_filter import AnyOf, AttributeFilter, Condition, Equals, Has, InRange
from kindred.filter_checks import check_attribute_filter, check_known_names, check_user_filter
from kindred.user_filter import EVERY_USER, UserFilter

NAME = "neighbors.filter.attributes"


def paths(asked: AttributeFilter) -> list[str]:
    """The fields that are wrong, below the filter's own path."""
    return [each.field.removeprefix(NAME) for each in check_attribute_filter(asked, NAME)]


@pytest.mark.parametrize(
    "asked",
    [
        AttributeFilter(),
        AttributeFilter(tuple(Has(f"n{place}") for place in range(32))),
        AttributeFilter((AnyOf("a", tuple(range(256))),), (Equals("a", ""),), (InRange("a", 1, 1),)),
        AttributeFilter((Equals("n" * 100, True), InRange("b", at_least=-1e308), InRange("c", at_most=0))),
        AttributeFilter((Equals("a", 1), Equals("a", 1.0)), none_of=(Equals("a", True), Equals("a", "1"))),
        AttributeFilter((Equals('a"b\\', "x"), Equals("a.b[0]", "x"), Equals("länder", "Österreich"))),
    ],
    ids=repr,
)
def test_filters_within_the_bounds_are_fine(asked: AttributeFilter) -> None:
    """Filters at every bound, equal conditions twice, and values of several types are no violation."""
    assert check_attribute_filter(asked, NAME) == []


@pytest.mark.parametrize(
    ("condition", "path", "description"),
    [
        (Equals("", 1), "name", "must not be empty"),
        (Has("n" * 101), "name", "has 101 characters, at most 100 are allowed"),
        (Has("\ud800"), "name", "must be text: a lone surrogate is none"),
        (Equals("a", math.nan), "equals", "must be a string, a finite number or a boolean"),
        (Equals("a", "x" * 1_001), "equals", "has 1,001 characters, at most 1,000 are allowed"),
        (AnyOf("a", ()), "any_of", "names no value, so nothing could meet it"),
        (AnyOf("a", tuple(range(257))), "any_of", "has 257 values, at most 256 are allowed"),
        (AnyOf("a", ("x", math.inf)), "any_of[1]", "must be a string, a finite number or a boolean"),
        (InRange("a"), "range", "has no end: give at_least, at_most or both"),
        (InRange("a", 2.5, 2), "range", "at_least 2.5 is above at_most 2"),
        (InRange("a", math.nan, 2), "range.at_least", "must be a finite number"),
        (InRange("a", 1, math.inf), "range.at_most", "must be a finite number"),
        (InRange("a", at_most=10**400), "range.at_most", "must be a finite number"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_wrong_with_a_condition_is_found_in_every_list(
    condition: Condition, path: str, description: str
) -> None:
    """A condition out of bounds is a violation under its list, its place and its field."""
    fine = Has("fine")
    for which, asked in {
        "all_of": AttributeFilter(all_of=(fine, condition)),
        "any_of": AttributeFilter(any_of=(fine, condition)),
        "none_of": AttributeFilter(none_of=(fine, condition)),
    }.items():
        [violation] = check_attribute_filter(asked, NAME)
        assert (violation.field, violation.description) == (f"{NAME}.{which}[1].{path}", description)


def test_conditions_are_counted_over_all_lists() -> None:
    """33 conditions are one too many, wherever they stand."""
    asked = AttributeFilter(
        tuple(map(Has, "abcdefghijk")), tuple(map(Has, "lmnopqrstuv")), tuple(map(Has, "ABCDEFGHIJK"))
    )
    [violation] = check_attribute_filter(asked, NAME)
    assert (violation.field, violation.description) == (NAME, "has 33 conditions, at most 32 are allowed")


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        (AttributeFilter((Equals("a", 1), Has("a"), Equals("a", 2))), ".all_of[2].equals"),
        (AttributeFilter((Equals("a", 1), Equals("a", True))), ".all_of[1].equals"),
        (AttributeFilter((Has("b"), Has("a")), none_of=(Has("c"), Has("a"))), ".none_of[1]"),
        (AttributeFilter((InRange("a", 1, 2),), none_of=(InRange("a", 1.0, 2.0),)), ".none_of[0]"),
        (AttributeFilter((AnyOf("a", (1, "x")),), none_of=(AnyOf("a", ("x", 1.0)),)), ".none_of[0]"),
        (AttributeFilter((Equals("a", 1),), none_of=(AnyOf("a", (1.0,)),)), ".none_of[0]"),
    ],
    ids=repr,
)
def test_contradictions_are_refused(asked: AttributeFilter, where: str) -> None:
    """Two values of one attribute, and the same condition both wanted and refused, are a violation at the second."""
    assert paths(asked) == [where]


def test_activity_has_bounds() -> None:
    """A time outside the years 1 to 9999 and a count outside 1 to 1,000,000 are violations."""
    assert check_user_filter(EVERY_USER, "filter") == []
    assert check_user_filter(UserFilter(active_since=0, min_ratings=1_000_000), "filter") == []
    wrong = [
        UserFilter(active_since=-62_135_596_800_001),
        UserFilter(active_since=253_402_300_800_000),
        UserFilter(min_ratings=0),
        UserFilter(min_ratings=1_000_001),
    ]
    assert [each.field for asked in wrong for each in check_user_filter(asked, "filter")] == [
        "filter.active_since",
        "filter.active_since",
        "filter.min_ratings",
        "filter.min_ratings",
    ]


@pytest.mark.parametrize("name", ['a"b', "a\\b"])
def test_names_that_no_engine_can_be_asked_for_are_refused_for_users(name: str) -> None:
    """The engines quote names and know no escape: a quote or a backslash in one is a violation, in users' filters."""
    asked = AttributeFilter(none_of=(Has(name),))
    [violation] = check_user_filter(UserFilter(asked), "filter")
    assert violation.field == "filter.attributes.none_of[0].name"
    assert "under another name" in violation.description
    assert check_attribute_filter(asked, NAME) == []


def test_unknown_names_come_with_the_nearest_known_ones() -> None:
    """A name that nobody has is a violation that names those that look like it, or else some that there are."""
    asked = AttributeFilter((Equals("contry", "FR"),), (Has("age"),), (Has("zzz"),))
    found = check_known_names(asked, {"age", "country", "county"}, NAME)
    assert [(each.field, each.description) for each in found] == [
        (f"{NAME}.all_of[0].name", "no attribute 'contry' is known; there is 'country' and 'county'"),
        (f"{NAME}.none_of[0].name", "no attribute 'zzz' is known; there is 'age' and 'country' and 'county'"),
    ]
    [alone] = check_known_names(AttributeFilter((Has("x"),)), set(), NAME)
    assert alone.description == "no attribute 'x' is known"


def test_the_nearest_are_looked_for_a_few_times() -> None:
    """Every unknown name is a violation, but only the first three say what is near: that takes its time."""
    asked = AttributeFilter(any_of=tuple(Has(f"contry{number}") for number in range(5)))
    near = [each.description.partition("; there is ")[2] for each in check_known_names(asked, {"age", "country"}, NAME)]
    assert near == ["'country'"] * 3 + ["'age' and 'country'"] * 2
