"""Which genres, tags and attributes of a request no item has, and what may have been meant. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from kindred.attribute_filter import AttributeFilter
from kindred.errors import FieldViolation
from kindred.item_filter import ItemFilter, WordFilter
from kindred.item_indexes import ItemIndexes, Kind
from kindred.word_index import WordIndex

_SUGGESTED = 3
"""For how many unknown names of a request the nearest are looked for: that takes up to some 10 ms each."""
_SHOWN = 3
_SINGULAR: dict[Kind, str] = {"genres": "genre", "tags": "tag", "attributes": "attribute"}


class Named(NamedTuple):
    """A name in a request: what it names, the name itself, and the path of its field."""

    kind: Kind
    name: str
    field: str


def names_in(wanted: ItemFilter, field: str) -> Iterator[Named]:
    """The names in a filter of items.

    Args:
        wanted: The filter.
        field: Its path.
    """
    yield from _words_in(wanted.genres, "genres", f"{field}.genres")
    yield from _words_in(wanted.tags, "tags", f"{field}.tags")
    yield from attributes_in(wanted.attributes, f"{field}.attributes")


def attributes_in(wanted: AttributeFilter, field: str) -> Iterator[Named]:
    """The names in a filter of attributes.

    Args:
        wanted: The filter.
        field: Its path.
    """
    for name, conditions in (("all_of", wanted.all_of), ("any_of", wanted.any_of), ("none_of", wanted.none_of)):
        for place, condition in enumerate(conditions):
            yield Named("attributes", condition.name, f"{field}.{name}[{place}].name")


def unknown_names(named: Iterator[Named], indexes: ItemIndexes) -> list[FieldViolation]:
    """Those of the names that no item has.

    Args:
        named: The names.
        indexes: What the items have.

    Returns:
        One violation a name; the first ones say what is near.
    """
    found: list[FieldViolation] = []
    for kind, name, field in named:
        known = indexes.names(kind)
        if name not in known:
            near = known.nearest(name)[:_SHOWN] if len(found) < _SUGGESTED else []
            found.append(FieldViolation(field, _unknown(kind, name, known, near)))
    return found


def _unknown(kind: Kind, name: str, known: WordIndex, near: list[str]) -> str:
    said = f"no item has the {_SINGULAR[kind]} {name!r}"
    if not len(known):
        return f"{said}: no item of the catalog has any {kind}"
    if near:
        return f"{said}; near it: {_listed(near)}"
    return f"{said}; the most common {kind}: {_listed(known.common(_SHOWN))}"


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def _words_in(wanted: WordFilter, kind: Kind, field: str) -> Iterator[Named]:
    for name, words in (("any_of", wanted.any_of), ("all_of", wanted.all_of), ("none_of", wanted.none_of)):
        for place, word in enumerate(words):
            yield Named(kind, word, f"{field}.{name}[{place}]")
