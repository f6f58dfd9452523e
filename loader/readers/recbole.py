"""MovieLens 100K as RecBole's atomic files: tab separated, with `name:type` in the first line.

The form is described at https://recbole.io/docs/user_guide/data/atomic_files.html.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kindred.items import Item
from kindred.ratings import Attributes, RatingScale
from loader.bad_rows import BadRows
from loader.files import DataFile
from loader.readers.catalog import CatalogRows, split_genres, split_title, users_from
from loader.readers.rating_rows import RatingRows, text_ratings
from loader.readers.text import TextFormat, text_rows
from loader.source import WHOLE_STARS, RatingPart

FILES = ("ml-100k.inter", "ml-100k.item", "ml-100k.user")

_ATOMIC = TextFormat("\t", quoted=False, typed_header=True)


@dataclass(frozen=True, slots=True)
class RecBole100K:
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
        return self.files["ml-100k.inter"].size

    def items(self, bad_rows: BadRows) -> list[Item]:
        """See `DataSource.items`. The year is the release's; one title still has its own."""
        file = self.files["ml-100k.item"]
        catalog = CatalogRows(str(file), bad_rows)
        asked = ("item_id", "movie_title", "release_year", "class")
        for line, (item_id, text, released, genres) in text_rows(file, _ATOMIC, asked, bad_rows):
            title, year = split_title(text)
            if released.isascii() and released.isdigit():
                year = int(released)
            catalog.add(line, Item(item_id, title, year, split_genres(genres, " ")))
        return catalog.items

    def user_attributes(self, bad_rows: BadRows) -> Mapping[str, Attributes]:
        """See `DataSource.user_attributes`."""
        file, asked = self.files["ml-100k.user"], ("user_id", "age", "gender", "occupation", "zip_code")
        rows = text_rows(file, _ATOMIC, asked, bad_rows)
        people = ((line, user, dict(zip(asked[1:], facts, strict=True))) for line, (user, *facts) in rows)
        return users_from(str(file), people, bad_rows)

    def ratings(self, bad_rows: BadRows) -> Iterator[RatingPart]:
        """See `DataSource.ratings`."""
        asked = ("user_id", "item_id", "rating", "timestamp")
        return text_ratings(self.files["ml-100k.inter"], _ATOMIC, asked, RatingRows(self.scale), bad_rows)
