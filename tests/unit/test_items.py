import math
from dataclasses import replace

import pytest

from kindred.errors import FieldViolation
from kindred.items import Item, check_attributes, check_id, check_item

LONGEST = Item(
    item_id="i" * 256,
    title="t" * 1_000,
    year=10_000,
    genres=tuple("g" * 98 + f"{genre:02}" for genre in range(64)),
    tags=tuple("t" * 97 + f"{tag:03}" for tag in range(256)),
    external_ids={f"scheme{scheme}": "e" * 256 for scheme in range(16)},
    attributes={"a" * 98 + f"{name:02}": "v" * 1_000 for name in range(64)},
)
"""An item at every limit."""


class TestCheckId:
    @pytest.mark.parametrize(
        "value", ["1", "0", "tt0133093", " ", "用户", "👩\u200d🚀", "a/b?c=d", "x" * 256, "龍" * 256]
    )
    def test_ids_of_1_to_256_characters_are_fine(self, value: str) -> None:
        """Any printable characters make an id, up to 256 of them."""
        assert check_id(value, "user_id") == []

    @pytest.mark.parametrize(
        ("value", "description"),
        [
            ("", "must not be empty"),
            ("x" * 257, "has 257 characters, at most 256 are allowed"),
            ("x" * 1_000_000, "has 1,000,000 characters, at most 256 are allowed"),
            ("a\nb", "must not contain control characters"),
            ("a\0", "must not contain control characters"),
            ("\x7f", "must not contain control characters"),
            ("\x85", "must not contain control characters"),
            ("\ud800", "must not contain control characters"),
        ],
    )
    def test_other_ids_are_refused_under_their_path(self, value: str, description: str) -> None:
        """An id that is empty, too long or unprintable gives one violation with the field's path, without the id."""
        assert check_id(value, "ratings[2].item_id") == [FieldViolation("ratings[2].item_id", description)]


class TestCheckAttributes:
    def test_strings_numbers_and_booleans_are_fine(self) -> None:
        """Strings, also empty ones, finite numbers and booleans are attributes."""
        fine = {"a": "", "b": "x", "c": 0.0, "d": -1.5, "e": 3, "f": True, "g": 1e308}
        assert check_attributes(fine, "attributes") == []
        assert check_attributes({}, "attributes") == []

    @pytest.mark.parametrize(
        "value", [math.nan, math.inf, -math.inf, None, [1], {"a": 1}, b"x", 1j, pytest.param(10**400, id="10**400")]
    )
    def test_other_values_are_refused_under_their_path(self, value: object) -> None:
        """NaN, infinities, numbers beyond any float and nested values are violations at their key."""
        expected = [FieldViolation("user.attributes[bad]", "must be a string, a finite number or a boolean")]
        assert check_attributes({"good": 1.0, "bad": value}, "user.attributes") == expected

    def test_names_are_1_to_100_characters(self) -> None:
        """A name of 100 characters is fine, one of none or 101 is not."""
        assert check_attributes({"k" * 100: 1.0}, "attributes") == []
        assert check_attributes({"": 1.0}, "attributes") == [FieldViolation("attributes key", "must not be empty")]
        too_long = [FieldViolation("attributes key", "has 101 characters, at most 100 are allowed")]
        assert check_attributes({"k" * 101: 1.0}, "attributes") == too_long

    def test_texts_have_at_most_1000_characters(self) -> None:
        """A text of 1,000 characters is fine, a longer one is a violation at its key."""
        assert check_attributes({"k": "v" * 1_000}, "attributes") == []
        too_long = [FieldViolation("attributes[k]", "has 1,001 characters, at most 1,000 are allowed")]
        assert check_attributes({"k": "v" * 1_001}, "attributes") == too_long

    def test_there_are_at_most_64(self) -> None:
        """64 attributes are fine; 65 are one violation, whatever is in them."""
        assert check_attributes({f"k{name}": 1.0 for name in range(64)}, "attributes") == []
        too_many = [FieldViolation("attributes", "has 65 entries, at most 64 are allowed")]
        assert check_attributes({f"k{name}": math.nan for name in range(65)}, "attributes") == too_many

    def test_every_violation_is_told(self) -> None:
        """All wrong attributes are reported, in their order, and an absurd name does not swell the message."""
        found = check_attributes({"x" * 5_000: math.nan, "b": math.inf}, "attributes")
        assert [each.field for each in found] == ["attributes key", f"attributes[{'x' * 100}]", "attributes[b]"]


