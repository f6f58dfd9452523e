import pytest

from kindred.attribute_filter import AttributeFilter, Equals, Has
from kindred.item_filter import EVERY_ITEM, ItemFilter, WordFilter
from kindred.item_filter_checks import check_item_filter, check_words
from kindred.items import Item

FILM = Item("1", "Alien", 1979, ("Horror", "Sci-Fi"), ("space",), attributes={"minutes": 117, "colour": True})


class TestAllows:
    @pytest.mark.parametrize(
        ("wanted", "passes"),
        [
            (WordFilter(), True),
            (WordFilter(any_of=("comedy", "HORROR")), True),
            (WordFilter(any_of=("comedy",)), False),
            (WordFilter(all_of=("horror", "sci-fi")), True),
            (WordFilter(all_of=("horror", "comedy")), False),
            (WordFilter(none_of=("comedy",)), True),
            (WordFilter(none_of=("comedy", "SCI-FI")), False),
            (WordFilter(any_of=("horror",), all_of=("sci-fi",), none_of=("comedy",)), True),
            (WordFilter(any_of=("horror",), all_of=("sci-fi",), none_of=("horror",)), False),
        ],
    )
    def test_words_are_wanted_or_refused(self, wanted: WordFilter, *, passes: bool) -> None:
        """Any, all and none mean what they say, whatever the case of the words."""
        assert wanted.allows(FILM.genres) is passes
        assert ItemFilter(genres=wanted).allows(FILM) is passes

    def test_case_is_that_of_every_script(self) -> None:
        """Words are compared by Unicode's case folding."""
        assert WordFilter(any_of=("STRASSE",)).allows(["Straße"])
        assert WordFilter(any_of=("ΚΌΣΜΟΣ",)).allows(["κόσμος"])

    def test_every_criterion_must_hold(self) -> None:
        """One criterion that does not hold refuses the item."""
        right = ItemFilter(
            WordFilter(("horror",)), WordFilter(("space",)), 1979, 1979, AttributeFilter((Equals("colour", True),))
        )
        assert right.allows(FILM)
        for wrong in (
            ItemFilter(genres=WordFilter(("comedy",))),
            ItemFilter(tags=WordFilter(("horror",))),
            ItemFilter(min_year=1980),
            ItemFilter(max_year=1978),
            ItemFilter(attributes=AttributeFilter((Equals("colour", 1),))),
        ):
            assert not wrong.allows(FILM)

    def test_an_item_without_a_year_passes_no_bound(self) -> None:
        """No year is neither early nor late."""
        assert EVERY_ITEM.allows(Item("x"))
        assert not ItemFilter(min_year=-10_000).allows(Item("x"))
        assert not ItemFilter(max_year=10_000).allows(Item("x"))

    @pytest.mark.parametrize(
        "wanted",
        [
            ItemFilter(genres=WordFilter(none_of=("x",))),
            ItemFilter(tags=WordFilter(("x",))),
            ItemFilter(min_year=0),
            ItemFilter(max_year=0),
            ItemFilter(attributes=AttributeFilter((Has("x"),))),
            ItemFilter(candidates=("x",)),
        ],
    )
    def test_a_filter_that_says_something_is_true(self, wanted: ItemFilter) -> None:
        """A filter is false only if it allows every item, the year 0 is a bound."""
        assert wanted
        assert not EVERY_ITEM
        assert EVERY_ITEM.allows(FILM)


WRONG = {
    "65 words": (
        ItemFilter(genres=WordFilter(tuple(map(str, range(60))), none_of=tuple("abcde"))),
        {"items.genres": "has 65 words, at most 64 are allowed"},
    ),
    "an empty word": (ItemFilter(tags=WordFilter(("a", ""))), {"items.tags.any_of[1]": "must not be empty"}),
    "a long word": (
        ItemFilter(genres=WordFilter(none_of=("x" * 101,))),
        {"items.genres.none_of[0]": "has 101 characters, at most 100 are allowed"},
    ),
    "a word twice": (
        ItemFilter(genres=WordFilter(all_of=("Drama", "War", "DRAMA"))),
        {"items.genres.all_of[2]": "is the same as items.genres.all_of[0]"},
    ),
    "a word wanted and refused": (
        ItemFilter(genres=WordFilter(("War", "Drama"), none_of=("drama",))),
        {"items.genres.none_of[0]": "is also in items.genres.any_of[1]: wanted and refused"},
    ),
    "a word needed and refused": (
        ItemFilter(tags=WordFilter((), ("War",), ("Drama", "war"))),
        {"items.tags.none_of[1]": "is also in items.tags.all_of[0]: wanted and refused"},
    ),
    "years out of range": (
        ItemFilter(min_year=-10_001, max_year=10_001),
        {"items.min_year": "must be -10000 to 10000", "items.max_year": "must be -10000 to 10000"},
    ),
    "years out of order": (
        ItemFilter(min_year=1990, max_year=1989),
        {"items.max_year": "must not be before min_year, which is 1990"},
    ),
    "10,001 candidates": (
        ItemFilter(candidates=tuple(map(str, range(10_001)))),
        {"items.candidate_item_ids": "has 10,001 entries, at most 10,000 are allowed"},
    ),
    "candidates twice and without a name": (
        ItemFilter(candidates=("1", "", "1")),
        {
            "items.candidate_item_ids[1]": "must not be empty",
            "items.candidate_item_ids[2]": "is the same as items.candidate_item_ids[0]",
        },
    ),
    "everything at once": (
        ItemFilter(
            genres=WordFilter(("",)),
            tags=WordFilter(("",)),
            min_year=-99_999,
            candidates=("",),
            attributes=AttributeFilter((Has(""),)),
        ),
        dict.fromkeys(
            (
                "items.genres.any_of[0]",
                "items.tags.any_of[0]",
                "items.candidate_item_ids[0]",
                "items.attributes.all_of[0].name",
            ),
            "must not be empty",
        )
        | {"items.min_year": "must be -10000 to 10000"},
    ),
}


class TestChecks:
    @pytest.mark.parametrize("case", WRONG)
    def test_wrong_filters_are_refused(self, case: str) -> None:
        """Every field that is wrong is named by its path in the contract, with what would be right."""
        wanted, expected = WRONG[case]
        assert {each.field: each.description for each in check_item_filter(wanted, "items")} == expected

    @pytest.mark.parametrize(
        "wanted",
        [
            EVERY_ITEM,
            ItemFilter(genres=WordFilter(tuple(f"any {n}" for n in range(32)), tuple(f"all {n}" for n in range(32)))),
            ItemFilter(genres=WordFilter(("a",), ("a",)), tags=WordFilter(none_of=("a",))),
            ItemFilter(min_year=-10_000, max_year=10_000),
            ItemFilter(min_year=1979, max_year=1979),
            ItemFilter(candidates=tuple(map(str, range(10_000)))),
        ],
    )
    def test_right_filters_pass(self, wanted: ItemFilter) -> None:
        """The bounds themselves are allowed, and a word may be wanted twice over in different ways."""
        assert check_item_filter(wanted, "items") == []

    def test_as_many_words_as_there_may_be_are_counted_over_the_lists(self) -> None:
        """The bound holds for the three lists together."""
        words = tuple(f"word {number}" for number in range(65))
        assert check_words(WordFilter(words[:20], words[20:40], words[40:64]), "tags") == []
        assert [each.field for each in check_words(WordFilter(words[:20], words[20:40], words[40:]), "tags")] == [
            "tags"
        ]
