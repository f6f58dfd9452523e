"""Whatever the knots: what a scale says that a reaction is worth is what its curve makes of that value."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.ratings import RatingScale, Reaction
from kindred.star_curve import DISLIKED_UP_TO, LIKED_FROM, MAX_KNOTS

EIGHTHS = 8
"""Values and stars are eighths: exact in single precision, and so are told apart."""


@st.composite
def scales(draw: st.DrawFn) -> RatingScale:
    """Scales with a curve: flat parts, ends before and after the knots, and negative values among them."""
    values = sorted(draw(st.sets(st.integers(-800, 8_000_000), min_size=2, max_size=MAX_KNOTS)))
    size = len(values)
    stars = sorted(draw(st.lists(st.integers(0, 5 * EIGHTHS), min_size=size, max_size=size)))
    stars[-1] = max(stars[-1], int(LIKED_FROM) * EIGHTHS)
    before, after = draw(st.integers(0, 80)), draw(st.integers(0, 80))
    curve = tuple((value / EIGHTHS, each / EIGHTHS) for value, each in zip(values, stars, strict=True))
    return RatingScale((values[0] - before) / EIGHTHS, (values[-1] + after) / EIGHTHS, curve)


def stars_of(scale: RatingScale, value: float) -> float:
    """The stars of one value."""
    return float(scale.stars(np.array([value]))[0])


def close(scale: RatingScale, value: float) -> float:
    """How far apart the stars of two values may be that single precision takes for one."""
    steepest = max((after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(scale.curve))
    return 1e-9 + 2 * steepest * float(np.spacing(np.float32(abs(value))))


@given(scale=scales())
def test_a_like_has_the_most_stars_of_the_scale(scale: RatingScale) -> None:
    """No value has more stars than a like, and no lower one has as many."""
    like = scale.value_of(Reaction.LIKE)
    assert like is not None
    assert scale.contains(like)
    assert stars_of(scale, like) == stars_of(scale, scale.maximum) == scale.curve[-1][1]
    if like > scale.minimum:
        assert stars_of(scale, like - 0.5 / EIGHTHS) < stars_of(scale, like)


@given(scale=scales())
def test_a_dislike_has_one_star_where_the_curve_has_it(scale: RatingScale) -> None:
    """A dislike has one star, or is the minimum; it never is a value that speaks for the item."""
    dislike, lowest = scale.value_of(Reaction.DISLIKE), stars_of(scale, scale.minimum)
    if dislike is None:
        assert lowest > DISLIKED_UP_TO
        return
    assert scale.contains(dislike)
    if lowest <= 1:
        assert stars_of(scale, dislike) == pytest.approx(1, abs=close(scale, dislike))
    else:
        assert dislike == scale.minimum
        assert lowest <= DISLIKED_UP_TO


@given(scale=scales(), values=st.lists(st.floats(0, 1), max_size=20))
def test_more_is_never_worth_less(scale: RatingScale, values: list[float]) -> None:
    """Stars ascend with the values, and stay between those of the first and of the last knot."""
    spread = np.sort(scale.minimum + np.array(values) * (scale.maximum - scale.minimum))
    stars = scale.stars(spread)
    assert (np.diff(stars) >= -1e-12).all()
    assert ((stars >= scale.curve[0][1]) & (stars <= scale.curve[-1][1])).all()


@given(scale=scales())
def test_knots_have_their_stars(scale: RatingScale) -> None:
    """At every knot the curve is what the knot says, to the bit."""
    values, stars = zip(*scale.curve, strict=True)
    assert scale.stars(np.array(values, np.float32)).tolist() == [*stars]
