"""Rating scales by name, and scales as people write them. Pure."""

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from kindred.ratings import RatingScale
from kindred.star_curve import Curve

STARS = RatingScale(0.5, 5.0)
PLAYS = RatingScale(1.0, 1e6, ((1.0, 3.2), (3.0, 4.0), (10.0, 5.0)))
"""One play may be chance: it says a little (the default weighting makes 0.4 of it). Three are a choice, which is what a
like is. Ten are as good as any number more: somebody who plays all day long counts no more than the others. These are
chosen by reasoning, not measured; what is often differs between songs and games."""

PRESETS: Mapping[str, RatingScale] = MappingProxyType(
    {
        "stars": STARS,
        "ten": RatingScale(1.0, 10.0),
        "hundred": RatingScale(0.0, 100.0),
        "thumbs": RatingScale(0.0, 1.0, ((0.0, 1.0), (1.0, 5.0))),
        "plays": PLAYS,
    }
)
"""The scales with a name: stars 0.5 to 5, 1 to 10, 0 to 100, thumbs (0 is down, 1 is up), and plays (counts from 1)."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_SPAN = re.compile(rf"({_NUMBER})[-:]({_NUMBER})", re.ASCII)
_KNOT = re.compile(rf"\s*({_NUMBER})=({_NUMBER})\s*", re.ASCII)


def read_scale(text: str, liking: str | None = None) -> RatingScale:
    """Reads a scale.

    Args:
        text: The name of a preset, or MIN-MAX (MIN:MAX is the same).
        liking: Knots of a curve of one's own, VALUE=STARS,VALUE=STARS; None: the preset's, or none.

    Raises:
        ValueError: It is neither, or no scale.
    """
    span = _SPAN.fullmatch(text)
    if text not in PRESETS and span is None:
        raise ValueError(f"must be MIN-MAX, for instance 1-10, or one of {', '.join(PRESETS)}")
    curve = () if liking is None else read_curve(liking)
    if span is not None:
        return RatingScale(float(span[1]), float(span[2]), curve)
    return replace(PRESETS[text], curve=curve) if curve else PRESETS[text]


def read_curve(text: str) -> Curve:
    """Reads the knots of a curve, VALUE=STARS,VALUE=STARS; whether they fit a scale is for the scale to say.

    Args:
        text: The knots.

    Raises:
        ValueError: It is of another form.
    """
    knots = [_KNOT.fullmatch(knot) for knot in text.split(",")]
    read = tuple((float(knot[1]), float(knot[2])) for knot in knots if knot is not None)
    if len(read) < len(knots):
        raise ValueError("must be VALUE=STARS,VALUE=STARS, for instance 1=3,5=4,20=5: a rating of 1 is worth 3 stars")
    return read
