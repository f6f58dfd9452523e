"""Finds out in which form a MovieLens data set is."""

from pathlib import Path

from loader.errors import DataError
from loader.files import files_in
from loader.readers import movielens_100k, movielens_csv, movielens_dat, recbole
from loader.source import DataSource

_FORMATS = (
    ("MovieLens latest, 20M, 25M or 32M", movielens_csv.FILES, movielens_csv.MovieLensCsv),
    ("MovieLens 1M or 10M", movielens_dat.FILES, movielens_dat.MovieLensDat),
    ("MovieLens 100K", movielens_100k.FILES, movielens_100k.MovieLens100K),
    ("MovieLens 100K as RecBole's atomic files", recbole.FILES, recbole.RecBole100K),
)


def open_movielens(path: Path, name: str | None = None) -> DataSource:
    """Opens a folder or a zip archive in any of MovieLens's forms.

    Args:
        path: The folder or the archive.
        name: What the collection is called; the path's own name if None.

    Raises:
        DataError: It has the files of none of the forms.
    """
    files = files_in(path)
    for _, names, reader in _FORMATS:
        if all(each in files for each in names):
            return reader(name or path.stem, files)
    forms = "; ".join(f"{' and '.join(names)} ({form})" for form, names, _ in _FORMATS)
    found = ", ".join(sorted(files)[:10]) or "no file"
    raise DataError(
        str(path), None, f"is no known data set; looked for: {forms}; found: {found}; any other table: --ratings FILE"
    )
