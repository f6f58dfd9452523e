"""What the client commands print: tables for people, JSON for scripts, one clear line for errors."""

import io
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TextIO

import typer
from google.protobuf.json_format import MessageToJson
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

    from kindred.v1.item_pb2 import Item

_UNBOUNDED_WIDTH = 1_000_000
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Args:
        heading: Its name.
        justify: "right" for numbers.
        keep: Whether it stays whole while others give way on a narrow terminal: ids are there to be copied.
    """

    heading: str
    justify: Literal["left", "right"] = "left"
    keep: bool = False


ID = Column("id", keep=True)
TITLE = Column("title")
YEAR = Column("year", justify="right", keep=True)


def clean(text: str) -> str:
    """Text from elsewhere, safe to print: no control characters, nothing that turns the direction of writing.

    Args:
        text: Any text.

    Returns:
        The text on one line; what separates lines or words is a blank, other control characters are gone.
    """
    blanks = "".join(" " if char.isspace() else char for char in text)
    return "".join(
        char for char in blanks if unicodedata.category(char) not in ("Cc", "Cs") and char not in _BIDI_CONTROLS
    )


def title_of(item: "Item") -> str:
    """What to call an item: its title with the year, or its id if it has no title."""
    title = item.title or item.item_id
    return f"{title} ({item.year})" if item.HasField("year") else title


def year_of(item: "Item") -> str:
    """The year of an item, empty if it is not known."""
    return str(item.year) if item.HasField("year") else ""


def decimal(number: float, sign: str = "") -> str:
    """A number with three decimals, or with its exponent if it is so small that they would be zeros.

    Args:
        number: The number.
        sign: "+" to show that it is positive, too.
    """
    small = 0 < abs(number) < 0.0005  # noqa: PLR2004  # what three decimals show as zero
    return f"{number:{sign}.1e}" if small else f"{number:{sign}.3f}"


def time_of(timestamp: "Timestamp") -> str:
    """A time in UTC, to the second."""
    return timestamp.ToDatetime(UTC).strftime("%Y-%m-%d %H:%M:%S")


def rfc3339(milliseconds: int) -> str | None:
    """A time in UTC, for JSON; None if it is in no year that a date can have.

    Args:
        milliseconds: Since 1970.
    """
    try:
        at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def print_json(message: "Message") -> None:
    """Prints a response as protobuf-JSON: every field is there, also if it is empty; pure ASCII.

    Args:
        message: The response.
    """
    _stream(on_stderr=False).write(MessageToJson(message, always_print_fields_with_no_presence=True) + "\n")


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, on_stderr: bool = False) -> None:
    """Prints a table: fitted to a terminal, or one row a line of whatever width where there is none.

    Args:
        columns: The columns.
        rows: A text for each column.
        on_stderr: Whether it goes to standard error.
    """
    console = _console(on_stderr=on_stderr)
    table = Table(
        box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, show_edge=False, header_style="bold"
    )
    cleaned = [[clean(cell) for cell in row] for row in rows]
    for place, column in enumerate(columns):
        widest = max((Text(row[place]).cell_len for row in cleaned), default=0)
        table.add_column(
            column.heading,
            justify=column.justify,
            overflow="fold",
            min_width=min(widest, console.width // 2) if column.keep else None,
        )
    for row in cleaned:
        table.add_row(*(Text(cell) for cell in row))
    if console.is_terminal:
        console.print(table)
    else:
        with console.capture() as captured:
            console.print(table)
        lines = (line.rstrip() for line in captured.get().splitlines())
        console.file.write("".join(f"{line}\n" for line in lines))


def say(text: str, *, quietly: bool = False) -> None:
    """Prints a line.

    Args:
        text: What to say.
        quietly: Whether it may be dim: it says something about the answer, it is not the answer.
    """
    console = _console(on_stderr=False)
    if console.is_terminal:
        console.print(Text(clean(text), style="dim" if quietly else ""), soft_wrap=True)
    else:
        console.file.write(clean(text) + "\n")


def complain(text: str) -> None:
    """Prints one line on standard error that says what went wrong.

    Args:
        text: What went wrong; never more than one line comes out.
    """
    _stream(on_stderr=True).write(f"kindred: {clean(text)}\n")


def failed(text: str) -> typer.Exit:
    """Says what went wrong.

    Args:
        text: What went wrong.

    Returns:
        What to raise: exit code 1.
    """
    complain(text)
    return typer.Exit(1)


def misused(text: str) -> typer.Exit:
    """Says what is wrong with the command line.

    Args:
        text: What is wrong and what would be right.

    Returns:
        What to raise: exit code 2.
    """
    complain(text)
    return typer.Exit(2)


def _console(*, on_stderr: bool) -> Console:
    console = Console(file=_stream(on_stderr=on_stderr), markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED_WIDTH
    return console


def _stream(*, on_stderr: bool) -> TextIO:
    stream = sys.stderr if on_stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # a title that this encoding lacks is no reason to fail
    return stream
