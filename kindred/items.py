"""Items and what may stand in them. Pure."""

import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from kindred.errors import FieldViolation
from kindred.ratings import Attributes

MAX_ID_LENGTH = 256
MAX_TITLE_LENGTH = 1_000
MAX_TEXT_LENGTH = 1_000
MAX_NAME_LENGTH = 100
MAX_ATTRIBUTES = 64
MAX_GENRES = 64
MAX_TAGS = 256
MAX_EXTERNAL_IDS = 16
MAX_NUMBER = sys.float_info.max
YEARS = range(-10_000, 10_001)


@dataclass(frozen=True, slots=True)
class Item:
    """Something that users rate.

    Args:
        item_id: The catalog's own id.
        title: What people call it, without the year.
        year: The year it came out, if known.
        genres: Its genres.
        tags: Its tags.
        external_ids: Ids in other catalogs by scheme: `{"imdb": "tt0133093", "tmdb": "603"}`.
        attributes: Flat facts.
    """

    item_id: str
    title: str = ""
    year: int | None = None
    genres: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    external_ids: Mapping[str, str] = field(default_factory=dict)
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """An item as stored.

    Args:
        index: Its dimension in the users' vectors, below 2^32.
        item: The item.
        rated_count: How many users have rated it, when last counted.
        liked_count: How many of them like it (four stars or more), when last counted.
    """

    index: int
    item: Item
    rated_count: int = 0
    liked_count: int = 0


def check_id(value: str, name: str) -> list[FieldViolation]:
    """What is wrong with an id: 1 to 256 characters, none of them a control character or a lone surrogate.

    Args:
        value: The id.
        name: The path of the field, for the message.
    """
    if 0 < len(value) <= MAX_ID_LENGTH and value.isprintable():
        return []  # nearly every one, and fast
    if not value:
        return [FieldViolation(name, "must not be empty")]
    if len(value) > MAX_ID_LENGTH:
        return [FieldViolation(name, f"has {len(value):,} characters, at most {MAX_ID_LENGTH} are allowed")]
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
        return [FieldViolation(name, "must not contain control characters")]
    return []


def check_attributes(attributes: Mapping[str, object], name: str) -> list[FieldViolation]:
    """What is wrong with attributes: at most 64 strings, finite numbers and booleans under short names."""
    if len(attributes) > MAX_ATTRIBUTES:
        return [FieldViolation(name, f"has {len(attributes)} entries, at most {MAX_ATTRIBUTES} are allowed")]
    found = []
    for key, value in attributes.items():
        found += check_name(key, f"{name} key")
        found += check_value(value, f"{name}[{key[:MAX_NAME_LENGTH]}]")
    return found


def check_name(value: str, name: str) -> list[FieldViolation]:
    """What is wrong with the name of an attribute: 1 to 100 characters, no lone surrogate among them.

    Args:
        value: The name of the attribute.
        name: The path of the field, for the message.
    """
    return _check_text(value, name, MAX_NAME_LENGTH)


def check_value(value: object, name: str) -> list[FieldViolation]:
    """What is wrong with the value of an attribute: a string of at most 1,000 characters, a finite number, a boolean.

    Args:
        value: The value.
        name: The path of the field, for the message.
    """
    if isinstance(value, str):
        return _check_text(value, name, MAX_TEXT_LENGTH, empty=True)
    if isinstance(value, bool | int | float) and -MAX_NUMBER <= value <= MAX_NUMBER:
        return []
    return [FieldViolation(name, "must be a string, a finite number or a boolean")]


def check_item(item: Item, name: str) -> list[FieldViolation]:
    """What is wrong with an item.

    Args:
        item: The item.
        name: The path of its field, for the messages.
    """
    found = check_id(item.item_id, f"{name}.item_id")
    found += _check_text(item.title, f"{name}.title", MAX_TITLE_LENGTH, empty=True)
    if item.year is not None and item.year not in YEARS:
        found.append(FieldViolation(f"{name}.year", f"must be {YEARS[0]} to {YEARS[-1]}"))
    for words, field_name, most in ((item.genres, "genres", MAX_GENRES), (item.tags, "tags", MAX_TAGS)):
        if len(words) > most:
            found.append(
                FieldViolation(f"{name}.{field_name}", f"has {len(words)} entries, at most {most} are allowed")
            )
        for place, word in enumerate(words[:most]):
            found += _check_text(word, f"{name}.{field_name}[{place}]", MAX_NAME_LENGTH)
    if len(item.external_ids) > MAX_EXTERNAL_IDS:
        found.append(FieldViolation(f"{name}.external_ids", f"at most {MAX_EXTERNAL_IDS} are allowed"))
    for scheme, external_id in item.external_ids.items():
        if not (scheme.isascii() and scheme.isalnum() and scheme == scheme.lower() and len(scheme) <= MAX_NAME_LENGTH):
            rule = f"a scheme is 1 to {MAX_NAME_LENGTH} lower-case letters and digits"
            found.append(FieldViolation(f"{name}.external_ids", rule))
        found += check_id(external_id, f"{name}.external_ids[{scheme[:MAX_NAME_LENGTH]}]")
    return found + check_attributes(item.attributes, f"{name}.attributes")


def _check_text(value: str, name: str, most: int, *, empty: bool = False) -> list[FieldViolation]:
    if (value or empty) and len(value) <= most and value.isprintable():
        return []
    if not value and not empty:
        return [FieldViolation(name, "must not be empty")]
    if len(value) > most:
        return [FieldViolation(name, f"has {len(value):,} characters, at most {most:,} are allowed")]
    if any(unicodedata.category(char) == "Cs" for char in value):
        return [FieldViolation(name, "must be text: a lone surrogate is none")]
    return []
