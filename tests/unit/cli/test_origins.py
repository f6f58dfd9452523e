import pytest

from cli.origins import origin_of, place_of, under

ORIGINS = {
    "ratings": ["--like 50", "mine.csv:2"],
    "items.genres.any_of": ["--genre Drama", "--genre Komedy"],
    "items.min_year": "--from-year 2000",
    "items.genres": "--genre",
}


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("items.genres.any_of[1]", "--genre Komedy"),
        ("ratings[1].value", "mine.csv:2: value"),
        ("items.min_year", "--from-year 2000"),
        ("items.genres", "--genre"),
        ("items.genres.any_of", "--genre: any_of"),
        ("items.genres.none_of[0]", "--genre: none_of[0]"),
        ("ratings[2].value", "ratings[2].value"),
        ("ratings", "ratings"),
        ("items.min_year_of", "items.min_year_of"),
        ("user_id", "user_id"),
        ("", ""),
        ("ratings[]", "ratings[]"),
        ("ratings[x]", "ratings[x]"),
    ],
)
def test_places(field: str, place: str) -> None:
    """A field is said of the option that it was typed for, with the rest of its path; else it is its path."""
    assert place_of(field, ORIGINS) == place


def test_fields_of_a_field() -> None:
    """The origins of a message are those of its fields below the field that has it."""
    assert under("items", {"min_year": "--from-year 1990"}) == {"items.min_year": "--from-year 1990"}


def test_origins_can_be_typed_again() -> None:
    """What is quoted is quoted for a shell, and of a very long text the beginning is."""
    assert origin_of("--like", "toy story") == "--like 'toy story'"
    assert origin_of("", "50=5") == "50=5"
    assert origin_of("--limit", 5) == "--limit 5"
    assert origin_of("--like", "x" * 1000) == f"--like '{'x' * 100}…'"
