import pytest
import typer

from cli.recipe_options import BUILT_IN, read_overrides, recipe_name, set_recipe
from kindred.v1.recommendation_service_pb2 import (
    RECIPE_RIDGE,
    RECIPE_TUTORIAL_RATINGS,
    Recipe,
    RecipeOverrides,
    RecommendRequest,
)


def test_every_recipe_has_a_name() -> None:
    """A person can name every recipe of the contract but the unspecified one."""
    assert set(BUILT_IN.values()) == set(Recipe.values()) - {0}
    assert BUILT_IN["tutorial-ratings"] == RECIPE_TUTORIAL_RATINGS
    assert recipe_name(RECIPE_RIDGE) == "ridge"
    assert recipe_name(77) == "unknown"


def test_built_in_recipe() -> None:
    """The name of a built-in recipe sets the recipe."""
    request = RecommendRequest()
    assert set_recipe(request, "ridge", None) == {"recipe": "--recipe ridge"}
    assert request == RecommendRequest(recipe=RECIPE_RIDGE)


@pytest.mark.parametrize("name", ["ours", "Ridge"])
def test_recipe_of_the_server(name: str) -> None:
    """Any other name is that of a recipe of the server's own."""
    request = RecommendRequest()
    set_recipe(request, name, None)
    assert request == RecommendRequest(recipe_name=name)


def test_empty_name(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty name is wrong usage, not the default."""
    with pytest.raises(typer.Exit):
        set_recipe(RecommendRequest(), "", None)
    assert capsys.readouterr().err.startswith("kindred: --recipe: names none; there are default, ")


def test_nothing_is_set_without_an_option() -> None:
    """Without an option the request stays as it is."""
    request = RecommendRequest()
    assert set_recipe(request, None, None) == {}
    assert request == RecommendRequest()


def test_overrides() -> None:
    """Numbers are named with hyphens or underscores, and zero is a number."""
    request = RecommendRequest()
    origins = set_recipe(request, None, ["sharpness=2", "query-damping=0", "fit_penalty = 1.5"])
    assert request.overrides == RecipeOverrides(sharpness=2, query_damping=0, fit_penalty=1.5)
    assert request.overrides.HasField("query_damping")
    assert not request.overrides.HasField("score_damping")
    assert origins == {
        "overrides.sharpness": "--set sharpness=2",
        "overrides.query_damping": "--set query-damping=0",
        "overrides.fit_penalty": "--set 'fit_penalty = 1.5'",
    }


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["sharpness"], "--set sharpness: must be NAME=NUMBER, for instance sharpness=2; names are query-damping, "),
        (["=2"], "must be NAME=NUMBER"),
        (["sharpness=much"], "must be NAME=NUMBER"),
        (["sharpness=nan"], "must be NAME=NUMBER"),
        (["sharp=2"], "--set sharp=2: a recipe has no number sharp; it has query-damping, sharpness, "),
        (["fit-penalty=1", "fit_penalty=2"], "fit_penalty is set already, by --set fit-penalty=1"),
    ],
)
def test_wrong_overrides(texts: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What sets no number of a recipe is wrong usage, and the error lists the numbers that there are."""
    with pytest.raises(typer.Exit) as stopped:
        read_overrides(texts)
    assert stopped.value.exit_code == 2
    assert problem in capsys.readouterr().err
