import numpy as np

from benchmarks.tail import Counts, Run, table


def test_rounds_are_put_together() -> None:
    """A row has what all rounds with a cache and a rate came to; what was not answered has no time."""
    times = [np.full(99, 0.004), np.append(np.full(99, 0.004), 0.1)]
    befores = [Counts(0, 0, 5, 0, 1.0, 10.0), Counts(10, 10, 0, 0, 0.0, 0.0)]
    afters = [Counts(80, 10, 105, 2**20, 1.5, 12.0), Counts(30, 20, 300, 0, 0.49, 2.0)]
    runs = [Run(2**21, 100, 100, *each) for each in zip(times, befores, afters, strict=True)]
    silent = Run(0, 0, 1, np.empty(0), Counts(0, 0, 0, 0, 0.0, 0.0), Counts(0, 0, 0, 0, 0.0, 1.0))
    *_, row, without = table([silent, *runs]).splitlines()
    assert row == "| 2 | 100 | 83.33% | 0.1 | 1.0 | 200 | 1 | 5.0 | 4.0 | 4.0 | 81.0 |"
    assert without == "| 0 | 0 | 0.00% | 0.0 | 0.0 | 1 | 1 | 0.0 | nan | nan | nan |"
