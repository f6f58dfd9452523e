from collections.abc import Callable

import pytest
from google.protobuf.struct_pb2 import Value

from cli.recommendation_table import print_recommendations
from kindred.v1.filter_pb2 import AttributeCondition, AttributeFilter
from kindred.v1.item_pb2 import Item
from kindred.v1.recommendation_service_pb2 import (
    RECIPE_RIDGE,
    SOURCE_NEIGHBORS,
    SOURCE_NEW,
    SOURCE_POPULAR,
    STRATEGY_MIXED,
    STRATEGY_PERSONALIZED,
    STRATEGY_POPULAR_FALLBACK,
    Recommendation,
    RecommendResponse,
)

STAR_WARS = Recommendation(
    item=Item(item_id="50", title="Star Wars", year=1977),
    score=1.23456,
    support=42,
    source=SOURCE_NEIGHBORS,
    predicted_rating=4.5,
)
FARGO = Recommendation(item=Item(item_id="100", title="Fargo", year=1996), score=501, source=SOURCE_POPULAR)
SOLARIS = Recommendation(item=Item(item_id="7", title="Solaris", year=1972), score=0.5, source=SOURCE_NEW)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Prints an answer and gives its lines."""

    def lines(response: RecommendResponse, *, explained: bool = True) -> list[str]:
        print_recommendations(response, explained=explained)
        return capsys.readouterr().out.splitlines()

    return lines


def test_sources_and_predicted_ratings(printed: Callable[..., list[str]]) -> None:
    """Where items come from several sources each says which; a predicted rating has a column if there is one."""
    response = RecommendResponse(
        recommendations=[STAR_WARS, FARGO, SOLARIS],
        strategy=STRATEGY_MIXED,
        personalized_count=1,
        popular_count=1,
        new_count=1,
        neighbors_used=178,
        recipe=RECIPE_RIDGE,
        recipe_name="ours",
    )
    *table, footer = printed(response)
    assert table == [
        "id   title             score  predicted  support  from",
        "50   Star Wars (1977)  1.235       4.50       42  neighbors",
        "100  Fargo (1996)        501                      popular",
        "7    Solaris (1972)    0.500                      new",
    ]
    assert footer == (
        "mixed (1 from neighbors, 1 popular, 1 new) · 178 neighbors used · recipe ours, from ridge"
        " · score of popular items: how many users like them"
        " · score of new items: how much they share with what you like, 0 to 1"
    )


def test_reasons_of_new_items(printed: Callable[..., list[str]]) -> None:
    """A new item says that it is one, and which liked items it is like."""
    new = Recommendation()
    new.CopyFrom(SOLARIS)
    new.reasons.add(item=STAR_WARS.item, share=0.75)
    heading, row, _ = printed(RecommendResponse(recommendations=[new], new_count=1, strategy=STRATEGY_MIXED))
    assert heading.endswith("  because you liked")
    assert row.endswith("  (new) Star Wars (1977) 75%")


def test_genres_of_whole_items(printed: Callable[..., list[str]]) -> None:
    """Items that come with their genres show them."""
    item = Item(item_id="50", title="Star Wars", genres=["Action", "Sci-Fi"])
    whole = Recommendation(item=item, score=1, support=1, source=SOURCE_NEIGHBORS)
    heading, row, _ = printed(RecommendResponse(recommendations=[whole]))
    assert heading.split() == ["id", "title", "genres", "score", "support"]
    assert "Action, Sci-Fi" in row


def test_boosted_popular_item(printed: Callable[..., list[str]]) -> None:
    """The score of a popular item is a count; boosted it is a number like others."""
    boosted = Recommendation(item=Item(item_id="1", title="A"), score=750.5, source=SOURCE_POPULAR)
    rows = printed(RecommendResponse(recommendations=[FARGO, boosted]))[1:3]
    assert [row.split()[-1] for row in rows] == ["501", "750.500"]


def test_filter_effects(printed: Callable[..., list[str]]) -> None:
    """What filters have left out is said of items and users, a line each, before what answered."""
    response = RecommendResponse(strategy=STRATEGY_PERSONALIZED, recipe=RECIPE_RIDGE)
    response.filter_effects.add(field="items.genres", removed=1_600, total=1_682)
    response.filter_effects.add(field="neighbors.filter", removed=943, total=943)
    assert printed(response) == [
        "nothing left to recommend",
        "items.genres leaves out 1,600 of 1,682 items",
        "neighbors.filter leaves out 943 of 943 users",
        "personalized · 0 neighbors used · recipe ridge",
    ]


def test_popular_among_people_like_the_user(printed: Callable[..., list[str]]) -> None:
    """Where popular items are those of a segment the footer says of which."""
    among = AttributeFilter(all_of=[AttributeCondition(name="country", equals=Value(string_value="NL"))])
    response = RecommendResponse(strategy=STRATEGY_POPULAR_FALLBACK, recipe=RECIPE_RIDGE, popular_among=among)
    assert "· popular among users with country=NL" in printed(response)[-1]
