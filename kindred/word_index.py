"""Which rows have which word: an inverted index that follows the items. Pure."""

from array import array
from collections.abc import Collection, Iterable, Sequence
from heapq import nsmallest
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from kindred.nearest import MAX_COMPARED, nearest


class WordIndex:
    """The posting list of each word, four bytes an entry.

    Args:
        words_of_rows: The words of each row, from row 0 on.
        exact: Whether words in another case are other words.
    """

    def __init__(self, words_of_rows: Iterable[Collection[str]], *, exact: bool = False) -> None:
        self._exact = exact
        self._postings: dict[str, array[int]] = {}
        self._names: dict[str, str] = {}
        self._common: list[str] | None = None
        self._fill(list(words_of_rows))

    def __len__(self) -> int:
        return len(self._postings)

    def __contains__(self, word: str) -> bool:
        return self._key(word) in self._postings

    def replace(self, row: int, old: Iterable[str], new: Iterable[str]) -> None:
        """Gives a row other words.

        Args:
            row: The row.
            old: The words that it has; none if the row is new.
            new: The words that it is to have.
        """
        before, after = self._keyed(old), self._keyed(new)
        for key in before.keys() - after.keys():
            posting = self._postings[key]
            # The last entry fills the gap. `remove` would compare them one by one, and move half of them.
            place = int(np.flatnonzero(np.frombuffer(posting, np.uint32) == row)[0])
            posting[place] = posting[-1]
            posting.pop()
            if not posting:
                del self._postings[key], self._names[key]
        for key in after.keys() - before.keys():
            self._posting(key, after[key]).append(row)
        self._common = None

    def rows(self, word: str) -> NDArray[np.uint32]:
        """The rows that have a word, each once, in no order. Shape (n,)."""
        # A copy: an array cannot grow while numpy looks into it.
        return np.array(self._postings.get(self._key(word), array("I")), np.uint32)

    def common(self, most: int) -> list[str]:
        """The words that most rows have, as they are written, the most common first; ties by word."""
        return [self._names[key] for key in self._most_common()[:most]]

    def nearest(self, word: str) -> list[str]:
        """The words that are most like one that is not there, as they are written, the nearest first."""
        alike = (key for key in self._postings if key[:1].casefold() == word[:1].casefold())
        likely = chain(self._most_common()[: MAX_COMPARED // 2], alike)
        return nearest(word, (self._names[key] for key in likely))

    def _most_common(self) -> list[str]:
        if self._common is None:
            postings = self._postings
            self._common = nsmallest(MAX_COMPARED // 2, postings, key=lambda key: (-len(postings[key]), key))
        return self._common

    def _fill(self, words_of_rows: Sequence[Collection[str]]) -> None:
        """Makes the posting lists by sorting (word, row): half the time of appending to them one by one.

        Args:
            words_of_rows: As in the constructor.
        """
        rows = len(words_of_rows)
        written: dict[str, int] = {}
        places = np.array(
            [written.setdefault(word, len(written)) for words in words_of_rows for word in words], np.int64
        )
        for word in written:
            self._names.setdefault(self._key(word), word)
        code_of = {key: code for code, key in enumerate(self._names)}
        codes = np.array([code_of[self._key(word)] for word in written], np.int64)[places]
        of_row = np.repeat(np.arange(rows), [len(words) for words in words_of_rows])
        pairs = np.sort(codes * rows + of_row)
        codes, of_row = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], max(rows, 1))
        ends = np.searchsorted(codes, np.arange(len(code_of)), side="right").tolist()
        entries = of_row.astype(np.uint32)
        begin = 0
        for key, end in zip(code_of, ends, strict=True):
            self._postings[key] = array("I", entries[begin:end].tobytes())
            begin = end

    def _key(self, word: str) -> str:
        return word if self._exact else word.casefold()

    def _keyed(self, words: Iterable[str]) -> dict[str, str]:
        return {self._key(word): word for word in words}

    def _posting(self, key: str, name: str) -> "array[int]":
        if key not in self._postings:
            self._postings[key] = array("I")
            self._names[key] = name
        return self._postings[key]
