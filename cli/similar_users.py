"""`kindred similar-users`: who rates like this person?"""

from typing import Annotated

import typer

from cli.answer_options import ANSWER
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
from cli.filter_effects import say_filter_effects
from cli.filter_options import (
    ActiveSinceOption,
    AmongOption,
    AnyAmongOption,
    MinRatingsOption,
    user_filter,
)
from cli.item_choice import choose_items
from cli.opinions import check_distinct
from cli.origins import Origins, origin_of, under
from cli.output import Column, misused, print_json, print_table, say
from cli.whom_options import (
    RatingOption,
    RatingsFileOption,
    StoredUserOption,
    WhomDislikeOption,
    WhomLikeOption,
    read_opinions,
)
from kindred.v1.recommendation_service_pb2 import ListSimilarUsersRequest, ListSimilarUsersResponse


def similar_users(
    ctx: typer.Context,
    *,
    user: StoredUserOption = "",
    like: WhomLikeOption = None,
    dislike: WhomDislikeOption = None,
    rating: RatingOption = None,
    ratings: RatingsFileOption = None,
    min_overlap: Annotated[
        int | None,
        typer.Option(
            "--min-overlap",
            metavar="N",
            min=1,
            max=100,
            show_default="1",
            help="How many of the same items a user must have rated.",
        ),
    ] = None,
    among: AmongOption = None,
    any_among: AnyAmongOption = None,
    active_since: ActiveSinceOption = None,
    min_ratings: MinRatingsOption = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=500, help="How many users.", rich_help_panel=ANSWER)
    ] = 10,
    fresh: FreshOption = "",
    server: ServerOption = DEFAULT_SERVER,
    data_dir: DataDirOption = None,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    as_json: JsonOption = False,
) -> None:
    """Lists the people who rate like a stored user, or like what you say you like.

    The server's operator must allow it: KINDRED_NAME_NEIGHBORS=true.

    [bold]Examples[/bold]
      kindred similar-users --user 7
      kindred similar-users --like "toy story" --like fargo --min-overlap 2
      kindred similar-users --user 7 --among age=20..30 --json
    """
    opinions = read_opinions(like, dislike, rating, ratings)
    if not user and not opinions:
        raise misused("similar to whom? Give --user, or say what you like: --like, --dislike, --rating, --ratings")
    allowed, allowed_origins = user_filter(among, any_among, active_since, min_ratings, option="--among")
    request = ListSimilarUsersRequest(
        user_id=user, limit=limit, min_overlap=min_overlap, filter=allowed, at_least_as_fresh=fresh
    )
    origins: Origins = {
        "user_id": origin_of("--user", user),
        "at_least_as_fresh": origin_of("--fresh", fresh),
        "ratings": [opinion.item.origin for opinion in opinions],
        **under("filter", allowed_origins),
    }
    with connect(ctx, server, timeout, data_dir) as client:
        typed = [opinion.item for opinion in opinions]
        items = choose_items(client, typed)
        check_distinct(typed, items)
        for opinion, item in zip(opinions, items, strict=True):
            opinion.write_to(request.ratings.add(item_id=item.item_id))
        response = client.call(client.recommendations.ListSimilarUsers, request, origins)
    if as_json:
        print_json(response)
    else:
        _print(response)


def _print(response: ListSimilarUsersResponse) -> None:
    if response.users:
        columns = [Column("user", keep=True)]
        columns += [Column(name, justify="right", keep=True) for name in ("similarity", "shared items", "rated items")]
        print_table(
            columns,
            [
                [each.user_id, f"{each.similarity:.3f}", f"{each.shared_items:,}", f"{each.rated_items:,}"]
                for each in response.users
            ],
        )
    else:
        say("nobody rates like this")
    say_filter_effects(response.filter_effects)
