"""`kindred popular`: what do most people like?"""

from enum import StrEnum
from typing import Annotated

import typer

from cli.answer_options import LimitOption, View, ViewOption
from cli.client import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    DataDirOption,
    JsonOption,
    ServerOption,
    TimeoutOption,
    connect,
)
from cli.filter_effects import say_filter_effects
from cli.filter_options import (
    ActiveSinceOption,
    AllGenresOption,
    AllTagsOption,
    AmongOption,
    AnyAmongOption,
    AnyItemOption,
    FromYearOption,
    GenreOption,
    ItemOption,
    MinRatingsOption,
    NotGenreOption,
    NotTagOption,
    OnlyOption,
    TagOption,
    ToYearOption,
    item_filter,
    user_filter,
)
from cli.item_choice import choose_items
from cli.opinions import typed_item
from cli.origins import Origins, origin_of, under
from cli.output import ID, TITLE, Column, print_json, print_table, say, time_of, title_of
from cli.times import typed_timestamp
from kindred.v1.recommendation_service_pb2 import ListPopularItemsRequest, ListPopularItemsResponse, Window


class WindowName(StrEnum):
    """The spans of time, as a person names them."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    ALL = "all"


def popular(
    ctx: typer.Context,
    *,
    window: Annotated[
        WindowName,
        typer.Option(
            "--window",
            metavar="|".join(WindowName),
            help="Ratings of the last 24 hours, 7, 30 or 365 days, or of all time.",
        ),
    ] = WindowName.ALL,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="TIME", show_default="now", help="The end of the window: 1998-04-01, or -7d ago."
        ),
    ] = None,
    genre: GenreOption = None,
    all_genres: AllGenresOption = None,
    not_genre: NotGenreOption = None,
    tag: TagOption = None,
    all_tags: AllTagsOption = None,
    not_tag: NotTagOption = None,
    from_year: FromYearOption = None,
    to_year: ToYearOption = None,
    item: ItemOption = None,
    any_item: AnyItemOption = None,
    only: OnlyOption = None,
    among: AmongOption = None,
    any_among: AnyAmongOption = None,
    active_since: ActiveSinceOption = None,
    min_ratings: MinRatingsOption = None,
    limit: LimitOption = 10,
    item_view: ViewOption = View.BASIC,
    server: ServerOption = DEFAULT_SERVER,
    data_dir: DataDirOption = None,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    as_json: JsonOption = False,
) -> None:
    """Lists what most people like: of all time or lately, of everyone or of some.

    [bold]Examples[/bold]
      kindred popular
      kindred popular --window week --until 1998-04-01
      kindred popular --genre drama --genre war --to-year 1980
      kindred popular --among gender=F --among age=20..30
    """
    items, item_origins = item_filter(
        genre=genre,
        all_genres=all_genres,
        not_genre=not_genre,
        tag=tag,
        all_tags=all_tags,
        not_tag=not_tag,
        from_year=from_year,
        to_year=to_year,
        item=item,
        any_item=any_item,
    )
    users, user_origins = user_filter(among, any_among, active_since, min_ratings, option="--among")
    candidates = [typed_item("--only", text) for text in only or ()]
    request = ListPopularItemsRequest(
        limit=limit,
        window=Window.Value(f"WINDOW_{window.name}"),
        until=None if until is None else typed_timestamp("--until", until),
        items=items,
        users=users,
        item_view=item_view.message,
    )
    origins: Origins = {
        "until": origin_of("--until", until),
        "items.candidate_item_ids": [each.origin for each in candidates],
        **under("items", item_origins),
        **under("users", user_origins),
    }
    with connect(ctx, server, timeout, data_dir) as client:
        if candidates:
            chosen = choose_items(client, candidates)
            request.items.candidate_item_ids.extend(each.item_id for each in chosen)
        response = client.call(client.recommendations.ListPopularItems, request, origins)
    if as_json:
        print_json(response)
    else:
        _print(response)


def _print(response: ListPopularItemsResponse) -> None:
    if response.items:
        columns = [ID, TITLE, *(Column(name, justify="right", keep=True) for name in ("likes", "ratings"))]
        rows = [
            [each.item.item_id, title_of(each.item), f"{each.likes:,}", f"{each.ratings:,}"] for each in response.items
        ]
        print_table(columns, rows)
    else:
        say("nobody liked anything")
    counted = f", {time_of(response.counted_at)} UTC" if response.HasField("counted_at") else ""
    say(f"the ratings of {response.users_counted:,} users were counted{counted}", quietly=True)
    say_filter_effects(response.filter_effects)
