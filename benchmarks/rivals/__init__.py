"""Kindred against what a user would pick instead: `python -m benchmarks.rivals`."""

from benchmarks.rivals.run import measure_rivals

__all__ = ["measure_rivals"]
