"""The formula, as it is named and changed on the command line: `--recipe ridge --set fit-penalty=2`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from cli.opinions import as_number
from cli.origins import Origins, origin_of, under
from cli.output import misused
from kindred.v1.recommendation_service_pb2 import RECIPE_UNSPECIFIED, Recipe, RecipeOverrides, RecommendRequest

FORMULA = "Formula"

BUILT_IN = {
    name.removeprefix("RECIPE_").replace("_", "-").lower(): number
    for name, number in Recipe.items()
    if number != RECIPE_UNSPECIFIED
}
"""The recipes that every server has, as a person names them."""

NUMBERS = tuple(field.name.replace("_", "-") for field in RecipeOverrides.DESCRIPTOR.fields)
"""The numbers of a recipe that a request can set."""

RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="RECIPE",
        show_default="the collection's own",
        help=f"The formula: {', '.join(BUILT_IN)}, or one of the server's own.",
        rich_help_panel=FORMULA,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=NUMBER",
        help=f"A number to use instead of the recipe's own; may be repeated: {', '.join(NUMBERS)}.",
        rich_help_panel=FORMULA,
    ),
]


def recipe_name(recipe: int) -> str:
    """What a person calls a recipe of the contract; `unknown` if it is of a later version."""
    return next((name for name, number in BUILT_IN.items() if number == recipe), "unknown")


def set_recipe(request: RecommendRequest, name: str | None, overrides: Sequence[str] | None) -> Origins:
    """Sets the recipe of a request, and the numbers to use instead of its own.

    Args:
        request: The request.
        name: What was given with --recipe.
        overrides: What was given with --set.

    Returns:
        Where the fields were typed.

    Raises:
        typer.Exit: A name or an override is none; standard error says what would be one.
    """
    origins: dict[str, str] = {}
    if name in BUILT_IN:
        request.recipe = BUILT_IN[name]
        origins["recipe"] = origin_of("--recipe", name)
    elif name == "":
        raise misused(f"--recipe: names none; there are {', '.join(BUILT_IN)}, and the server's own")
    elif name is not None:
        request.recipe_name = name
        origins["recipe_name"] = origin_of("--recipe", name)
    numbers, typed = read_overrides(overrides)
    if numbers is not None:
        request.overrides.CopyFrom(numbers)
    return {**origins, **under("overrides", typed)}


def read_overrides(texts: Sequence[str] | None) -> tuple[RecipeOverrides | None, Origins]:
    """Reads numbers of a recipe.

    Args:
        texts: Each NAME=NUMBER, the name with hyphens or underscores.

    Returns:
        The numbers, None if there is none, and where each was typed.

    Raises:
        typer.Exit: One is of another form, has an unknown name, or stands twice.
    """
    message = RecipeOverrides()
    origins: dict[str, str] = {}
    for text in texts or ():
        origin = origin_of("--set", text)
        name, _, number = (part.strip() for part in text.partition("="))
        value = as_number(number)
        if not name or value is None:
            raise misused(f"{origin}: must be NAME=NUMBER, for instance sharpness=2; names are {', '.join(NUMBERS)}")
        field = name.replace("-", "_")
        if field not in RecipeOverrides.DESCRIPTOR.fields_by_name:
            raise misused(f"{origin}: a recipe has no number {name}; it has {', '.join(NUMBERS)}")
        if field in origins:
            raise misused(f"{origin}: {name} is set already, by {origins[field]}")
        setattr(message, field, value)
        origins[field] = origin
    return (message if origins else None), origins
