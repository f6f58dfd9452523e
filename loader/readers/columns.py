"""Any CSV or parquet file, with a mapping that says which column is what."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kindred.items import MAX_TAGS, Item
from kindred.ratings import Attributes, RatingScale
from loader.bad_rows import BadRows
from loader.files import DataFile
from loader.options import TimeUnit
from loader.readers.catalog import CatalogRows, clean_tag, split_genres, split_title
from loader.readers.parquet import parquet_ratings, parquet_row_count, parquet_rows
from loader.readers.rating_rows import RatingRows, text_ratings
from loader.readers.text import TextFormat, text_rows
from loader.source import HALF_STARS, RatingPart


@dataclass(frozen=True, slots=True)
class Table:
    """A file and where in it things are.

    Args:
        path: The file; parquet if it is called so, else text: tabs between the fields in a .tsv, commas in any other.
        columns: By role the name of its column.
    """

    path: Path
    columns: Mapping[str, str]

    @property
    def is_parquet(self) -> bool:
        """Whether it is a parquet file."""
        return self.path.suffix in (".parquet", ".pq")

    @property
    def text(self) -> TextFormat:
        """How a text file is written."""
        return TextFormat("\t" if self.path.suffix == ".tsv" else ",")


@dataclass(frozen=True, slots=True)
class MappedColumns:
    """Reads ratings, and items if there is a file of them. See `loader.source.DataSource`.

    Args:
        name: What the collection is called.
        rating_table: The ratings, with columns for `user`, `item`, and perhaps `rating` and `time`. Without ratings
            each row is a 1 on the scale: one play of a song, say.
        item_table: The items, with columns for `id` and perhaps `title`, `year`, `genres` and `tags`
            (`|` between them); None: the ratings say what items there are.
        scale: The scale of the ratings.
        time_unit: How times are written.
    """

    name: str
    rating_table: Table
    item_table: Table | None = None
    scale: RatingScale = HALF_STARS
    time_unit: TimeUnit = "s"

    @property
    def size(self) -> int:
        """See `DataSource.size`: bytes of a text file, rows of a parquet file."""
        table = self.rating_table
        return parquet_row_count(table.path) if table.is_parquet else DataFile.at(table.path).size

    def items(self, bad_rows: BadRows) -> list[Item] | None:
        """See `DataSource.items`."""
        table = self.item_table
        if table is None:
            return None
        asked = tuple(table.columns.values())
        if table.is_parquet:
            rows = parquet_rows(table.path, asked)
        else:
            rows = text_rows(DataFile.at(table.path), table.text, asked, bad_rows)
        catalog = CatalogRows(str(table.path), bad_rows)
        for line, fields in rows:
            item = _item(dict(zip(table.columns, fields, strict=True)))
            if isinstance(item, Item):
                catalog.add(line, item)
            else:
                bad_rows.add(str(table.path), line, item)
        return catalog.items

    def user_attributes(self, bad_rows: BadRows) -> Mapping[str, Attributes]:  # noqa: ARG002 - as in the protocol
        """See `DataSource.user_attributes`: there are none."""
        return {}

    def ratings(self, bad_rows: BadRows) -> Iterator[RatingPart]:
        """See `DataSource.ratings`."""
        table = self.rating_table
        columns = table.columns
        rows = RatingRows(self.scale, self.time_unit, timed="time" in columns, rated="rating" in columns)
        asked = [table.columns[role] for role in rows.types]
        if table.is_parquet:
            yield from parquet_ratings(table.path, rows, asked, bad_rows)
        else:
            yield from text_ratings(DataFile.at(table.path), table.text, asked, rows, bad_rows)


def _item(fields: Mapping[str, str]) -> Item | str:
    """The item in a row, or the reason why there is none."""
    title, year = split_title(fields.get("title", ""))
    if text := fields.get("year", "").strip():
        try:
            year = int(float(text))
        except (ValueError, OverflowError):
            return f"year {text!r} is no number"
    tags = dict.fromkeys(clean_tag(tag) for tag in fields.get("tags", "").split("|"))
    tags.pop("", None)
    return Item(
        item_id=fields["id"],
        title=title or fields["id"],
        year=year,
        genres=split_genres(fields.get("genres", "")),
        tags=tuple(tags)[:MAX_TAGS],
    )
