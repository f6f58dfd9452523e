import pytest

from cli.counterfactual_table import print_counterfactual
from kindred.v1.item_pb2 import Item
from kindred.v1.recommendation_service_pb2 import (
    SOURCE_NEIGHBORS,
    SOURCE_POPULAR,
    STRATEGY_PERSONALIZED,
    STRATEGY_POPULAR_FALLBACK,
    Counterfactual,
    Recommendation,
    RecommendResponse,
)

STAR_WARS = Recommendation(item=Item(item_id="50", title="Star Wars"), score=2.5, source=SOURCE_NEIGHBORS)
FARGO = Recommendation(item=Item(item_id="100", title="Fargo"), score=2, source=SOURCE_NEIGHBORS)
SOLARIS = Recommendation(item=Item(item_id="7", title="Solaris"), score=501, source=SOURCE_POPULAR)
NAMES = {"1": "Toy Story", "2": "Alien", "50": "Star Wars", "7": "Solaris"}


def printed(response: RecommendResponse, capsys: pytest.CaptureFixture[str], *without: str) -> list[str]:
    """The lines that are printed."""
    print_counterfactual(response, without, NAMES.__getitem__)
    return capsys.readouterr().out.splitlines()


def test_other_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """The other answer shows where each item stands now, and below it what would be lost and gained."""
    response = RecommendResponse(
        recommendations=[STAR_WARS, FARGO],
        strategy=STRATEGY_PERSONALIZED,
        counterfactual=Counterfactual(
            recommendations=[FARGO, SOLARIS],
            lost_item_ids=["50"],
            gained_item_ids=["7"],
            strategy=STRATEGY_POPULAR_FALLBACK,
        ),
    )
    assert printed(response, capsys, "1", "2") == [
        "",
        "without the ratings of Toy Story, Alien:",
        "id   title    score  place now",
        "100  Fargo    2.000          2",
        "7    Solaris    501          -",
        "lost: Star Wars · gained: Solaris · popular fallback (no neighbor was found)",
    ]


def test_same_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """Where a rating changes nothing that is said."""
    response = RecommendResponse(
        recommendations=[FARGO],
        strategy=STRATEGY_PERSONALIZED,
        counterfactual=Counterfactual(recommendations=[FARGO], strategy=STRATEGY_PERSONALIZED),
    )
    lines = printed(response, capsys, "1")
    assert (lines[1], lines[-1]) == ("without the rating of Toy Story:", "the same items")


def test_no_other_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing would be left that is said."""
    response = RecommendResponse(counterfactual=Counterfactual(lost_item_ids=["50"]))
    assert printed(response, capsys, "1")[2:] == ["nothing left to recommend", "lost: Star Wars"]
