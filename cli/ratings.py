"""`kindred ratings`: what the server has stored about a user."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from cli.client import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    Client,
    DataDirOption,
    FreshOption,
    JsonOption,
    ServerOption,
    TimeoutOption,
    UserOption,
    connect,
)
from cli.output import ID, TITLE, Column, print_json, print_table, say, time_of, title_of
from kindred.v1.rating_service_pb2 import ListRatingsRequest, ListRatingsResponse

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Value

_PAGE = 1_000


def ratings(
    ctx: typer.Context,
    *,
    user: UserOption,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many ratings.")] = 20,
    fresh: FreshOption = "",
    server: ServerOption = DEFAULT_SERVER,
    data_dir: DataDirOption = None,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    as_json: JsonOption = False,
) -> None:
    """Lists the stored ratings of a user, newest first, and the user's attributes.

    [bold]Examples[/bold]
      kindred ratings --user 7
      kindred ratings --user 7 --limit 1000 --json
    """
    request = ListRatingsRequest(user_id=user, at_least_as_fresh=fresh)
    with connect(ctx, server, timeout, data_dir) as client:
        response = _all_pages(client, request, limit)
    if as_json:
        print_json(response)
    else:
        _print(user, response)


def _all_pages(client: Client, request: ListRatingsRequest, limit: int) -> ListRatingsResponse:
    request.page_size = min(limit, _PAGE)
    response = client.call(client.ratings.ListRatings, request)
    while response.next_page_token and len(response.ratings) < limit:
        request.page_size = min(limit - len(response.ratings), _PAGE)
        request.page_token = response.next_page_token
        page = client.call(client.ratings.ListRatings, request)
        response.ratings.extend(page.ratings)
        response.next_page_token = page.next_page_token
    return response


def _print(user: str, response: ListRatingsResponse) -> None:
    if response.attributes:
        facts = (f"{name}={_text(value)}" for name, value in sorted(response.attributes.items()))
        say(f"user {user}: {', '.join(facts)}")
    if not response.ratings:
        say(f"user {user} has no ratings")
        return
    print_table(
        (Column("rated at (UTC)", keep=True), ID, TITLE, Column("rating", justify="right", keep=True)),
        [
            (time_of(each.rated_at), each.item.item_id, title_of(each.item), f"{each.value:.10g}")
            for each in response.ratings
        ],
    )
    if response.total_size > len(response.ratings):
        say(
            f"{len(response.ratings):,} of {response.total_size:,}, the newest first; "
            f"all: kindred ratings --user {shlex.quote(user)} --limit {response.total_size}",
            quietly=True,
        )


def _text(value: "Value") -> str:
    kind = value.WhichOneof("kind")
    if kind == "bool_value":
        return str(value.bool_value).lower()
    return f"{value.number_value:g}" if kind == "number_value" else value.string_value
