from pathlib import Path

import pytest

from benchmarks.loading import main


def test_a_load_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A small set is generated and loaded in a process of its own, and its figures are printed."""
    assert main(["--sizes", "3K", "--folder", str(tmp_path)]) == 0
    [*_, row] = capsys.readouterr().out.splitlines()
    assert row.startswith("| 3K | 3,000 | ")
    assert (tmp_path / "data-3K" / "current.json").exists()
