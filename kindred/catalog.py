"""The catalog in memory: items by row, by id, by dimension and by title, and how many users rate and like them.

A row is an item's place in this process's arrays; an index is its dimension in the users' vectors. Indexes may be
anywhere below 2^32, rows are dense, and a row never changes while the process runs: caches may hold rows.
"""

from collections.abc import Iterable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kindred.content import ContentIndex
from kindred.item_filter import ItemFilter
from kindred.item_indexes import KINDS
from kindred.item_masks import ItemMasks
from kindred.items import CatalogEntry, Item
from kindred.popularity import ItemCounts
from kindred.title_search import TitleIndex


class Catalog:
    """The items of a collection.

    Args:
        entries: The items as stored.
    """

    def __init__(self, entries: Iterable[CatalogEntry]) -> None:
        self._items: list[Item] = []
        self._indexes: list[int] = []
        self._row_of_id: dict[str, int] = {}
        self._rows_of_scheme: dict[str, dict[str, int]] = {}
        self._row_of_index: dict[int, int] = {}
        self._titles = TitleIndex()
        self._index_of_row = np.empty(0, np.uint32)
        self._sorted_indexes = np.empty(0, np.uint32)
        self._sorted_rows = np.empty(0, np.int32)
        self._listed = np.empty(0, np.bool_)
        self._content: ContentIndex | None = None
        self._masks: ItemMasks | None = None
        self.counts = ItemCounts()
        self.put(entries)

    def __len__(self) -> int:
        return len(self._row_of_id)

    @property
    def rows(self) -> int:
        """How many rows there are: the length of every array by row."""
        return len(self._items)

    @property
    def listed(self) -> NDArray[np.bool_]:
        """Which rows may be recommended. Shape (rows,)."""
        return self._listed

    @property
    def indexes(self) -> NDArray[np.uint32]:
        """Each row's index. Shape (rows,)."""
        return self._index_of_row

    @property
    def content(self) -> ContentIndex:
        """What items share in genres and tags: made when it is first asked for, and follows the items."""
        if self._content is None:
            self._content = ContentIndex(self._items)
        return self._content

    @property
    def masks(self) -> ItemMasks:
        """Which rows pass a filter: a new row or item changes them, counts do not."""
        if self._masks is None:
            self._masks = ItemMasks(self._items, self.row_of)
        return self._masks

    def prepare(self) -> Self:
        """Makes now what is else made when it is first asked for: at 60,000 items that takes half a second."""
        for kind in KINDS:
            self.masks.indexes.names(kind)
        _ = self.masks.indexes.years, self.content, self.counts.rank
        return self

    def put(self, entries: Iterable[CatalogEntry]) -> None:
        """Adds items, and replaces those that are there, counts included.

        Args:
            entries: Items as stored, each index once.
        """
        rows, rated, liked = [], [], []
        renamed: dict[int, str] = {}
        for entry in entries:
            row = self._row_of_index.get(entry.index)
            if row is None:
                row = self._append(entry.index, entry.item)
            else:
                for scheme, external_id in self._items[row].external_ids.items():
                    rows_of_ids = self._rows_of_scheme[scheme]
                    if rows_of_ids.get(external_id) == row:
                        del rows_of_ids[external_id]
                old, self._items[row] = self._items[row], entry.item
                if entry.item.item_id != old.item_id:  # ratings came before the item
                    renamed[row] = entry.item.item_id
                self._changed(row, old)
            self._row_of_id[entry.item.item_id] = row
            for scheme, external_id in entry.item.external_ids.items():
                self._rows_of_scheme.setdefault(scheme, {})[external_id] = row
            self._titles.put(row, entry.item.title)
            rows.append(row)
            rated.append(entry.rated_count)
            liked.append(entry.liked_count)
        self._grow()
        if renamed:
            self.counts.rename(renamed)
        self._listed[rows] = True
        self.counts.put(np.array(rows, np.int64), np.array(rated, np.float64), np.array(liked, np.float64))

    def item(self, row: int) -> Item:
        """The item of a row."""
        return self._items[row]

    def entry(self, row: int) -> CatalogEntry:
        """The item of a row, with its counts as they are now."""
        counts = self.counts
        return CatalogEntry(self._indexes[row], self._items[row], int(counts.rated[row]), int(counts.liked[row]))

    def row_of_own_id(self, item_id: str) -> int | None:
        """The row of an item by its own id."""
        return self._row_of_id.get(item_id)

    def row_of(self, item_id: str) -> int | None:
        """The row of an item by its own id or, if no item has that id, by an external one (`imdb:tt0133093`)."""
        row = self._row_of_id.get(item_id)
        if row is not None:
            return row
        scheme, _, external_id = item_id.partition(":")
        return self._rows_of_scheme.get(scheme, {}).get(external_id)

    def index_of(self, item_id: str) -> int | None:
        """The index of an item by its own id or an external one."""
        row = self.row_of(item_id)
        return None if row is None else self._indexes[row]

    def rows_of(self, indexes: NDArray[np.uint32]) -> NDArray[np.int32]:
        """The rows of indexes; an index that the catalog does not know yet gets a row that is not recommended.

        Args:
            indexes: Shape (n,).

        Returns:
            Shape (n,).
        """
        there = self._sorted_indexes
        places = there.searchsorted(indexes)
        known = there.take(places, mode="clip") == indexes if there.size else np.zeros(indexes.size, np.bool_)
        if not known.all():
            for index in np.unique(indexes[~known]).tolist():
                self._append(index, Item(str(index)))
            self._grow()
            return self.rows_of(indexes)
        return self._sorted_rows.take(places)

    def search(self, query: str, allowed: ItemFilter) -> list[int]:
        """Finds items by the words of their titles.

        Args:
            query: Words in any order, each whole or its beginning; empty for every item.
            allowed: Which items may be found.

        Returns:
            Rows: titles that are exactly the query first, then by likes, then by item id.

        Raises:
            ItemNotFoundError: A candidate of the filter is not in the catalog.
        """
        found, exact = self._titles.find(query)
        rank = self.counts.rank
        if allowed:
            passes = self.masks.allowed(allowed)
            found = {row for row in found if passes[row]}
        return sorted(found, key=lambda row: (row not in exact, rank[row]))

    def _append(self, index: int, item: Item) -> int:
        row = len(self._items)
        self._items.append(item)
        self._indexes.append(index)
        self._row_of_index[index] = row
        self._changed(row, None)
        return row

    def _changed(self, row: int, old: Item | None) -> None:
        """Tells whoever follows the items that a row is new, or has another item than the old one."""
        if self._masks is not None:
            self._masks.replace(row, old, self._items[row])
        if self._content is not None:
            self._content.replace(row, old, self._items[row])

    def _grow(self) -> None:
        """Brings the arrays up to the rows that were appended: by copies of them, without sorting what is there."""
        rows = range(self._index_of_row.size, self.rows)
        if not rows:
            return
        new = np.array(self._indexes[rows.start :], np.uint32)
        order = np.argsort(new)
        places = np.searchsorted(self._sorted_indexes, new[order])
        self._sorted_indexes = np.insert(self._sorted_indexes, places, new[order])
        self._sorted_rows = np.insert(self._sorted_rows, places, order + rows.start)
        self._index_of_row = np.concatenate((self._index_of_row, new))
        self._listed = np.concatenate((self._listed, np.zeros(new.size, np.bool_)))
        self.counts.grow([self._items[row].item_id for row in rows])
