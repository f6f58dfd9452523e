from cli.recommend import RecipeName
from kindred.v1.recommendation_service_pb2 import Recipe


def test_every_recipe_has_a_name() -> None:
    """A person can name every recipe of the contract."""
    assert {f"RECIPE_{recipe.name}" for recipe in RecipeName} | {"RECIPE_UNSPECIFIED"} == set(Recipe.keys())
