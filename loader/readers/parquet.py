"""Parquet files: the same rows as in text tables, with columns that have types already."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from loader.bad_rows import BadRows
from loader.errors import DataError
from loader.files import DataFile
from loader.readers.blocks import Record, read_block
from loader.readers.rating_rows import RatingRows
from loader.source import RatingPart

_BATCH_ROWS = 2**19


@dataclass(frozen=True, slots=True)
class TableBlock:
    """Rows of a parquet file. See `loader.readers.blocks.Block`.

    Args:
        source: The asked columns, as they are stored.
        first_row: The first row, counted from 1.
        types: The columns' types when read; a time that is stored as one stays so.
    """

    source: pa.Table
    first_row: int
    types: Mapping[str, pa.DataType]

    @property
    def rows(self) -> int:
        """See `Block.rows`."""
        return self.source.num_rows

    def table(self) -> pa.Table:
        """See `Block.table`."""
        columns: Any = {name: _cast(self.source[name], kind) for name, kind in self.types.items()}
        return pa.table(columns)

    def records(self) -> Iterator[Record]:
        """See `Block.records`."""
        texts = [_cast(column, pa.string()).to_pylist() for column in self.source.columns]
        for row, fields in enumerate(zip(*texts, strict=True), self.first_row):
            yield Record(row, ["" if field is None else field for field in fields])

    def halves(self) -> "list[TableBlock]":
        """See `Block.halves`."""
        cut = self.rows // 2
        second = replace(self, source=self.source.slice(cut), first_row=self.first_row + cut)
        return [replace(self, source=self.source.slice(0, cut)), second]


def _plain(column: "pa.Array[Any]") -> "pa.Array[Any]":
    """A column whose texts are numbers where it has numbers: thumbs may be stored as true and false."""
    return column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column


def _cast(column: "pa.ChunkedArray[Any]", kind: pa.DataType) -> "pa.ChunkedArray[Any]":
    if pa.types.is_timestamp(column.type) and kind != pa.string():
        return column
    if pa.types.is_dictionary(kind):
        return column.cast(pa.string()).dictionary_encode()
    return column.cast(kind)


def parquet_row_count(path: Path) -> int:
    """How many rows a parquet file has."""
    return _open_parquet(path).metadata.num_rows


def parquet_ratings(path: Path, rows: RatingRows, asked: Sequence[str], bad_rows: BadRows) -> Iterator[RatingPart]:
    """Reads a parquet file of ratings; a part's size is in rows.

    Args:
        path: The file.
        rows: What a good row is; times that are stored as such need no unit.
        asked: Its columns for user, item, rating and, if `rows` is timed, time.
        bad_rows: Takes the other rows.

    Raises:
        DataError: It cannot be read, lacks a column, or has a bad row and bad rows stop the load.
    """
    file = _open_parquet(path)
    _check_columns(path, file, asked)
    if rows.timed and pa.types.is_timestamp(file.schema_arrow.field(asked[-1]).type):
        rows = replace(rows, time_unit="iso")
    row = 1
    for batch in file.iter_batches(_BATCH_ROWS, columns=list(dict.fromkeys(asked))):
        source = pa.table([_plain(batch.column(name)) for name in asked], names=list(rows.types))
        for chunk in read_block(str(path), TableBlock(source, row, rows.types), rows, bad_rows):
            yield RatingPart(chunk, 0)
        yield RatingPart(None, batch.num_rows)
        row += batch.num_rows


def parquet_rows(path: Path, asked: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Reads a small parquet file row by row.

    Args:
        path: The file.
        asked: The columns.

    Yields:
        The row, counted from 1, and its asked fields as text; `|` between the entries of a list.

    Raises:
        DataError: It cannot be read, or lacks a column.
    """
    file = _open_parquet(path)
    _check_columns(path, file, asked)
    row = 1
    for batch in file.iter_batches(columns=list(dict.fromkeys(asked))):
        for record in batch.to_pylist():
            yield row, [_text(record[name]) for name in asked]
            row += 1


def _text(value: object) -> str:
    if isinstance(value, list):
        return "|".join(str(each) for each in value)
    return "" if value is None else str(value)


def _open_parquet(path: Path) -> parquet.ParquetFile:
    DataFile.at(path)
    try:
        return parquet.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise DataError(str(path), None, f"is no parquet file ({error})") from error


def _check_columns(path: Path, file: parquet.ParquetFile, asked: Sequence[str]) -> None:
    for name in asked:
        if name not in file.schema_arrow.names:
            raise DataError(str(path), None, f"no column {name!r}; there are: {', '.join(file.schema_arrow.names)}")
