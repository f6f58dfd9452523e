"""Reads the options of `kindred load` that say what is in a table of ratings, and what its values mean."""

from pathlib import Path
from typing import TYPE_CHECKING

from cli.output import misused

if TYPE_CHECKING:
    from kindred.ratings import RatingScale
    from loader.options import Duplicates, TimeUnit
    from loader.source import DataSource

_DEFAULT_SCALE = "stars"
_PLAYS = "plays"
"""The scale on which repeated rows add up, and rows need no number: each is a play."""


def read_table(
    ratings: Path,
    columns: str,
    items: Path | None,
    item_columns: str,
    scale: str | None,
    liking: str | None,
    time_unit: "TimeUnit",
) -> "DataSource":
    """The data set that is in a table of ratings.

    Args:
        ratings: The file.
        columns: Which column is what, as typed.
        items: A file of items, if any.
        item_columns: Which of its columns is what, as typed.
        scale: --scale, as typed.
        liking: --liking, as typed.
        time_unit: How times are written.

    Raises:
        typer.Exit: An option is wrong; standard error says which.
    """
    from loader.readers.columns import MappedColumns, Table  # with pandas and pyarrow, which other commands do without

    rating_scale = _read_scale(scale or _DEFAULT_SCALE, liking)
    needed, optional = ("user", "item", "rating"), ("time",)
    rating_columns = _mapping("--columns", columns, needed[:2] if scale == _PLAYS else needed, (*needed, *optional))
    item_table = None
    if items is not None:
        item_roles = ("id", "title", "year", "genres", "tags")
        item_table = Table(items, _mapping("--item-columns", item_columns, item_roles[:1], item_roles))
    return MappedColumns(ratings.stem, Table(ratings, rating_columns), item_table, rating_scale, time_unit)


def duplicates_of(scale: str | None, duplicates: "Duplicates | None") -> "Duplicates":
    """What becomes of repeated pairs of user and item: plays add up, unless something else was asked for.

    Args:
        scale: --scale, as typed.
        duplicates: --duplicates, as typed.
    """
    return duplicates or ("sum" if scale == _PLAYS else "latest")


def _read_scale(scale: str, liking: str | None) -> "RatingScale":
    from kindred.scales import read_scale  # with numpy

    try:
        return read_scale(scale, liking)
    except ValueError as error:
        typed = f"--scale {scale}" if liking is None else f"--scale {scale} --liking {liking}"
        raise misused(f"{typed}: {error}") from error


def _mapping(option: str, text: str, needed: tuple[str, ...], known: tuple[str, ...]) -> dict[str, str]:
    """Reads `role=column,role=column`."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    mapping = {role.strip(): column for role, _, column in pairs}
    if len(mapping) < len(pairs) or not all(mapping.values()):
        raise misused(f"{option} {text}: must be like {','.join(f'{role}=NAME' for role in needed)}, each role once")
    for role in needed:
        if role not in mapping:
            raise misused(f"{option} {text}: says not which column is the {role}: {role}=NAME")
    for role in mapping:
        if role not in known:
            raise misused(f"{option} {text}: no role {role!r}; there are {', '.join(known)}")
    return mapping
