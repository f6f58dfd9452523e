"""By which attributes users without ratings are told apart. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite

import numpy as np

from kindred.attribute_filter import Condition, Equals, InRange, is_number
from kindred.filter_checks import UNQUOTABLE
from kindred.items import MAX_NAME_LENGTH
from kindred.ratings import Attributes


@dataclass(frozen=True, slots=True)
class SegmentAttribute:
    """An attribute by which users are told apart.

    Args:
        name: Its name.
        band: For numbers: users within the same band of this width, which begins at a multiple of it, are alike. None
            if values have to be the same.
    """

    name: str
    band: float | None = None

    def condition(self, attributes: Attributes) -> Condition | None:
        """What somebody must be to be like somebody with these attributes; None if these do not say."""
        value = attributes.get(self.name)
        if value is None:
            return None
        if self.band is None:
            return Equals(self.name, value)
        if not is_number(value) or not isfinite(value / self.band):
            return None
        number = floor(value / self.band)
        # Rounded, 0.3 is in the third band of 0.1: the bounds decide, which are products for its neighbors, too.
        number += (value >= (number + 1) * self.band) - (value < number * self.band)
        start, end = number * self.band, (number + 1) * self.band
        return InRange(self.name, start, float(np.nextafter(end, start)))


def conditions_of(telling: Sequence[SegmentAttribute], attributes: Attributes) -> tuple[Condition, ...]:
    """What somebody must be to be like somebody with these attributes, up to the first that is not known of them.

    Args:
        telling: What tells users apart, the most important first.
        attributes: What is known.
    """
    found: list[Condition] = []
    for each in telling:
        if (condition := each.condition(attributes)) is None:
            break
        found.append(condition)
    return tuple(found)


def parse_segment_attributes(text: str) -> tuple[SegmentAttribute, ...]:
    """Reads a setting.

    Args:
        text: Names of attributes, the most important first, separated by commas: `gender,country`; `age:10` for bands
            of ten.

    Raises:
        ValueError: It is of another form; the message says of which.
    """
    found: list[SegmentAttribute] = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, colon, width = part.partition(":")
        try:
            band = float(width) if colon else None
        except ValueError:
            band = -1.0
        if (
            not name
            or len(name) > MAX_NAME_LENGTH
            or not set(name).isdisjoint(UNQUOTABLE)
            or (band is not None and not 0 < band < float("inf"))
        ):
            form = "an attribute's name without \" and \\, or NAME:WIDTH with a width above 0, like age:10"
            raise ValueError(f"{part!r} must be {form}")
        if name in (each.name for each in found):
            raise ValueError(f"{name!r} is named twice")
        found.append(SegmentAttribute(name, band))
    return tuple(found)
