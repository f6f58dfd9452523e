import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from kindred.v1.catalog_service_pb2 import BatchGetItemsRequest, SearchItemsRequest, SearchItemsResponse
from kindred.v1.filter_pb2 import (
    AttributeCondition,
    AttributeFilter,
    ItemFilter,
    NumberRange,
    RatingPeriod,
    UserFilter,
    WordFilter,
)
from kindred.v1.item_pb2 import ITEM_VIEW_FULL
from kindred.v1.reaction_pb2 import REACTION_DISLIKE, REACTION_LIKE
from kindred.v1.recommendation_service_pb2 import (
    EXPLANATION_FULL,
    EXPLANATION_NONE,
    EXPLANATION_SUMMARY,
    RECIPE_DEFAULT,
    RECIPE_TUTORIAL_RATINGS,
    RECIPE_UNSPECIFIED,
    SOURCE_NEIGHBORS,
    SOURCE_POPULAR,
    STRATEGY_PERSONALIZED,
    STRATEGY_POPULAR_FALLBACK,
    Boost,
    InlineRating,
    NeighborOptions,
    NeighborTerm,
    RecipeOverrides,
    RecommendRequest,
    RecommendResponse,
)


def _sent(kindred: Any) -> RecommendRequest:
    return kindred.last(RecommendRequest)


def test_table(kindred: Any) -> None:
    """The table shows title and year, the score, the support and the reasons; the line below says what answered."""
    result = kindred.run("recommend", "--user", "7")
    assert result.exit_code == 0
    *table, footer = result.stdout.splitlines()
    assert table == [
        "id   title                       score  support  because you liked",
        "50   Star Wars (1977)            1.235       42  Toy Story (1995) 38%, Fargo (1996) 20%",
        "666  Ev[31mil [bold]Dead[/bold]    501           (popular)",
    ]
    assert footer == (
        "mixed (1 from neighbors, 1 popular) · 178 neighbors used · recipe default"
        " · score of popular items: how many users like them · 20 stored ratings, revision 12"
    )
    assert (_sent(kindred).user_id, _sent(kindred).limit) == ("7", 10)
    assert _sent(kindred).explanation == EXPLANATION_SUMMARY
    assert _sent(kindred).recipe == RECIPE_UNSPECIFIED
    assert not _sent(kindred).neighbors.HasField("k")


def test_json(kindred: Any) -> None:
    """With --json standard output is one document, the response, with every field."""
    result = kindred.run("recommend", "--user", "7", "--json")
    document = json.loads(result.stdout)
    assert document["strategy"] == "STRATEGY_MIXED"
    assert document["recommendations"][0]["item"]["itemId"] == "50"
    assert document["recommendations"][1]["support"] == 0
    assert result.stderr == ""


def test_options(kindred: Any) -> None:
    """Every option arrives in the request."""
    arguments = ["--limit", "3", "--k", "50", "--recipe", "tutorial-ratings", "--exclude", "fargo", "--include-rated"]
    arguments += ["--explain", "none", "--fresh", "token", "--min-overlap", "2", "--item-view", "full"]
    arguments += ["--genre", "Drama", "--not-tag", "dull", "--only", "fargo", "--only", "50", "--item", "country=NL"]
    arguments += ["--neighbor", "age=20..", "--min-ratings", "20", "--since", "1970-01-02", "--half-life", "90d"]
    arguments += ["--set", "sharpness=2", "--boost", "genre:Drama=1.5", "--diversity", "0.5", "--new-share", "0.25"]
    result = kindred.run("recommend", "--user", "7", *arguments, "--without", "toy story")
    assert "because" not in result.stdout
    country = AttributeCondition(name="country", equals=Value(string_value="NL"))
    age = AttributeCondition(name="age", range=NumberRange(at_least=20))
    assert _sent(kindred) == RecommendRequest(
        user_id="7",
        limit=3,
        exclude_item_ids=["100"],
        include_rated=True,
        neighbors=NeighborOptions(
            k=50, min_overlap=2, filter=UserFilter(attributes=AttributeFilter(all_of=[age]), min_ratings=20)
        ),
        recipe=RECIPE_TUTORIAL_RATINGS,
        explanation=EXPLANATION_NONE,
        item_view=ITEM_VIEW_FULL,
        at_least_as_fresh="token",
        items=ItemFilter(
            genres=WordFilter(any_of=["Drama"]),
            tags=WordFilter(none_of=["dull"]),
            attributes=AttributeFilter(all_of=[country]),
            candidate_item_ids=["100", "50"],
        ),
        period=RatingPeriod(since=Timestamp(seconds=86_400), half_life=Duration(seconds=90 * 86_400)),
        overrides=RecipeOverrides(sharpness=2),
        boosts=[Boost(factor=1.5, genre="Drama")],
        diversity=0.5,
        new_item_share=0.25,
        without_item_ids=["1"],
    )


