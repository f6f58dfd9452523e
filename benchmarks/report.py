"""Figures and how they are printed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """What a figure is compared by with the committed one: a ratio of two times of one run.

    Args:
        id: Its name for good, `<module>.<figure>`: what results.json has it under.
        value: The ratio.
        better: Which direction is better.
        rounds: The same ratio in each round of the run, which shows its noise; empty if there was one.
    """

    id: str
    value: float
    better: Better
    rounds: Sequence[float] = ()

    @property
    def spread(self) -> float:
        """How far the rounds lie apart, as a share of the ratio."""
        return (max(self.rounds) - min(self.rounds)) / self.value if self.rounds and self.value else 0.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Args:
        name: What was measured.
        value: The figure, with its unit.
        detail: What it is made of.
        target: What it has to be, if it has to be something.
        met: Whether it is.
        ratio: What `make bench-compare` compares it by; None for a figure that depends on the machine.
    """

    name: str
    value: str
    detail: str = ""
    target: str = ""
    met: bool = True
    ratio: Ratio | None = None


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table of figures."""
    lines = ["| figure | measured | target | made of |", "|---|---|---|---|"]
    for figure in figures:
        target = figure.target and f"{figure.target} ({'met' if figure.met else 'MISSED'})"
        lines.append(f"| {figure.name} | {figure.value} | {target} | {figure.detail} |")
    return "\n".join(lines)
