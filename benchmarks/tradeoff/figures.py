"""From answers to figures: NDCG, its difference to the recipe's own setting, milliseconds; and their table. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.tradeoff.answered import Answered
from benchmarks.tradeoff.settings import OWN, Setting
from loader.evaluation.bootstrap import Estimate, estimates

_DIGITS = 4


class Milliseconds(NamedTuple):
    """Processor time over users."""

    median: float
    mean: float
    most: float
    """The 95th percentile."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a setting.

    Args:
        setting: The setting.
        cut: The share of the users whose query lost anything.
        answer: What an answer took.
        search: What its search took.
        same: Of the items that the recipe's own setting lists, the share that is in this one's lists, too.
        ndcg: NDCG@10; None where quality is not measured.
        difference: NDCG less that of the recipe's own setting, of the same users.
        of_cut: The same, of the users whose query lost anything; None if there are none.
    """

    setting: Setting
    cut: float
    answer: Milliseconds
    search: Milliseconds
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
    return [
        Figures(
            each.setting,
            float(each.was_cut.mean()),
            _milliseconds(each.seconds),
            _milliseconds(each.search_seconds),
            shared_items(own[OWN[each.setting.recipe]], each.lists),
        )
        for each in answered
    ]


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
            f"{each.answer.median:.2f}",
            f"{each.answer.median / own[setting.recipe].answer.median:.2f}",
            f"{each.search.median:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def time_table(figures: Sequence[Figures]) -> str:
    """A Markdown table of time alone: milliseconds, and their ratio to those of the recipe's own setting."""
    times = [f"{what} {which}" for what in ("search", "answer") for which in ("median", "mean", "95 %")]
    lines = [
        f"| recipe | K | searched by | cut | same | {' | '.join(times)} |",
        "|---|---:|---|---:|---:|" + "---:|" * len(times),
    ]
    owns = _own(figures)
    for each in figures:
        setting, own = each.setting, owns[each.setting.recipe]
        cells = [
            setting.recipe,
            f"**{setting.k}**" if setting == OWN[setting.recipe] else str(setting.k),
            str(setting.cut),
            f"{each.cut:.0%}",
            f"{each.same:.1%}",
            *_beside(each.search, own.search),
            *_beside(each.answer, own.answer),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _beside(times: Milliseconds, own: Milliseconds) -> list[str]:
    return [f"{time:.1f} ({time / of_own:.2f})" for time, of_own in zip(times, own, strict=True)]


def _milliseconds(seconds: NDArray[np.float64]) -> Milliseconds:
    found = 1_000 * seconds
    return Milliseconds(float(np.median(found)), float(found.mean()), float(np.quantile(found, 0.95)))


def _own(figures: Sequence[Figures]) -> dict[str, Figures]:
    return {each.setting.recipe: each for each in figures if each.setting == OWN[each.setting.recipe]}


def _interval(estimate: Estimate) -> str:
    return f"{estimate.mean:+.{_DIGITS}f} ({estimate.low:+.{_DIGITS}f} to {estimate.high:+.{_DIGITS}f})"
