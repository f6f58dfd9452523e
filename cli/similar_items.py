"""`kindred similar-items`: what else do the people like who like this?"""

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
    AllGenresOption,
    AllTagsOption,
    AnyItemOption,
    FromYearOption,
    GenreOption,
    ItemOption,
    NotGenreOption,
    NotTagOption,
    OnlyOption,
    TagOption,
    ToYearOption,
    item_filter,
)
from cli.item_choice import TypedItem, choose_items
from cli.opinions import typed_item
from cli.origins import origin_of, under
from cli.output import ID, TITLE, Column, print_json, print_table, say, title_of
from kindred.v1.recommendation_service_pb2 import (
    SIMILARITY_RATERS,
    ListSimilarItemsRequest,
    ListSimilarItemsResponse,
)


def similar_items(
    ctx: typer.Context,
    *,
    item_name: Annotated[str, typer.Argument(metavar="ITEM", help="The item, by id or title.")],
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
    limit: LimitOption = 10,
    item_view: ViewOption = View.BASIC,
    server: ServerOption = DEFAULT_SERVER,
    data_dir: DataDirOption = None,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    as_json: JsonOption = False,
) -> None:
    """Lists what the people who like an item like, too; for an item with few raters, what shares its genres and tags.

    [bold]Examples[/bold]
      kindred similar-items "toy story"
      kindred similar-items imdb:tt0076759 --genre drama --from-year 1990
      kindred similar-items 50 --limit 5 --json
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
    candidates = [typed_item("--only", text) for text in only or ()]
    origins = {
        "item_id": origin_of("", item_name),
        "items.candidate_item_ids": [each.origin for each in candidates],
        **under("items", item_origins),
    }
    request = ListSimilarItemsRequest(limit=limit, items=items, item_view=item_view.message)
    with connect(ctx, server, timeout, data_dir) as client:
        asked, *chosen = choose_items(client, [TypedItem(item_name, origin_of("", item_name)), *candidates])
        request.item_id = asked.item_id
        if chosen:
            request.items.candidate_item_ids.extend(each.item_id for each in chosen)
        response = client.call(client.recommendations.ListSimilarItems, request, origins)
    if as_json:
        print_json(response)
        return
    say(f"like {title_of(asked)}:", quietly=True)
    _print(response)


def _print(response: ListSimilarItemsResponse) -> None:
    if response.items:
        columns = [ID, TITLE, *(Column(name, justify="right", keep=True) for name in ("score", "support"))]
        columns.append(Column("shares", keep=True))
        rows = []
        for each in response.items:
            by_raters = each.similarity == SIMILARITY_RATERS
            support = f"{each.support:,}" if by_raters else ""
            shares = "raters" if by_raters else "genres, tags"
            rows.append([each.item.item_id, title_of(each.item), f"{each.score:.3f}", support, shares])
        print_table(columns, rows)
    else:
        say("nothing is like it")
    asked = response.raters_used
    say("1 person who likes it was asked" if asked == 1 else f"{asked:,} people who like it were asked", quietly=True)
    say_filter_effects(response.filter_effects)
