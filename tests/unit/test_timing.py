import asyncio
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred import timing
from kindred.timing import Step, StepClock, lap, read, timed, written


def tick(monkeypatch: pytest.MonkeyPatch, *microseconds: int) -> None:
    """Lets so much time pass between one look at the clock and the next."""
    times = accumulate(microseconds, initial=5_000)
    monkeypatch.setattr(timing, "perf_counter_ns", lambda: 1_000 * next(times))


def test_a_step_gets_the_time_since_the_last_lap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every moment belongs to one step; one that comes again is summed up, one that does not come is not there."""
    tick(monkeypatch, 10, 500, 20, 700)
    with timed() as clock:
        for step in (Step.DECODE, Step.SEARCH, Step.SCORE, Step.SEARCH):
            lap(step)
    assert clock.seconds() == [(Step.DECODE, 10e-6), (Step.SEARCH, 1200e-6), (Step.SCORE, 20e-6)]


def test_where_no_clock_runs_a_lap_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a timed call nobody looks at the clock, and a clock that has been left notes nothing more."""
    tick(monkeypatch, 10)
    with timed() as clock:
        lap(Step.DECODE)
    lap(Step.ENCODE)
    assert clock.seconds() == [(Step.DECODE, 10e-6)]


async def test_tasks_inherit_the_clock_and_calls_have_their_own() -> None:
    """What a call does in tasks of its own counts; calls side by side do not count each other's steps."""

    async def call(step: Step) -> StepClock:
        async def inside() -> None:
            await asyncio.sleep(0)
            lap(step)

        with timed() as clock:
            await asyncio.gather(inside(), inside())
        return clock

    searching, scoring = await asyncio.gather(call(Step.SEARCH), call(Step.SCORE))
    assert [step for step, _ in searching.seconds()] == [Step.SEARCH]
    assert [step for step, _ in scoring.seconds()] == [Step.SCORE]


@given(st.dictionaries(st.sampled_from(Step), st.integers(0, 10**9), max_size=len(Step)))
def test_what_is_written_is_read(spent: dict[Step, int]) -> None:
    """The trailer has every step by name, to the microsecond."""
    steps = [(step, microseconds / 1e6) for step, microseconds in spent.items()]
    found = read(written(steps))
    assert [name for name, _ in found] == [step.label for step in spent]
    assert [seconds for _, seconds in found] == pytest.approx([seconds for _, seconds in steps])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("search;dur=1.5", [("search", 0.0015)]),
        ("cdn-cache; desc=HIT, edge; desc=x; dur=2", [("edge", 0.002)]),
        ("hidden step;dur=3", [("hidden step", 0.003)]),
        ("search;dur=, score;dur=nan, filter;dur=-1, encode;dur", []),
    ],
)
def test_what_others_write_is_read_as_far_as_it_goes(text: str, expected: list[tuple[str, float]]) -> None:
    """Steps of other versions and entries of proxies are there if they have a time, and no harm if they have none."""
    assert read(text) == expected


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    """No trailer makes reading fail, and what is read has a time of 0 or more."""
    assert all(seconds >= 0 for _, seconds in read(text))
