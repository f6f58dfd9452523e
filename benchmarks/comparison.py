"""Whether measured ratios are worse than the committed ones, beyond what noise explains."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.report import Ratio
from benchmarks.results import Committed

TOLERANCE = 0.25
"""How much worse a ratio may be, at least, before it is suspicious."""
SPREADS = 2.0
"""Or so many times the spread of the committed run's rounds, if that is more: a few rounds show less than all noise."""
REPEATS = 2
"""How often what is suspicious is measured again: noise is not there three times."""

Kind = Literal["same", "better", "WORSE", "NOT MEASURED", "new"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One ratio, then and now.

    Args:
        id: The ratio's id.
        kind: What became of it.
        before: The committed ratio; None for a new one.
        now: The best one measured; None if there is none.
        worsening: By what share it is worse; negative if it is better.
        tolerance: By what share it may be.
    """

    id: str
    kind: Kind
    before: float | None = None
    now: float | None = None
    worsening: float = 0.0
    tolerance: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether this is a regression, or a figure that got lost."""
        return self.kind in ("WORSE", "NOT MEASURED")


def tolerance_of(committed: Committed) -> float:
    """By what share a ratio may be worse than the committed one."""
    return max(TOLERANCE, SPREADS * committed.spread)


def worsening(committed: Committed, now: float) -> float:
    """By what share a ratio is worse than the committed one, whichever direction is worse; negative if it is better.

    Half as good is 100 % worse for both directions, so that a tolerance means the same for both.
    """
    before = committed.ratio
    if before <= 0 or now <= 0:
        raise ValueError(f"a ratio of times is above 0: {before} before, {now} now")
    return (now / before if committed.better == "lower" else before / now) - 1.0


def compare(committed: Mapping[str, Committed], measured: Iterable[Ratio]) -> list[Verdict]:
    """Compares.

    Args:
        committed: The committed ratios by id.
        measured: Those measured now; the best counts of those with one id.

    Returns:
        The committed ones in their order, then the new ones.
    """
    now: dict[str, list[float]] = {}
    for ratio in measured:
        now.setdefault(ratio.id, []).append(ratio.value)
    verdicts = [_verdict(key, before, now.get(key, [])) for key, before in committed.items()]
    return verdicts + [Verdict(key, "new", now=values[-1]) for key, values in now.items() if key not in committed]


def compare_again(
    committed: Mapping[str, Committed], again: Callable[[Sequence[str]], Iterable[Ratio]], ids: Sequence[str]
) -> list[Verdict]:
    """Measures and compares, and measures once more what is suspicious, up to `REPEATS` times.

    Args:
        committed: The committed ratios by id, of the benchmarks that are run.
        again: Measures the benchmarks of that name.
        ids: The names of the benchmarks.
    """
    measured = [*again(ids)]
    verdicts = compare(committed, measured)
    for _ in range(REPEATS):
        suspicious = dict.fromkeys(each.id.partition(".")[0] for each in verdicts if each.kind == "WORSE")
        if not suspicious:
            break
        measured += again([*suspicious])
        verdicts = compare(committed, measured)
    return verdicts


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """A Markdown table of verdicts."""
    lines = ["| ratio | committed | now | worse by | may be | |", "|---|---|---|---|---|---|"]
    for each in verdicts:
        both = each.before is not None and each.now is not None
        shares = f"{each.worsening:+.0%} | {each.tolerance:.0%}" if both else " | "
        lines.append(f"| {each.id} | {_times(each.before)} | {_times(each.now)} | {shares} | {each.kind} |")
    return "\n".join(lines)


def _verdict(key: str, committed: Committed, values: Sequence[float]) -> Verdict:
    tolerance = tolerance_of(committed)
    if not values:
        return Verdict(key, "NOT MEASURED", committed.ratio, tolerance=tolerance)
    best = min(values, key=lambda value: worsening(committed, value))
    share = worsening(committed, best)
    kind: Kind = "same"
    if share > tolerance:
        kind = "WORSE"
    elif 1.0 + share < 1.0 / (1.0 + tolerance):  # as far away, in the other direction
        kind = "better"
    return Verdict(key, kind, committed.ratio, best, share, tolerance)


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}x"
