"""Reads a small CSV file of one person's ratings."""

import csv
from collections.abc import Iterator
from pathlib import Path

import typer

from cli.item_choice import TypedItem
from cli.opinions import Opinion, as_number
from cli.output import complain

MAX_RATINGS = 1_000
"""As many as one request takes."""

_ITEM_COLUMNS = ("item", "item_id", "itemId", "movieId")
_MAX_PROBLEMS = 10


class _BadLineError(Exception):
    """A line that cannot be read; the message says why."""


def read_ratings(path: Path) -> list[Opinion]:
    """Reads a CSV file with a header line: a column item (or item_id, itemId, movieId), a column rating, any others.

    Args:
        path: The file, UTF-8.

    Returns:
        The ratings, in the order of the lines.

    Raises:
        typer.Exit: The file cannot be used; standard error says why, line by line.
    """
    opinions: list[Opinion] = []
    problems: list[str] = []
    with path.open("rb") as file:
        rows = csv.reader(_text_lines(file), strict=True)
        try:
            item_column, rating_column = _columns(next(rows, []))
            for row in filter(None, rows):
                origin = f"{path}:{rows.line_num}"
                try:
                    opinions.append(_opinion(row, item_column, rating_column, origin))
                except _BadLineError as error:
                    problems.append(f"{origin}: {error}")
                if len(opinions) > MAX_RATINGS:
                    problems.append(f"{origin}: more than {MAX_RATINGS:,} ratings, the most that a request takes")
                if len(opinions) > MAX_RATINGS or len(problems) == _MAX_PROBLEMS:
                    break
        except (_BadLineError, csv.Error) as error:
            problems.append(f"{path}:{max(rows.line_num, 1)}: {error}")
        except UnicodeDecodeError as error:
            problems.append(f"{path}:{rows.line_num + 1}: not UTF-8 ({error.reason} at byte {error.start} of the line)")
    for problem in problems:
        complain(problem)
    if problems:
        raise typer.Exit(1)
    return opinions


def _text_lines(file: Iterator[bytes]) -> Iterator[str]:
    # Decoded line by line, so that what is not UTF-8 has a line number.
    for number, line in enumerate(file):
        yield line.decode("utf-8" if number else "utf-8-sig")


def _columns(header: list[str]) -> tuple[int, int]:
    names = [name.strip() for name in header]
    items = [place for place, name in enumerate(names) if name in _ITEM_COLUMNS]
    ratings = [place for place, name in enumerate(names) if name == "rating"]
    if len(items) != 1 or len(ratings) != 1:
        found = ", ".join(names) or "nothing"
        raise _BadLineError(
            f"the header must have one column of {', '.join(_ITEM_COLUMNS)}, and one rating; has {found}"
        )
    return items[0], ratings[0]


def _opinion(row: list[str], item_column: int, rating_column: int, origin: str) -> Opinion:
    if len(row) <= max(item_column, rating_column):
        raise _BadLineError(f"has {len(row)} columns, fewer than the header names")
    item, rating = row[item_column].strip(), row[rating_column]
    value = as_number(rating)
    if not item:
        raise _BadLineError("the item is empty")
    if value is None:
        raise _BadLineError(f"the rating is no number: {rating}")
    return Opinion(TypedItem(item, origin, is_id=True), value)
