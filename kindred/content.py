"""What items share in genres and tags: idf-weighted unit vectors, and their cosines. Pure numpy.

An item's words are its genres and its tags, without case; a genre and a tag that are spelt alike are two words. Word w
weighs idf_w = ln(1 + N / n_w), where N items have any word and n_w have this one (Sparck Jones 1972, in a form that is
above 0 even for a word that all have). An item's vector x_i has idf_w for each of its words, divided by its length
(vector space model: Salton, Wong and Yang 1975). What somebody likes is y = sum_j weight_j x_j over the items j that
they like, and item i is like it by cos(x_i, y) = x_i . y / |y|. Items without a word are like nothing.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from kindred.items import Item

_BLOCK = 1_024
"""Words that are compared at once: bounds the memory, however many words the items have."""
_ROOM = 1_000
"""Words that no item has any more keep their numbers, until they are more than so many and than the others."""


class ContentIndex:
    """The vectors of a catalog's items: word numbers and values one row after the other, as columns.

    Args:
        items: The items by row; what is appended or replaced is told to `replace`.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self._number_of: dict[tuple[bool, str], int] = {}
        self._words = np.empty(0, np.intp)
        self._owners = np.empty(0, np.intp)
        self._lengths = np.empty(0, np.intp)
        self._starts = np.empty(0, np.intp)
        self._values = np.empty(0)
        self._is_genre = np.empty(0, np.bool_)
        self._pending = {row: self._numbers(item) for row, item in enumerate(items)}
        self._settle()

    def replace(self, row: int, old: Item | None, new: Item) -> None:
        """Follows a change of the items.

        Args:
            row: The row that is new or replaced.
            old: What was there; None if the row is new.
            new: What is there now.
        """
        if old is None or (old.genres, old.tags) != (new.genres, new.tags):
            self._pending[row] = self._numbers(new)
            if len(self._number_of) > 2 * self._is_genre.size + _ROOM:
                self._settle()  # nobody asks, and words that came and went would pile up

    @property
    def rows(self) -> int:
        """How many rows there are."""
        self._settle()
        return self._lengths.size

    def likeness(self, rows: NDArray[np.integer], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """How much every item is like some items together.

        Args:
            rows: Rows, for instance of the items that somebody likes. Shape (n,).
            weights: What each of them counts. Shape (n,).

        Returns:
            Cosines with the weighted mean of their vectors: 0 to 1 if no weight is negative. Shape (rows,).
        """
        owners, entries = self._entries(np.asarray(rows, np.intp))
        mean = np.bincount(self._words[entries], weights[owners] * self._values[entries], self._is_genre.size)
        length = np.sqrt(np.square(mean).sum())
        if not length > 0:
            return np.zeros(self.rows)
        mean = mean / length
        products = mean[self._words]
        products *= self._values
        # One pass that adds up by owner: three times as fast as `np.add.reduceat` over rows so short.
        return np.clip(np.bincount(self._owners, products, self.rows), -1.0, 1.0)

    def row_likeness(self, rows: NDArray[np.integer], others: NDArray[np.integer]) -> NDArray[np.float64]:
        """How much each item is like each of some others: which of the liked items one is like, for reasons.

        Args:
            rows: Rows. Shape (a,).
            others: Rows. Shape (b,).

        Returns:
            Cosines, 0 to 1. Shape (a, b).
        """
        a_rows, b_rows = np.asarray(rows, np.intp), np.asarray(others, np.intp)
        a, b = self._entries(a_rows), self._entries(b_rows)
        shared = np.intersect1d(self._words[a[1]], self._words[b[1]])
        found = np.zeros((a_rows.size, b_rows.size))
        for start in range(0, shared.size, _BLOCK):
            block = shared[start : start + _BLOCK]
            found += self._dense(a_rows.size, *a, block) @ self._dense(b_rows.size, *b, block).T
        return np.clip(found, 0.0, 1.0)

    def genres(self, rows: NDArray[np.integer]) -> NDArray[np.float64]:
        """Which genres items have, for kindred/diversity.py.

        Args:
            rows: Rows. Shape (n,).

        Returns:
            1 or 0, a column for each genre that any of them has. Shape (n, n_genres).
        """
        owners, entries = self._entries(np.asarray(rows, np.intp))
        named = self._is_genre[self._words[entries]]
        owners, words = owners[named], self._words[entries[named]]
        columns, places = np.unique(words, return_inverse=True)
        found = np.zeros((len(rows), columns.size))
        found[owners, places] = 1.0
        return found

    def _numbers(self, item: Item) -> list[int]:
        """The numbers of an item's words, each once."""
        number_of = self._number_of
        found = [number_of.setdefault((False, genre.casefold()), len(number_of)) for genre in item.genres]
        found += [number_of.setdefault((True, tag.casefold()), len(number_of)) for tag in item.tags]
        return found if len(found) == len(set(found)) else list(dict.fromkeys(found))

    def _settle(self) -> None:
        """Brings the columns up to the items: what has changed is put in among what has not."""
        if not self._pending:
            return
        rows, old_rows = sorted(self._pending), self._lengths.size
        new = np.fromiter(chain.from_iterable(self._pending[row] for row in rows), np.intp)
        pieces, done, taken = [], 0, 0
        for row in rows[: bisect_left(rows, old_rows)]:
            start, end = self._starts[row], taken + len(self._pending[row])
            pieces += [self._words[done:start], new[taken:end]]
            done, taken = start + self._lengths[row], end
        before = self._words.size
        self._words = np.concatenate([*pieces, self._words[done:], new[taken:]])
        self._lengths = np.concatenate((self._lengths, np.zeros(max(0, rows[-1] + 1 - old_rows), np.intp)))
        self._lengths[rows] = [len(self._pending[row]) for row in rows]
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._pending = {}
        if new.size or self._words.size != before:  # else nothing is known yet of the items that came
            self._owners = np.repeat(np.arange(self._lengths.size), self._lengths)
            self._weigh()

    def _weigh(self) -> None:
        """Makes the values: one item's words change how rare a word is, and so the values of all."""
        named = [not is_tag for is_tag, _ in islice(self._number_of, self._is_genre.size, None)]
        self._is_genre = np.concatenate((self._is_genre, np.array(named, np.bool_)))
        have = np.bincount(self._words, minlength=len(self._number_of))
        there = np.flatnonzero(have)
        if have.size > 2 * there.size + _ROOM:
            names = list(self._number_of)
            self._number_of = {names[number]: place for place, number in enumerate(there.tolist())}
            self._words = np.searchsorted(there, self._words)
            self._is_genre, have = self._is_genre[there], have[there]
        self._values = np.log1p(np.count_nonzero(self._lengths) / np.maximum(have, 1))[self._words]
        self._values /= np.sqrt(np.bincount(self._owners, self._values**2, self._lengths.size))[self._owners]

    def _entries(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The places of these rows' words in the columns, and whose they are: a place in `rows`."""
        self._settle()
        lengths = self._lengths[rows]
        owners = np.repeat(np.arange(rows.size), lengths)
        within = np.arange(owners.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return owners, self._starts[rows][owners] + within

    def _dense(
        self, size: int, owners: NDArray[np.intp], entries: NDArray[np.intp], block: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """A matrix of some rows' values for the words of a block, which are ascending."""
        words = self._words[entries]
        columns = np.minimum(np.searchsorted(block, words), block.size - 1)
        here = block[columns] == words
        matrix = np.zeros((size, block.size))
        matrix[owners[here], columns[here]] = self._values[entries[here]]
        return matrix
