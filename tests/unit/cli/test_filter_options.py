from datetime import UTC, datetime

import pytest
import typer
from google.protobuf.struct_pb2 import Value

from cli.filter_options import item_filter, user_filter
from kindred.v1.filter_pb2 import AttributeCondition, AttributeFilter, ItemFilter, NumberRange, UserFilter


def test_item_filter() -> None:
    """Every option of an item filter arrives, and every field has the option that it was typed for."""
    message, origins = item_filter(
        genre=["Drama", "War"],
        all_genres=["Crime"],
        not_genre=["Horror"],
        tag=["space"],
        all_tags=["old", "long"],
        not_tag=["dull"],
        from_year=1950,
        to_year=1999,
        item=["country=NL", "color!=true"],
        any_item=["length=..90"],
    )
    assert message == ItemFilter(
        genres={"any_of": ["Drama", "War"], "all_of": ["Crime"], "none_of": ["Horror"]},
        tags={"any_of": ["space"], "all_of": ["old", "long"], "none_of": ["dull"]},
        min_year=1950,
        max_year=1999,
        attributes=AttributeFilter(
            all_of=[AttributeCondition(name="country", equals=Value(string_value="NL"))],
            any_of=[AttributeCondition(name="length", range=NumberRange(at_most=90))],
            none_of=[AttributeCondition(name="color", equals=Value(bool_value=True))],
        ),
    )
    assert origins["genres.any_of"] == ["--genre Drama", "--genre War"]
    assert origins["genres.none_of"] == ["--not-genre Horror"]
    assert origins["tags.all_of"] == ["--all-tags old", "--all-tags long"]
    assert (origins["min_year"], origins["max_year"]) == ("--from-year 1950", "--to-year 1999")
    assert origins["attributes.none_of"] == ["--item 'color!=true'"]


def test_year_zero_is_a_year() -> None:
    """A bound of zero is a bound."""
    message, _ = item_filter(from_year=0)
    assert message == ItemFilter(min_year=0)
    assert message.HasField("min_year")


def test_no_item_filter() -> None:
    """Without an option there is no filter, so that the request is the same as ever."""
    assert item_filter() == (None, {})
    assert user_filter() == (None, {})


def test_user_filter() -> None:
    """Every option of a user filter arrives, with the options' names that the command has."""
    message, origins = user_filter(["age=20..30"], ["a=1", "b=2"], "2026-07-01", 20, option="--among")
    assert message == UserFilter(
        attributes=AttributeFilter(
            all_of=[AttributeCondition(name="age", range=NumberRange(at_least=20, at_most=30))],
            any_of=[
                AttributeCondition(name=name, equals=Value(number_value=number))
                for name, number in (("a", 1), ("b", 2))
            ],
        ),
        active_since=datetime(2026, 7, 1, tzinfo=UTC),
        min_ratings=20,
    )
    assert origins == {
        "attributes.all_of": ["--among age=20..30"],
        "attributes.any_of": ["--any-among a=1", "--any-among b=2"],
        "attributes.none_of": [],
        "active_since": "--active-since 2026-07-01",
        "min_ratings": "--min-ratings 20",
    }


def test_time_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A time that is none is wrong usage."""
    with pytest.raises(typer.Exit):
        user_filter(active_since="lately")
    assert capsys.readouterr().err.startswith("kindred: --active-since lately: must be a time: ")
