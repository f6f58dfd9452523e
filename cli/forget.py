"""`kindred forget`: removes a user for good."""

import sys
from typing import Annotated

import typer

from cli.client import (
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT,
    JsonOption,
    ServerOption,
    TimeoutOption,
    UserOption,
    connect,
)
from cli.output import clean, failed, misused, print_json, say, time_of
from kindred.v1.rating_service_pb2 import ForgetUserRequest


def forget(
    ctx: typer.Context,
    *,
    user: UserOption,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: ServerOption = DEFAULT_SERVER,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    as_json: JsonOption = False,
) -> None:
    """Removes all ratings and attributes of a user for good, and prints the receipt.

    [bold]Examples[/bold]
      kindred forget --user 7
      kindred forget --user 7 --yes --json
    """
    if not yes:
        _ask(user)
    with connect(ctx, server, timeout) as client:
        response = client.call(client.ratings.ForgetUser, ForgetUserRequest(user_id=user))
    if as_json:
        print_json(response)
        return
    say(
        f"user {user} is forgotten: {response.ratings_removed:,} ratings and {response.attributes_removed:,} "
        f"attributes removed, everything up to {time_of(response.forgotten_at)} UTC"
    )
    say(f"freshness token: {response.freshness_token}", quietly=True)


def _ask(user: str) -> None:
    if not sys.stdin.isatty():
        raise misused("there is no terminal to ask at; --yes forgets without asking")
    sys.stderr.write(f"Remove all ratings and attributes of user {clean(user)} for good? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise failed("nothing was removed")
