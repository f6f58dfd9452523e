"""What may be wrong with filters: bounds, conditions that contradict one another, names that nobody has. Pure.

Whatever is found names the condition by its path, `neighbors.filter.attributes.all_of[0].range`.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import chain

from kindred.attribute_filter import AnyOf, AttributeFilter, Condition, Equals, Has, InRange, is_number
from kindred.errors import FieldViolation
from kindred.items import MAX_NUMBER, check_name, check_value
from kindred.nearest import nearest
from kindred.ratings import AttributeValue
from kindred.user_filter import UserFilter

MAX_CONDITIONS = 32
MAX_VALUES = 256
MAX_MIN_RATINGS = 1_000_000
EARLIEST, LATEST = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, in milliseconds since 1970."""
_LISTS = ("all_of", "any_of", "none_of")
_SUGGESTED = 3
"""For how many unknown names of a request the nearest are looked for: that takes up to some 10 ms each."""
_SHOWN = 3
UNQUOTABLE = '"\\'
"""What no filter on users has a way to write."""


def check_user_filter(asked: UserFilter, name: str) -> list[FieldViolation]:
    """What is wrong with a filter on users.

    Args:
        asked: The filter.
        name: The path of its field, for the messages.
    """
    found = check_attribute_filter(asked.attributes, f"{name}.attributes")
    for path, condition in _placed(asked.attributes, f"{name}.attributes"):
        if any(char in UNQUOTABLE for char in condition.name):
            rule = 'no filter on users reaches a name with " or \\ in it; set the attribute under another name'
            found.append(FieldViolation(f"{path}.name", rule))
    if asked.active_since is not None and not EARLIEST <= asked.active_since <= LATEST:
        found.append(FieldViolation(f"{name}.active_since", "must be a time between the years 1 and 9999"))
    if asked.min_ratings is not None and not 1 <= asked.min_ratings <= MAX_MIN_RATINGS:
        found.append(FieldViolation(f"{name}.min_ratings", f"must be 1 to {MAX_MIN_RATINGS:,}"))
    return found


def check_attribute_filter(asked: AttributeFilter, name: str) -> list[FieldViolation]:
    """What is wrong with a filter on attributes, of users or of items.

    Args:
        asked: The filter.
        name: The path of its field, for the messages.
    """
    if len(asked.conditions) > MAX_CONDITIONS:
        rule = f"has {len(asked.conditions):,} conditions, at most {MAX_CONDITIONS} are allowed"
        return [FieldViolation(name, rule)]
    found = [violation for path, each in _placed(asked, name) for violation in check_condition(each, path)]
    return found or _contradictions(asked, name)


def check_condition(condition: Condition, name: str) -> list[FieldViolation]:
    """What is wrong with one condition.

    Args:
        condition: The condition.
        name: Its path, for the messages.
    """
    found = check_name(condition.name, f"{name}.name")
    match condition:
        case Equals():
            found += check_value(condition.value, f"{name}.equals")
        case AnyOf(values=()):
            found.append(FieldViolation(f"{name}.any_of", "names no value, so nothing could meet it"))
        case AnyOf(values=values) if len(values) > MAX_VALUES:
            rule = f"has {len(values):,} values, at most {MAX_VALUES} are allowed"
            found.append(FieldViolation(f"{name}.any_of", rule))
        case AnyOf():
            for place, value in enumerate(condition.values):
                found += check_value(value, f"{name}.any_of[{place}]")
        case InRange():
            found += _check_range(condition, f"{name}.range")
        case Has():
            pass
    return found


def check_known_names(asked: AttributeFilter, known: AbstractSet[str], name: str) -> list[FieldViolation]:
    """The names of a filter that nobody and nothing has, with the nearest known ones.

    Args:
        asked: The filter.
        known: Names that are there: those of the filter's names that are, and any others.
        name: The path of its field, for the messages.
    """
    unknown = [(path, condition.name) for path, condition in _placed(asked, name) if condition.name not in known]
    names = sorted(known) if unknown else []  # they may be many, as may be the conditions
    found = []
    for place, (path, wrong) in enumerate(unknown):
        alike = (each for each in names if each[:1].casefold() == wrong[:1].casefold())
        near = nearest(wrong, chain(alike, names)) if place < _SUGGESTED else []
        near = near or names[:_SHOWN]
        hint = f"; there is {' and '.join(map(repr, near))}" if near else ""
        found.append(FieldViolation(f"{path}.name", f"no attribute {wrong!r} is known{hint}"))
    return found


def _placed(asked: AttributeFilter, name: str) -> Iterator[tuple[str, Condition]]:
    for which in _LISTS:
        for place, condition in enumerate(getattr(asked, which)):
            yield f"{name}.{which}[{place}]", condition


def _check_range(condition: InRange, name: str) -> list[FieldViolation]:
    bounds = {"at_least": condition.at_least, "at_most": condition.at_most}
    given = {which: bound for which, bound in bounds.items() if bound is not None}
    if not given:
        return [FieldViolation(name, "has no end: give at_least, at_most or both")]
    wrong = [which for which, bound in given.items() if not (is_number(bound) and -MAX_NUMBER <= bound <= MAX_NUMBER)]
    if wrong:
        return [FieldViolation(f"{name}.{which}", "must be a finite number") for which in wrong]
    if len(given) > 1 and given["at_least"] > given["at_most"]:
        return [FieldViolation(name, f"at_least {given['at_least']:g} is above at_most {given['at_most']:g}")]
    return []


def _contradictions(asked: AttributeFilter, name: str) -> list[FieldViolation]:
    """Pairs of conditions that nothing meets."""
    found = []
    wanted: dict[object, int] = {}
    values: dict[str, tuple[object, int]] = {}
    for place, condition in enumerate(asked.all_of):
        wanted.setdefault(_identity(condition), place)
        if isinstance(condition, Equals):
            value, first = values.setdefault(condition.name, (_typed(condition.value), place))
            if value != _typed(condition.value):
                rule = f"contradicts all_of[{first}], which wants another value of {condition.name!r}"
                found.append(FieldViolation(f"{name}.all_of[{place}].equals", rule))
    for place, condition in enumerate(asked.none_of):
        first_wanted = wanted.get(_identity(condition))
        if first_wanted is not None:
            rule = f"refuses what all_of[{first_wanted}] wants, so nothing could meet both"
            found.append(FieldViolation(f"{name}.none_of[{place}]", rule))
    return found


def _identity(condition: Condition) -> object:
    """Something that equal conditions share: True and 1 are different values, and the order of several is no matter."""
    match condition:
        case Equals():
            return ("any", condition.name, frozenset([_typed(condition.value)]))
        case AnyOf():
            return ("any", condition.name, frozenset(map(_typed, condition.values)))
    return condition


def _typed(value: AttributeValue) -> tuple[str, AttributeValue]:
    return ("number", float(value)) if is_number(value) else (type(value).__name__, value)
