"""The embedded store's folder: who may open it, and which generation of the collection is the current one.

    DATA_DIR/
      lock                    held by the one process that has the folder open; says who it is
      current.json            names the current generation; replaced atomically
      generations/NAME/       collection.json, users/ and items/: one complete collection

A load builds a new generation aside and makes it current by replacing one small file. A generation that is not the
current one is left over from a load that was interrupted, and is removed by the next process that holds the lock.
"""

import fcntl
import json
import os
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from kindred.errors import SchemaError, StoreInUseError, StoreNotLoadedError

LOAD_AGAIN = "load it again: kindred load … --replace"
_CURRENT = "current.json"
_NAME = re.compile("[0-9a-f]{32}")


class DataDir:
    """A locked data directory.

    Args:
        path: The folder; made if it is not there.

    Raises:
        StoreInUseError: Another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(self._lock)
            raise StoreInUseError(str(path), holder) from None
        os.ftruncate(self._lock, 0)
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
        os.pwrite(self._lock, f"process {os.getpid()} ({command})".encode()[:200], 0)
        with suppress(SchemaError):  # what is damaged stays as it is, for a person to look at
            self._remove_leftovers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @staticmethod
    def is_loaded(path: Path) -> bool:
        """Whether a folder has a current generation; makes nothing."""
        return (path / _CURRENT).exists()

    def current(self) -> Path:
        """The folder of the current generation.

        Raises:
            StoreNotLoadedError: There is none.
            SchemaError: What names it is damaged, or what it names is gone.
        """
        try:
            name = json.loads((self.path / _CURRENT).read_text())["generation"]
        except FileNotFoundError:
            raise StoreNotLoadedError(str(self.path), f"--data-dir {self.path}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise SchemaError(str(self.path), f"{self.path / _CURRENT} is damaged ({error}); {LOAD_AGAIN}") from error
        if not isinstance(name, str) or not _NAME.fullmatch(name):  # it becomes a path
            raise SchemaError(str(self.path), f"{self.path / _CURRENT} names no generation; {LOAD_AGAIN}")
        generation = self._generations / name
        if not generation.is_dir():
            raise SchemaError(str(self.path), f"{generation} is missing; {LOAD_AGAIN}")
        return generation

    def new_generation(self) -> Path:
        """Makes the folder of a new generation, which is not current yet."""
        generation = self._generations / uuid4().hex
        generation.mkdir(parents=True)
        return generation

    def make_current(self, generation: Path) -> None:
        """Makes a complete generation the current one, durably and atomically, and removes the one before."""
        for folder in (generation, self._generations):
            _sync(folder)
        write_json(self.path / _CURRENT, {"generation": generation.name})
        self._remove_leftovers()

    @staticmethod
    def discard(generation: Path) -> None:
        """Removes a generation that did not become current."""
        shutil.rmtree(generation, ignore_errors=True)  # what stays is removed by the next process

    def close(self) -> None:
        """Lets others open the folder. Idempotent."""
        if self._lock >= 0:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = -1

    @property
    def _generations(self) -> Path:
        return self.path / "generations"

    def _remove_leftovers(self) -> None:
        keep = self.current().name if self.is_loaded(self.path) else None
        if self._generations.is_dir():
            for generation in self._generations.iterdir():
                if generation.name != keep:
                    shutil.rmtree(generation)


def write_json(path: Path, data: Any) -> None:
    """Writes a JSON file so that a reader, even after a crash, sees the old content or the new, never a part."""
    aside = path.with_suffix(".new")
    with aside.open("w") as file:
        json.dump(data, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
