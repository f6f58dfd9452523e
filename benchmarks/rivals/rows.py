"""One rival's row, and the table of them all."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one way to recommend.

    Args:
        who: The way, and what it runs on.
        ndcg: NDCG@10 on the split; None where nothing was ranked.
        answer_ms: Median milliseconds from the question to the list; None if it could not be asked.
        fresh_ms: Milliseconds from a new rating to the first answer over data that has it; None if that is no question.
        note: What the figures are made of, or why there are none.
    """

    who: str
    ndcg: float | None = None
    answer_ms: float | None = None
    fresh_ms: float | None = None
    note: str = ""


def rows_table(rows: Sequence[Row]) -> str:
    """A Markdown table of rows; times also as multiples of the first row's.

    Args:
        rows: The rows, the one to compare with first.
    """
    lines = [
        "| who | NDCG@10 | time to answer | | time until a new rating counts | | made of |",
        "|---|---|---|---|---|---|---|",
    ]
    first = rows[0]
    for row in rows:
        ndcg = "" if row.ndcg is None else f"{row.ndcg:.3f}"
        answer, fresh = _time(row.answer_ms), _time(row.fresh_ms)
        times = (
            f"{answer} | {_times(row.answer_ms, first.answer_ms)} | {fresh} | {_times(row.fresh_ms, first.fresh_ms)}"
        )
        lines.append(f"| {row.who} | {ndcg} | {times} | {row.note} |")
    return "\n".join(lines)


def _time(milliseconds: float | None) -> str:
    if milliseconds is None:
        return ""
    if milliseconds >= 1_000:  # noqa: PLR2004  # a second
        return f"{milliseconds / 1_000:.1f} s"
    return f"{milliseconds:.3g} ms" if milliseconds < 1 else f"{milliseconds:.1f} ms"


def _times(milliseconds: float | None, first: float | None) -> str:
    if milliseconds is None or not first:
        return ""
    ratio = milliseconds / first
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.2g}x"  # noqa: PLR2004  # two digits are enough
