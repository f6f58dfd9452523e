"""Which items of a catalog have, are or pass what a filter says, for all items at once. Pure.

A mask is an array of booleans by row. Masks are made when they are first asked for and kept until the items change;
the indexes behind them follow the items, so that one new item costs little. Every mask equals what `ItemFilter.allows`
says of each item.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kindred.attribute_filter import AnyOf, AttributeFilter, Condition, Equals, InRange
from kindred.bounded_cache import BoundedCache
from kindred.errors import FieldViolation, ItemNotFoundError
from kindred.filter_effect import FilterEffect
from kindred.item_filter import ItemFilter, WordFilter
from kindred.item_filter_checks import check_item_filter
from kindred.item_indexes import ItemIndexes, Kind
from kindred.items import Item
from kindred.unknown_names import names_in, unknown_names

Mask = NDArray[np.bool_]

CACHE_BYTES = 32 * 2**20
"""What the masks may take together: 500 of them at 60,000 items. Callers choose their years and values."""
_OVERHEAD = 400
"""Bytes that a mask takes beside its array: objects and key, but for the text in the key."""


class ItemMasks:
    """The masks of a catalog, as it is now.

    Args:
        items: The items by row; what is appended or replaced is told to `replace`.
        row_of: The row of an item by its own id or an external one; None if there is none.
    """

    def __init__(self, items: Sequence[Item], row_of: Callable[[str], int | None]) -> None:
        self._row_of = row_of
        self._masks = _MaskCache(CACHE_BYTES)
        self.indexes = ItemIndexes(items)

    @property
    def rows(self) -> int:
        """The length of every mask."""
        return self.indexes.rows

    def replace(self, row: int, old: Item | None, new: Item) -> None:
        """Follows a change of the items.

        Args:
            row: The row that is new or replaced.
            old: What was there; None if the row is new.
            new: What is there now.
        """
        self.indexes.replace(row, old, new)
        self._masks = _MaskCache(CACHE_BYTES)

    def genre(self, name: str) -> Mask:
        """Which items have a genre, whatever its case. Shape (rows,), read-only."""
        return self._word("genres", name)

    def tag(self, name: str) -> Mask:
        """Which items have a tag, whatever its case. Shape (rows,), read-only."""
        return self._word("tags", name)

    def since_year(self, year: int) -> Mask:
        """Which items are of a year or later. Shape (rows,), read-only."""
        return self._year(InRange("year", at_least=year))

    def until_year(self, year: int) -> Mask:
        """Which items are of a year or earlier. Shape (rows,), read-only."""
        return self._year(InRange("year", at_most=year))

    def attribute(self, condition: Condition) -> Mask:
        """Which items meet a condition. Shape (rows,), read-only."""
        key, size = _key(condition)
        if (mask := self._masks.get(key)) is None:
            mask = self._masks.put(key, self.indexes.column(condition.name).mask(condition, self.rows), size)
        return mask

    def candidate_rows(self, candidates: Sequence[str]) -> NDArray[np.int64]:
        """The rows of candidates.

        Args:
            candidates: Own or external ids.

        Returns:
            Shape (n,), in their order.

        Raises:
            ItemNotFoundError: One of them is not in the catalog.
        """
        rows = np.empty(len(candidates), np.int64)
        for place, item_id in enumerate(candidates):
            if (row := self._row_of(item_id)) is None:
                raise ItemNotFoundError(item_id)
            rows[place] = row
        return rows

    def allowed(self, wanted: ItemFilter) -> Mask:
        """Which rows pass a filter. What no item has is no error here: see `check`.

        Args:
            wanted: The filter.

        Returns:
            Shape (rows,), the caller's own.

        Raises:
            ItemNotFoundError: A candidate is not in the catalog.
        """
        passes = np.ones(self.rows, np.bool_)
        for _, mask in self._criteria(wanted):
            passes &= mask
        return passes

    def effects(self, wanted: ItemFilter, base: Mask, field: str = "items") -> tuple[FilterEffect, ...]:
        """How many rows each criterion of a filter refuses by itself.

        Args:
            wanted: The filter.
            base: The rows to count among. Shape (rows,).
            field: The path of the filter.

        Returns:
            One effect a criterion that is given, of genres, tags, years, attributes and candidate_item_ids.

        Raises:
            ItemNotFoundError: A candidate is not in the catalog.
        """
        total = int(np.count_nonzero(base))
        return tuple(
            FilterEffect(f"{field}.{name}", total - int(np.count_nonzero(base & mask)), total)
            for name, mask in self._criteria(wanted)
        )

    def check(self, wanted: ItemFilter, field: str = "items") -> list[FieldViolation]:
        """What is wrong with a filter: in itself or, if nothing is, for this catalog, which may lack its names.

        Args:
            wanted: The filter. Its candidates are looked for by `candidate_rows`.
            field: Its path.
        """
        if not wanted:
            return []
        return check_item_filter(wanted, field) or unknown_names(names_in(wanted, field), self.indexes)

    def _criteria(self, wanted: ItemFilter) -> Iterator[tuple[str, Mask]]:
        if wanted.genres:
            yield "genres", self._combined(wanted.genres, self.genre)
        if wanted.tags:
            yield "tags", self._combined(wanted.tags, self.tag)
        if wanted.bounds_years:
            passes = np.ones(self.rows, np.bool_)
            if wanted.min_year is not None:
                passes &= self.since_year(wanted.min_year)
            if wanted.max_year is not None:
                passes &= self.until_year(wanted.max_year)
            yield "years", passes
        if wanted.attributes:
            yield "attributes", self._combined(wanted.attributes, self.attribute)
        if wanted.candidates:
            passes = np.zeros(self.rows, np.bool_)
            passes[self.candidate_rows(wanted.candidates)] = True
            yield "candidate_item_ids", passes

    def _combined(self, wanted: WordFilter | AttributeFilter, mask_of: Callable[..., Mask]) -> Mask:
        passes = np.ones(self.rows, np.bool_)
        for each in wanted.all_of:
            passes &= mask_of(each)
        if wanted.any_of:
            one = np.zeros(self.rows, np.bool_)
            for each in wanted.any_of:
                one |= mask_of(each)
            passes &= one
        for each in wanted.none_of:
            passes &= ~mask_of(each)
        return passes

    def _word(self, kind: Kind, word: str) -> Mask:
        key = (kind, word.casefold())
        if (mask := self._masks.get(key)) is None:
            mask = np.zeros(self.rows, np.bool_)
            mask[self.indexes.names(kind).rows(word)] = True
            mask = self._masks.put(key, mask, 4 * len(word))
        return mask

    def _year(self, condition: InRange) -> Mask:
        key = ("years", condition)
        if (mask := self._masks.get(key)) is None:
            mask = self._masks.put(key, self.indexes.years.mask(condition, self.rows), 0)
        return mask


class _MaskCache(BoundedCache[Hashable, Mask]):
    def get(self, key: Hashable) -> Mask | None:
        if (entry := self._entries.get(key)) is None:
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: Hashable, mask: Mask, text: int) -> Mask:
        mask.setflags(write=False)
        self._keep(key, mask, mask.nbytes + text + _OVERHEAD)
        return mask


def _key(condition: Condition) -> tuple[Hashable, int]:
    """What tells a condition from every other one, and how many bytes of text are in it.

    Conditions alone do not: to Python, 1 equals True.
    """
    match condition:
        case Equals(_, value):
            values: tuple[object, ...] = (value,)
        case AnyOf(_, values):
            pass
        case _:
            values = ()
    text = len(condition.name) + sum(len(value) if isinstance(value, str) else 8 for value in values)
    return (condition, tuple(map(type, values))), 4 * text + 16 * len(values)