class TestCheckItem:
    @pytest.mark.parametrize("item", [Item("1"), Item("1", year=-10_000), LONGEST], ids=["least", "oldest", "most"])
    def test_items_within_the_limits_are_fine(self, item: Item) -> None:
        """An item with just an id and one at every limit are both fine."""
        assert check_item(item, "items[0]") == []

    @pytest.mark.parametrize(
        ("wrong", "field", "description"),
        [
            ({"item_id": ""}, "item_id", "must not be empty"),
            ({"item_id": "i" * 257}, "item_id", "has 257 characters, at most 256 are allowed"),
            ({"title": "t" * 1_001}, "title", "has 1,001 characters, at most 1,000 are allowed"),
            ({"year": 10_001}, "year", "must be -10000 to 10000"),
            ({"year": -10_001}, "year", "must be -10000 to 10000"),
            ({"genres": ("a", "")}, "genres[1]", "must not be empty"),
            ({"genres": ("a", "g" * 101)}, "genres[1]", "has 101 characters, at most 100 are allowed"),
            ({"genres": ("g",) * 65}, "genres", "has 65 entries, at most 64 are allowed"),
            ({"tags": ("a", "b", "")}, "tags[2]", "must not be empty"),
            ({"tags": ("t" * 101,)}, "tags[0]", "has 101 characters, at most 100 are allowed"),
            ({"tags": ("t",) * 257}, "tags", "has 257 entries, at most 256 are allowed"),
            ({"external_ids": {f"s{n}": "1" for n in range(17)}}, "external_ids", "at most 16 are allowed"),
            ({"external_ids": {"imdb": ""}}, "external_ids[imdb]", "must not be empty"),
            ({"external_ids": {"imdb": "t\n"}}, "external_ids[imdb]", "must not contain control characters"),
            (
                {"external_ids": {"imdb": "t" * 257}},
                "external_ids[imdb]",
                "has 257 characters, at most 256 are allowed",
            ),
            ({"attributes": {"a": math.nan}}, "attributes[a]", "must be a string, a finite number or a boolean"),
            ({"attributes": {"": "x"}}, "attributes key", "must not be empty"),
        ],
    )
    def test_each_limit_is_told_with_its_path(self, wrong: dict[str, object], field: str, description: str) -> None:
        """One step over a limit is one violation, at the path of the field."""
        item = replace(Item("1"), **wrong)  # type: ignore[arg-type]  # one field, of its own type
        assert check_item(item, "items[3]") == [FieldViolation(f"items[3].{field}", description)]

    @pytest.mark.parametrize("scheme", ["", "IMDB", "im db", "im:db", "im-db", "ïmdb", "imdb\n"])
    def test_a_scheme_is_lower_case_letters_and_digits(self, scheme: str) -> None:
        """A scheme that could not stand before the colon of an external id is refused."""
        found = check_item(Item("1", external_ids={scheme: "tt1"}), "item")
        assert found == [FieldViolation("item.external_ids", "a scheme is 1 to 100 lower-case letters and digits")]

    def test_a_scheme_has_at_most_100_characters(self) -> None:
        """A scheme is as short as any other name."""
        assert check_item(Item("1", external_ids={"s" * 100: "1"}), "item") == []
        [found] = check_item(Item("1", external_ids={"s" * 101: "1"}), "item")
        assert found.field.startswith("item.external_ids")

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"title": "\ud800"}, "title"),
            ({"genres": ("\udfff",)}, "genres[0]"),
            ({"tags": ("ok", "\udfff")}, "tags[1]"),
            ({"attributes": {"a": "\ud800"}}, "attributes[a]"),
        ],
    )
    def test_text_that_no_store_can_write_is_refused(self, wrong: dict[str, object], field: str) -> None:
        """A lone surrogate, which has no encoding, is a violation wherever text may stand."""
        item = replace(Item("1"), **wrong)  # type: ignore[arg-type]  # one field, of its own type
        assert [each.field for each in check_item(item, "item")] == [f"item.{field}"]

    def test_every_violation_is_told(self) -> None:
        """An item that is wrong everywhere is told so everywhere."""
        item = Item("", "t" * 1_001, 10_001, ("",), ("",), {"X": ""}, {"": math.nan})
        assert [each.field for each in check_item(item, "i")] == [
            "i.item_id",
            "i.title",
            "i.year",
            "i.genres[0]",
            "i.tags[0]",
            "i.external_ids",
            "i.external_ids[X]",
            "i.attributes key",
            "i.attributes[]",
        ]

    def test_too_many_words_are_not_all_told(self) -> None:
        """A list over its limit is checked only up to the limit: a million wrong words make no million violations."""
        found = check_item(Item("1", tags=("",) * 1_000), "i")
        assert found[0] == FieldViolation("i.tags", "has 1000 entries, at most 256 are allowed")
        assert len(found) == 257
