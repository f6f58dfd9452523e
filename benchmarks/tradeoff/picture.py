"""The picture of quality against time: a panel a split, one for dimensions, one for a large collection's searches."""

from collections.abc import Callable, Sequence
from functools import partial
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
    draws: list[Callable[[Any], None]] = [partial(_by_neighbors, measured=each) for each in measured]
    if measured:
        draws.append(partial(_by_dimensions, measured=measured))
    if large is not None:
        draws.append(partial(_search, large=large))
    rows = (len(draws) + 1) // 2
    figure = drawing().Figure(figsize=(10, 3.9 * rows), layout="constrained")
    for place, draw in enumerate(draws, 1):
        panel = figure.add_subplot(rows, 2, place)
        draw(panel)
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


def _by_neighbors(panel: Any, measured: Measured) -> None:
    for recipe, color in _COLORS.items():
        curve = by_neighbors(measured.figures, recipe)
        panel.plot([each.answer.median for each in curve], [each.ndcg for each in curve], color=color, marker="o")
        for each in curve:
            weight = "bold" if each.setting == OWN[recipe] else "normal"
            text, place = f"K={each.setting.k}", (each.answer.median, each.ndcg)
            panel.annotate(text, place, (5, -12), textcoords="offset points", fontsize=_SMALL, weight=weight)
        [own] = [each for each in curve if each.setting == OWN[recipe]]
        panel.plot(own.answer.median, own.ndcg, color=color, marker="*", markersize=14, label=f"{recipe}, its own K")
    panel.set(title=f"{measured.name}, validation", xlabel="milliseconds an answer, median", ylabel="NDCG@10")
    panel.margins(x=0.12, y=0.12)


def _by_dimensions(panel: Any, measured: Sequence[Measured]) -> None:
    for each, line in zip(measured, ("-", "--"), strict=False):
        for recipe, color in _COLORS.items():
            places, names, cuts = _axis(each.figures, recipe)
            effects = [100 * ((cut.ndcg or 0.0) / (cuts[-1].ndcg or 1.0) - 1) for cut in cuts]
            panel.plot(places, effects, color=color, linestyle=line, marker=".", label=f"{recipe}, {each.name}")
            panel.set_xticks(places, names)
    panel.set(title="Quality against dimensions", xlabel="dimensions searched by, at most", ylabel="NDCG@10, %")


def _search(panel: Any, large: Measured) -> None:
    for recipe, color in _COLORS.items():
        places, names, cuts = _axis(large.figures, recipe)
        label = f"K={OWN[recipe].k}"
        panel.plot(places, [cut.search.mean for cut in cuts], color=color, marker=".", label=f"{label}, mean")
        panel.plot(
            places, [cut.search.most for cut in cuts], color=color, linestyle=":", label=f"{label}, 95th percentile"
        )
        panel.set_xticks(places, names)
    panel.set(title=f"Time against dimensions, {large.name}", xlabel="dimensions searched by, at most")
    panel.set(ylabel="milliseconds a search", yscale="log")
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter("{x:g}")


def _axis(figures: Sequence[Figures], recipe: str) -> tuple[range, list[str], list[Figures]]:
    cuts = by_dimensions(figures, recipe)
    return range(len(cuts)), [str(each.setting.cut.dimensions or "all") for each in cuts], cuts