def test_every_field_of_the_contract_has_an_option(kindred: Any) -> None:
    """What a request of the contract can say can be said on the command line."""
    fields = {field.name for field in RecommendRequest.DESCRIPTOR.fields}
    test_options(kindred)
    sent = {field.name for field, _ in _sent(kindred).ListFields()}
    assert kindred.run("recommend", "--like", "50", "--recipe", "ours").exit_code == 0
    sent |= {field.name for field, _ in _sent(kindred).ListFields()}
    assert sent == fields


def test_popular_items_need_nobody(kindred: Any) -> None:
    """What is popular is the same for everyone: it needs no user and no ratings."""
    assert kindred.run("recommend", "--recipe", "popular").exit_code == 0


def test_full_explanations_and_the_answer_without_a_rating(kindred: Any) -> None:
    """Items that explanations name by id alone are shown by title, asked for in one call."""
    term = NeighborTerm(rating=5, similarity=0.5, weight=1, contribution=2)
    term.shared_items.add(item_id="1", contribution=1.5)
    term.shared_items.add(item_id="100", contribution=0.5)
    answer = RecommendResponse(strategy=STRATEGY_PERSONALIZED, recipe=RECIPE_DEFAULT, personalized_count=1)
    answer.recommendations.add(
        item={"item_id": "50", "title": "Star Wars"}, score=2, support=1, source=SOURCE_NEIGHBORS
    ).explanation.neighbors.append(term)
    answer.counterfactual.lost_item_ids.append("50")
    kindred.answers["Recommend"] = [answer]
    result = kindred.run("recommend", "--like", "toy story", "--explain", "full", "--without", "toy story")
    assert result.exit_code == 0
    assert _sent(kindred).explanation == EXPLANATION_FULL
    lines = result.stdout.splitlines()
    assert lines[3:5] == ["", "50 Star Wars:"]
    assert lines[6].endswith("  Toy Story (1995) +1.500, Fargo (1996) +0.500")
    assert lines[8:] == ["", "without the rating of Toy Story (1995):", "nothing left to recommend", lines[-1]]
    assert lines[-1].startswith("lost: Star Wars")
    asked = [list(request.item_ids) for request in kindred.requests if isinstance(request, BatchGetItemsRequest)]
    assert asked == [["toy story"], ["100"]]


def test_items_as_people_type_them(kindred: Any, tmp_path: Path) -> None:
    """Ids, ids of other catalogs, titles and rows of a file become the catalog's ids; ids are asked for in one call."""
    csv = tmp_path / "mine.csv"
    csv.write_text("movieId,rating\n7,3.5\n")
    typed = [
        "--like",
        "toy story",
        "--dislike",
        "imdb:tt0076759",
        "--rating",
        "Fargo (1996)=4.5",
        "--ratings",
        str(csv),
    ]
    assert kindred.run("recommend", *typed).exit_code == 0
    assert list(_sent(kindred).ratings) == [
        InlineRating(item_id="1", reaction=REACTION_LIKE),
        InlineRating(item_id="50", reaction=REACTION_DISLIKE),
        InlineRating(item_id="100", value=4.5),
        InlineRating(item_id="7", value=3.5),
    ]
    asked = [request for request in kindred.requests if isinstance(request, BatchGetItemsRequest)]
    assert [list(request.item_ids) for request in asked] == [["toy story", "imdb:tt0076759", "Fargo (1996)", "7"]]


@pytest.mark.parametrize(
    ("typed", "item_id"),
    [("toy story", "1"), ("STORY, toy!", "1"), ("star trek", "222"), ("solaris (2002)", "8"), ("8", "8")],
    ids=["exact before longer", "order and punctuation", "the only match", "year", "id"],
)
def test_title_that_means_one_item(kindred: Any, typed: str, item_id: str) -> None:
    """Words mean the only item that has them, or the only one whose title is exactly them; a year narrows it down."""
    assert kindred.run("recommend", "--like", typed).exit_code == 0
    assert [rating.item_id for rating in _sent(kindred).ratings] == [item_id]


def test_title_that_means_several_items(kindred: Any) -> None:
    """A title of several items is an error on standard error that lists them and asks for the id."""
    result = kindred.run("recommend", "--like", "solaris", "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "kindred: --like solaris: 2 titles match; use the id of the one you mean:",
        "id  title    year",
        "7   Solaris  1972",
        "8   Solaris  2002",
    ]


def test_title_that_means_too_many_items(kindred: Any) -> None:
    """Of more matches than it lists it tells the number, and how to see them."""
    found = [{"item_id": "1", "title": "S1"}, {"item_id": "2", "title": "S2"}]
    kindred.answers["SearchItems"] = [SearchItemsResponse(items=found, total_size=1234)]
    result = kindred.run("recommend", "--like", "s")
    assert result.stderr.startswith("kindred: --like s: 1,234 titles match;")
    assert result.stderr.endswith("kindred: and 1,232 more: kindred search s --limit 100\n")


