"""Reads what a caller thinks of an item: a number or a reaction."""

import math

from kindred.events import REACTIONS
from kindred.ratings import Reaction
from kindred.v1.rating_service_pb2 import NewRating
from kindred.v1.reaction_pb2 import Reaction as ReactionMessage
from kindred.v1.recommendation_service_pb2 import InlineRating
from server.checks import Checks


def read_opinion(rating: InlineRating | NewRating, field: str, checks: Checks) -> float | Reaction:
    """Reads the opinion of a rating; whether a number is on the scale is for the heart to say.

    Args:
        rating: The rating.
        field: Its path.
        checks: Notes what is wrong: neither of the two, or an unknown reaction.

    Returns:
        The opinion; NaN if something is wrong.
    """
    match rating.WhichOneof("opinion"):
        case "value":
            return rating.value
        case "reaction" if rating.reaction in REACTIONS:
            return REACTIONS[rating.reaction]
        case "reaction":
            known = ", ".join(ReactionMessage.Name(number) for number in REACTIONS)
            checks.wrong(f"{field}.reaction", f"must be one of {known}")
        case _:
            checks.wrong(field, "needs a value or a reaction")
    return math.nan
