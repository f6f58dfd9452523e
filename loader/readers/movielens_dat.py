"""MovieLens 1M and 10M: ratings.dat and movies.dat, `::` between the fields; 1M has users.dat, 10M has tags.dat."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kindred.items import Item
from kindred.ratings import Attributes, RatingScale
from loader.bad_rows import BadRows
from loader.files import DataFile
from loader.readers.catalog import CatalogRows, split_genres, split_title, users_from
from loader.readers.rating_rows import RatingRows, text_ratings
from loader.readers.tags import read_tags
from loader.readers.text import TextFormat, text_rows
from loader.source import HALF_STARS, WHOLE_STARS, RatingPart

FILES = ("ratings.dat", "movies.dat")

OCCUPATIONS = (
    "other",
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
)
"""What the codes of users.dat mean, as its README says. An age there is the lowest of its group."""


def _format(*columns: str, encoding: str = "latin-1") -> TextFormat:
    return TextFormat("::", columns, quoted=False, encoding=encoding)


@dataclass(frozen=True, slots=True)
class MovieLensDat:
    """Reads such a data set. See `loader.source.DataSource`.

    Args:
        name: What the collection is called.
        files: The data set's files by name.
    """

    name: str
    files: Mapping[str, DataFile]

    @property
    def scale(self) -> RatingScale:
        """See `DataSource.scale`: whole stars in 1M, half stars in 10M."""
        return WHOLE_STARS if "users.dat" in self.files else HALF_STARS

    @property
    def size(self) -> int:
        """See `DataSource.size`."""
        return self.files["ratings.dat"].size

    def items(self, bad_rows: BadRows) -> list[Item]:
        """See `DataSource.items`."""
        movies = self.files["movies.dat"]
        encoding = "latin-1" if "users.dat" in self.files else "utf-8"
        tags: Mapping[str, tuple[str, ...]] = {}
        if file := self.files.get("tags.dat"):
            tags = read_tags(file, _format("user", "item", "tag", "time", encoding=encoding), ("item", "tag"), bad_rows)
        catalog = CatalogRows(str(movies), bad_rows)
        columns = ("item", "title", "genres")
        for line, (item_id, text, genres) in text_rows(movies, _format(*columns, encoding=encoding), columns, bad_rows):
            title, year = split_title(text)
            catalog.add(line, Item(item_id, title, year, split_genres(genres), tags.get(item_id, ())))
        return catalog.items

    def user_attributes(self, bad_rows: BadRows) -> Mapping[str, Attributes]:
        """See `DataSource.user_attributes`."""
        if not (file := self.files.get("users.dat")):
            return {}
        columns = ("user", "gender", "age", "occupation", "zip_code")
        rows = text_rows(file, _format(*columns), columns, bad_rows)
        names = {f"{code}": name for code, name in enumerate(OCCUPATIONS)}
        people = (
            (line, user, {"gender": gender, "age": age, "occupation": names.get(job, job), "zip_code": zip_code})
            for line, (user, gender, age, job, zip_code) in rows
        )
        return users_from(str(file), people, bad_rows)

    def ratings(self, bad_rows: BadRows) -> Iterator[RatingPart]:
        """See `DataSource.ratings`."""
        columns = ("user", "item", "rating", "time")
        return text_ratings(self.files["ratings.dat"], _format(*columns), columns, RatingRows(self.scale), bad_rows)
