"""Where the time of a call goes, step by step: code says where each step ends. Pure but for the clock.

A lap gives all the time since the lap before to the step that has just ended. So every moment belongs to one step, and
the steps add up to the call. What runs side by side (the search, while the profile is read again) is not counted twice:
the step that ends later gets what it took longer.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum
from time import perf_counter_ns

ASKING = ("kindred-timing", "1")
"""The metadata of a call whose caller wants to know: key and value."""
TRAILER = "server-timing"
"""The key of the trailer that tells them, in the form of https://www.w3.org/TR/server-timing/."""


class Step(IntEnum):
    """The steps of a recommendation, in their order."""

    DECODE = 0
    """The request's bytes become a message."""
    CHECK = 1
    """The message is read and checked against catalog, recipes and the names of attributes."""
    WAIT = 2
    """For its turn, and for the freshness that was asked for; within a batch, for other calls that get theirs."""
    PROFILE = 3
    """The stored ratings of the user are read."""
    QUERY = 4
    """Opinions and the query are made of them."""
    SEARCH = 5
    """The engine finds the candidates."""
    CACHE = 6
    """Their packed profiles are looked up."""
    FETCH = 7
    """Profiles that the cache lacks are read and packed."""
    SCORE = 8
    """Similarities, the neighbors' weights and the sums over their ratings."""
    PREDICT = 9
    """What the user may rate the items that were chosen, and how many neighbors have rated these."""
    FILTER = 10
    """Which items are allowed, boosts, the best of them, diversity, what the filters left out."""
    EXPLAIN = 11
    """Reasons and the terms of scores."""
    NEW = 12
    """Items that hardly anybody has rated are chosen."""
    POPULAR = 13
    """Popular items are chosen."""
    ENCODE = 14
    """The answer becomes a message, and this bytes."""

    @property
    def label(self) -> str:
        """Its name in metrics and metadata."""
        return self.name.lower()


class StepClock:
    """Adds up the time of each step of one call."""

    __slots__ = ("_last", "_spent")

    def __init__(self) -> None:
        self._spent = [0] * len(Step)
        self._last = perf_counter_ns()

    def lap(self, step: Step) -> None:
        """Ends a step; one that comes again and again, as in a batch, is summed up."""
        now = perf_counter_ns()
        self._spent[step] += now - self._last
        self._last = now

    def seconds(self) -> list[tuple[Step, float]]:
        """How long the steps took that there were, in their order."""
        return [(step, spent / 1e9) for step, spent in zip(Step, self._spent, strict=True) if spent]


_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)
_CLOCK: ContextVar[StepClock | None] = ContextVar("kindred_step_clock", default=None)


@contextmanager
def timed() -> Iterator[StepClock]:
    """Starts a clock for what happens inside, in this task and the ones it starts."""
    clock = StepClock()
    token = _CLOCK.set(clock)
    try:
        yield clock
    finally:
        _CLOCK.reset(token)


def lap(step: Step) -> None:
    """Says that a step has ended. Costs next to nothing, and nothing is noted where no clock runs."""
    clock = _CLOCK.get()
    if clock is not None:
        clock.lap(step)


def written(steps: Iterable[tuple[Step, float]]) -> str:
    """Steps and their seconds as the text of the trailer, in milliseconds."""
    return ", ".join(f"{step.label};dur={seconds * 1000:.3f}" for step, seconds in steps)


def read(text: str) -> list[tuple[str, float]]:
    """The names and seconds in a trailer, also of steps that this version does not know; what has no time is left out.

    Args:
        text: The trailer, with or without what proxies add to it.
    """
    found = []
    for part in text.split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key == "dur" and _NUMBER.fullmatch(value):
                found.append((name, float(value) / 1000))
    return found
