"""`kindred recommend`: what would this person like?"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.client import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    DataDirOption,
    FreshOption,
    JsonOption,
    ServerOption,
    TimeoutOption,
    connect,
)
from cli.item_choice import choose_items
from cli.opinions import DislikeOption, LikeOption, Opinion, check_distinct, parse_rating, reactions, typed_item
from cli.output import complain, misused, print_json
from cli.ratings_csv import MAX_RATINGS, read_ratings
from cli.recommendation_table import print_recommendations
from kindred.v1.item_pb2 import Item
from kindred.v1.recommendation_service_pb2 import (
    EXPLANATION_NONE,
    EXPLANATION_SUMMARY,
    NeighborOptions,
    Recipe,
    RecommendRequest,
    RecommendResponse,
    WatchRecommendationsRequest,
)


class RecipeName(StrEnum):
    """The recipes, as a person names them."""

    DEFAULT = "default"
    TUTORIAL_SIMILARITY = "tutorial-similarity"
    TUTORIAL_RATINGS = "tutorial-ratings"
    POPULAR = "popular"


def recommend(
    ctx: typer.Context,
    *,
    user: Annotated[str, typer.Option("--user", metavar="ID", show_default=False, help="A stored user.")] = "",
    like: LikeOption = None,
    dislike: DislikeOption = None,
    rating: Annotated[
        list[str] | None,
        typer.Option("--rating", metavar="ITEM=VALUE", help="A rating on the catalog's scale, by id or title."),
    ] = None,
    ratings: Annotated[
        Path | None,
        typer.Option(
            "--ratings",
            metavar="FILE.csv",
            exists=True,
            dir_okay=False,
            readable=True,
            help="More ratings: a header, a column item (or movieId, item_id, itemId), a column rating.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=500, help="How many items.")] = 10,
    k: Annotated[
        int | None,
        typer.Option(
            "--k", metavar="N", min=1, max=1_000, show_default="the recipe's own", help="How many neighbors to use."
        ),
    ] = None,
    recipe: Annotated[
        RecipeName | None,
        typer.Option(
            "--recipe",
            metavar="RECIPE",
            show_default="the collection's own",
            help=f"The formula: {', '.join(RecipeName)}.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="ITEM", help="Never return this, by id or title.")
    ] = None,
    include_rated: Annotated[
        bool, typer.Option("--include-rated", help="Items that the user has rated may be returned.")
    ] = False,
    no_explain: Annotated[bool, typer.Option("--no-explain", help="Leave out the reasons.")] = False,
    fresh: FreshOption = "",
    watch: Annotated[
        bool, typer.Option("--watch", help="Print a new list whenever the user's ratings change it; Ctrl-C ends it.")
    ] = False,
    server: ServerOption = DEFAULT_SERVER,
    data_dir: DataDirOption = None,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    as_json: JsonOption = False,
) -> None:
    """Recommends items to a stored user, to what you say you like, or to both together.

    [bold]Examples[/bold]
      kindred recommend --user 7
      kindred recommend --like "toy story" --dislike imdb:tt0120338
      kindred recommend --rating 50=4.5 --rating "fargo (1996)=2"
      kindred recommend --ratings mine.csv --json --data-dir data
      kindred recommend --user 7 --watch
    """
    if watch and (not user or data_dir is not None):
        raise misused("--watch needs --user and a server: it waits for that user's next ratings")
    opinions = reactions(like, dislike) + [parse_rating(text, "--rating") for text in rating or ()]
    if ratings is not None:
        opinions += read_ratings(ratings)
    if not user and not opinions:
        raise misused("recommend to whom? Give --user, or say what you like: --like, --dislike, --rating, --ratings")
    if len(opinions) > MAX_RATINGS:
        raise misused(f"{len(opinions):,} ratings are more than a request takes, which is {MAX_RATINGS:,}")
    excluded = [typed_item("--exclude", text) for text in exclude or ()]
    typed = [opinion.item for opinion in opinions]
    request = RecommendRequest(
        user_id=user,
        limit=limit,
        include_rated=include_rated,
        neighbors=NeighborOptions(k=k) if k is not None else None,
        explanation=EXPLANATION_NONE if no_explain else EXPLANATION_SUMMARY,
        at_least_as_fresh=fresh,
    )
    if recipe is not None:
        request.recipe = Recipe.Value(f"RECIPE_{recipe.name}")
    with connect(ctx, server, timeout, data_dir) as client:
        items = choose_items(client, typed + excluded)
        check_distinct(typed, items[: len(typed)])
        _fill(request, opinions, items)
        origins = {"ratings": [each.origin for each in typed], "exclude_item_ids": [each.origin for each in excluded]}
        if not watch:
            _print(client.call(client.recommendations.Recommend, request, origins), as_json, not no_explain)
            return
        watching = WatchRecommendationsRequest(request=request)
        for answer in client.stream(client.recommendations.WatchRecommendations, watching, origins):
            _print(answer.response, as_json, not no_explain)
            sys.stdout.flush()
        complain("the server stopped")


def _print(response: RecommendResponse, as_json: bool, explained: bool) -> None:
    if as_json:
        print_json(response)
    else:
        print_recommendations(response, explained=explained)


def _fill(request: RecommendRequest, opinions: list[Opinion], items: list[Item]) -> None:
    for opinion, item in zip(opinions, items[: len(opinions)], strict=True):
        opinion.write_to(request.ratings.add(item_id=item.item_id))
    request.exclude_item_ids.extend(item.item_id for item in items[len(opinions) :])
