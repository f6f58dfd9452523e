"""Scales whose values map to stars by a curve: what is one, what it makes of values, and what reactions are worth."""

import math

import numpy as np
import pytest

from kindred.ratings import RatingScale, Reaction
from kindred.star_curve import MAX_KNOTS, Curve

PLAYS = RatingScale(1, 100, ((1, 3.2), (3, 4), (10, 5)))


class TestCurve:
    @pytest.mark.parametrize(
        ("curve", "reason"),
        [
            (((1, 5),), "2 to 32 knots"),
            (tuple((1 + place, min(5, place)) for place in range(MAX_KNOTS + 1)), "2 to 32 knots .*got 33"),
            (((0.5, 1), (5, 5)), "0.5=1: the value is off the scale of 1 to 100"),
            (((1, 1), (101, 5)), "101=5: the value is off the scale of 1 to 100"),
            (((math.nan, 1), (5, 5)), "nan=1: the value is off"),
            (((1, 1), (math.inf, 5)), "inf=5: the value is off"),
            (((1, -1), (5, 5)), "1=-1: stars must be 0 to 5"),
            (((1, 1), (5, 5.5)), "5=5.5: stars must be 0 to 5"),
            (((1, math.nan), (5, 5)), "1=nan: stars must be 0 to 5"),
            (((5, 1), (1, 5)), "1=5: the values must ascend, and it comes after 5"),
            (((5, 1), (5, 5)), "5=5: the values must ascend"),
            (((5, 1), (5.0000001, 5)), "the values must ascend"),
            (((1, 4), (5, 3), (9, 5)), "5=3: a higher value must not have fewer stars: 1 has 4"),
            (((1, 1), (5, 3.9)), "5=3.9: the highest value must have at least 4 stars"),
        ],
    )
    def test_what_is_no_curve_is_refused(self, curve: Curve, reason: str) -> None:
        """Knots that are too few, too many, off the scale, out of order or never a like are named in the error."""
        with pytest.raises(ValueError, match=reason):
            RatingScale(1, 100, curve)

    def test_a_scale_with_a_curve_may_be_negative(self) -> None:
        """From -1 to 1 a straight line through zero means nothing, but a curve says what the values mean."""
        assert RatingScale(-1, 1, ((-1, 1), (1, 5))).stars(np.array([-1, 0, 1])).tolist() == [1, 3, 5]
        with pytest.raises(ValueError, match="minimum < maximum, got -inf to 1"):
            RatingScale(-math.inf, 1, ((0, 1), (1, 5)))

    def test_a_scale_beyond_single_precision_is_refused(self) -> None:
        """Ratings are kept in single precision, in which a larger bound would be infinite."""
        with pytest.raises(ValueError, match="1 to 1e\\+300"):
            RatingScale(1, 1e300, ((1, 1), (1e300, 5)))

    @pytest.mark.parametrize(
        ("curve", "text"),
        [
            (((0, 1), (1, 5)), "0 to 1 (0=1, 1=5 stars)"),
            (((0, 1), (0.25, 2.5), (0.5, 4), (1, 5)), "0 to 1 (0=1, 0.25=2.5, 0.5=4, 1=5 stars)"),
            (((0, 1), (0.25, 2.5), (0.5, 4), (0.75, 4), (1, 5)), "0 to 1 (0=1, …, 1=5 stars)"),
        ],
    )
    def test_a_scale_reads_as_its_bounds_and_knots(self, curve: Curve, text: str) -> None:
        """A message about a scale says what its values mean, and stays short however many knots there are."""
        assert str(RatingScale(0, 1, curve)) == text

    def test_counts_have_all_their_digits(self) -> None:
        """A bound of a million is no 1e+06."""
        assert str(RatingScale(1, 1e6)) == "1 to 1000000"


class TestStars:
    def test_knots_have_their_stars_and_the_rest_is_between(self) -> None:
        """Between two knots runs a straight line; before the first and after the last the curve is flat."""
        scale = RatingScale(0, 100, PLAYS.curve)
        stars = scale.stars(np.array([0, 1, 2, 3, 6.5, 10, 100], np.float32))
        assert stars.dtype == np.float64
        assert stars.tolist() == pytest.approx([3.2, 3.2, 3.6, 4, 4.5, 5, 5])

    def test_a_stored_rating_has_the_stars_of_its_knot(self) -> None:
        """0.7 in single precision is a little less than 0.7, and is a like all the same if 0.7 is one."""
        scale = RatingScale(0, 1, ((0.1, 1), (0.7, 4), (0.9, 5)))
        assert float(np.float32(0.7)) < 0.7
        for values in (np.array([0.1, 0.7, 0.9], np.float32), np.array([0.1, 0.7, 0.9])):
            assert scale.stars(values).tolist() == [1, 4, 5]

    def test_stars_keep_the_shape_and_what_is_missing(self) -> None:
        """Ratings of any shape become stars of that shape, and NaN stays NaN."""
        assert PLAYS.stars(np.full((2, 3), 3.0)).tolist() == [[4.0] * 3] * 2
        assert PLAYS.stars(np.empty(0)).shape == (0,)
        assert np.isnan(PLAYS.stars(np.array([np.nan, 1], np.float32))).tolist() == [True, False]


class TestReactions:
    @pytest.mark.parametrize(
        ("curve", "like", "dislike"),
        [
            (((0, 1), (100, 5)), 100, 0),
            (((0, 0), (10, 2), (20, 5)), 20, 5),
            (((0, 0), (10, 1), (20, 1), (30, 4)), 30, 10),
            (((10, 1), (20, 5), (40, 5), (90, 5)), 20, 0),
            (((0, 2.5), (20, 4.5)), 20, 0),
            (((50, 2), (60, 5)), 60, 0),
        ],
        ids=["line", "between knots", "flat at one star", "flat ends", "above one star", "starts late"],
    )
    def test_the_lowest_value_stands_for_a_reaction(self, curve: Curve, like: float, dislike: float) -> None:
        """LIKE is the lowest value with the most stars; DISLIKE the lowest with one star, or the minimum above that."""
        scale = RatingScale(0, 100, curve)
        assert scale.value_of(Reaction.LIKE) == like
        assert scale.value_of(Reaction.DISLIKE) == dislike

    @pytest.mark.parametrize("scale", [PLAYS, RatingScale(1, 9, ((1, 4), (9, 4))), RatingScale(4, 5)])
    def test_where_every_value_is_praise_no_value_is_a_dislike(self, scale: RatingScale) -> None:
        """A dislike is never kept as a rating that would count for the item."""
        assert scale.value_of(Reaction.DISLIKE) is None
        assert scale.value_of(Reaction.LIKE) is not None

    def test_a_curve_that_is_all_flat_has_its_minimum_for_a_like(self) -> None:
        """Every value is worth the same, and the lowest of them is the minimum."""
        assert RatingScale(1, 9, ((2, 4), (9, 4))).value_of(Reaction.LIKE) == 1
