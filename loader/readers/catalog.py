"""What the catalogs of the formats have in common: titles with years, genres, and items that must be good and new."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kindred.items import MAX_NAME_LENGTH, Item, check_attributes, check_item
from kindred.ratings import Attributes
from loader.bad_rows import BadRows
from loader.readers.rating_rows import id_reason

_TITLE = re.compile(r"(?P<title>.*\S)\s*\((?P<year>\d{4})(?:[-\u2013]\d{0,4})?\)\s*", re.DOTALL)
_NO_GENRES = {"", "(no genres listed)", "unknown"}


def split_title(text: str) -> tuple[str, int | None]:
    """Takes the year from the end of a title: `Toy Story (1995)` is `Toy Story` of 1995, `(2006-2007)` is 2006."""
    if match := _TITLE.fullmatch(text):
        return match["title"].strip(), int(match["year"])
    return text.strip(), None


def split_genres(text: str, separator: str = "|") -> tuple[str, ...]:
    """The genres in a text, each once; none where it says that there are none."""
    genres = (genre.strip() for genre in text.split(separator))
    return tuple(dict.fromkeys(genre for genre in genres if genre not in _NO_GENRES))


def clean_tag(text: str) -> str:
    """A tag without spaces around it and within the allowed length."""
    return text.strip()[:MAX_NAME_LENGTH].rstrip()


@dataclass(slots=True)
class CatalogRows:
    """Collects the good items of a file, each once.

    Args:
        file: The file, for the errors.
        bad_rows: Takes the others.
    """

    file: str
    bad_rows: BadRows
    items: list[Item] = field(default_factory=list)
    _lines: dict[str, int] = field(default_factory=dict)

    def add(self, line: int, item: Item) -> None:
        """Takes the item of a line."""
        if (first := self._lines.get(item.item_id)) is not None:
            self.bad_rows.add(self.file, line, f"item {item.item_id!r} is on line {first} already")
        elif violations := check_item(item, "item"):
            reason = "; ".join(f"{each.field} {each.description}" for each in violations)
            self.bad_rows.add(self.file, line, reason)
        else:
            self._lines[item.item_id] = line
            self.items.append(item)


def users_from(
    file: str, rows: Iterable[tuple[int, str, Mapping[str, str]]], bad_rows: BadRows
) -> dict[str, Attributes]:
    """The attributes of users: whole numbers under `age` become numbers, everything else stays text.

    Args:
        file: The file, for the errors.
        rows: Lines, user ids and attributes as text; an empty text is no attribute.
        bad_rows: Takes users who are there already or whose id or attributes are bad.
    """
    found: dict[str, Attributes] = {}
    for line, user_id, texts in rows:
        attributes: Attributes = {
            name: float(text) if name == "age" and text.isascii() and text.isdigit() else text
            for name, text in texts.items()
            if text
        }
        reason = id_reason(user_id, "user id")
        if reason is None and user_id in found:
            reason = f"user {user_id!r} is there already"
        if reason is None and (violations := check_attributes(attributes, "attributes")):
            reason = f"{violations[0].field} {violations[0].description}"
        if reason is None:
            found[user_id] = attributes
        else:
            bad_rows.add(file, line, reason)
    return found
