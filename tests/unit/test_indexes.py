import pytest

from kindred.stores.indexes import IndexKind, parse_indexed, user_indexes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (" , ,", {}),
        ("age:number", {"age": IndexKind.NUMBER}),
        (
            "age:number, country : keyword,member:bool",
            {"age": IndexKind.NUMBER, "country": IndexKind.KEYWORD, "member": IndexKind.BOOL},
        ),
        ("a:b:keyword,two words:bool", {"a:b": IndexKind.KEYWORD, "two words": IndexKind.BOOL}),
        ("age:number,age:number", {"age": IndexKind.NUMBER}),
        (",".join(f"n{place}:bool" for place in range(32)), {f"n{place}": IndexKind.BOOL for place in range(32)}),
    ],
)
def test_names_and_kinds_are_read(text: str, expected: dict[str, IndexKind]) -> None:
    """Names with kinds, separated by commas, whatever blanks stand around them."""
    assert parse_indexed(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age", "'age' is no NAME:KIND with a kind of number, keyword, bool"),
        ("age:", "'age:' is no NAME:KIND"),
        ("age:integer", "'age:integer' is no NAME:KIND"),
        ("age:time", "'age:time' is no NAME:KIND"),
        (":number", "':number' names no attribute that can be indexed"),
        ('a"b:number', "names no attribute that can be indexed"),
        ("a\\b:number", "names no attribute that can be indexed"),
        ("n" * 101 + ":number", "names no attribute that can be indexed"),
        ("age:number,age:keyword", "'age' has one kind, not number and keyword"),
        (",".join(f"n{place}:bool" for place in range(33)), "names 33 attributes, at most 32 can be indexed"),
    ],
)
def test_anything_else_is_refused(text: str, message: str) -> None:
    """What is no name with a kind, cannot be indexed or has two kinds is an error that says so."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # what it says is looked at below
        parse_indexed(text)
    assert message in str(refused.value)


def test_activity_is_always_indexed() -> None:
    """The indexes of a collection are those of the attributes, by quoted path, and the two that tell activity."""
    assert user_indexes({"a.b": IndexKind.BOOL}) == {
        "last_rated_at": IndexKind.TIME,
        "rating_count": IndexKind.COUNT,
        'attributes."a.b"': IndexKind.BOOL,
    }
