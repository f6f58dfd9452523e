"""The language of conditions on attributes: `country=NL`, `country=NL,BE`, `age=20..30`, `country!=NL`.

A name, `=` or `!=`, and a value, several values, or a range of numbers. Whatever JSON calls a number is one, true and
false are booleans, all else is text; in double quotes everything is text: `zip="1012"`, `plot="love, war"`.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.struct_pb2 import Value

from cli.origins import Origins, origin_of
from cli.output import misused
from kindred.v1.filter_pb2 import AttributeCondition, AttributeFilter, NumberRange

_EXAMPLES = "for instance age=20..30, country=NL,BE or country!=NL"
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_RANGE = re.compile(rf"({_NUMBER})?\s*\.\.\s*({_NUMBER})?")
_NAME = re.compile(r'[^=!<>"]+')
_OPERATOR = re.compile(r"\s*(!=|=(?!=))\s*")
_BARE = re.compile(r"[^,]*")
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as it was typed.

    Args:
        message: What the attribute is to be.
        negated: Whether it is not to be that.
        origin: Where it was typed, for messages.
    """

    message: AttributeCondition
    negated: bool
    origin: str


class _WrongError(ValueError):
    """What is wrong with a text, and at which character."""

    def __init__(self, problem: str, place: int) -> None:
        super().__init__(f"{problem} (character {place + 1})")


def read_condition(option: str, text: str) -> Condition:
    """Reads the condition that was given to an option.

    Args:
        option: The option.
        text: What was typed.

    Raises:
        typer.Exit: It is none; standard error says what is wrong with it, and where.
    """
    return parse_condition(text, origin_of(option, text))


def parse_condition(text: str, origin: str) -> Condition:
    """Reads a condition.

    Args:
        text: The condition.
        origin: Where it was typed, for messages.

    Raises:
        typer.Exit: It is none; standard error says what is wrong with it, and where.
    """
    try:
        message, negated = _parse(text)
    except _WrongError as error:
        raise misused(f"{origin}: {error}; {_EXAMPLES}") from None
    return Condition(message, negated, origin)


def attribute_filter(
    every: Sequence[str] | None, some: Sequence[str] | None, *, option: str, some_option: str
) -> tuple[AttributeFilter | None, Origins]:
    """Reads conditions, of which some have to hold all, and of others one.

    Args:
        every: Each has to hold.
        some: At least one has to hold.
        option: The option that those were typed for.
        some_option: The option that these were typed for.

    Returns:
        The filter, None if there is no condition, and where its fields were typed.

    Raises:
        typer.Exit: One is no condition, or cannot stand where it does.
    """
    conditions = [read_condition(option, text) for text in every or ()]
    alternatives = [read_condition(some_option, text) for text in some or ()]
    for each in alternatives:
        if each.negated:
            raise misused(f"{each.origin}: one of several conditions has to be one with =; != stands with {option}")
    groups = {
        "all_of": [each for each in conditions if not each.negated],
        "any_of": alternatives,
        "none_of": [each for each in conditions if each.negated],
    }
    if not conditions and not alternatives:
        return None, {}
    message = AttributeFilter(**{name: [each.message for each in group] for name, group in groups.items()})
    return message, {name: [each.origin for each in group] for name, group in groups.items()}


def shown_condition(condition: AttributeCondition, *, negated: bool = False) -> str:
    """A condition as it would be typed.

    Args:
        condition: What the attribute is to be.
        negated: Whether it is not to be that.
    """
    kind = condition.WhichOneof("condition")
    if kind == "range":
        ends = condition.range
        least = _shown_number(ends.at_least) if ends.HasField("at_least") else ""
        most = _shown_number(ends.at_most) if ends.HasField("at_most") else ""
        value = f"{least}..{most}"
    elif kind == "any_of":
        value = ",".join(map(_shown_value, condition.any_of.values))
    else:
        value = _shown_value(condition.equals)
    name = condition.name
    plain = _NAME.fullmatch(name) and name == name.strip()
    return f"{name if plain else json.dumps(name, ensure_ascii=False)}{'!=' if negated else '='}{value}"


