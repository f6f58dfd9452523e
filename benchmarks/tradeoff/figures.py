"""From answers to figures: NDCG, its difference to the recipe's own setting, milliseconds; and their table. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.tradeoff.answered import Answered
from benchmarks.tradeoff.settings import OWN, Setting
from loader.evaluation.bootstrap import Estimate, estimates

_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a setting.

    Args:
        setting: The setting.
        cut: The share of the users whose query lost anything.
        milliseconds: Processor time of an answer, the median.
        search: Of its search: median, mean and 99th percentile.
        same: Of the items that the recipe's own setting lists, the share that is in this one's lists, too.
        ndcg: NDCG@10; None where quality is not measured.
        difference: NDCG less that of the recipe's own setting, of the same users.
        of_cut: The same, of the users whose query lost anything; None if there are none.
    """

    setting: Setting
    cut: float
    milliseconds: float
    search: tuple[float, float, float]
    same: float
    ndcg: float | None = None
    difference: Estimate | None = None
    of_cut: Estimate | None = None


def figures_of(answered: Sequence[Answered]) -> list[Figures]:
    """The figures of time, and how much of the lists stays.

    Args:
        answered: By setting, the recipes' own among them.
    """
    own = {each.setting: each.lists for each in answered}
    found = []
    for each in answered:
        search = 1_000 * each.search_seconds
        found.append(
            Figures(
                each.setting,
                float(each.was_cut.mean()),
                float(1_000 * np.median(each.seconds)),
                (float(np.median(search)), float(search.mean()), float(np.quantile(search, 0.99))),
                shared_items(own[OWN[each.setting.recipe]], each.lists),
            )
        )
    return found


def shared_items(lists: NDArray[np.int32], others: NDArray[np.int32]) -> float:
    """The share of the items in lists that are in the same users' other lists, too.

    Args:
        lists: Items, -1 behind the last one. Shape (n_users, depth).
        others: The same users'. Shape (n_users, depth).
    """
    found = (lists[:, :, None] == others[:, None, :]).any(axis=2) & (lists >= 0)
    return float(found.sum() / max(np.count_nonzero(lists >= 0), 1))


def differences(
    ndcg: Mapping[Setting, NDArray[np.float64]], was_cut: Mapping[Setting, NDArray[np.bool_]]
) -> dict[Setting, tuple[float, Estimate, Estimate | None]]:
    """NDCG by setting, and how far it is from the recipe's own setting: of all users, and of those whose query was cut.

    Args:
        ndcg: By setting, with the recipes' own among them, that of each user. Shape (n_users,).
        was_cut: Whose query lost anything. Shape (n_users,).
    """
    found: dict[Setting, tuple[float, Estimate, Estimate | None]] = {}
    for setting, values in ndcg.items():
        difference, cut = values - ndcg[OWN[setting.recipe]], was_cut[setting]
        of_cut = estimates({"": difference[cut]})[""] if cut.any() else None
        found[setting] = float(values.mean()), estimates({"": difference})[""], of_cut
    return found


def quality_table(figures: Sequence[Figures]) -> str:
    """A Markdown table of quality and time."""
    lines = [
        "| recipe | K | searched by | cut | NDCG@10 | difference, 95 % | of the cut | answer, ms | ratio | search |",
        "|---|---:|---|---:|---:|---|---:|---:|---:|---:|",
    ]
    own = _own(figures)
    for each in figures:
        setting = each.setting
        is_own = setting == OWN[setting.recipe]
        cells = [
            setting.recipe,
            f"**{setting.k}**" if is_own else str(setting.k),
            str(setting.cut),
            f"{each.cut:.0%}",
            "" if each.ndcg is None else f"{each.ndcg:.{_DIGITS}f}",
            "" if is_own or each.difference is None else _interval(each.difference),
            "" if each.of_cut is None else f"{each.of_cut.mean:+.{_DIGITS}f}",
            f"{each.milliseconds:.2f}",
            f"{each.milliseconds / own[setting.recipe].milliseconds:.2f}",
            f"{each.search[0]:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def time_table(figures: Sequence[Figures]) -> str:
    """A Markdown table of time alone."""
    lines = [
        "| recipe | K | searched by | cut | same | search, ms | mean | ratio | 99 % | ratio | answer, ms | ratio |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    owns = _own(figures)
    for each in figures:
        setting, own = each.setting, owns[each.setting.recipe]
        median, mean, most = each.search
        cells = [
            setting.recipe,
            f"**{setting.k}**" if setting == OWN[setting.recipe] else str(setting.k),
            str(setting.cut),
            f"{each.cut:.0%}",
            f"{each.same:.1%}",
            f"{median:.2f}",
            f"{mean:.2f}",
            f"{mean / own.search[1]:.2f}",
            f"{most:.2f}",
            f"{most / own.search[2]:.2f}",
            f"{each.milliseconds:.2f}",
            f"{each.milliseconds / own.milliseconds:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _own(figures: Sequence[Figures]) -> dict[str, Figures]:
    return {each.setting.recipe: each for each in figures if each.setting == OWN[each.setting.recipe]}


def _interval(estimate: Estimate) -> str:
    return f"{estimate.mean:+.{_DIGITS}f} ({estimate.low:+.{_DIGITS}f} to {estimate.high:+.{_DIGITS}f})"
