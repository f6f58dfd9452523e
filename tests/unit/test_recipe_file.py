from pathlib import Path

import pytest

from kindred.errors import PreconditionError
from kindred.recipe_file import read_recipes
from kindred.recipes import RECIPES, RIDGE
from kindred.settings import load_settings


def written(tmp_path: Path, text: str) -> Path:
    """A recipes file."""
    path = tmp_path / "recipes.toml"
    path.write_text(text)
    return path


def test_a_recipe_builds_on_another(tmp_path: Path) -> None:
    """A table's numbers stand instead of its base's, under its own name."""
    path = written(
        tmp_path,
        '[evening]\nbase = "ridge"\nk = 300\nrecency_half_life = 20\nfit_penalty = 2.5\n[plain]\nbase = "default"\n',
    )
    found = read_recipes(path, RECIPES)
    assert list(found) == ["evening", "plain"]
    evening = found["evening"]
    assert (evening.name, evening.base, evening.k, evening.recency_half_life) == ("evening", "ridge", 300, 20)
    assert evening.fit is not None
    assert RIDGE.fit is not None
    assert (evening.fit.penalty, evening.fit.damping) == (2.5, RIDGE.fit.damping)
    assert found["plain"] == RECIPES["default"].named("plain")


def test_settings_read_the_file(tmp_path: Path) -> None:
    """KINDRED_RECIPES_FILE adds its recipes, which build on the constants that are set."""
    path = written(tmp_path, '[mine]\nbase = "default"\nsharpness = 1\n')
    settings = load_settings(recipes_file=path, recipe={"k": 50})
    recipes = settings.recipes()
    assert recipes.keys() == RECIPES.keys() | {"mine"}
    assert (recipes["default"].k, recipes["mine"].k, recipes["mine"].sharpness) == (50, 50, 1)
    assert recipes["mine"].exponents(0)[0] == 1
    assert recipes["default"].short_profiles == RECIPES["default"].short_profiles


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", "is no TOML: "),
        ("a = 1", "a is no table; write [a], and below it: base = ..."),
        ("[Evening]\nbase = 'ridge'", "[Evening]: a recipe's name is made of small letters"),
        ("[default]\nbase = 'ridge'", "[default]: there is a built-in recipe of this name"),
        ("[a]\nk = 3", "[a]: base must be one of default, popular, ridge, tutorial-ratings, tutorial-similarity"),
        ("[a]\nbase = 'no'", "[a]: base must be one of default"),
        ("[a]\nbase = ['ridge']", "[a]: base must be one of default"),
        ("[a]\nbase = 'ridge'\nsharpnes = 1", "[a]: sharpnes is no number of recipe 'ridge' (its numbers: "),
        ("[a]\nbase = 'default'\nsharpnes = 1", "sharpnes is no number of recipe 'default'; did you mean sharpness? ("),
        ("[a]\nbase = 'popular'\nk = 1", "[a]: k is no number of recipe 'popular' (its numbers: none)"),
        ("[a]\nbase = 'ridge'\nk = 1001", "[a]: k = 1001 must be 1 to 1,000"),
        ("[a]\nbase = 'ridge'\nk = 2.5", "[a]: k = 2.5 must be a whole number"),
        ("[a]\nbase = 'ridge'\nscore_damping = true", "[a]: score_damping = True must be a number"),
        ("[a]\nbase = 'ridge'\nscore_damping = nan", "[a]: score_damping = nan must be 0 to 2"),
        ("[a]\nbase = 'ridge'\nfit_penalty = 0", "[a]: fit_penalty = 0 must be 0.01 to 1,000"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    """A file that makes no sense is refused when the process starts, with the place and what to do."""
    path = written(tmp_path, text)
    with pytest.raises(PreconditionError) as raised:
        read_recipes(path, RECIPES)
    assert str(raised.value).startswith(f"KINDRED_RECIPES_FILE={path} ")
    assert message in str(raised.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A name that is mistyped is told."""
    with pytest.raises(PreconditionError, match="cannot be read: No such file"):
        read_recipes(tmp_path / "none.toml", RECIPES)


def test_a_file_is_bounded(tmp_path: Path) -> None:
    """A file of a megabyte is a mistake, and so are a thousand recipes."""
    with pytest.raises(PreconditionError, match="has more than 1,000,000 bytes"):
        read_recipes(written(tmp_path, "#" * 1_000_001), RECIPES)
    with pytest.raises(PreconditionError, match="has 1,001 recipes"):
        read_recipes(written(tmp_path, "".join(f"[r{n}]\nbase='ridge'\n" for n in range(1_001))), RECIPES)
