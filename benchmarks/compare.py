"""Measures again and compares with the committed ratios: `python -m benchmarks.compare [recommend,load,…]`."""

import sys
from collections.abc import Iterator, Sequence

from benchmarks.__main__ import MEASURES
from benchmarks.comparison import compare_again, verdict_table
from benchmarks.measuring import measure, short_name
from benchmarks.report import Ratio
from benchmarks.results import read_ratios


def main(only: str = "") -> int:
    """Measures, compares, prints.

    Args:
        only: The benchmarks to run, with commas; empty for all.

    Returns:
        1 if a ratio is worse than the committed one beyond noise, or is not measured any more; 2 if there is no such
        benchmark.
    """
    measures = {short_name(each): each for each in MEASURES}
    names = [name.strip() for name in only.split(",") if name.strip()] or [*measures]
    if unknown := [name for name in names if name not in measures]:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(measures)}", file=sys.stderr)
        return 2
    committed = {key: each for key, each in read_ratios().items() if key.partition(".")[0] in names}

    def ratios(again: Sequence[str]) -> Iterator[Ratio]:
        chosen = [each for name, each in measures.items() if name in again]
        yield from (figure.ratio for figure in measure(chosen) if figure.ratio)

    verdicts = compare_again(committed, ratios, names)
    print(verdict_table(verdicts))
    return int(any(each.failed for each in verdicts))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
