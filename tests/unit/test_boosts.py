import pytest

from kindred.attribute_filter import Equals, Has, InRange
from kindred.boosts import (
    Boost,
    FromYear,
    GenreIs,
    TagIs,
    check_boost,
    factors,
    product,
    too_strong_together,
    unknown_in_boosts,
)
from kindred.catalog import Catalog
from kindred.items import CatalogEntry, Item

ITEMS = [
    Item("a", year=1977, genres=("Drama",), tags=("old",), attributes={"minutes": 90}),
    Item("b", year=1999, genres=("drama", "War")),
    Item("c", tags=("OLD",)),
]


@pytest.fixture
def catalog() -> Catalog:
    """A catalog of three items."""
    return Catalog(CatalogEntry(place, item) for place, item in enumerate(ITEMS))


class TestFactors:
    def test_each_boost_says_what_it_multiplies(self, catalog: Catalog) -> None:
        """Every boost has its factor and the rows that it is on, in the order of the boosts."""
        boosts = [
            Boost(2.0, GenreIs("DRAMA")),
            Boost(3.0, TagIs("old")),
            Boost(0.5, FromYear(1999)),
            Boost(0.0, InRange("minutes", 90)),
        ]
        assert [(factor, mask.tolist()) for factor, mask in factors(boosts, catalog.masks)] == [
            (2.0, [True, True, False]),
            (3.0, [True, False, True]),
            (0.5, [False, True, False]),
            (0.0, [True, False, False]),
        ]

    def test_several_boosts_of_an_item_multiply(self, catalog: Catalog) -> None:
        """A row's factor is the product of its boosts; without any it is 1."""
        boosts = [Boost(2.0, GenreIs("drama")), Boost(3.0, TagIs("old")), Boost(0.0, GenreIs("war"))]
        assert product(factors(boosts, catalog.masks), catalog.rows).tolist() == [6.0, 0.0, 3.0]
        assert product(factors([], catalog.masks), catalog.rows).tolist() == [1.0, 1.0, 1.0]

    def test_as_many_and_as_large_boosts_as_there_may_be_are_finite(self, catalog: Catalog) -> None:
        """The largest product is a number like any other."""
        boosts = [Boost(100.0, GenreIs("war"))] * 32
        assert product(factors(boosts, catalog.masks), catalog.rows).tolist() == [1.0, pytest.approx(1e64), 1.0]


class TestChecks:
    @pytest.mark.parametrize(
        ("strengths", "refused"),
        [
            ([100, 100, 100], False),
            ([100, 100, 100, 2], True),
            ([0.01, 0.01, 0.01], False),
            ([0.01, 0.01, 0.01, 0.5], True),
            ([5e-324, 5e-324], True),
            ([100] * 16 + [0.01] * 16, False),
            ([100, 100, 100, 100, 0], True),
            ([0, 0], False),
        ],
    )
    def test_boosts_of_one_item_multiply_within_bounds(
        self, catalog: Catalog, strengths: list[float], *, refused: bool
    ) -> None:
        """By a million at most, or by one over it, or by 0; boosts of different items, and of none, are no matter."""
        boosts = [Boost(factor, GenreIs("war")) for factor in strengths]
        apart = [Boost(100, FromYear(9_999))] * 20 + [Boost(100, GenreIs("drama")), Boost(100, TagIs("old"))]
        assert [each.field for each in too_strong_together(boosts, catalog.masks)] == ["boosts"] * refused
        assert too_strong_together(apart, catalog.masks) == []

    def test_what_is_wrong_is_named_by_its_place(self) -> None:
        """Factors, names, years and conditions have their bounds."""
        boosts = [
            Boost(1.0, GenreIs("a")),
            Boost(-1.0, GenreIs("")),
            Boost(101.0, TagIs("x" * 101)),
            Boost(float("nan"), FromYear(10_001)),
            Boost(0.0, InRange("a")),
            Boost(100.0, Equals("", 1)),
        ]
        found = [each for place, boost in enumerate(boosts) for each in check_boost(boost, f"boosts[{place}]")]
        assert [each.field for each in found] == [
            "boosts[1].factor",
            "boosts[1].genre",
            "boosts[2].factor",
            "boosts[2].tag",
            "boosts[3].factor",
            "boosts[3].min_year",
            "boosts[4].attribute.range",
            "boosts[5].attribute.name",
        ]

    def test_what_the_catalog_lacks_comes_with_the_nearest(self, catalog: Catalog) -> None:
        """A boost on a genre, tag or attribute that no item has is refused; a year needs no item."""
        boosts = [
            Boost(1.0, GenreIs("Dramas")),
            Boost(1.0, TagIs("old")),
            Boost(1.0, TagIs("olds")),
            Boost(1.0, Has("minute")),
            Boost(1.0, FromYear(9_999)),
        ]
        assert {each.field: each.description for each in unknown_in_boosts(boosts, catalog.masks)} == {
            "boosts[0].genre": "no item has the genre 'Dramas'; near it: 'Drama'",
            "boosts[2].tag": "no item has the tag 'olds'; near it: 'old'",
            "boosts[3].attribute.name": "no item has the attribute 'minute'; near it: 'minutes'",
        }
