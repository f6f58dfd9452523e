"""A picture of quality against the number of neighbors, K: recipes are curves, everybody else a level line."""

from collections.abc import Mapping
from pathlib import Path

from loader.evaluation.bootstrap import Estimate
from loader.evaluation.extra import needed
from loader.evaluation.run import Evaluation, Result

_INCHES = (7.0, 4.5)
_DPI = 150


def plot_curve(evaluation: Evaluation, path: Path) -> None:
    """Draws NDCG at the first cutoff against K, a panel for each task, with the intervals.

    Args:
        evaluation: An evaluation with a curve.
        path: The file to write; its ending says in what form: .png, .svg or .pdf.

    Raises:
        PreconditionError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    figures = needed("matplotlib.figure", "a plot")
    at = evaluation.options.cutoffs[0]
    tasks = [task.name for task in evaluation.tasks]
    figure = figures.Figure(figsize=(_INCHES[0], _INCHES[1] * len(tasks)), layout="constrained")
    panels = figure.subplots(len(tasks), squeeze=False)[:, 0]
    for task, panel in zip(tasks, panels, strict=True):
        results = [each for each in evaluation.results if (each.task, each.at) == (task, at)]
        drawn = curves(results)
        for name, points in drawn.items():
            ks, estimates = [*points], [*points.values()]
            [line] = panel.plot(ks, [each.mean for each in estimates], marker="o", label=name)
            lows, highs = [each.low for each in estimates], [each.high for each in estimates]
            panel.fill_between(ks, lows, highs, color=line.get_color(), alpha=0.15, linewidth=0)
        for place, each in enumerate(level_lines(results), len(drawn)):
            panel.axhline(each.means["ndcg"].mean, color=f"C{place % 10}", linestyle="--", label=each.contestant)
        panel.set_xscale("log")
        ticks = sorted(set(evaluation.options.k_curve))
        panel.set_xticks(ticks, [str(k) for k in ticks])
        panel.minorticks_off()
        panel.set(title=f"{evaluation.table.name}: {task}", xlabel="K, neighbors", ylabel=f"NDCG@{at}")
        panel.grid(alpha=0.3)
        panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.savefig(path, dpi=_DPI)


def curves(results: list[Result]) -> Mapping[str, Mapping[int, Estimate]]:
    """The recipes' NDCG by K, ascending.

    Args:
        results: Of one task, at one cutoff.
    """
    found: dict[str, dict[int, Estimate]] = {}
    for each in sorted((each for each in results if each.k is not None), key=lambda each: each.k or 0):
        found.setdefault(each.curve, {})[each.k or 0] = each.means["ndcg"]
    return found


def level_lines(results: list[Result]) -> list[Result]:
    """Contestants that have no curve.

    Args:
        results: Of one task, at one cutoff.
    """
    drawn = {each.curve for each in results if each.curve}
    return [each for each in results if not each.curve and each.contestant not in drawn]