@pytest.mark.parametrize("typed", ["zardoz", "!!!"], ids=["no such title", "no word"])
def test_unknown_item(kindred: Any, typed: str) -> None:
    """An item that is neither an id nor a title is an error that quotes it, and every such item is named."""
    result = kindred.run("recommend", "--like", typed, "--exclude", "nosferatu", "--like", "toy story")
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert first.startswith(f"kindred: --like {shlex.quote(typed)}: no such id and no such title")
    assert second.startswith("kindred: --exclude nosferatu: no such id and no such title")


def test_unknown_item_in_a_file(kindred: Any, tmp_path: Path) -> None:
    """An item of a file can only be an id; unknown ones are named with file and line."""
    csv = tmp_path / "mine.csv"
    csv.write_text("item,rating\n50,5\ntoy story,4\n999,1\n")
    result = kindred.run("recommend", "--ratings", str(csv))
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"kindred: {csv}:3: the catalog has no item toy story",
        f"kindred: {csv}:4: the catalog has no item 999",
    ]
    assert not [request for request in kindred.requests if isinstance(request, SearchItemsRequest)]


def test_one_item_liked_and_disliked(kindred: Any) -> None:
    """An item that is liked and disliked under different names is wrong usage that says both names."""
    result = kindred.run("recommend", "--like", "toy story", "--dislike", "imdb:tt0114709")
    assert result.exit_code == 2
    assert "--dislike imdb:tt0114709" in result.stderr
    assert "--like 'toy story'" in result.stderr


def test_violations_are_said_of_what_was_typed(kindred: Any, tmp_path: Path) -> None:
    """What the server refuses is said field by field, with the option or the line of the file where it was typed."""
    csv = tmp_path / "mine.csv"
    csv.write_text("item,rating\n1,9\n")
    kindred.refuse(
        "Recommend",
        ("ratings[1].value", "must be 1 to 5"),
        ("neighbors.k", "must be 1 to 1,000"),
        ("items.genres.any_of[0]", "no item has it; nearest: Comedy"),
        ("items.min_year", "is above max_year"),
        ("neighbors.filter.attributes.none_of[0].name", "no user has it"),
        ("period.since", "is not before until"),
        ("overrides.fit_penalty", "is for RIDGE only"),
        ("boosts[0].genre", "no item has it"),
        ("new_item_share", "must be above 0"),
        ("without_item_ids[0]", "the user has not rated it"),
    )
    typed = ["--genre", "Komedy", "--from-year", "2000", "--to-year", "1990", "--neighbor", "countri!=NL"]
    typed += ["--since", "2026-01-01", "--set", "fit-penalty=1", "--boost", "genre:Komedy=2", "--new-share", "0"]
    result = kindred.run("recommend", "--like", "50", "--ratings", str(csv), *typed, "--without", "fargo")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"kindred: {csv}:2: value: must be 1 to 5",
        "kindred: neighbors.k: must be 1 to 1,000",
        "kindred: --genre Komedy: no item has it; nearest: Comedy",
        "kindred: --from-year 2000: is above max_year",
        "kindred: --neighbor 'countri!=NL': name: no user has it",
        "kindred: --since 2026-01-01: is not before until",
        "kindred: --set fit-penalty=1: is for RIDGE only",
        "kindred: --boost genre:Komedy=2: genre: no item has it",
        "kindred: --new-share 0.0: must be above 0",
        "kindred: --without fargo: the user has not rated it",
    ]


def test_nobody_to_recommend_to(kindred: Any) -> None:
    """Without a user and without ratings there is nobody to recommend to: wrong usage."""
    result = kindred.run("recommend")
    assert result.exit_code == 2
    assert "--user" in result.stderr
    assert kindred.requests == []


def test_nothing_to_recommend(kindred: Any) -> None:
    """An empty answer says so, and what answered."""
    kindred.answers["Recommend"] = [RecommendResponse(strategy=STRATEGY_POPULAR_FALLBACK, recipe=77)]
    result = kindred.run("recommend", "--user", "nobody")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "nothing left to recommend",
        "popular fallback (no neighbor was found) · 0 neighbors used · recipe unknown",
    ]


def test_no_reasons(kindred: Any) -> None:
    """Where no item has a reason there is no column for reasons."""
    answer = RecommendResponse(strategy=STRATEGY_POPULAR_FALLBACK, recipe=RECIPE_DEFAULT, popular_count=1)
    answer.recommendations.add(item={"item_id": "50", "title": "Star Wars"}, score=501, source=SOURCE_POPULAR)
    kindred.answers["Recommend"] = [answer]
    heading, row, _ = kindred.run("recommend", "--user", "nobody").stdout.splitlines()
    assert heading.split() == ["id", "title", "score", "support"]
    assert row.split() == ["50", "Star", "Wars", "501"]
