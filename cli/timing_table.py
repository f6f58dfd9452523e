"""Prints where the time of a call went, on standard error: standard output is for the answer."""

from cli.client import CallTiming
from cli.output import Column, complain, print_table


def print_timing(timing: CallTiming) -> None:
    """Prints a row for each step in the server, their sum, and how long the call took here.

    Args:
        timing: How long the call took.
    """
    if not timing.steps:
        complain(f"the call took {timing.seconds * 1000:.3f} ms; the server does not tell where they went")
        return
    total = sum(seconds for _, seconds in timing.steps)
    rows = [(name, seconds, f"{seconds / total:.0%}" if total else "") for name, seconds in timing.steps]
    rows += [("all steps", total, "100%"), ("call, as seen here", timing.seconds, "")]
    print_table(
        [Column("step", keep=True), Column("ms", justify="right", keep=True), Column("share", justify="right")],
        [(name, f"{seconds * 1000:.3f}", share) for name, seconds, share in rows],
        on_stderr=True,
    )
