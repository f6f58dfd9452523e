"""Scales by name, and as people write them."""

import numpy as np
import pytest

from kindred.ratings import RatingScale, Reaction
from kindred.scales import PRESETS, read_curve, read_scale
from kindred.weighting import LikingWeighting


@pytest.mark.parametrize(
    ("name", "values", "stars"),
    [
        ("stars", [0.5, 3, 5], [0.5, 3, 5]),
        ("ten", [1, 6, 10], [0.5, 3, 5]),
        ("hundred", [0, 60, 100], [0, 3, 5]),
        ("thumbs", [0, 1], [1, 5]),
        ("plays", [1, 3, 10, 1_000_000], [3.2, 4, 5, 5]),
    ],
)
def test_a_preset_says_what_its_values_mean(name: str, values: list[float], stars: list[float]) -> None:
    """Every preset takes its values and maps them to the stars that the documentation names."""
    scale = PRESETS[name]
    assert read_scale(name) == scale
    assert all(scale.contains(value) for value in values)
    assert scale.stars(np.array(values, np.float32)).tolist() == pytest.approx(stars)


@pytest.mark.parametrize(
    ("name", "like", "dislike"),
    [("stars", 5, 1), ("ten", 10, 2), ("hundred", 100, 20), ("thumbs", 1, 0), ("plays", 10, None)],
)
def test_reactions_have_a_value_in_every_preset(name: str, like: float, dislike: float | None) -> None:
    """A like and a dislike are values of the scale; a count of plays says nothing bad."""
    assert PRESETS[name].value_of(Reaction.LIKE) == like
    assert PRESETS[name].value_of(Reaction.DISLIKE) == dislike


def test_a_single_play_weighs_less_than_a_like() -> None:
    """The default weighting makes 0.4 of one play, and all of three."""
    weighting = LikingWeighting(PRESETS["plays"])
    assert weighting.preferences(np.array([1.0, 3.0, 500.0])).tolist() == pytest.approx([0.4, 1, 1])


@pytest.mark.parametrize(
    ("text", "liking", "scale"),
    [
        ("1-10", None, RatingScale(1, 10)),
        ("0.5:5", None, RatingScale(0.5, 5)),
        ("0-1e3", None, RatingScale(0, 1000)),
        ("-1:1", "-1=1,1=5", RatingScale(-1, 1, ((-1, 1), (1, 5)))),
        ("1-20", "1=3, 5=4, 20=5", RatingScale(1, 20, ((1, 3), (5, 4), (20, 5)))),
        ("plays", "1=3,5=4,20=5", RatingScale(1, 1e6, ((1, 3), (5, 4), (20, 5)))),
        ("ten", "1=1,7=4,9=5", RatingScale(1, 10, ((1, 1), (7, 4), (9, 5)))),
    ],
)
def test_a_scale_is_read_as_people_write_it(text: str, liking: str | None, scale: RatingScale) -> None:
    """Bounds or a name, and knots that replace those of the name."""
    assert read_scale(text, liking) == scale


@pytest.mark.parametrize(
    ("text", "liking", "reason"),
    [
        ("five", None, "must be MIN-MAX, for instance 1-10, or one of stars, ten, hundred, thumbs, plays"),
        ("1-", None, "must be MIN-MAX"),
        ("1-nan", None, "must be MIN-MAX"),
        ("1-inf", None, "must be MIN-MAX"),
        ("5-1", None, "a rating scale needs"),
        ("-1:1", None, "a rating scale needs 0 <= minimum"),
        ("1-10", "", "must be VALUE=STARS"),
        ("1-10", "1", "must be VALUE=STARS,VALUE=STARS"),
        ("1-10", "1=2,", "must be VALUE=STARS,VALUE=STARS"),
        ("1-10", "1=2,x=5", "must be VALUE=STARS,VALUE=STARS"),
        ("1-10", "1=2,20=5", "20=5: the value is off the scale of 1 to 10"),
    ],
)
def test_what_is_no_scale_is_explained(text: str, liking: str | None, reason: str) -> None:
    """The error says what would be one."""
    with pytest.raises(ValueError, match=reason):
        read_scale(text, liking)


def test_knots_are_read_in_their_order() -> None:
    """Whether they make a curve is for the scale to say."""
    assert read_curve("5=1,1=5") == ((5, 1), (1, 5))
