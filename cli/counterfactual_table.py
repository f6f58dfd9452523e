"""What the answer would be without some of the user's ratings, as a table, and what that changes."""

from collections.abc import Callable, Sequence

from cli.output import ID, TITLE, Column, print_table, say, title_of
from cli.recommendation_table import STRATEGIES, shown_score
from kindred.v1.recommendation_service_pb2 import RecommendResponse

Name = Callable[[str], str]
"""What to call an item, by its id."""


def print_counterfactual(response: RecommendResponse, without: Sequence[str], name: Name) -> None:
    """Prints the other answer: each item with the place that it has in the real one.

    Args:
        response: The answer.
        without: The ids of the items whose ratings are left out.
        name: What to call items.
    """
    other = response.counterfactual
    places = {each.item.item_id: str(place) for place, each in enumerate(response.recommendations, start=1)}
    ratings = "the rating" if len(without) == 1 else "the ratings"
    say("")
    say(f"without {ratings} of {', '.join(map(name, without))}:")
    if other.recommendations:
        print_table(
            (ID, TITLE, Column("score", justify="right", keep=True), Column("place now", justify="right", keep=True)),
            [
                [each.item.item_id, title_of(each.item), shown_score(each), places.get(each.item.item_id, "-")]
                for each in other.recommendations
            ],
        )
    else:
        say("nothing left to recommend")
    parts = []
    if other.lost_item_ids:
        parts.append(f"lost: {', '.join(map(name, other.lost_item_ids))}")
    if other.gained_item_ids:
        parts.append(f"gained: {', '.join(map(name, other.gained_item_ids))}")
    if other.strategy != response.strategy:
        parts.append(STRATEGIES.get(other.strategy, "unknown strategy"))
    say(" · ".join(parts) or "the same items", quietly=True)
