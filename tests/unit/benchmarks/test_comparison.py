from collections.abc import Sequence
from datetime import date

import pytest

from benchmarks.comparison import REPEATS, TOLERANCE, Verdict, compare, compare_again, tolerance_of, verdict_table
from benchmarks.report import Better, Ratio
from benchmarks.results import Committed


def committed(ratio: float, better: Better = "lower", spread: float = 0.0) -> Committed:
    """A ratio in the committed file."""
    return Committed("a figure", ratio, better, spread, "", date(2026, 11, 25))


def kinds(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """By id what became of a ratio."""
    return {each.id: each.kind for each in verdicts}


@pytest.mark.parametrize(
    ("better", "now", "kind"),
    [
        ("lower", 2.0, "same"),
        ("lower", 2.5, "same"),
        ("lower", 2.6, "WORSE"),
        ("lower", 1.6, "same"),
        ("lower", 1.5, "better"),
        ("higher", 1.6, "same"),
        ("higher", 1.5, "WORSE"),
        ("higher", 2.5, "same"),
        ("higher", 2.6, "better"),
    ],
)
def test_a_ratio_is_worse_beyond_its_tolerance_in_the_bad_direction(better: Better, now: float, kind: str) -> None:
    """A quarter more time or a fifth less speed is what noise may do; beyond it a ratio is worse."""
    assert kinds(compare({"a.b": committed(2.0, better)}, [Ratio("a.b", now, better)])) == {"a.b": kind}


def test_a_noisy_ratio_is_given_more() -> None:
    """Twice what the committed run's rounds lay apart is allowed, and never less than the tolerance of all."""
    assert tolerance_of(committed(2.0, spread=0.01)) == TOLERANCE
    assert tolerance_of(committed(2.0, spread=0.4)) == pytest.approx(0.8)
    noisy = {"a.b": committed(2.0, spread=0.4)}
    assert kinds(compare(noisy, [Ratio("a.b", 3.5, "lower")])) == {"a.b": "same"}
    assert kinds(compare(noisy, [Ratio("a.b", 3.7, "lower")])) == {"a.b": "WORSE"}


def test_the_spread_is_what_the_rounds_lie_apart() -> None:
    """The spread of a ratio is the distance of its rounds as a share of it; a single round shows none."""
    assert Ratio("a.b", 2.0, "lower", [1.8, 2.0, 2.4]).spread == pytest.approx(0.3)
    assert Ratio("a.b", 2.0, "lower").spread == 0.0


def test_the_best_of_several_measurements_counts() -> None:
    """Noise makes ratios worse, so of several measurements the best one is compared, whichever direction is better."""
    known = {"a.b": committed(2.0), "a.c": committed(2.0, "higher")}
    low = [Ratio("a.b", value, "lower") for value in (3.0, 2.1, 4.0)]
    high = [Ratio("a.c", value, "higher") for value in (1.0, 1.9, 0.5)]
    assert [each.now for each in compare(known, [*low, *high])] == [2.1, 1.9]


def test_lost_and_new_ratios_are_named() -> None:
    """A committed ratio that is not measured any more fails; a new one does not."""
    verdicts = compare({"a.b": committed(2.0)}, [Ratio("a.new", 1.0, "lower")])
    assert kinds(verdicts) == {"a.b": "NOT MEASURED", "a.new": "new"}
    assert [each.failed for each in verdicts] == [True, False]


def test_only_positive_ratios_are_compared() -> None:
    """A ratio of 0 would make any change look infinite, and is refused."""
    with pytest.raises(ValueError, match=r"above 0: 2\.0 before, 0\.0 now"):
        compare({"a.b": committed(2.0)}, [Ratio("a.b", 0.0, "lower")])


class Machine:
    """Measures what it is told to, run after run."""

    def __init__(self, **runs: Sequence[float]) -> None:
        self.runs = {name: [*values] for name, values in runs.items()}
        self.asked: list[list[str]] = []

    def measure(self, names: Sequence[str]) -> list[Ratio]:
        """One run of some benchmarks."""
        self.asked.append([*names])
        return [Ratio(f"{name}.it", self.runs[name].pop(0), "lower") for name in names]


def test_a_suspicious_ratio_is_measured_again_and_forgiven() -> None:
    """A ratio that is worse once and fine when its benchmark runs again is no regression; the others run once."""
    machine = Machine(load=[2.0], recommend=[5.0, 2.0])
    known = {"load.it": committed(2.0), "recommend.it": committed(2.0)}
    verdicts = compare_again(known, machine.measure, ["load", "recommend"])
    assert kinds(verdicts) == {"load.it": "same", "recommend.it": "same"}
    assert machine.asked == [["load", "recommend"], ["recommend"]]


def test_a_regression_stays_one_however_often_it_is_measured() -> None:
    """A ratio that is worse in every run is a regression after two more runs of its benchmark."""
    machine = Machine(load=[5.0, 4.0, 4.5])
    [verdict] = compare_again({"load.it": committed(2.0)}, machine.measure, ["load"])
    assert verdict.failed
    assert (verdict.now, verdict.worsening) == (4.0, 1.0)
    assert machine.asked == [["load"]] * (1 + REPEATS)


def test_the_table_says_what_became_of_each() -> None:
    """Each ratio has a row with what it was, what it is, how much worse, how much it may be, and the verdict."""
    known = {"a.b": committed(2.0), "a.gone": committed(1.5)}
    table = verdict_table(compare(known, [Ratio("a.b", 3.0, "lower"), Ratio("a.new", 1.25, "higher")]))
    assert table.splitlines()[2:] == [
        "| a.b | 2.00x | 3.00x | +50% | 25% | WORSE |",
        "| a.gone | 1.50x |  |  |  | NOT MEASURED |",
        "| a.new |  | 1.25x |  |  | new |",
    ]
