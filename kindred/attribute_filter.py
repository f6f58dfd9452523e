"""Conditions on the attributes of users and items, and what they mean. Pure.

This is the reference: whatever an engine answers for a filter is what `AttributeFilter.allows` says.
"""

from dataclasses import dataclass
from typing import TypeGuard

from kindred.ratings import Attributes, AttributeValue


@dataclass(frozen=True, slots=True)
class Equals:
    """The attribute is there and is this value."""

    name: str
    value: AttributeValue

    def holds(self, attributes: Attributes) -> bool:
        """Whether attributes meet the condition."""
        return self.name in attributes and same(attributes[self.name], self.value)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The attribute is there and is one of these values, whatever their types."""

    name: str
    values: tuple[AttributeValue, ...]

    def holds(self, attributes: Attributes) -> bool:
        """Whether attributes meet the condition."""
        return self.name in attributes and any(same(attributes[self.name], value) for value in self.values)


@dataclass(frozen=True, slots=True)
class InRange:
    """The attribute is there and is a number within these bounds, both inclusive; None is no bound."""

    name: str
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, attributes: Attributes) -> bool:
        """Whether attributes meet the condition."""
        value = attributes.get(self.name)
        if not is_number(value):
            return False
        number = float(value)
        return (self.at_least is None or number >= self.at_least) and (self.at_most is None or number <= self.at_most)


@dataclass(frozen=True, slots=True)
class Has:
    """The attribute is there, whatever its value."""

    name: str

    def holds(self, attributes: Attributes) -> bool:
        """Whether attributes meet the condition."""
        return self.name in attributes


Condition = Equals | AnyOf | InRange | Has
"""What can be asked of one attribute. An attribute that is not there meets no condition."""


@dataclass(frozen=True, slots=True)
class AttributeFilter:
    """Which attributes are allowed; an empty filter allows all and is false.

    Args:
        all_of: Conditions that all have to be met.
        any_of: Conditions of which one at least has to be met, if there are any.
        none_of: Conditions none of which may be met: attributes that are not there are fine.
    """

    all_of: tuple[Condition, ...] = ()
    any_of: tuple[Condition, ...] = ()
    none_of: tuple[Condition, ...] = ()

    def __bool__(self) -> bool:
        """Whether the filter says anything."""
        return bool(self.all_of or self.any_of or self.none_of)

    def allows(self, attributes: Attributes) -> bool:
        """Whether somebody or something with these attributes is allowed."""
        return (
            all(condition.holds(attributes) for condition in self.all_of)
            and (not self.any_of or any(condition.holds(attributes) for condition in self.any_of))
            and not any(condition.holds(attributes) for condition in self.none_of)
        )

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition of the filter."""
        return self.all_of + self.any_of + self.none_of


EVERY_ATTRIBUTE = AttributeFilter()
"""Allows all."""


def same(left: AttributeValue, right: AttributeValue) -> bool:
    """Whether two values are equal: 3 is 3.0, but a boolean is no number, and a string nothing but that string."""
    if is_number(left) and is_number(right):
        return float(left) == float(right)  # every number is a float to the engines
    return type(left) is type(right) and left == right


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
