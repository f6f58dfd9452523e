"""Whom to recommend to: a stored user, opinions that were typed, a file of ratings, or all of them together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.opinions import Opinion, parse_rating, reactions
from cli.output import misused
from cli.ratings_csv import MAX_RATINGS, read_ratings

WHOM = "Whom"

StoredUserOption = Annotated[
    str, typer.Option("--user", metavar="ID", show_default=False, help="A stored user.", rich_help_panel=WHOM)
]
WhomLikeOption = Annotated[
    list[str] | None,
    typer.Option("--like", metavar="ITEM", help="An item that is liked, by id or title.", rich_help_panel=WHOM),
]
WhomDislikeOption = Annotated[
    list[str] | None,
    typer.Option("--dislike", metavar="ITEM", help="An item that is disliked, by id or title.", rich_help_panel=WHOM),
]
RatingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--rating",
        metavar="ITEM=VALUE",
        help="A rating on the catalog's scale, by id or title.",
        rich_help_panel=WHOM,
    ),
]
RatingsFileOption = Annotated[
    Path | None,
    typer.Option(
        "--ratings",
        metavar="FILE.csv",
        exists=True,
        dir_okay=False,
        readable=True,
        help="More ratings: a header, a column item (or movieId, item_id, itemId), a column rating.",
        rich_help_panel=WHOM,
    ),
]


def read_opinions(
    likes: Sequence[str] | None, dislikes: Sequence[str] | None, ratings: Sequence[str] | None, file: Path | None
) -> list[Opinion]:
    """Reads the opinions that hold for one request.

    Args:
        likes: What was given with --like.
        dislikes: What was given with --dislike.
        ratings: What was given with --rating.
        file: What was given with --ratings.

    Raises:
        typer.Exit: One is of another form, or there are too many; standard error says so.
    """
    opinions = reactions(likes, dislikes) + [parse_rating(text, "--rating") for text in ratings or ()]
    if file is not None:
        opinions += read_ratings(file)
    if len(opinions) > MAX_RATINGS:
        raise misused(f"{len(opinions):,} ratings are more than a request takes, which is {MAX_RATINGS:,}")
    return opinions
