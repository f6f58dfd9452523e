"""Which of the neighbors' ratings count: what people liked lately, or at some time."""

from typing import Annotated

import typer

from cli.filter_options import NEIGHBORS
from cli.origins import Origins, origin_of
from cli.times import typed_span, typed_timestamp
from kindred.v1.filter_pb2 import RatingPeriod

SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only what they rated at this time or later: 2026-07-01, 2026-07-01T12:00:00Z, or -30d ago.",
        rich_help_panel=NEIGHBORS,
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="Only what they rated before.", rich_help_panel=NEIGHBORS),
]
HalfLifeOption = Annotated[
    str | None,
    typer.Option(
        "--half-life",
        metavar="SPAN",
        help="What they rated counts half for each such span that has gone by since: 12h, 90d, 52w.",
        rich_help_panel=NEIGHBORS,
    ),
]


def rating_period(since: str | None, until: str | None, half_life: str | None) -> tuple[RatingPeriod | None, Origins]:
    """Makes the period that the options ask for.

    Returns:
        The period, None if nothing was asked for, and where its fields were typed.

    Raises:
        typer.Exit: One is no time or no span; standard error says what would be.
    """
    message = RatingPeriod()
    origins: dict[str, str] = {}
    if since is not None:
        message.since.CopyFrom(typed_timestamp("--since", since))
        origins["since"] = origin_of("--since", since)
    if until is not None:
        message.until.CopyFrom(typed_timestamp("--until", until))
        origins["until"] = origin_of("--until", until)
    if half_life is not None:
        message.half_life.CopyFrom(typed_span("--half-life", half_life))
        origins["half_life"] = origin_of("--half-life", half_life)
    return (message if origins else None), origins
