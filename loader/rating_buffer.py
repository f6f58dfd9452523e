"""Holds all ratings of a load as compact columns: in memory, or, when they are many, on disk in parts by user."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from loader.options import ROWS_IN_MEMORY

ROW = np.dtype([("user", "<u4"), ("item", "<u4"), ("value", "<f4"), ("time", "<i8")])
"""A rating: the codes of user and item, the value on the scale, milliseconds since 1970."""

PARTS = 64

Ratings = NDArray[np.void]
"""An array of `ROW`."""


class RatingBuffer:
    """Takes ratings and gives them back in parts that each have all ratings of their users, in the order of the input.

    A context manager. The files have no name in the folder, so nothing is left of them whatever ends the process.

    Args:
        rows_in_memory: Up to how many ratings are held in memory.
        folder: Where the files are; None is the system's folder for temporary files.
    """

    def __init__(self, rows_in_memory: int = ROWS_IN_MEMORY, folder: Path | None = None) -> None:
        self.rows = 0
        self._rows_in_memory = rows_in_memory
        self._folder = folder
        self._held: list[Ratings] = []
        self._held_rows = 0
        self._files: list[IO[bytes]] = []
        self._open_files = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open_files.close()

    def add(self, ratings: Ratings) -> None:
        """Takes ratings."""
        self.rows += ratings.size
        self._held.append(ratings)
        self._held_rows += ratings.size
        if self._held_rows > self._rows_in_memory:
            self._spill()

    def parts(self) -> Iterator[Ratings]:
        """Gives all ratings back, once."""
        if not self._files:
            yield _concatenate(self._held)
            self._held = []
            return
        self._spill()
        for file in self._files:
            file.seek(0)
            yield np.fromfile(file, ROW)
            file.close()

    def _spill(self) -> None:
        if not self._files:
            files = (tempfile.TemporaryFile(dir=self._folder) for _ in range(PARTS))  # noqa: SIM115 - see __exit__
            self._files = [self._open_files.enter_context(file) for file in files]
        ratings = _concatenate(self._held)
        self._held, self._held_rows = [], 0
        part = (ratings["user"] % PARTS).astype(np.uint8)
        by_part = ratings.take(np.argsort(part, kind="stable"))
        ends = np.bincount(part, minlength=PARTS).cumsum()
        for file, rows in zip(self._files, np.split(by_part, ends[:-1]), strict=True):
            rows.tofile(file)


def _concatenate(chunks: list[Ratings]) -> Ratings:
    # As opaque rows: numpy copies structured ones field by field, which is many times slower.
    opaque = np.dtype((np.void, ROW.itemsize))
    return np.concatenate([chunk.view(opaque) for chunk in chunks] or [np.empty(0, opaque)]).view(ROW)
