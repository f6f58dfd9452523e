import pytest

from kindred.errors import InvalidArgumentError
from kindred.recipes import RECIPES
from loader.evaluation.options import EvaluationOptions, ProductSpec, SplitOptions
from loader.evaluation.product import check_spec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("default", ProductSpec("default")),
        ("default:k=50", ProductSpec("default", 50)),
        ("ridge:k=400,query_damping=0.5", ProductSpec("ridge", 400, {"query_damping": 0.5})),
        ("ridge: sharpness = -1.5 ", ProductSpec("ridge", None, {"sharpness": -1.5})),
    ],
)
def test_a_contestant_is_a_recipe_with_constants(text: str, expected: ProductSpec) -> None:
    """`recipe:name=number,…` is read, and its name is read as the same again."""
    assert ProductSpec.parse(text) == expected
    assert ProductSpec.parse(expected.name) == expected


@pytest.mark.parametrize(
    "text", ["default:k", "default:k=", "default:k=x", "default:=1", "default:k=1,k=2", "default:a=nan", "default:k=5,"]
)
def test_other_texts_are_refused(text: str) -> None:
    """What is no list of names with numbers is refused with the form that would be right."""
    with pytest.raises(InvalidArgumentError, match="must be RECIPE or RECIPE:NAME=NUMBER"):
        ProductSpec.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("default:k=0", "k must be a whole number from 1 to 1,000"),
        ("default:k=1001", "k must be a whole number from 1 to 1,000"),
        ("default:k=1.5", "k must be a whole number from 1 to 1,000"),
        ("default:min_overlap=0", "min_overlap must be 1 to 100"),
        ("default:min_overlap=1.5", "min_overlap must be a whole number"),
        ("default:diversity=2", "diversity must be 0 to 1"),
        ("default:new_item_share=0.6", "new_item_share must be 0 to 0.5"),
    ],
)
def test_numbers_of_a_request_have_bounds(text: str, message: str) -> None:
    """What a server would refuse is refused."""
    with pytest.raises(InvalidArgumentError, match=message):
        ProductSpec.parse(text)


def test_recipes_are_known() -> None:
    """A recipe that is not there is refused with those that are."""
    check_spec(ProductSpec("default", 7), RECIPES)
    with pytest.raises(InvalidArgumentError, match="'best': is unknown; known: default, popular"):
        check_spec(ProductSpec("best"), RECIPES)


def test_a_recipes_own_numbers_can_be_replaced() -> None:
    """Numbers that the recipe uses may be replaced within their bounds, and no others."""
    check_spec(ProductSpec.parse("default:sharpness=2,min_overlap=3,diversity=0.2,new_item_share=0.1"), RECIPES)
    with pytest.raises(InvalidArgumentError, match="fit_penalty: is no number of recipe 'default'"):
        check_spec(ProductSpec.parse("default:fit_penalty=2"), RECIPES)
    with pytest.raises(InvalidArgumentError, match="sharpness: is 11, must be 0 to 10"):
        check_spec(ProductSpec.parse("default:sharpness=11"), RECIPES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"products": [ProductSpec("default"), ProductSpec("default")]}, "recipe: names one contestant twice"),
        ({"peers": ["ease", "ease"]}, "peer: names one contestant twice"),
        ({"cutoffs": (10, 10)}, "at: names one number twice"),
        ({"split": SplitOptions(likes=(1, 1))}, "likes: names one number twice"),
        ({"k_curve": (5, 5)}, "k-curve: names one number twice"),
        ({"k_curve": (0,)}, "k-curve: must be numbers from 1 to 1,000"),
        ({"k_curve": range(1, 22)}, "k-curve: must be 20 numbers at most"),
    ],
)
def test_options_make_sense(options: dict[str, object], message: str) -> None:
    """What is there twice or out of its range is refused by name."""
    with pytest.raises(InvalidArgumentError, match=message):
        EvaluationOptions(**options)  # type: ignore[arg-type]  # as the parameters say
