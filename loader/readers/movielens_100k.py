"""MovieLens 100K: u.data, u.item and u.user."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kindred.items import Item
from kindred.ratings import Attributes, RatingScale
from loader.bad_rows import BadRows
from loader.files import DataFile
from loader.readers.catalog import CatalogRows, split_title, users_from
from loader.readers.rating_rows import RatingRows, text_ratings
from loader.readers.text import TextFormat, text_rows
from loader.source import WHOLE_STARS, RatingPart

FILES = ("u.data", "u.item", "u.user")

GENRES = (
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
"""The genres of u.item's last columns, without the first of them, `unknown`."""

_RATINGS = ("user", "item", "rating", "time")
_ITEMS = ("item", "title", "released", "released_on_video", "imdb_url", "unknown", *GENRES)
_USERS = ("user", "age", "gender", "occupation", "zip_code")


@dataclass(frozen=True, slots=True)
class MovieLens100K:
    """Reads the data set. See `loader.source.DataSource`.

    Args:
        name: What the collection is called.
        files: The data set's files by name.
    """

    name: str
    files: Mapping[str, DataFile]
    scale: RatingScale = WHOLE_STARS

    @property
    def size(self) -> int:
        """See `DataSource.size`."""
        return self.files["u.data"].size

    def items(self, bad_rows: BadRows) -> list[Item]:
        """See `DataSource.items`. The year is the title's, or that of the release."""
        file = self.files["u.item"]
        catalog = CatalogRows(str(file), bad_rows)
        asked = ("item", "title", "released", *GENRES)
        for line, (item_id, text, released, *flags) in text_rows(file, _format(_ITEMS, "|"), asked, bad_rows):
            title, year = split_title(text)
            if year is None and released[-4:].isdigit():
                year = int(released[-4:])
            genres = tuple(genre for genre, flag in zip(GENRES, flags, strict=True) if flag == "1")
            catalog.add(line, Item(item_id, title, year, genres))
        return catalog.items

    def user_attributes(self, bad_rows: BadRows) -> Mapping[str, Attributes]:
        """See `DataSource.user_attributes`."""
        file = self.files["u.user"]
        rows = text_rows(file, _format(_USERS, "|"), _USERS, bad_rows)
        people = ((line, user, dict(zip(_USERS[1:], facts, strict=True))) for line, (user, *facts) in rows)
        return users_from(str(file), people, bad_rows)

    def ratings(self, bad_rows: BadRows) -> Iterator[RatingPart]:
        """See `DataSource.ratings`."""
        text = _format(_RATINGS, "\t")
        return text_ratings(self.files["u.data"], text, _RATINGS, RatingRows(self.scale), bad_rows)


def _format(columns: tuple[str, ...], delimiter: str) -> TextFormat:
    return TextFormat(delimiter, columns, quoted=False, encoding="latin-1")
