"""Until when the work under way must be done: set where a call comes in, read where a store is waited for. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

_DEADLINE: ContextVar[float | None] = ContextVar("kindred_deadline", default=None)


@contextmanager
def deadline_in(seconds: float | None) -> Iterator[None]:
    """Gives what happens inside, in this task and the ones it starts, so much time.

    Args:
        seconds: From now; None for no bound.
    """
    token = _DEADLINE.set(None if seconds is None else monotonic() + seconds)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def time_left(most: float) -> float:
    """How many seconds a step may take: what is left until the deadline, `most` at most, 0 if it has passed.

    Args:
        most: The bound of the step itself, in seconds.
    """
    deadline = _DEADLINE.get()
    return most if deadline is None else min(most, max(0.0, deadline - monotonic()))
