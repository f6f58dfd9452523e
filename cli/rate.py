"""`kindred rate`: records what a user thinks, and takes it back."""

import shlex
from collections.abc import Sequence
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from cli.client import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    Client,
    JsonOption,
    ServerOption,
    TimeoutOption,
    UserOption,
    connect,
)
from cli.item_choice import TypedItem, choose_items
from cli.opinions import DislikeOption, LikeOption, Opinion, check_distinct, parse_rating, reactions, typed_item
from cli.output import ID, TITLE, Column, misused, print_json, print_table, say, title_of
from cli.times import read_time
from kindred.v1.item_pb2 import Item
from kindred.v1.rating_service_pb2 import (
    RecordRatingsRequest,
    RecordRatingsResponse,
    RetractRatingsRequest,
    RetractRatingsResponse,
)


def rate(
    ctx: typer.Context,
    *,
    user: UserOption,
    given: Annotated[
        list[str] | None,
        typer.Argument(metavar="ITEM=VALUE", help="An item, by id or title, and its rating on the catalog's scale."),
    ] = None,
    like: LikeOption = None,
    dislike: DislikeOption = None,
    retract: Annotated[
        list[str] | None,
        typer.Option("--retract", metavar="ITEM", help="Take the rating of this item back, by id or title."),
    ] = None,
    at: Annotated[
        str,
        typer.Option(
            "--at", metavar="TIME", show_default="now", help="When it was rated, ISO 8601; UTC if it names no zone."
        ),
    ] = "",
    server: ServerOption = DEFAULT_SERVER,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    as_json: JsonOption = False,
) -> None:
    """Records ratings of a user, and prints a freshness token for reading them back.

    [bold]Examples[/bold]
      kindred rate --user 7 50=5 "toy story=4.5"
      kindred rate --user 7 --like fargo --dislike imdb:tt0120338
      kindred rate --user 7 50=3 --at 2026-05-01T20:15
      kindred rate --user 7 --retract fargo
    """
    opinions = [parse_rating(text) for text in given or ()] + reactions(like, dislike)
    retracted = [typed_item("--retract", text) for text in retract or ()]
    if not opinions and not retracted:
        raise misused("nothing to record: give ITEM=VALUE, --like, --dislike or --retract")
    rated_at = _parse_time(at) if at else None
    if rated_at is not None and not opinions:
        raise misused("--at is the time of a rating, and there is none; a rating is taken back now")
    with connect(ctx, server, timeout) as client:
        typed = [opinion.item for opinion in opinions] + retracted
        items = choose_items(client, typed)
        check_distinct(typed, items)
        response: RecordRatingsResponse | RetractRatingsResponse = RecordRatingsResponse()
        if opinions:
            response = _record(client, user, opinions, items[: len(opinions)], rated_at)
            if not as_json:
                _print_recorded(user, opinions, items[: len(opinions)])
        if retracted:
            response = _retract(client, user, retracted, items[len(opinions) :])
            if not as_json:
                _print_retracted(user, items[len(opinions) :])
    # One user's events are one sequence: the token of the last call covers the first.
    if as_json:
        print_json(response)
        return
    say(f"freshness token: {response.freshness_token}")
    say(f"next: kindred recommend --user {shlex.quote(user)} --fresh {response.freshness_token}", quietly=True)


def _record(
    client: Client, user: str, opinions: Sequence[Opinion], items: Sequence[Item], rated_at: Timestamp | None
) -> RecordRatingsResponse:
    request = RecordRatingsRequest(user_id=user)
    for opinion, item in zip(opinions, items, strict=True):
        opinion.write_to(request.ratings.add(item_id=item.item_id, rated_at=rated_at))
    return client.call(
        client.ratings.RecordRatings, request, {"ratings": [opinion.item.origin for opinion in opinions]}
    )


def _retract(
    client: Client, user: str, retracted: Sequence[TypedItem], items: Sequence[Item]
) -> RetractRatingsResponse:
    request = RetractRatingsRequest(user_id=user, item_ids=[item.item_id for item in items])
    return client.call(client.ratings.RetractRatings, request, {"item_ids": [each.origin for each in retracted]})


def _parse_time(text: str) -> Timestamp:
    try:
        time = read_time(text)
    except ValueError:
        raise misused(f"--at {text}: must be a time in ISO 8601, for instance 2026-05-01T20:15:00Z") from None
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def _print_recorded(user: str, opinions: Sequence[Opinion], items: Sequence[Item]) -> None:
    say(f"recorded for user {user}:")
    print_table(
        (ID, TITLE, Column("rating", justify="right", keep=True)),
        [(item.item_id, title_of(item), _rating_of(opinion)) for opinion, item in zip(opinions, items, strict=True)],
    )


def _print_retracted(user: str, items: Sequence[Item]) -> None:
    say(f"taken back for user {user}:")
    print_table((ID, TITLE), [(item.item_id, title_of(item)) for item in items])


def _rating_of(opinion: Opinion) -> str:
    if opinion.value is not None:
        return f"{opinion.value:.10g}"
    return "like" if opinion.liked else "dislike"
