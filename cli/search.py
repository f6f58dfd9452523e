"""`kindred search`: finds items by the words of their titles."""

from typing import Annotated

import typer

from cli.client import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    DataDirOption,
    JsonOption,
    ServerOption,
    TimeoutOption,
    connect,
)
from cli.output import ID, TITLE, YEAR, Column, print_json, print_table, say, year_of
from kindred.v1.catalog_service_pb2 import SearchItemsRequest, SearchItemsResponse
from kindred.v1.item_pb2 import ITEM_VIEW_FULL


def search(
    ctx: typer.Context,
    *,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORDS", help="Words of the title, each whole or its beginning. Without: the most liked items."
        ),
    ] = None,
    genre: Annotated[
        list[str] | None,
        typer.Option("--genre", metavar="GENRE", help="Only this genre; repeat it for any of several."),
    ] = None,
    from_year: Annotated[
        int | None, typer.Option("--from-year", metavar="YEAR", min=-10_000, max=10_000, help="This year or later.")
    ] = None,
    to_year: Annotated[
        int | None, typer.Option("--to-year", metavar="YEAR", min=-10_000, max=10_000, help="This year or earlier.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100, help="How many items.")] = 10,
    server: ServerOption = DEFAULT_SERVER,
    data_dir: DataDirOption = None,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    as_json: JsonOption = False,
) -> None:
    """Finds items, and their ids, by the words of their titles.

    [bold]Examples[/bold]
      kindred search toy story
      kindred search star --genre sci-fi --to-year 1990
      kindred search matrix --json | jq -r '.items[].itemId'
    """
    request = SearchItemsRequest(
        query=" ".join(words or ()),
        limit=limit,
        genres=genre,
        min_year=from_year,
        max_year=to_year,
        item_view=ITEM_VIEW_FULL,
    )
    with connect(ctx, server, timeout, data_dir) as client:
        response = client.call(client.catalog.SearchItems, request)
    if as_json:
        print_json(response)
    else:
        _print(response)


def _print(response: SearchItemsResponse) -> None:
    if not response.items:
        say("nothing found")
        return
    columns = [ID, TITLE, YEAR, Column("genres"), Column("other ids")]
    rows = [
        [
            item.item_id,
            item.title,
            year_of(item),
            ", ".join(item.genres),
            " ".join(f"{scheme}:{external_id}" for scheme, external_id in sorted(item.external_ids.items())),
        ]
        for item in response.items
    ]
    used = [place for place in range(len(columns)) if place == 0 or any(row[place] for row in rows)]
    print_table([columns[place] for place in used], [[row[place] for place in used] for row in rows])
    if response.total_size > len(response.items):
        say(f"{len(response.items):,} of {response.total_size:,}, the most liked first", quietly=True)
