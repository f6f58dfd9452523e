import pytest

from kindred.attribute_filter import AnyOf, AttributeFilter, Condition, Equals, Has, InRange
from kindred.ratings import Attributes

ANN: Attributes = {"country": "FR", "age": 30, "height": 1.7, "member": True, "note": ""}


@pytest.mark.parametrize(
    "condition",
    [
        Equals("country", "FR"),
        Equals("note", ""),
        Equals("age", 30),
        Equals("age", 30.0),
        Equals("member", True),
        AnyOf("country", ("DE", "FR")),
        AnyOf("age", ("30", True, 30.0)),
        InRange("age"),
        InRange("age", 30, 30),
        InRange("height", at_least=1.7),
        InRange("height", at_most=1.7),
        Has("note"),
        Has("member"),
    ],
    ids=repr,
)
def test_conditions_that_are_met(condition: Condition) -> None:
    """An equal value, one of several, a number within the bounds and being there at all meet their conditions."""
    assert AttributeFilter(all_of=(condition,)).allows(ANN)
    assert AttributeFilter(any_of=(Equals("country", "DE"), condition)).allows(ANN)
    assert not AttributeFilter(none_of=(condition,)).allows(ANN)


@pytest.mark.parametrize(
    "condition",
    [
        Equals("country", "fr"),
        Equals("country", "F"),
        Equals("age", "30"),
        Equals("age", 31),
        Equals("member", 1),
        Equals("member", "true"),
        Equals("member", False),
        Equals("missing", ""),
        AnyOf("country", ("DE", "IT")),
        AnyOf("country", ()),
        AnyOf("member", (1, 1.0, "True")),
        InRange("age", 30.5),
        InRange("age", at_most=29.9),
        InRange("member", 0, 1),
        InRange("country"),
        InRange("missing"),
        Has("missing"),
        Has("Age"),
    ],
    ids=repr,
)
def test_conditions_that_are_not_met(condition: Condition) -> None:
    """Other values, values of another type (a boolean is no number) and attributes that are not there meet none."""
    assert not AttributeFilter(all_of=(Has("age"), condition)).allows(ANN)
    assert not AttributeFilter(any_of=(condition,)).allows(ANN)
    assert AttributeFilter(none_of=(condition,)).allows(ANN)


def test_a_number_is_not_a_boolean() -> None:
    """1 and 0 are no booleans, whichever side they stand on."""
    assert not AttributeFilter(all_of=(Equals("n", True),)).allows({"n": 1})
    assert not AttributeFilter(all_of=(AnyOf("n", (False, True)),)).allows({"n": 0.0})


def test_the_three_lists_have_to_agree() -> None:
    """A filter allows what meets all of the first list, one of the second and none of the third."""
    asked = AttributeFilter((Has("age"),), (Equals("country", "FR"), InRange("age", 60)), (Equals("member", False),))
    assert asked.allows(ANN)
    assert asked.allows({"age": 70})
    assert not asked.allows({"country": "FR"})
    assert not asked.allows({"age": 50})
    assert not asked.allows({"age": 70, "member": False})


def test_a_filter_without_conditions_allows_all_and_is_false() -> None:
    """An empty filter says nothing; one with a condition in any list says something."""
    assert not AttributeFilter()
    assert AttributeFilter().allows({})
    assert AttributeFilter((Has("a"),))
    assert AttributeFilter((), (Has("a"),))
    assert AttributeFilter((), (), (Has("a"),))


def test_the_conditions_of_all_lists_can_be_had_together() -> None:
    """`conditions` is every condition, in order."""
    assert AttributeFilter((Has("a"),), (Has("b"),), (Has("c"),)).conditions == (Has("a"), Has("b"), Has("c"))
