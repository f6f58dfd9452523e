import pytest

from kindred.attribute_filter import AnyOf, AttributeFilter, Condition, Equals, Has, InRange
from kindred.stores.clauses import (
    BooleanIs,
    Clause,
    Clauses,
    NumberIn,
    OneOf,
    Present,
    TextIn,
    TimeFrom,
    attribute_key,
    clauses_of,
)
from kindred.user_filter import EVERY_USER, UserFilter

A = 'attributes."a"'


@pytest.mark.parametrize(
    ("condition", "clause"),
    [
        (Equals("a", "x"), TextIn(A, ("x",))),
        (Equals("a", True), BooleanIs(A, True)),
        (Equals("a", 3), NumberIn(A, 3.0, 3.0)),
        (AnyOf("a", ("x", "y", "x")), TextIn(A, ("x", "y"))),
        (AnyOf("a", (1, 1.0)), NumberIn(A, 1.0, 1.0)),
        (AnyOf("a", ("x", 1, True)), OneOf((TextIn(A, ("x",)), BooleanIs(A, True), NumberIn(A, 1.0, 1.0)))),
        (AnyOf("a", (0, False)), OneOf((BooleanIs(A, False), NumberIn(A, 0.0, 0.0)))),
        (AnyOf("a", ()), NumberIn(A, 1.0, 0.0)),
        (InRange("a", 1), NumberIn(A, 1.0, None)),
        (InRange("a", at_most=2.5), NumberIn(A, None, 2.5)),
        (Has("a"), Present(A)),
    ],
    ids=repr,
)
def test_conditions_become_clauses_of_their_type(condition: Condition, clause: Clause) -> None:
    """Strings are matched, numbers are ranges of floats, booleans are neither, and no values are met by nothing."""
    assert clauses_of(UserFilter(AttributeFilter((condition,)))) == Clauses(must=(clause,))
    assert clauses_of(UserFilter(AttributeFilter((), (condition,)))) == Clauses(should=(clause,))
    assert clauses_of(UserFilter(AttributeFilter((), (), (condition,)))) == Clauses(must_not=(clause,))


def test_activity_is_asked_of_fields_of_ours() -> None:
    """When somebody last rated and how much are clauses that must hold."""
    asked = UserFilter(active_since=5, min_ratings=7)
    assert clauses_of(asked) == Clauses(must=(TimeFrom("last_rated_at", 5), NumberIn("rating_count", 7.0, None)))
    assert clauses_of(EVERY_USER) == Clauses()


@pytest.mark.parametrize("name", ['a"b', "a\\b"])
def test_no_path_leads_to_some_names(name: str) -> None:
    """A quote or a backslash in a name is an error: the path would lead somewhere else."""
    with pytest.raises(ValueError, match="no path leads to"):
        attribute_key(name)
