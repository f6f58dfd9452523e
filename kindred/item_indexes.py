"""Which items have which genre, tag, attribute and year: indexes that are made when first asked, and follow the items.

Pure.
"""

from collections.abc import Collection, Sequence
from typing import Literal, get_args

from kindred.attribute_columns import AttributeColumn
from kindred.items import Item
from kindred.word_index import WordIndex

Kind = Literal["genres", "tags", "attributes"]
"""What has names."""
KINDS: tuple[Kind, ...] = get_args(Kind)


class ItemIndexes:
    """The indexes of a catalog.

    Args:
        items: The items by row; what is appended or replaced is told to `replace`.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._names: dict[Kind, WordIndex] = {}
        self._columns: dict[str, AttributeColumn] = {}
        self._years: AttributeColumn | None = None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self._items)

    def replace(self, row: int, old: Item | None, new: Item) -> None:
        """Follows a change of the items.

        Args:
            row: The row that is new or replaced.
            old: What was there; None if the row is new.
            new: What is there now.
        """
        for kind, index in self._names.items():
            index.replace(row, () if old is None else _names_of(old, kind), _names_of(new, kind))
        for name in new.attributes.keys() | (() if old is None else old.attributes.keys()):
            if (column := self._columns.get(name)) is not None:
                column.put(row, new.attributes.get(name))
                if column.worn:
                    del self._columns[name]
        if self._years is not None:
            self._years.put(row, new.year)

    def names(self, kind: Kind) -> WordIndex:
        """The rows of each genre or tag, whatever its case, or of each attribute by its exact name."""
        if (index := self._names.get(kind)) is None:
            names = (_names_of(item, kind) for item in self._items)
            index = self._names[kind] = WordIndex(names, exact=kind == "attributes")
        return index

    def column(self, name: str) -> AttributeColumn:
        """The values of an attribute; an empty column if no item has it."""
        if (column := self._columns.get(name)) is None:
            rows = self.names("attributes").rows(name).tolist()
            column = AttributeColumn((row, self._items[row].attributes[name]) for row in rows)
            if rows:  # else callers could fill the memory with names that nothing has
                self._columns[name] = column
        return column

    @property
    def years(self) -> AttributeColumn:
        """The years, as if they were an attribute."""
        if self._years is None:
            items = enumerate(self._items)
            self._years = AttributeColumn((row, item.year) for row, item in items if item.year is not None)
        return self._years


def _names_of(item: Item, kind: Kind) -> Collection[str]:
    match kind:
        case "genres":
            return item.genres
        case "tags":
            return item.tags
        case "attributes":
            return item.attributes
