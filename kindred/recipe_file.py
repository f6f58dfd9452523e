"""An operator's own recipes: a TOML file with a table a recipe, each a built-in one with other numbers.

[evening]
base = "ridge"
k = 300
recency_half_life = 20
"""

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kindred.errors import PreconditionError
from kindred.recipes import BOUNDS, MAX_K, Bounds, Recipe

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_MAX_RECIPES = 1_000
_MAX_BYTES = 1_000_000


def read_recipes(path: Path, built_in: Mapping[str, Recipe]) -> dict[str, Recipe]:
    """Reads a recipes file.

    Args:
        path: The file.
        built_in: The recipes that those in the file build on.

    Returns:
        The file's recipes by name.

    Raises:
        PreconditionError: It cannot be read, or something in it is wrong; the message says where.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise _wrong(path, f"has more than {_MAX_BYTES:,} bytes")
        tables = tomllib.loads(data.decode())
    except OSError as error:
        raise _wrong(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise _wrong(path, f"is no TOML: {error}") from error
    if len(tables) > _MAX_RECIPES:
        raise _wrong(path, f"has {len(tables):,} recipes, at most {_MAX_RECIPES:,} are allowed")
    return {name: _recipe(path, name, table, built_in) for name, table in tables.items()}


def _recipe(path: Path, name: str, table: Any, built_in: Mapping[str, Recipe]) -> Recipe:
    if not _NAME.fullmatch(name):
        raise _wrong(path, f"[{name}]: a recipe's name is made of small letters, digits, - and _, 100 at most")
    if name in built_in:
        raise _wrong(path, f"[{name}]: there is a built-in recipe of this name; choose another one")
    if not isinstance(table, dict):
        raise _wrong(path, f"{name} is no table; write [{name}], and below it: base = ...")
    numbers = dict(table)
    base = numbers.pop("base", None)
    if not isinstance(base, str) or base not in built_in:
        raise _wrong(path, f"[{name}]: base must be one of {', '.join(sorted(built_in))}")
    recipe = built_in[base]
    allowed = {**{key: BOUNDS[key] for key in sorted(recipe.numbers)}, **({"k": Bounds(1, MAX_K)} if recipe.k else {})}
    for key, value in numbers.items():
        if key not in allowed:
            near = get_close_matches(key, allowed, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            known = ", ".join(allowed) or "none"
            raise _wrong(path, f"[{name}]: {key} is no number of recipe {base!r}{hint} (its numbers: {known})")
        if isinstance(value, bool) or not isinstance(value, int | float) or (key == "k" and not isinstance(value, int)):
            raise _wrong(path, f"[{name}]: {key} = {value!r} must be a {'whole ' if key == 'k' else ''}number")
        if not allowed[key].contain(value):
            raise _wrong(path, f"[{name}]: {key} = {value} must be {allowed[key]}")
    return recipe.with_numbers(numbers).named(name)


def _wrong(path: Path, what: str) -> PreconditionError:
    return PreconditionError("RECIPES", str(path), f"KINDRED_RECIPES_FILE={path} {what}")
