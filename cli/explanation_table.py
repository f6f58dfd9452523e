"""Every term of every score, as tables: the neighbors, what came through which item, what changed it, and the sum."""

from collections.abc import Callable, Iterator

from cli.origins import Origins, place_of
from cli.output import Column, decimal, print_table, say, title_of
from kindred.v1.recommendation_service_pb2 import FullExplanation, NeighborTerm, Recommendation, RecommendResponse

_ROUNDING = 1e-9
"""A part of a term that is smaller than this share of it is an error of rounding."""

Name = Callable[[str], str]
"""What to call an item, by its id."""

_COLUMNS = (
    Column("term"),
    Column("rating", justify="right", keep=True),
    Column("similarity", justify="right", keep=True),
    Column("weight", justify="right", keep=True),
    Column("part of score", justify="right", keep=True),
    Column("through"),
)


def items_of_terms(response: RecommendResponse) -> list[str]:
    """The ids of the items that full explanations name."""
    return [
        shared.item_id
        for recommendation in response.recommendations
        for term in recommendation.explanation.neighbors
        for shared in term.shared_items
    ]


def print_explanations(response: RecommendResponse, name: Name, origins: Origins) -> None:
    """Prints the terms of the score of each item that has them.

    Args:
        response: The answer.
        name: What to call items.
        origins: Where boosts were typed.
    """
    for recommendation in response.recommendations:
        if recommendation.HasField("explanation"):
            say("")
            say(f"{recommendation.item.item_id} {title_of(recommendation.item)}:")
            print_table(_COLUMNS, list(term_rows(recommendation, name, origins)))


def term_rows(recommendation: Recommendation, name: Name, origins: Origins) -> Iterator[list[str]]:
    """The rows of one item: neighbors, other neighbors, adjustments, and the score, which is their sum.

    Args:
        recommendation: The item.
        name: What to call items.
        origins: Where boosts were typed.
    """
    explanation = recommendation.explanation
    for place, term in enumerate(explanation.neighbors, start=1):
        yield [
            f"user {term.user_id}" if term.user_id else f"neighbor {place}",
            f"{term.rating:g}",
            decimal(term.similarity),
            decimal(term.weight),
            decimal(term.contribution, "+"),
            _through(term, name),
        ]
    if explanation.other_neighbors_count:
        yield [_others(explanation), "", "", "", decimal(explanation.other_neighbors, "+"), ""]
    for adjustment in explanation.adjustments:
        place_typed = place_of(adjustment.reason, origins)
        reason = place_typed if place_typed != adjustment.reason else adjustment.reason.replace("_", " ")
        yield [reason, "", "", "", decimal(adjustment.contribution, "+"), ""]
    yield ["score", "", "", "", decimal(recommendation.score), ""]


def _through(term: NeighborTerm, name: Name) -> str:
    parts = [f"{name(shared.item_id)} {decimal(shared.contribution, '+')}" for shared in term.shared_items]
    if abs(term.other_shared_items) > _ROUNDING * abs(term.contribution):
        parts.append(f"others {decimal(term.other_shared_items, '+')}")
    return ", ".join(parts)


def _others(explanation: FullExplanation) -> str:
    count = explanation.other_neighbors_count
    return f"{count:,} other neighbor{'s' if count > 1 else ''}"
