import math

import pytest

from kindred.recipes import BOUNDS, DEFAULT, POPULAR, RECIPES, RIDGE, TUTORIAL_RATINGS, Recipe, wrong_numbers


def test_every_recipe_is_what_it_builds_on() -> None:
    """A built-in recipe stands under its name, and is its own base."""
    assert all(name == recipe.name == recipe.base for name, recipe in RECIPES.items())


def test_numbers_are_those_that_the_recipe_uses() -> None:
    """Sharpness is for weights from similarities, penalty and damping for fitted ones, and popularity has none."""
    both = {"query_damping", "recency_half_life", "score_damping"}
    assert both | {"sharpness"} == DEFAULT.numbers
    assert both | {"fit_penalty", "fit_damping"} == RIDGE.numbers
    assert set() == POPULAR.numbers
    assert set(BOUNDS) == DEFAULT.numbers | RIDGE.numbers


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_every_number_can_be_set(name: str) -> None:
    """What is set is in the recipe then, wherever it stands, and nothing else has changed."""
    recipe = RIDGE if name.startswith("fit_") else DEFAULT
    changed = recipe.with_numbers({name: 1.25})
    assert recipe.fit is None or changed.fit is not None
    there = getattr(changed.fit, name.removeprefix("fit_")) if name.startswith("fit_") else getattr(changed, name)
    assert there == 1.25
    old = getattr(recipe.fit, name.removeprefix("fit_")) if name.startswith("fit_") else getattr(recipe, name)
    if old is not None:
        assert changed.with_numbers({name: old}).numbers == recipe.numbers


def test_a_set_number_holds_for_short_profiles_too() -> None:
    """Whoever sets the sharpness or the damping means it for everybody."""
    changed = DEFAULT.with_numbers({"sharpness": 4.0, "score_damping": 0.7})
    assert [changed.exponents(likes) for likes in (0, 5, 50)] == [(4.0, 0.7)] * 3
    assert DEFAULT.with_numbers({"sharpness": 4.0}).exponents(0) == (4.0, 0.0)


def test_nothing_set_is_the_recipe_itself() -> None:
    """Without numbers the recipe is as it was."""
    assert DEFAULT.with_numbers({}) == DEFAULT


@pytest.mark.parametrize(
    ("recipe", "name", "value", "message"),
    [
        (DEFAULT, "fit_penalty", 1.0, "is no number of recipe 'default'; its numbers are query_damping, rec"),
        (RIDGE, "sharpness", 1.0, "is no number of recipe 'ridge'; its numbers are fit_damping, fit_penalty, "),
        (POPULAR, "sharpness", 1.0, "is no number of recipe 'popular'; its numbers are none"),
        (DEFAULT, "sharpness", 10.5, "is 10.5, must be 0 to 10"),
        (DEFAULT, "recency_half_life", 0.0, "is 0, must be 0.5 to 10,000"),
        (TUTORIAL_RATINGS, "query_damping", math.nan, "is nan, must be 0 to 2"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(recipe: Recipe, name: str, value: float, message: str) -> None:
    """A number that the recipe does not use, or out of its range, is named with what to do."""
    [violation] = wrong_numbers(recipe, {name: value})
    assert violation.field == f"overrides.{name}"
    assert violation.description.startswith(message)


def test_every_wrong_number_is_named() -> None:
    """All that is wrong is said at once."""
    found = wrong_numbers(DEFAULT, {"sharpness": -1, "fit_damping": 1, "query_damping": 1})
    assert [each.field for each in found] == ["overrides.sharpness", "overrides.fit_damping"]
