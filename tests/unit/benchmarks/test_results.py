from datetime import date
from pathlib import Path

import pytest

from benchmarks.report import Figure, Ratio
from benchmarks.results import RATIOS, Committed, read_ratios, write_ratios


def test_ratios_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Figures with a ratio are written with what comparing needs; figures in the machine's own units are left out."""
    figures = [
        Figure("Load", "1.42x", "", "at most 1.5x", ratio=Ratio("load.it", 1.42, "lower", [1.40, 1.42, 1.47])),
        Figure("Event to answer", "15.3 ms"),
    ]
    path = tmp_path / "results.json"
    write_ratios(figures, date(2026, 11, 27), path)
    assert read_ratios(path) == {
        "load.it": Committed("Load", 1.42, "lower", 0.0493, "at most 1.5x", date(2026, 11, 27))
    }


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"figures": {"a.b": {"ratio": 1.0}}}'])
def test_another_file_is_refused_with_what_to_do(text: str, tmp_path: Path) -> None:
    """A damaged file is named, with the command that writes it anew."""
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"results.json is no file of ratios .* `make bench` writes it anew"):
        read_ratios(path)


def test_the_committed_file_can_be_compared_with() -> None:
    """The committed ratios are read, each above 0 and with the benchmark's name before the first dot of its id."""
    committed = read_ratios(RATIOS)
    assert {key.partition(".")[0] for key in committed} >= {"load", "recommend", "qdrant", "events", "streams"}
    assert all(each.ratio > 0 for each in committed.values())
