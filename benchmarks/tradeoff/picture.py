"""The picture of quality against time: a panel a split, and one for searches of a large collection."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.tradeoff.figures import Figures
from benchmarks.tradeoff.measuring import Measured
from benchmarks.tradeoff.settings import OWN, WHOLE
from loader.evaluation.extra import needed

_COLORS = {name: f"C{place}" for place, name in enumerate(OWN)}
_SMALL = 8


def drawing() -> ModuleType:
    """What draws.

    Raises:
        PreconditionError: It is not installed.
    """
    return needed("matplotlib.figure", "a plot")


def plot(measured: Sequence[Measured], large: Measured | None, path: Path) -> None:
    """Draws.

    Args:
        measured: By split, quality and time.
        large: Time on a large collection.
        path: The picture; its ending says in what form.
    """
    panels = len(measured) + (large is not None)
    figure = drawing().Figure(figsize=(5.2 * panels, 4.2), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for each, panel in zip(measured, axes, strict=False):
        _quality(panel, each)
    if large is not None:
        _search(axes[-1], large)
    for panel in axes:
        panel.grid(alpha=0.3)
        panel.legend(frameon=False, fontsize=_SMALL)
    figure.savefig(path, dpi=110)


def by_neighbors(figures: Sequence[Figures], recipe: str) -> list[Figures]:
    """A recipe's settings with whole queries, by K."""
    found = [each for each in figures if each.setting.recipe == recipe and each.setting.cut == WHOLE]
    return sorted(found, key=lambda each: each.setting.k)


def by_dimensions(figures: Sequence[Figures], recipe: str) -> list[Figures]:
    """A recipe's settings with its own K and the largest dimensions, by their number, the whole query last."""
    found = [
        each
        for each in figures
        if each.setting.recipe == recipe and each.setting.cut.dimensions is not None and not each.setting.cut.likes_only
    ]
    own = [each for each in figures if each.setting == OWN[recipe]]
    return sorted(found, key=lambda each: each.setting.cut.dimensions or 0) + own


def only_likes(figures: Sequence[Figures], recipe: str) -> list[Figures]:
    """A recipe's setting without negative weights."""
    return [
        each
        for each in figures
        if each.setting.recipe == recipe and each.setting.cut.likes_only and not each.setting.cut.unprunable
    ]


def _quality(panel: Any, measured: Measured) -> None:
    for recipe, color in _COLORS.items():
        curve, cuts = by_neighbors(measured.figures, recipe), by_dimensions(measured.figures, recipe)
        panel.plot(*_points(curve), color=color, marker="o", label=f"{recipe}, by K")
        panel.plot(*_points(cuts), color=color, marker=".", linestyle=":", label=f"{recipe}, by dimensions")
        panel.plot(
            *_points(only_likes(measured.figures, recipe)),
            color=color,
            marker="x",
            linestyle="",
            label=f"{recipe}, no negative weights",
        )
        for each in curve:
            _name(panel, each, f"K={each.setting.k}", (4, -11))
        for each in cuts[:-1]:
            _name(panel, each, str(each.setting.cut.dimensions), (-4, 5))
    panel.set(title=f"{measured.name}, validation", xlabel="milliseconds an answer, median", ylabel="NDCG@10")


def _search(panel: Any, large: Measured) -> None:
    for recipe, color in _COLORS.items():
        cuts = by_dimensions(large.figures, recipe)
        places, names = range(len(cuts)), [str(each.setting.cut.dimensions or "all") for each in cuts]
        label = f"K={OWN[recipe].k}"
        panel.plot(places, [each.search.mean for each in cuts], color=color, marker="o", label=f"{label}, mean")
        panel.plot(
            places, [each.search.most for each in cuts], color=color, marker=".", linestyle=":", label=f"{label}, 99 %"
        )
        panel.set_xticks(places, names)
    panel.set(
        title=f"{large.name}: the search",
        xlabel="dimensions of the query, at most",
        ylabel="milliseconds",
        yscale="log",
    )


def _points(figures: Sequence[Figures]) -> tuple[list[float], list[float]]:
    return [each.answer.median for each in figures], [each.ndcg or 0.0 for each in figures]


def _name(panel: Any, each: Figures, text: str, offset: tuple[int, int]) -> None:
    panel.annotate(text, (each.answer.median, each.ndcg), offset, textcoords="offset points", fontsize=_SMALL - 1)
