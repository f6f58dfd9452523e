import asyncio

import pytest

from kindred.deadline import deadline_in, time_left


def test_without_a_deadline_a_step_has_its_own_bound() -> None:
    """Outside of any call a step may take what it is bounded by itself."""
    assert time_left(5.0) == 5.0
    with deadline_in(None):
        assert time_left(5.0) == 5.0


@pytest.mark.parametrize(
    ("seconds", "most", "least"), [(10.0, 5.0, 5.0), (2.0, 1.9, 1.0), (0.0, 0.0, 0.0), (-1.0, 0, 0)]
)
def test_the_nearer_bound_counts(seconds: float, most: float, least: float) -> None:
    """A step gets what is left until the deadline, no more than its own bound, and nothing when the time is over."""
    with deadline_in(seconds):
        assert least <= time_left(5.0 if seconds > 5 else 1.9) <= most


async def test_tasks_inherit_the_deadline_and_keep_to_themselves() -> None:
    """A task that is started inside has the deadline; tasks beside it have their own."""

    async def inside() -> float:
        await asyncio.sleep(0)
        return time_left(60.0)

    async def call(seconds: float) -> float:
        with deadline_in(seconds):
            return await asyncio.create_task(inside())

    short, long, none = await asyncio.gather(call(1.0), call(30.0), inside())
    assert 0 < short <= 1 < long <= 30
    assert none == 60


def test_the_outer_deadline_is_back_afterwards() -> None:
    """When the inner work is over its deadline is, too."""
    with deadline_in(30.0):
        with deadline_in(1.0):
            pass
        assert time_left(60.0) > 1
    assert time_left(60.0) == 60
