"""Says what the filters of a request have left out, where an answer has fewer than were asked for."""

from collections.abc import Iterable

from cli.output import say
from kindred.v1.recommendation_service_pb2 import FilterEffect


def say_filter_effects(effects: Iterable[FilterEffect]) -> None:
    """Prints a line for each filter.

    Args:
        effects: What the answer says of them.
    """
    for each in effects:
        say(shown_effect(each), quietly=True)


def shown_effect(effect: FilterEffect) -> str:
    """What one filter has left out: `items.genres leaves out 1,600 of 1,682 items`."""
    things = "items" if effect.field.partition(".")[0] == "items" else "users"
    return f"{effect.field} leaves out {effect.removed:,} of {effect.total:,} {things}"
