"""The rows of a catalog in the order of their item ids, which breaks ties: kept sorted as rows come. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


class IdOrder:
    """The order of the ids. A change searches for the places of what is new, and sorts nothing that is there.

    Attributes:
        rows: The rows by item id. Shape (rows,).
        rank: Each row's place in them. Shape (rows,).
    """

    def __init__(self) -> None:
        self._ids: list[str] = []
        self.rows = np.empty(0, np.int64)
        self.rank = np.empty(0, np.int64)

    def append(self, ids: Sequence[str]) -> None:
        """Adds rows.

        Args:
            ids: The ids of the rows that follow the last one.
        """
        first = len(self._ids)
        self._ids += ids
        self._insert(self.rows, range(first, len(self._ids)))

    def rename(self, ids: Mapping[int, str]) -> None:
        """Gives rows other ids.

        Args:
            ids: The id of each such row.
        """
        others = np.delete(self.rows, self.rank[np.array(list(ids), np.int64)])
        for row, item_id in ids.items():
            self._ids[row] = item_id
        self._insert(others, ids)

    def _insert(self, there: NDArray[np.int64], rows: Iterable[int]) -> None:
        """Puts rows in their places among those that are there."""
        id_of = self._ids.__getitem__
        new = sorted(rows, key=id_of)
        places = [bisect_right(there, id_of(row), key=id_of) for row in new]
        self.rows = np.insert(there, places, new)
        self.rank = np.empty(self.rows.size, np.int64)
        self.rank[self.rows] = np.arange(self.rows.size)