def shown_filter(conditions: AttributeFilter) -> str:
    """Conditions in words: `age=20..30 and country!=NL and (a=1 or b=2)`."""
    parts = [shown_condition(each) for each in conditions.all_of]
    parts += [shown_condition(each, negated=True) for each in conditions.none_of]
    some = " or ".join(map(shown_condition, conditions.any_of))
    if some:
        parts.append(f"({some})" if len(conditions.any_of) > 1 and parts else some)
    return " and ".join(parts)


def _parse(text: str) -> tuple[AttributeCondition, bool]:
    name, end = _name(text)
    operator = _OPERATOR.match(text, end)
    if operator is None:
        if text[end : end + 1] in ("<", ">"):
            raise _WrongError("a comparison is written as a range, age=20.. or age=..30", end)
        raise _WrongError("= or != has to follow the name", end)
    message = AttributeCondition(name=name)
    start = operator.end()
    value = text[start:]
    if ".." in value and "," not in value and not value.startswith('"'):
        message.range.CopyFrom(_range(value.strip(), start))
    else:
        values = _values(text, start)
        if len(values) == 1:
            message.equals.CopyFrom(values[0])
        else:
            message.any_of.values.extend(values)
    return message, operator[1] == "!="


def _name(text: str) -> tuple[str, int]:
    start = len(text) - len(text.lstrip())
    if text[start : start + 1] == '"':
        return _quoted(text, start)
    found = _NAME.match(text, start)
    if found is None:
        raise _WrongError("the name of an attribute is missing", start)
    return _encodable(found[0].rstrip(), start), found.end()


def _values(text: str, start: int) -> list[Value]:
    values = []
    while True:
        start += len(text[start:]) - len(text[start:].lstrip())
        if text[start : start + 1] == '"':
            quoted, end = _quoted(text, start)
            values.append(Value(string_value=quoted))
            end += len(text[end:]) - len(text[end:].lstrip())
        else:
            found = _BARE.match(text, start)
            end = found.end() if found else start
            values.append(_bare(text[start:end].strip(), start))
        if end == len(text):
            return values
        if text[end] != ",":
            raise _WrongError("only a comma may follow a text in quotes", end)
        start = end + 1


def _bare(text: str, place: int) -> Value:
    if not text:
        raise _WrongError("a value is missing", place)
    if '"' in text:
        raise _WrongError("quotes stand around the whole of a text", place + text.index('"'))
    if ".." in text:
        raise _WrongError("a range stands alone, and a text with two dots in double quotes", place)
    if text in ("true", "false"):
        return Value(bool_value=text == "true")
    if re.fullmatch(_NUMBER, text):
        return Value(number_value=_number(text, place))
    return Value(string_value=_encodable(text, place))


def _range(text: str, place: int) -> NumberRange:
    found = _RANGE.fullmatch(text)
    if found is None or found.groups() == (None, None):
        raise _WrongError("a range has a number at one end at least, and a text with two dots stands in quotes", place)
    least, most = (None if end is None else _number(end, place) for end in found.groups())
    if least is not None and most is not None and least > most:
        raise _WrongError("the range ends before it begins", place)
    return NumberRange(at_least=least, at_most=most)


def _number(text: str, place: int) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _WrongError("the number is too large", place)
    return number


def _quoted(text: str, start: int) -> tuple[str, int]:
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise _WrongError("the double quotes have no end, or a wrong \\ between them", error.pos) from None
    return _encodable(value, start), end


def _encodable(text: str, place: int) -> str:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise _WrongError("the text is not Unicode", place)
    return text


def _shown_value(value: Value) -> str:
    kind = value.WhichOneof("kind")
    if kind == "bool_value":
        return str(value.bool_value).lower()
    if kind == "number_value":
        return _shown_number(value.number_value)
    text = value.string_value
    special = (
        text in ("", "true", "false")
        or text != text.strip()
        or re.fullmatch(_NUMBER, text) is not None
        or any(part in text for part in (",", '"', ".."))
        or text.startswith("=")
    )
    return json.dumps(text, ensure_ascii=False) if special else text


def _shown_number(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)  # noqa: PLR2004  # exact so far
