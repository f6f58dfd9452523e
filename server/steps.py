"""Tells how long the steps of calls took: in metrics, and in the trailer of a call that asks for it."""

from collections.abc import Awaitable, Callable
from itertools import count

from kindred.errors import FieldViolation, InvalidArgumentError
from kindred.telemetry import STEP_SECONDS
from kindred.timing import ASKING, TRAILER, Step, timed, written
from server.grpc_types import Context

Answer = Callable[[bytes, Context], Awaitable[bytes]]
"""Answers a call: the request's bytes, and the response's."""

TIMED = frozenset({"RecommendationService/Recommend", "RecommendationService/BatchRecommend"})
"""The calls that have these steps."""
MEASURED = 7
"""One in so many calls is in the metrics, the first of a process among them: filling histograms takes longer than laps.
A prime, so that it falls in step with few callers who alternate between kinds of calls."""


def with_steps_told(name: str, answer: Answer) -> Answer:
    """Wraps the answering of a call, so that its steps are told, if it succeeds.

    Args:
        name: The call's name in the metrics.
        answer: Answers it, and says where each step ends.
    """
    calls = count()
    histograms = [STEP_SECONDS.labels(name, step.label) for step in Step]

    async def told(data: bytes, context: Context) -> bytes:
        asked, measured = _asks(context), next(calls) % MEASURED == 0
        if not (asked or measured):
            return await answer(data, context)
        with timed() as clock:
            answered = await answer(data, context)
        steps = clock.seconds()
        if measured:
            for step, seconds in steps:
                histograms[step].observe(seconds)
        if asked:
            context.set_trailing_metadata(((TRAILER, written(steps)),))
        return answered

    return told


def _asks(context: Context) -> bool:
    """Whether the caller asks for the steps.

    Raises:
        InvalidArgumentError: It is not clear.
    """
    asking, yes = ASKING
    values = [value for key, value in context.invocation_metadata() or () if key == asking]
    if any(value != yes for value in values):
        raise InvalidArgumentError([FieldViolation(f"metadata.{asking}", f"must be {yes}, or not be there")])
    return bool(values)
