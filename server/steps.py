"""Tells how long the steps of a call took: in the metrics of every call, and in the trailer of one that asks for it."""

from collections.abc import Awaitable, Callable

from kindred.errors import FieldViolation, InvalidArgumentError
from kindred.telemetry import STEP_SECONDS
from kindred.timing import ASKING, TRAILER, Step, timed, written
from server.grpc_types import Context

Answer = Callable[[bytes, Context], Awaitable[bytes]]
"""Answers a call: the request's bytes, and the response's."""

TIMED = frozenset({"RecommendationService/Recommend", "RecommendationService/BatchRecommend"})
"""The calls that have these steps."""


def with_steps_told(name: str, answer: Answer) -> Answer:
    """Wraps the answering of a call, so that its steps are told if it succeeds.

    Args:
        name: The call's name in the metrics.
        answer: Answers it, and says where each step ends.
    """
    histograms = [STEP_SECONDS.labels(name, step.label) for step in Step]

    async def told(data: bytes, context: Context) -> bytes:
        with timed() as clock:
            asked = _asks(context)
            answered = await answer(data, context)
        steps = clock.seconds()
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
