import pytest

from cli.explanation_table import items_of_terms, print_explanations
from kindred.v1.item_pb2 import Item
from kindred.v1.recommendation_service_pb2 import (
    SOURCE_NEIGHBORS,
    Adjustment,
    FullExplanation,
    NeighborTerm,
    Recommendation,
    RecommendResponse,
    SharedItem,
)

NAMES = {"1": "Toy Story (1995)"}
RESPONSE = RecommendResponse(
    recommendations=[
        Recommendation(
            item=Item(item_id="50", title="Star Wars", year=1977),
            score=2.5,
            source=SOURCE_NEIGHBORS,
            explanation=FullExplanation(
                neighbors=[
                    NeighborTerm(
                        user_id="7",
                        rating=4.5,
                        similarity=0.5,
                        weight=1,
                        contribution=3,
                        shared_items=[
                            SharedItem(item_id="1", contribution=2),
                            SharedItem(item_id="100", contribution=1.25),
                        ],
                        other_shared_items=-0.25,
                    ),
                    NeighborTerm(rating=1, similarity=0.25, weight=0.5, contribution=-1),
                ],
                other_neighbors=1.5,
                other_neighbors_count=1_234,
                adjustments=[
                    Adjustment(reason="score_damping", contribution=-2),
                    Adjustment(reason="boosts[0]", contribution=1),
                ],
            ),
        ),
        Recommendation(item=Item(item_id="2", title="Popular")),
    ]
)


def test_terms(capsys: pytest.CaptureFixture[str]) -> None:
    """Each neighbor, the others, each adjustment and the score have a row; boosts are named as they were typed."""
    origins = {"boosts": ["--boost genre:Drama=1.5"]}
    through = "Toy Story (1995) +2.000, 100 +1.250, others -0.250"
    print_explanations(RESPONSE, lambda item_id: NAMES.get(item_id, item_id), origins)
    assert capsys.readouterr().out.splitlines() == [
        "",
        "50 Star Wars (1977):",
        "term                     rating  similarity  weight  part of score  through",
        "user 7                      4.5       0.500   1.000         +3.000  " + through,
        "neighbor 2                    1       0.250   0.500         -1.000",
        "1,234 other neighbors                                       +1.500",
        "score damping                                               -2.000",
        "--boost genre:Drama=1.5                                     +1.000",
        "score                                                        2.500",
    ]


def test_errors_of_rounding_are_no_part(capsys: pytest.CaptureFixture[str]) -> None:
    """What other shared items contribute is left out where it is nothing but an error of rounding."""
    response = RecommendResponse()
    term = NeighborTerm(
        contribution=2, shared_items=[SharedItem(item_id="1", contribution=2)], other_shared_items=-1e-16
    )
    response.recommendations.add(explanation=FullExplanation(neighbors=[term]))
    print_explanations(response, str, {})
    assert "others" not in capsys.readouterr().out


def test_items_to_name() -> None:
    """The items that terms name by their ids are known."""
    assert items_of_terms(RESPONSE) == ["1", "100"]


def test_nothing_is_printed_without_explanations(capsys: pytest.CaptureFixture[str]) -> None:
    """An answer without full explanations has no such table."""
    print_explanations(RecommendResponse(recommendations=[Recommendation(score=1)]), str, {})
    assert capsys.readouterr().out == ""
