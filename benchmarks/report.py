"""Figures and how they are printed."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Args:
        name: What was measured.
        value: The figure, with its unit.
        detail: What it is made of.
        target: What it has to be, if it has to be something.
        met: Whether it is.
    """

    name: str
    value: str
    detail: str = ""
    target: str = ""
    met: bool = True


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table of figures."""
    lines = ["| figure | measured | target | made of |", "|---|---|---|---|"]
    for figure in figures:
        target = figure.target and f"{figure.target} ({'met' if figure.met else 'MISSED'})"
        lines.append(f"| {figure.name} | {figure.value} | {target} | {figure.detail} |")
    return "\n".join(lines)
