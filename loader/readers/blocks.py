"""Reads tables in blocks: a good block at once as columns, a bad one row by row, to say which row is bad and why."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol, TypeVar

import pyarrow as pa

from loader.bad_rows import BadRows

ROWS_TO_SEARCH = 1_000
"""A bad block is halved until it is this small; only then its rows are looked at one by one."""

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Record(NamedTuple):
    """A row: its line, and its fields in the order of the asked columns, or the reason why it has none."""

    line: int
    fields: list[str] | str


class Block(Protocol):
    """Consecutive rows of a table."""

    @property
    def rows(self) -> int:
        """How many rows, about."""

    def table(self) -> pa.Table:
        """The asked columns, typed. Raises `pyarrow.ArrowInvalid` if any row is bad."""

    def records(self) -> Iterator[Record]:
        """The rows as text."""

    def halves(self) -> "Iterable[Block]":
        """The same rows in two blocks."""


class Rows(Protocol[T_co]):
    """What the rows of a table are."""

    def from_table(self, table: pa.Table) -> T_co | None:
        """Takes typed columns; None if any row is bad."""

    def reason(self, fields: list[str]) -> str | None:
        """Why a row is bad; None if it is good."""

    def from_fields(self, rows: list[list[str]]) -> T_co:
        """Takes rows that are good, at least one."""


def read_block(file: str, block: Block, rows: Rows[T], bad_rows: BadRows) -> Iterator[T]:
    """Reads a block.

    Args:
        file: Its file, for the errors.
        block: The block.
        rows: What its rows are.
        bad_rows: Takes the bad ones.

    Yields:
        The good rows, in order.

    Raises:
        DataError: A row is bad, and bad rows stop the load.
    """
    try:
        found = rows.from_table(block.table())
    except pa.ArrowInvalid:
        found = None
    if found is not None:
        yield found
    elif block.rows > ROWS_TO_SEARCH:
        for half in block.halves():
            yield from read_block(file, half, rows, bad_rows)
    else:
        good = []
        for line, fields in block.records():
            reason = fields if isinstance(fields, str) else rows.reason(fields)
            if reason is not None:
                bad_rows.add(file, line, reason)
            elif not isinstance(fields, str):
                good.append(fields)
        if good:
            yield rows.from_fields(good)
