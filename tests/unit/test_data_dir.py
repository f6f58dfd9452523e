import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kindred.errors import SchemaError, StoreInUseError, StoreNotLoadedError
from kindred.stores.data_dir import DataDir, write_json

BOUND = 30
"""Seconds after which another process that has not answered is taken for stuck."""

HOLDER = """
import sys
from pathlib import Path
from kindred.stores.data_dir import DataDir
sys.argv = ["/usr/bin/kindred", "serve", "--secret", "x"]
data_dir = DataDir(Path({path!r}))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a data directory; killed at the end."""
    with subprocess.Popen(  # noqa: S603  # this very interpreter
        [sys.executable, "-c", HOLDER.format(path=str(path))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()
            process.wait(BOUND)


def loaded(path: Path) -> Path:
    """Makes a folder with a current generation, and gives the generation."""
    with DataDir(path) as data_dir:
        generation = data_dir.new_generation()
        (generation / "file").write_text("content")
        data_dir.make_current(generation)
    return generation


def current(path: Path) -> Path:
    """The current generation of a folder."""
    with DataDir(path) as data_dir:
        return data_dir.current()


class TestLock:
    @pytest.mark.timeout(BOUND)
    def test_another_process_is_named(self, tmp_path: Path) -> None:
        """Where another process holds the folder the error names it by id and command, not by its arguments."""
        with held(tmp_path) as process:
            for _ in range(2):
                with pytest.raises(StoreInUseError) as refused:
                    DataDir(tmp_path)
                assert f"{tmp_path} is in use by process {process.pid} (kindred serve);" in str(refused.value)
        assert (refused.value.kind, refused.value.subject) == ("STORE_IN_USE", str(tmp_path))

    @pytest.mark.timeout(BOUND)
    def test_a_killed_process_holds_nothing(self, tmp_path: Path) -> None:
        """After kill -9 of its holder the folder opens, and the lock names the new holder."""
        with held(tmp_path):
            pass
        with DataDir(tmp_path), pytest.raises(StoreInUseError, match=f"process {os.getpid()} "):
            DataDir(tmp_path)

    def test_a_former_holder_is_not_named(self, tmp_path: Path) -> None:
        """Nothing of what a killed holder wrote about itself is left in the name of the new one."""
        (tmp_path / "lock").write_text("stale! " * 25)
        with DataDir(tmp_path), pytest.raises(StoreInUseError) as refused:
            DataDir(tmp_path)
        assert "stale!" not in str(refused.value)

    def test_the_same_process_is_refused_too(self, tmp_path: Path) -> None:
        """A folder opens once at a time, in the same process as well, and again after closing."""
        data_dir = DataDir(tmp_path)
        with pytest.raises(StoreInUseError):
            DataDir(tmp_path)
        data_dir.close()
        with DataDir(tmp_path):
            pass

    def test_close_is_idempotent(self, tmp_path: Path) -> None:
        """Closing again neither fails nor takes the lock from whoever has it now."""
        first = DataDir(tmp_path)
        first.close()
        with DataDir(tmp_path):
            first.close()
            with pytest.raises(StoreInUseError):
                DataDir(tmp_path)

    def test_folders_are_independent(self, tmp_path: Path) -> None:
        """One process may hold two folders, made with their parents."""
        with DataDir(tmp_path / "a" / "b"), DataDir(tmp_path / "c"):
            assert (tmp_path / "a" / "b").is_dir()

    def test_a_refusal_disturbs_nothing(self, tmp_path: Path) -> None:
        """Who is refused removes no generation that the holder is building."""
        with DataDir(tmp_path) as data_dir:
            generation = data_dir.new_generation()
            with pytest.raises(StoreInUseError):
                DataDir(tmp_path)
            assert generation.is_dir()


class TestGenerations:
    def test_a_new_folder_is_not_loaded(self, tmp_path: Path) -> None:
        """A folder without a current generation is not loaded, also while one is being built."""
        with DataDir(tmp_path) as data_dir:
            data_dir.new_generation()
            assert not DataDir.is_loaded(data_dir.path)
            with pytest.raises(StoreNotLoadedError, match=str(tmp_path)):
                data_dir.current()

    def test_a_generation_becomes_current_at_once(self, tmp_path: Path) -> None:
        """The old generation is current until the new one is made so; then the old one is gone."""
        old = loaded(tmp_path)
        with DataDir(tmp_path) as data_dir:
            new = data_dir.new_generation()
            assert new != old
            assert data_dir.current() == old
            assert old.is_dir()
            data_dir.make_current(new)
            assert data_dir.current() == new
            assert not old.exists()
        with DataDir(tmp_path) as data_dir:
            assert DataDir.is_loaded(data_dir.path)
            assert data_dir.current() == new

    def test_leftovers_are_removed(self, tmp_path: Path) -> None:
        """Opening removes generations that never became current, with all that is in them, and no other."""
        current = loaded(tmp_path)
        for name in ("left", "over"):
            (tmp_path / "generations" / name / "users" / "segments").mkdir(parents=True)
            (tmp_path / "generations" / name / "users" / "file").write_text("x")
        with DataDir(tmp_path):
            assert [*(tmp_path / "generations").iterdir()] == [current]
        assert (current / "file").read_text() == "content"

    def test_a_crash_before_the_swap_keeps_the_old(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """If the last step of the swap does not happen the old generation is current, whole."""
        old = loaded(tmp_path)
        with DataDir(tmp_path) as data_dir:
            new = data_dir.new_generation()

            def crash(self: Path, target: Path) -> None:
                raise InterruptedError

            with monkeypatch.context() as patched:
                patched.setattr(Path, "replace", crash)
                with pytest.raises(InterruptedError):
                    data_dir.make_current(new)
        with DataDir(tmp_path) as data_dir:
            assert data_dir.current() == old
            assert (old / "file").read_text() == "content"
            assert not new.exists()

    @pytest.mark.parametrize(
        "damaged",
        [b"", b"{", b"null", b"[]", b"5", b"{}", b"\xff", b'{"generation": null}', b'{"generation": "elsewhere"}'],
    )
    def test_a_damaged_current_file_is_a_schema_error(self, tmp_path: Path, damaged: bytes) -> None:
        """A current.json that names no generation is a schema error every time, and nothing is removed."""
        generation = loaded(tmp_path)
        (tmp_path / "current.json").write_bytes(damaged)
        for _ in range(2):
            with pytest.raises(SchemaError, match=str(tmp_path)):
                current(tmp_path)
        assert (generation / "file").read_text() == "content"

    @pytest.mark.parametrize("name", ["", ".", "..", "/", "../..", "../../.."])
    def test_a_damaged_name_removes_nothing(self, tmp_path: Path, name: str) -> None:
        """A current.json that names a folder which is no generation is a schema error, and nothing is removed."""
        generation = loaded(tmp_path / "data")
        (tmp_path / "data" / "current.json").write_text(json.dumps({"generation": name}))
        with pytest.raises(SchemaError, match="data"):
            current(tmp_path / "data")
        assert (generation / "file").read_text() == "content"

    def test_a_missing_generation_is_a_schema_error(self, tmp_path: Path) -> None:
        """Where the current generation is gone the error names it and the way to mend it."""
        generation = loaded(tmp_path)
        generation.rename(tmp_path / "moved")
        with pytest.raises(SchemaError, match=f"{generation.name}.*--replace"):
            current(tmp_path)

    def test_a_mended_folder_opens_again(self, tmp_path: Path) -> None:
        """A folder that was refused as damaged is not held by the process that tried."""
        generation = loaded(tmp_path)
        good = (tmp_path / "current.json").read_bytes()
        (tmp_path / "current.json").write_bytes(b"{")
        with pytest.raises(SchemaError):
            current(tmp_path)
        (tmp_path / "current.json").write_bytes(good)
        with DataDir(tmp_path) as data_dir:
            assert data_dir.current() == generation


class TestWriteJson:
    def test_a_file_is_replaced_whole(self, tmp_path: Path) -> None:
        """Writing replaces the content and leaves nothing beside the file."""
        for data in ({"a": list(range(1_000))}, {"b": "ü"}):
            write_json(tmp_path / "file.json", data)
            assert json.loads((tmp_path / "file.json").read_text()) == data
        assert [path.name for path in tmp_path.iterdir()] == ["file.json"]

    def test_a_reader_never_sees_a_part(self, tmp_path: Path) -> None:
        """If the content cannot be written the old content is still there."""
        write_json(tmp_path / "file.json", {"a": 1})
        with pytest.raises(TypeError):
            write_json(tmp_path / "file.json", {"a": 2, "b": object()})
        assert json.loads((tmp_path / "file.json").read_text()) == {"a": 1}

    def test_the_content_is_durable_before_the_swap(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The new file is synced before it takes the name, and the folder after it."""
        steps: list[str] = []
        fsync, replace = os.fsync, Path.replace

        def recorded_fsync(descriptor: int) -> None:
            steps.append("folder" if Path(f"/proc/self/fd/{descriptor}").resolve() == tmp_path.resolve() else "file")
            fsync(descriptor)

        def recorded_replace(self: Path, target: Path) -> Path:
            steps.append("swap")
            return replace(self, target)

        monkeypatch.setattr(os, "fsync", recorded_fsync)
        monkeypatch.setattr(Path, "replace", recorded_replace)
        write_json(tmp_path / "file.json", {"a": 1})
        assert steps == ["file", "swap", "folder"]
