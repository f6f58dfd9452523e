"""One run: everybody on the same data and split, and the figures that have a target."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.processes import qdrant
from benchmarks.report import Figure, Ratio
from benchmarks.rivals.contest import Contest
from benchmarks.rivals.libraries import library_rivals
from benchmarks.rivals.limit import limit_rivals, memory_limit
from benchmarks.rivals.product import EMBEDDED, ON_QDRANT, load_embedded, product_rivals
from benchmarks.rivals.published import IN_MEMORY, NOTEBOOK, TUTORIAL, published_rivals
from benchmarks.rivals.rival import compete
from benchmarks.rivals.rows import Row, rows_table
from loader.datasets import fetch_dataset

TARGET = 20.0


def measure_rivals(workspace: Path) -> list[Figure]:
    """Prints the table of everybody on MovieLens 100K, and gives the figures that have a target.

    Args:
        workspace: A folder.
    """
    rows, about = run_rivals(fetch_dataset("ml-100k"), workspace / "rivals")
    print(f"{about}\n\n{rows_table(rows)}\n")
    return target_figures(rows)


def run_rivals(source: Path, workspace: Path) -> tuple[list[Row], str]:
    """Measures everybody.

    Args:
        source: A data set in one of MovieLens' forms.
        workspace: A folder that is not there yet.

    Returns:
        The rows, Kindred's first, and what they were measured on.
    """
    contest = Contest.prepare(source, workspace / "csv")
    embedded = workspace / "embedded"
    load_embedded(contest, embedded)
    with ExitStack() as stack:
        url, what = stack.enter_context(qdrant(workspace / "qdrant"))
        limits = [*limit_rivals(embedded, workspace, stack)]
        rows = compete(
            contest,
            [
                *product_rivals(contest, embedded, url, stack),
                *published_rivals(contest, url, stack),
                *library_rivals(contest),
                *limits,
            ],
        )
    rows.append(memory_limit(contest, embedded))
    about = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with {os.cpu_count()} cores on {contest.table.name}: "
        f"{contest.train.users.size:,} ratings of {len(contest.table.user_ids):,} users are stored, a fifth of each "
        "user's is held out. Medians of one run, in which all were asked in turn, twenty users at a time; "
        f"Qdrant's API: {what}."
    )
    return rows, about


def target_figures(rows: Sequence[Row]) -> list[Figure]:
    """Kindred against the tutorial.

    Args:
        rows: As `run_rivals` gives them.
    """
    by_name = {row.who: row for row in rows}
    embedded, product = by_name[EMBEDDED], by_name[ON_QDRANT]
    tutorial, notebook, in_memory = by_name[TUTORIAL], by_name[NOTEBOOK], by_name[IN_MEMORY]
    answers, others = _times(tutorial.answer_ms, product.answer_ms), _times(notebook.answer_ms, product.answer_ms)
    local = _times(in_memory.answer_ms, embedded.answer_ms)
    fresh = _times(tutorial.fresh_ms, product.fresh_ms)
    return [
        Figure(
            "Time to answer of Qdrant's published tutorial against Kindred's, both over Qdrant's API",
            f"{answers:.1f}x",
            f"{tutorial.answer_ms:.1f} and {product.answer_ms:.1f} ms; the published notebook {others:.1f}x",
            f"at least {TARGET:.0f}x",
            answers >= TARGET,
            Ratio("rivals.tutorial-answer", answers, "higher"),
        ),
        Figure(
            "Time to answer of Qdrant's notebook with its own client in memory against Kindred's, embedded engine",
            f"{local:.1f}x",
            f"{in_memory.answer_ms:.1f} and {embedded.answer_ms:.1f} ms, Kindred's over gRPC",
            f"at least {TARGET:.0f}x",
            local >= TARGET,
            Ratio("rivals.notebook-in-memory", local, "higher"),
        ),
        Figure(
            "Time until a new rating counts in that tutorial against Kindred's, both over Qdrant's API",
            f"{fresh:.0f}x",
            f"{tutorial.fresh_ms:,.0f} and {product.fresh_ms:.1f} ms; the tutorial loads everything again",
            f"at least {TARGET:.0f}x",
            fresh >= TARGET,
            Ratio("rivals.tutorial-fresh", fresh, "higher"),
        ),
    ]


def _times(theirs: float | None, ours: float | None) -> float:
    if theirs is None or ours is None:
        raise RuntimeError("nothing was measured")
    return theirs / ours
