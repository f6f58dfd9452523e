"""Where the fields of a request were typed: what is wrong with one is said of the place where a person can mend it."""

import re
import shlex
from collections.abc import Mapping, Sequence

Origins = Mapping[str, str | Sequence[str]]
"""By the path of a field: where it was typed; for a repeated one where each element was: `{"ids": ["--like 50"]}`."""

_ELEMENT = re.compile(r"(.*)\[([0-9]+)\]")
_SHOWN = 100
"""How many characters of what was typed a message quotes."""


def origin_of(option: str, text: object) -> str:
    """What was typed, as it can be typed again, its end cut off if it is very long.

    Args:
        option: The option, empty for an argument.
        text: Its value.
    """
    value = str(text)
    shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
    return f"{option} {shlex.quote(shown)}".lstrip()


def under(path: str, origins: Origins) -> Origins:
    """The same for fields of a message that is itself a field.

    Args:
        path: The field that has the message.
        origins: Of the message's own fields.
    """
    return {f"{path}.{field}": origin for field, origin in origins.items()}


def place_of(field: str, origins: Origins) -> str:
    """Says where a field of a request was typed, by the longest part of its path that is known.

    Args:
        field: Its path: `items.genres.any_of[0]`, `ratings[1].value`.
        origins: What is known.

    Returns:
        `--genre Komedy`, `mine.csv:2: value`; the path itself if nothing is known.
    """
    ends = [len(field), *sorted((place for place, char in enumerate(field) if char in ".["), reverse=True)]
    for end in ends:
        origin = _origin(field[:end], origins)
        if origin is not None:
            rest = field[end:].lstrip(".")
            return f"{origin}: {rest}" if rest else origin
    return field


def _origin(path: str, origins: Origins) -> str | None:
    known = origins.get(path)
    if isinstance(known, str):
        return known
    element = _ELEMENT.fullmatch(path)
    elements = origins.get(element[1], ()) if element else ()
    if element is None or isinstance(elements, str) or int(element[2]) >= len(elements):
        return None
    return elements[int(element[2])]
