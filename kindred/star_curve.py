"""How the values of a rating scale map to five stars: a piecewise linear curve through knots. Pure."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Curve = tuple[tuple[float, float], ...]
"""Knots (value, stars), ascending by value; flat before the first and after the last."""

MAX_STARS = 5.0
LIKED_FROM = 4.0
"""Stars from which a rating counts as a like."""
DISLIKED_UP_TO = 2.5
"""Stars up to which a rating can stand for a dislike: `weighting.liking` is positive above."""
MIN_KNOTS, MAX_KNOTS = 2, 32

_SHOWN_KNOTS = 4


def check_curve(curve: Sequence[tuple[float, float]], minimum: float, maximum: float) -> None:
    """Checks the knots of a scale.

    Args:
        curve: The knots.
        minimum: The scale's lowest value.
        maximum: Its highest.

    Raises:
        ValueError: They are no curve, leave the scale, or have no value that counts as a like.
    """
    if not MIN_KNOTS <= len(curve) <= MAX_KNOTS:
        raise ValueError(f"a curve needs {MIN_KNOTS} to {MAX_KNOTS} knots VALUE=STARS, got {len(curve)}")
    for value, stars in curve:
        if not minimum <= value <= maximum:
            raise ValueError(f"{_knot(value, stars)}: the value is off the scale of {span_text(minimum, maximum)}")
        if not 0 <= stars <= MAX_STARS:
            raise ValueError(f"{_knot(value, stars)}: stars must be 0 to {MAX_STARS:g}")
    for (before, stars_before), (value, stars) in pairwise(curve):
        # Ratings are kept in single precision: two knots that are one there would make a jump.
        if not np.float32(before) < np.float32(value):
            raise ValueError(f"{_knot(value, stars)}: the values must ascend, and it comes after {before:.10g}")
        if stars < stars_before:
            raise ValueError(
                f"{_knot(value, stars)}: a higher value must not have fewer stars: {before:.10g} has {stars_before:g}"
            )
    if curve[-1][1] < LIKED_FROM:
        raise ValueError(
            f"{_knot(*curve[-1])}: the highest value must have at least {LIKED_FROM:g} stars, or nothing is ever liked"
        )


def stars_on(curve: Curve, values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Maps values to stars.

    Args:
        curve: The knots.
        values: Values on the scale, any shape. They count as what single precision makes of them, as do the knots: a
            rating that was stored has exactly the stars of the knot that it was given as.

    Returns:
        Stars, same shape; NaN for NaN.
    """
    places, stars = _columns(curve)
    return np.asarray(np.interp(np.asarray(values, np.float32), places, stars), np.float64)


def values_on(curve: Curve, stars: NDArray[np.floating]) -> NDArray[np.float64]:
    """Maps stars to the lowest values that have as many.

    Args:
        curve: The knots.
        stars: Any shape.

    Returns:
        Values between the first knot's and the last one's, same shape; NaN for NaN.
    """
    places, reached = _columns(curve)
    rises = np.append(True, reached[1:] > reached[:-1])  # a flat part has its lowest value
    return np.asarray(np.interp(stars, reached[rises], places[rises]), np.float64)


def lowest_value_of(curve: Curve, stars: float, minimum: float) -> float:
    """The lowest value that has as many stars.

    Args:
        curve: The knots.
        stars: How many; the curve has to have them somewhere, at the last knot at most.
        minimum: The scale's lowest value, which has the stars of the first knot.
    """
    place = next(place for place, (_, reached) in enumerate(curve) if reached >= stars)
    if place == 0:
        return minimum
    (value, below), (next_value, reached) = curve[place - 1], curve[place]
    if reached == stars:
        return next_value
    return min(value + (stars - below) * (next_value - value) / (reached - below), next_value)


def span_text(minimum: float, maximum: float) -> str:
    """The bounds of a scale for people: counts have all of their digits."""
    return f"{minimum:.10g} to {maximum:.10g}"


def curve_text(curve: Curve) -> str:
    """The knots for people, as on the command line; of many the first and the last."""
    knots = [_knot(*knot) for knot in curve]
    if len(knots) > _SHOWN_KNOTS:
        knots[1:-1] = ["…"]
    return f"{', '.join(knots)} stars"


def _knot(value: float, stars: float) -> str:
    return f"{value:.10g}={stars:g}"


@lru_cache(maxsize=64)
def _columns(curve: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values, stars = np.array(curve, np.float64).T
    return values.astype(np.float32).astype(np.float64), stars.copy()
