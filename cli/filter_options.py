"""Which items and which users count: the options of every command that filters, and the messages that they make."""

from typing import Annotated, Any

import typer

from cli.conditions import attribute_filter
from cli.origins import Origins, origin_of, under
from cli.times import typed_timestamp
from kindred.v1.filter_pb2 import ItemFilter, UserFilter, WordFilter

ITEMS = "Items"
NEIGHBORS = "Neighbors"
USERS = "Users"
CONDITIONS = "country=NL, country=NL,BE, age=20..30, age=20.., country!=NL"

Words = list[str] | None
Year = int | None


def _words(name: str, metavar: str, text: str, panel: str = ITEMS) -> Any:
    return typer.Option(name, metavar=metavar, help=text, rich_help_panel=panel)


def _year(name: str, text: str) -> Any:
    return typer.Option(name, metavar="YEAR", min=-10_000, max=10_000, help=text, rich_help_panel=ITEMS)


def _active_since(panel: str) -> Any:
    text = "Only users who have rated something since: 2026-07-01, or -30d ago."
    return typer.Option("--active-since", metavar="TIME", help=text, rich_help_panel=panel)


def _min_ratings(panel: str) -> Any:
    text = "Only users with so many ratings."
    return typer.Option("--min-ratings", metavar="N", min=1, max=1_000_000, help=text, rich_help_panel=panel)


GenreOption = Annotated[Words, _words("--genre", "GENRE", "Only this genre; repeat it for any of several.")]
AllGenresOption = Annotated[
    Words, _words("--all-genres", "GENRE", "Only with this genre; repeat it for all of several.")
]
NotGenreOption = Annotated[Words, _words("--not-genre", "GENRE", "Not this genre; may be repeated.")]
TagOption = Annotated[Words, _words("--tag", "TAG", "Only with this tag; repeat it for any of several.")]
AllTagsOption = Annotated[Words, _words("--all-tags", "TAG", "Only with this tag; repeat it for all of several.")]
NotTagOption = Annotated[Words, _words("--not-tag", "TAG", "Not with this tag; may be repeated.")]
FromYearOption = Annotated[Year, _year("--from-year", "This year or later.")]
ToYearOption = Annotated[Year, _year("--to-year", "This year or earlier.")]
ItemOption = Annotated[
    Words, _words("--item", "CONDITION", f"Only where this holds of the item's own attributes: {CONDITIONS}.")
]
OnlyOption = Annotated[Words, _words("--only", "ITEM", "Only this item, by id or title; repeat it for several.")]
AnyItemOption = Annotated[Words, _words("--any-item", "CONDITION", "Repeat it: at least one of these holds.")]

NeighborOption = Annotated[
    Words, _words("--neighbor", "CONDITION", f"Only people for whom this holds: {CONDITIONS}.", NEIGHBORS)
]
AnyNeighborOption = Annotated[
    Words, _words("--any-neighbor", "CONDITION", "Repeat it: at least one of these holds.", NEIGHBORS)
]
NeighborActiveSinceOption = Annotated[str | None, _active_since(NEIGHBORS)]
NeighborMinRatingsOption = Annotated[int | None, _min_ratings(NEIGHBORS)]

AmongOption = Annotated[Words, _words("--among", "CONDITION", f"Only users for whom this holds: {CONDITIONS}.", USERS)]
AnyAmongOption = Annotated[Words, _words("--any-among", "CONDITION", "Repeat it: at least one of these holds.", USERS)]
ActiveSinceOption = Annotated[str | None, _active_since(USERS)]
MinRatingsOption = Annotated[int | None, _min_ratings(USERS)]


def item_filter(
    *,
    genre: Words = None,
    all_genres: Words = None,
    not_genre: Words = None,
    tag: Words = None,
    all_tags: Words = None,
    not_tag: Words = None,
    from_year: Year = None,
    to_year: Year = None,
    item: Words = None,
    any_item: Words = None,
) -> tuple[ItemFilter | None, Origins]:
    """Makes the filter of items that the options ask for. Candidates are added once their titles are resolved.

    Returns:
        The filter, None if nothing was asked for, and where its fields were typed (see `cli.origins.under`).

    Raises:
        typer.Exit: An option is wrong; standard error says what would be right.
    """
    attributes, attribute_origins = attribute_filter(item, any_item, option="--item", some_option="--any-item")
    genres, genre_origins = _word_filter({"--genre": genre, "--all-genres": all_genres, "--not-genre": not_genre})
    tags, tag_origins = _word_filter({"--tag": tag, "--all-tags": all_tags, "--not-tag": not_tag})
    origins = {
        **under("genres", genre_origins),
        **under("tags", tag_origins),
        **under("attributes", attribute_origins),
    }
    if from_year is not None:
        origins["min_year"] = origin_of("--from-year", from_year)
    if to_year is not None:
        origins["max_year"] = origin_of("--to-year", to_year)
    message = ItemFilter(genres=genres, tags=tags, min_year=from_year, max_year=to_year, attributes=attributes)
    return (message if origins else None), origins


def user_filter(
    conditions: Words = None,
    any_conditions: Words = None,
    active_since: str | None = None,
    min_ratings: int | None = None,
    *,
    option: str = "--neighbor",
) -> tuple[UserFilter | None, Origins]:
    """Makes the filter of users that the options ask for.

    Args:
        conditions: All of these hold of the user's attributes.
        any_conditions: At least one of these.
        active_since: A time.
        min_ratings: A number.
        option: What the conditions were typed for: `--neighbor` or `--among`; with `--any-` in front the others.

    Returns:
        The filter, None if nothing was asked for, and where its fields were typed.

    Raises:
        typer.Exit: An option is wrong.
    """
    some_option = f"--any-{option.removeprefix('--')}"
    attributes, found = attribute_filter(conditions, any_conditions, option=option, some_option=some_option)
    origins = dict(under("attributes", found))
    message = UserFilter(attributes=attributes, min_ratings=min_ratings)
    if active_since is not None:
        message.active_since.CopyFrom(typed_timestamp("--active-since", active_since))
        origins["active_since"] = origin_of("--active-since", active_since)
    if min_ratings is not None:
        origins["min_ratings"] = origin_of("--min-ratings", min_ratings)
    return (message if origins else None), origins


def _word_filter(typed: dict[str, Words]) -> tuple[WordFilter | None, Origins]:
    """Options in the order any, all, none."""
    (any_of, all_of, none_of) = typed.values()
    origins = {
        field: [origin_of(option, word) for word in words]
        for field, (option, words) in zip(("any_of", "all_of", "none_of"), typed.items(), strict=True)
        if words
    }
    return (WordFilter(any_of=any_of, all_of=all_of, none_of=none_of) if origins else None), origins
