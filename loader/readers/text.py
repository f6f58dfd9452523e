"""Text tables: comma, tab, `|` or `::` between the fields; the first line or the format names the columns."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO

import pyarrow as pa
from pyarrow import csv as arrow_csv

from loader.bad_rows import BadRows
from loader.errors import DataError
from loader.files import DataFile
from loader.readers.blocks import Record

BLOCK_BYTES = 16 * 2**20
_PARSE_BYTES = 4 * 2**20
"""What one thread parses at a time; each of these parts has its own list of distinct ids, so they are not small."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How a table is written.

    Args:
        delimiter: What stands between the fields.
        columns: The columns' names; None if the first line names them.
        quoted: Whether a field may stand in double quotes.
        encoding: Of the characters.
        typed_header: Whether the first line has `name:type`.
    """

    delimiter: str = ","
    columns: tuple[str, ...] | None = None
    quoted: bool = True
    encoding: str = "utf-8"
    typed_header: bool = False

    def split(self, line: str) -> list[str]:
        """The fields of a line. Raises `csv.Error` where quotes do not match."""
        if not self.quoted:
            return line.split(self.delimiter)
        return next(csv.reader([line], delimiter=self.delimiter, strict=True), [])


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the asked columns are.

    Args:
        text: How the table is written.
        width: How many columns it has.
        places: Where the asked ones are, in the order in which they were asked for.
    """

    text: TextFormat
    width: int
    places: tuple[int, ...]

    def fields(self, fields: list[str]) -> list[str] | str:
        """The asked fields of a row, or the reason why it is bad."""
        if len(fields) != self.width:
            return f"has {len(fields)} column{'s' * (len(fields) != 1)}, {self.width} are expected"
        asked = [fields[place] for place in self.places]
        if not "".join(asked).isascii():
            try:
                "".join(asked).encode()
            except UnicodeEncodeError:
                return f"is not {self.text.encoding.upper()}"
        return asked


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Whole lines of a text table. See `loader.readers.blocks.Block`.

    Args:
        data: The lines.
        first_line: The line of the first, counted from 1.
        layout: Where the asked columns are.
        types: The asked columns' names and types.
    """

    data: bytes
    first_line: int
    layout: Layout
    types: Mapping[str, pa.DataType]

    @property
    def rows(self) -> int:
        """See `Block.rows`."""
        return self.data.count(b"\n")

    def table(self) -> pa.Table:
        """See `Block.table`."""
        text, names = self.layout.text, [f"{place}" for place in range(self.layout.width)]
        data, delimiter = self.data, text.delimiter
        if len(delimiter) > 1:  # pyarrow splits at one character
            if b"\t" in data:
                raise pa.ArrowInvalid("a tab inside a field")
            data, delimiter = data.replace(delimiter.encode(), b"\t"), "\t"
        wanted = [names[place] for place in self.layout.places]
        table = arrow_csv.read_csv(
            io.BytesIO(data),
            arrow_csv.ReadOptions(column_names=names, block_size=_PARSE_BYTES),
            arrow_csv.ParseOptions(delimiter=delimiter, quote_char='"' if text.quoted else False),
            arrow_csv.ConvertOptions(
                column_types=dict(zip(wanted, self.types.values(), strict=True)), include_columns=wanted
            ),
        )
        return table.rename_columns(list(self.types))

    def records(self) -> Iterator[Record]:
        """See `Block.records`."""
        for line, data in enumerate(self.data.split(b"\n"), self.first_line):
            text = data.decode(self.layout.text.encoding, "surrogateescape").removesuffix("\r")
            if text:
                try:
                    yield Record(line, self.layout.fields(self.layout.text.split(text)))
                except csv.Error as error:
                    yield Record(line, f"has quotes that do not match ({error})")

    def halves(self) -> "list[TextBlock]":
        """See `Block.halves`."""
        middle = len(self.data) // 2
        cut = self.data.rfind(b"\n", 0, middle) + 1 or self.data.find(b"\n", middle) + 1
        first, second = self.data[:cut], self.data[cut:]
        return [replace(self, data=first), replace(self, data=second, first_line=self.first_line + first.count(b"\n"))]


def text_blocks(
    file: DataFile, text: TextFormat, asked: Sequence[str], types: Mapping[str, pa.DataType]
) -> Iterator[TextBlock]:
    """Reads a table in blocks of whole lines, whatever its size. A field has no line breaks.

    Args:
        file: The file.
        text: How it is written.
        asked: The names that the columns of `types` have in the file.
        types: Names and types for the table.

    Raises:
        DataError: A column is missing, or a line is longer than a block.
    """
    with file.open() as stream:
        layout, line = _layout(file, stream, text, asked)
        carry = b""
        while data := stream.read(BLOCK_BYTES):
            end = data.rfind(b"\n") + 1
            if not end and len(carry) > BLOCK_BYTES:
                raise DataError(str(file), line, f"is longer than {BLOCK_BYTES:,} bytes; is this a text file?")
            if end:
                block = TextBlock(carry + data[:end], line, layout, types)
                yield block
                line += block.rows
                carry = b""
            carry += data[end:]
        if carry:
            yield TextBlock(carry, line, layout, types)


def text_rows(
    file: DataFile, text: TextFormat, asked: Sequence[str], bad_rows: BadRows
) -> Iterator[tuple[int, list[str]]]:
    """Reads a small table, a catalog for instance, row by row.

    Args:
        file: The file.
        text: How it is written.
        asked: The columns.
        bad_rows: Takes rows with too few or too many fields.

    Yields:
        The line on which a row begins, and its asked fields.

    Raises:
        DataError: A column is missing, or a row is bad and bad rows stop the load.
    """
    with file.open() as stream:
        layout, line = _layout(file, stream, text, asked)
        lines = (data.decode(text.encoding, "surrogateescape") for data in stream)
        before = line
        try:
            for after, row in _numbered(lines, text):
                begins, before = before, line + after
                if row and row != [""]:
                    fields = layout.fields(row)
                    if isinstance(fields, str):
                        bad_rows.add(str(file), begins, fields)
                    else:
                        yield begins, fields
        except csv.Error as error:
            raise DataError(str(file), before, f"has quotes that do not match ({error})") from error


def _numbered(lines: Iterator[str], text: TextFormat) -> Iterator[tuple[int, list[str]]]:
    """Splits lines into rows, each with the number of its last line: a quoted field may have line breaks."""
    if text.quoted:
        reader = csv.reader(lines, delimiter=text.delimiter)
        yield from ((reader.line_num, row) for row in reader)
    else:
        yield from enumerate((line.rstrip("\r\n").split(text.delimiter) for line in lines), 1)


def _layout(file: DataFile, stream: IO[bytes], text: TextFormat, asked: Sequence[str]) -> tuple[Layout, int]:
    """Finds the asked columns; reads the first line if it names them. Also gives the line where the rows begin."""
    columns, line = text.columns, 1
    if columns is None:
        first = stream.readline(BLOCK_BYTES).removeprefix(_BOM).decode(text.encoding, "replace").rstrip("\r\n")
        try:
            columns, line = tuple(text.split(first)), 2
        except csv.Error as error:
            raise DataError(str(file), 1, f"has quotes that do not match ({error})") from error
        if text.typed_header:
            columns = tuple(column.partition(":")[0] for column in columns)
    for name in asked:
        if name not in columns:
            raise DataError(str(file), 1, f"no column {name!r}; there are: {', '.join(columns)}")
    return Layout(text, len(columns), tuple(columns.index(name) for name in asked)), line
