"""MovieLens latest, 20M, 25M and 32M: ratings.csv, movies.csv, links.csv and tags.csv."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kindred.items import Item
from kindred.ratings import Attributes, RatingScale
from loader.bad_rows import BadRows
from loader.files import DataFile
from loader.readers.catalog import CatalogRows, split_genres, split_title
from loader.readers.rating_rows import RatingRows, text_ratings
from loader.readers.tags import read_tags
from loader.readers.text import TextFormat, text_rows
from loader.source import HALF_STARS, RatingPart

FILES = ("ratings.csv", "movies.csv")

_CSV = TextFormat()


@dataclass(frozen=True, slots=True)
class MovieLensCsv:
    """Reads such a data set; links.csv and tags.csv may be missing. See `loader.source.DataSource`.

    Args:
        name: What the collection is called.
        files: The data set's files by name.
    """

    name: str
    files: Mapping[str, DataFile]
    scale: RatingScale = HALF_STARS

    @property
    def size(self) -> int:
        """See `DataSource.size`."""
        return self.files["ratings.csv"].size

    def items(self, bad_rows: BadRows) -> list[Item]:
        """See `DataSource.items`."""
        links, movies = self._links(bad_rows), self.files["movies.csv"]
        tags: Mapping[str, tuple[str, ...]] = {}
        if file := self.files.get("tags.csv"):
            tags = read_tags(file, _CSV, ("movieId", "tag"), bad_rows)
        catalog = CatalogRows(str(movies), bad_rows)
        for line, (item_id, text, genres) in text_rows(movies, _CSV, ("movieId", "title", "genres"), bad_rows):
            title, year = split_title(text)
            external_ids = links.get(item_id, {})
            catalog.add(
                line, Item(item_id, title, year, split_genres(genres), tags.get(item_id, ()), external_ids=external_ids)
            )
        return catalog.items

    def user_attributes(self, bad_rows: BadRows) -> Mapping[str, Attributes]:  # noqa: ARG002 - as in the protocol
        """See `DataSource.user_attributes`: there are none."""
        return {}

    def ratings(self, bad_rows: BadRows) -> Iterator[RatingPart]:
        """See `DataSource.ratings`."""
        asked = ("userId", "movieId", "rating", "timestamp")
        return text_ratings(self.files["ratings.csv"], _CSV, asked, RatingRows(self.scale), bad_rows)

    def _links(self, bad_rows: BadRows) -> dict[str, dict[str, str]]:
        if not (file := self.files.get("links.csv")):
            return {}
        found = {}
        for line, (item_id, imdb, tmdb) in text_rows(file, _CSV, ("movieId", "imdbId", "tmdbId"), bad_rows):
            if any(number and not (number.isascii() and number.isdigit()) for number in (imdb, tmdb)):
                bad_rows.add(str(file), line, f"imdbId {imdb!r} and tmdbId {tmdb!r} must be digits")
                continue
            ids = {"imdb": imdb and f"tt{imdb:0>7}", "tmdb": tmdb}
            found[item_id] = {scheme: external_id for scheme, external_id in ids.items() if external_id}
        return found
