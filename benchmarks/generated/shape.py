"""How many users, items and ratings a data set has."""

from dataclasses import dataclass

import numpy as np

WHOLE_STARS_UP_TO = 1_000_209


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a data set.

    Args:
        users: Users, each with twenty ratings at least.
        items: Items in the catalog; a few may have no rating.
        ratings: Ratings, each of another pair of user and item.
        whole_stars: Whether ratings are 1 to 5, not 0.5 to 5.
    """

    users: int
    items: int
    ratings: int
    whole_stars: bool = False


ML_100K = Shape(943, 1_682, 100_000, whole_stars=True)
ML_LATEST_SMALL = Shape(610, 9_742, 100_836)
ML_1M = Shape(6_040, 3_706, WHOLE_STARS_UP_TO, whole_stars=True)
ML_25M = Shape(162_541, 62_423, 25_000_095)
ML_33M = Shape(330_975, 86_000, 33_832_162)

NAMED = {"100K": ML_100K, "latest-small": ML_LATEST_SMALL, "1M": ML_1M, "25M": ML_25M, "33M": ML_33M}
"""The sizes of MovieLens's own sets."""

_KNOWN = (ML_100K, ML_1M, ML_25M, ML_33M)


def shape_of(name: str) -> Shape:
    """The shape of a name, or of a number of ratings with K or M behind it: 100K, 2M, 350000.

    Between MovieLens's own sizes users and items follow a straight line on logarithmic scales.

    Args:
        name: One of `NAMED`, or a number of ratings.

    Raises:
        ValueError: It is neither, or there are too few ratings.
    """
    if name in NAMED:
        return NAMED[name]
    digits = name.upper().rstrip("KM")
    scale = {"K": 1_000, "M": 1_000_000}.get(name.upper()[len(digits) :], 1 if name == digits else 0)
    ratings = int(float(digits) * scale) if digits.replace(".", "", 1).isdigit() else 0
    if ratings < 2_000:  # noqa: PLR2004 - fewer make no popularity curve
        raise ValueError(f"no size {name!r}; known: {', '.join(NAMED)}, or a number of ratings from 2K on, like 2M")
    at = np.log([shape.ratings for shape in _KNOWN])
    users, items = (
        float(np.exp(np.interp(np.log(ratings), at, np.log([getattr(shape, part) for shape in _KNOWN]))))
        for part in ("users", "items")
    )
    smallest, largest = _KNOWN[0], _KNOWN[-1]
    if ratings < smallest.ratings:
        users, items = (part * (ratings / smallest.ratings) ** 0.5 for part in (smallest.users, smallest.items))
    elif ratings > largest.ratings:
        users = largest.users * ratings / largest.ratings
    users = min(users, ratings / 40)
    return Shape(round(users), round(items), ratings, whole_stars=ratings <= WHOLE_STARS_UP_TO)
