"""What can be wrong with a data set."""

from kindred.errors import KindredError


class DataError(KindredError):
    """A data set cannot be read.

    Args:
        file: The file or folder.
        line: The line, counted from 1 (the row, in a parquet file); None if it is about the whole file.
        reason: What is wrong, and how to mend it where that is not plain.
    """

    def __init__(self, file: str, line: int | None, reason: str) -> None:
        self.file = file
        self.line = line
        self.reason = reason
        super().__init__(f"{file}: {reason}" if line is None else f"{file}:{line}: {reason}")


class DownloadError(KindredError):
    """A named data set cannot be fetched."""
