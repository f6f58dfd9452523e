"""The files of a data set: in a folder, in a zip archive, or alone."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from loader.errors import DataError


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file.

    Args:
        path: The file, or the archive that it is in.
        member: Its name in the archive; None if it is in none.
        size: Its size in bytes, unpacked.
    """

    path: Path
    member: str | None
    size: int

    @classmethod
    def at(cls, path: Path) -> "DataFile":
        """A file alone.

        Raises:
            DataError: There is no such file.
        """
        if not path.is_file():
            raise DataError(str(path), None, "no such file")
        return cls(path, None, path.stat().st_size)

    def __str__(self) -> str:
        return str(self.path if self.member is None else self.path / self.member)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Opens it to be read from its beginning.

        Raises:
            DataError: It cannot be read, or the archive is damaged.
        """
        try:
            if self.member is None:
                with self.path.open("rb") as file:
                    yield file
            else:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                    yield file
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(str(self), None, f"the archive is damaged ({error}); download it again") from error
        except OSError as error:
            raise DataError(str(self), None, f"cannot be read ({error.strerror or error})") from error


def files_in(path: Path) -> dict[str, DataFile]:
    """Finds the files of a folder or of a zip archive by name.

    Args:
        path: The folder or the archive.

    Returns:
        Files by name; of an archive's files with the same name the one nearest to its root.

    Raises:
        DataError: There is nothing, or something else.
    """
    if path.is_dir():
        return {file.name: DataFile.at(file) for file in path.iterdir() if file.is_file()}
    if not path.is_file():
        raise DataError(str(path), None, "no such file or folder")
    if not zipfile.is_zipfile(path):
        raise DataError(
            str(path), None, "is neither a folder nor a zip archive; for a single file of ratings: --ratings"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
    except zipfile.BadZipFile as error:
        raise DataError(str(path), None, f"the archive is damaged ({error}); download it again") from error
    members.sort(key=lambda info: -len(PurePosixPath(info.filename).parts))
    return {PurePosixPath(info.filename).name: DataFile(path, info.filename, info.file_size) for info in members}
