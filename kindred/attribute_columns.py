"""One attribute of many items as arrays, so that a condition is asked of all of them at once. Pure."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from kindred.attribute_filter import AnyOf, Condition, Equals, Has, InRange, is_number
from kindred.ratings import AttributeValue

_ROOM = 1_000


class AttributeColumn:
    """The values of an attribute, where there are any. A condition is asked once of each different value.

    Args:
        values: The rows that have it, each once, and their values.
    """

    def __init__(self, values: Iterable[tuple[int, AttributeValue]]) -> None:
        self._rows = np.empty(0, np.uint32)
        self._codes = np.empty(0, np.int32)
        self._numbers = np.empty(0)
        self._code_of: dict[tuple[type, AttributeValue], int] = {}
        self._pending: dict[int, AttributeValue | None] = dict(values)

    @property
    def worn(self) -> bool:
        """Whether so many values have come and gone that a new column is better."""
        return len(self._code_of) > 2 * self._rows.size + _ROOM

    def put(self, row: int, value: AttributeValue | None) -> None:
        """Replaces the value of a row.

        Args:
            row: The row.
            value: Its value; None if it has none any more.
        """
        self._pending[row] = value

    def mask(self, condition: Condition, rows: int) -> NDArray[np.bool_]:
        """Which rows meet a condition on this attribute; those without it never do.

        Args:
            condition: The condition. Its name is not looked at.
            rows: How many rows there are.

        Returns:
            Shape (rows,).
        """
        if self._pending:
            self._settle()
        met = np.zeros(rows, np.bool_)
        met[self._rows] = self._values_that_meet(condition)[self._codes]
        return met

    def _values_that_meet(self, condition: Condition) -> NDArray[np.bool_]:
        """Shape (different values,)."""
        match condition:
            case InRange(_, at_least, at_most):
                meets: NDArray[np.bool_] = ~np.isnan(self._numbers)
                if at_least is not None:
                    meets &= self._numbers >= at_least
                if at_most is not None:
                    meets &= self._numbers <= at_most
                return meets
            case Has():
                return np.ones(len(self._code_of), np.bool_)
            case Equals(_, value):
                wanted: tuple[AttributeValue, ...] = (value,)
            case AnyOf(_, wanted):
                pass
        meets = np.zeros(len(self._code_of), np.bool_)
        codes = (self._code_of.get(_key(value)) for value in wanted)
        meets[[code for code in codes if code is not None]] = True
        return meets

    def _settle(self) -> None:
        """Brings the arrays up to what was put."""
        known, code_of = len(self._code_of), self._code_of
        there = {row: value for row, value in self._pending.items() if value is not None}
        codes = [code_of.setdefault(_key(value), len(code_of)) for value in there.values()]
        stays = ~np.isin(self._rows, np.array(list(self._pending), np.uint32))
        self._rows = np.concatenate((self._rows[stays], np.array(list(there), np.uint32)))
        self._codes = np.concatenate((self._codes[stays], np.array(codes, np.int32)))
        new = [value if is_number(value) else np.nan for _, value in list(code_of)[known:]]
        self._numbers = np.concatenate((self._numbers, np.array(new, np.float64)))
        self._pending = {}


def _key(value: AttributeValue) -> tuple[type, AttributeValue]:
    """What only equal values have: 3 is 3.0, but no boolean is a number."""
    return (float, float(value)) if is_number(value) else (type(value), value)
