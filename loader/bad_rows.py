"""What happens to a row that cannot be read: it stops the load, or it is counted and listed in a report."""

from contextlib import ExitStack
from pathlib import Path
from typing import Self, TextIO

from loader.errors import DataError


class BadRows:
    """Takes the rows that cannot be read. A context manager: leaving it closes the report.

    Args:
        report: The file to list them in, made with the first of them; None: the first one stops the load.
    """

    def __init__(self, report: Path | None = None) -> None:
        self.count = 0
        self._path = report
        self._file: TextIO | None = None
        self._open_files = ExitStack()

    def __enter__(self) -> Self:
        if self._path is not None:
            self._path.unlink(missing_ok=True)  # an earlier load's
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open_files.close()

    @property
    def report(self) -> Path | None:
        """The report; None if there was nothing to list."""
        return self._path if self.count else None

    def add(self, file: str, line: int, reason: str) -> None:
        """Takes a row.

        Args:
            file: Its file.
            line: Its line, counted from 1.
            reason: Why it cannot be read.

        Raises:
            DataError: Such rows stop the load.
        """
        error = DataError(file, line, reason)
        if self._path is None:
            raise error
        if self._file is None:
            self._file = self._open_files.enter_context(self._path.open("w", encoding="utf-8", errors="replace"))
        self._file.write(f"{error}\n")
        self.count += 1
