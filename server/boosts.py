"""Reads the boosts of a request, and notes every field that is wrong."""

from collections.abc import Sequence

from kindred.boosts import MAX_BOOSTS, Boost, FromYear, GenreIs, TagIs, check_boost, check_factor
from kindred.v1.recommendation_service_pb2 import Boost as BoostMessage
from server.checks import Checks
from server.filters import read_condition


def read_boosts(messages: Sequence[BoostMessage], field: str, checks: Checks) -> tuple[Boost, ...]:
    """Reads boosts. Whether the catalog has what they name is for `unknown_in_boosts` to say.

    Args:
        messages: The boosts.
        field: The path of their list.
        checks: Notes what is wrong.
    """
    if not checks.count(messages, field, MAX_BOOSTS, least=0):
        return ()
    boosts = []
    for place, message in enumerate(messages):
        boost = _read_boost(message, f"{field}[{place}]", checks)
        if boost is not None:
            checks.violations += check_boost(boost, f"{field}[{place}]")
            boosts.append(boost)
    return tuple(boosts)


def _read_boost(message: BoostMessage, field: str, checks: Checks) -> Boost | None:
    match message.WhichOneof("on"):
        case "genre":
            return Boost(message.factor, GenreIs(message.genre))
        case "tag":
            return Boost(message.factor, TagIs(message.tag))
        case "min_year":
            return Boost(message.factor, FromYear(message.min_year))
        case "attribute":
            return Boost(message.factor, read_condition(message.attribute, f"{field}.attribute", checks))
        case _:
            checks.wrong(field, "needs one of genre, tag, attribute and min_year")
            checks.violations += check_factor(message.factor, f"{field}.factor")
    return None
