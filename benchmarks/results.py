"""The committed ratios, for machines: benchmarks/results.json."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.report import Better, Figure

RATIOS = Path(__file__).parent / "results.json"


@dataclass(frozen=True, slots=True)
class Committed:
    """A ratio as it was measured for good.

    Args:
        name: What was measured.
        ratio: The ratio.
        better: Which direction is better.
        spread: How far the rounds of that run lay apart, as a share of the ratio; 0 if there was one.
        target: What it has to be, in words.
        date: When it was measured.
    """

    name: str
    ratio: float
    better: Better
    spread: float
    target: str
    date: date


def read_ratios(path: Path = RATIOS) -> dict[str, Committed]:
    """The committed ratios by id.

    Args:
        path: The file.

    Raises:
        ValueError: It is no such file.
    """
    try:
        figures = json.loads(path.read_text())["figures"]
        return {key: Committed(**{**each, "date": date.fromisoformat(each["date"])}) for key, each in figures.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no file of ratios ({error}); `make bench` writes it anew") from error


def write_ratios(figures: Iterable[Figure], today: date, path: Path = RATIOS) -> None:
    """Writes the ratios among some figures; what was there is replaced.

    Args:
        figures: What was measured.
        today: The day.
        path: The file.
    """
    committed: Mapping[str, object] = {
        figure.ratio.id: {
            "name": figure.name,
            "ratio": round(figure.ratio.value, 4),
            "better": figure.ratio.better,
            "spread": round(figure.ratio.spread, 4),
            "target": figure.target,
            "date": today.isoformat(),
        }
        for figure in figures
        if figure.ratio
    }
    path.write_text(json.dumps({"unit": "times (a ratio of one run)", "figures": committed}, indent=2) + "\n")
