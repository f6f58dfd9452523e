"""Filters on users as clauses over the fields of their payloads, in a form that every engine of Qdrant's family has.

Engines compare numbers as floats here: a payload may hold 3 or 3.0, and a match on an integer finds only one of them.
"""

from dataclasses import dataclass
from typing import NamedTuple

from kindred.attribute_filter import AnyOf, Condition, Equals, Has, InRange, is_number
from kindred.ratings import AttributeValue
from kindred.user_filter import UserFilter

ATTRIBUTES = "attributes"
RATING_COUNT = "rating_count"
LAST_RATED_AT = "last_rated_at"


class TextIn(NamedTuple):
    """The field is one of these strings, one at least."""

    key: str
    values: tuple[str, ...]


class BooleanIs(NamedTuple):
    """The field is this boolean, which is no number."""

    key: str
    value: bool


class NumberIn(NamedTuple):
    """The field is a number from `at_least` to `at_most`; None is no bound."""

    key: str
    at_least: float | None
    at_most: float | None


class TimeFrom(NamedTuple):
    """The field is this time, in milliseconds since 1970, or a later one."""

    key: str
    at: int


class Present(NamedTuple):
    """The field is there."""

    key: str


class OneOf(NamedTuple):
    """One of these clauses holds; there are two at least."""

    clauses: "tuple[Clause, ...]"


Clause = TextIn | BooleanIs | NumberIn | TimeFrom | Present | OneOf


@dataclass(frozen=True, slots=True)
class Clauses:
    """What a filter asks of a payload.

    Args:
        must: All of these hold.
        should: One of these holds, if there are any.
        must_not: None of these holds.
    """

    must: tuple[Clause, ...] = ()
    should: tuple[Clause, ...] = ()
    must_not: tuple[Clause, ...] = ()


def clauses_of(allowed: UserFilter) -> Clauses:
    """A filter on users as clauses.

    Args:
        allowed: A filter that `check_user_filter` finds nothing wrong with.
    """
    asked = allowed.attributes
    must = [_clause(each) for each in asked.all_of]
    if allowed.active_since is not None:
        must.append(TimeFrom(LAST_RATED_AT, allowed.active_since))
    if allowed.min_ratings is not None:
        must.append(NumberIn(RATING_COUNT, float(allowed.min_ratings), None))
    return Clauses(tuple(must), tuple(map(_clause, asked.any_of)), tuple(map(_clause, asked.none_of)))


def having(name: str) -> Clauses:
    """Who has an attribute of this name."""
    return Clauses(must=(Present(attribute_key(name)),))


WITH_ATTRIBUTES = Clauses(must=(Present(ATTRIBUTES),))
"""Who has attributes at all."""


def attribute_key(name: str) -> str:
    """The path of an attribute in a payload. Unquoted, `.`, `[` and `]` in a name would lead somewhere else.

    Args:
        name: The attribute's name.

    Raises:
        ValueError: The name has a quote or a backslash in it: the engines know no way to write one.
    """
    if '"' in name or "\\" in name:
        raise ValueError(f"no path leads to {name!r}")
    return f'{ATTRIBUTES}."{name}"'


def _clause(condition: Condition) -> Clause:
    key = attribute_key(condition.name)
    match condition:
        case Equals():
            return _among(key, (condition.value,))
        case AnyOf():
            return _among(key, condition.values)
        case InRange():
            bounds = (condition.at_least, condition.at_most)
            return NumberIn(key, *(None if bound is None else float(bound) for bound in bounds))
        case Has():
            return Present(key)


def _among(key: str, values: tuple[AttributeValue, ...]) -> Clause:
    texts = tuple(dict.fromkeys(value for value in values if isinstance(value, str)))
    numbers = dict.fromkeys(float(value) for value in values if is_number(value))
    clauses: list[Clause] = [TextIn(key, texts)] if texts else []
    clauses += [BooleanIs(key, value) for value in dict.fromkeys(each for each in values if isinstance(each, bool))]
    clauses += [NumberIn(key, number, number) for number in numbers]
    if not clauses:
        return NumberIn(key, 1.0, 0.0)  # no value is asked for, so none will do
    return clauses[0] if len(clauses) == 1 else OneOf(tuple(clauses))
