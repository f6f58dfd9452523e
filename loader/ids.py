"""Numbers for ids: in the order in which they appear while reading, and the items' indexes."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from kindred.item_index import first_probe, natural_index, next_probe
from loader.source import Ids

UNKNOWN = -1


class Codes:
    """Numbers ids from 0.

    Args:
        ids: The ids to begin with, each once.
        closed: Whether any other id is unknown; if not, it gets the next number.
    """

    def __init__(self, ids: Iterable[str] = (), *, closed: bool = False) -> None:
        self._codes = {id_: code for code, id_ in enumerate(ids)}
        self._closed = closed

    def encode(self, ids: Ids) -> NDArray[np.int64]:
        """The codes of a column of ids, same shape; `UNKNOWN` where there is none."""
        codes = self._codes
        if self._closed:
            distinct = [codes.get(id_, UNKNOWN) for id_ in ids.distinct]
        else:
            distinct = [codes.setdefault(id_, len(codes)) for id_ in ids.distinct]
        codes_of_places: NDArray[np.int64] = np.array(distinct, np.int64)[ids.places]
        return codes_of_places

    def get(self, id_: str) -> int:
        """The code of an id; `UNKNOWN` if there is none."""
        return self._codes.get(id_, UNKNOWN)

    @property
    def ids(self) -> list[str]:
        """The ids, in the order of their codes."""
        return list(self._codes)


def allocate_indexes(item_ids: Iterable[str], probe: Callable[[str], int] = first_probe) -> NDArray[np.uint32]:
    """Gives each item its index, by the rule of `kindred.item_index`.

    Args:
        item_ids: The items, each once; those before others get their probes first.
        probe: Where the search for a free index begins.

    Returns:
        Shape (n_items,).
    """
    taken: set[int] = set()
    indexes = []
    for item_id in item_ids:
        index = natural_index(item_id)
        if index is None:
            index = probe(item_id)
            while index in taken:
                index = next_probe(index)
            taken.add(index)
        indexes.append(index)
    return np.array(indexes, np.uint32)
