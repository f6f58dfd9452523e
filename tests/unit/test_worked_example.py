"""The worked example of docs/quality.md is what the product computes."""

from collections.abc import Mapping
from math import sqrt
from pathlib import Path

import pytest

from kindred.recommendation import Explained, RecommendationRequest
from tests.support.community import build_community, opened
from tests.support.reference import phi

PAGE = Path(__file__).parents[2] / "docs/quality.md"
RATINGS: Mapping[str, Mapping[str, float]] = {
    "you": {"Alien": 5, "Brazil": 2},
    "ann": {"Alien": 5, "Brazil": 1, "Casablanca": 5},
    "ben": {"Alien": 4, "Dune": 5},
    "cyd": {"Brazil": 4, "Casablanca": 3, "Dune": 4},
}


async def test_the_worked_example_is_what_is_computed(tmp_path: Path) -> None:
    """Ten ratings, step by step by hand: every number that the page shows is the product's."""
    raters = {"Alien": 3, "Brazil": 3, "Casablanca": 2, "Dune": 2}
    query = {item: phi(stars) / raters[item] ** 0.3 for item, stars in RATINGS["you"].items()}
    norms = {user: sqrt(5 + sum(phi(stars) ** 2 for stars in ratings.values())) for user, ratings in RATINGS.items()}
    similar = {
        user: sum(value * phi(ratings[item]) / norms[user] for item, value in query.items() if item in ratings)
        for user, ratings in RATINGS.items()
    }
    build_community(tmp_path / "data", RATINGS)
    async with opened(tmp_path / "data") as backend:
        answer = await backend.recommender.recommend(RecommendationRequest("you", explained=Explained.FULL))
        items = {backend.catalog.item(item.row).item_id: item for item in answer.items}
    assert list(items) == ["Casablanca", "Dune"]
    assert answer.neighbors_used == 2
    scores = {"Casablanca": 1.0, "Dune": similar["ben"] / similar["ann"]}
    for name, neighbor in {"Casablanca": "ann", "Dune": "ben"}.items():
        assert items[name].score == pytest.approx(scores[name])
        explanation = items[name].explanation
        assert explanation is not None
        [term] = explanation.neighbors
        assert term.user_id == neighbor
        assert term.similarity == pytest.approx(similar[neighbor])
    page = PAGE.read_text()
    assert all(f"{item} {raters[item]}" in page for item in raters)
    shown = [
        *(f"{query[item]:.3f}" for item in query),
        *(f"{norms[user]:.3f}" for user in ("ann", "ben", "cyd")),
        *(f"{similar[user]:.3f}" for user in ("ann", "ben", "cyd")),
        *(f"{score:.3f}" for score in scores.values()),
        *(f"{item.predicted:.2f}" for item in items.values()),
        *(f"{item.reasons[0].share:.0%}".replace("%", " %") for item in items.values()),
    ]
    assert [number for number in shown if number not in page] == []
