"""Business rules that multiply the scores of some items. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.attribute_filter import Condition
from kindred.errors import FieldViolation
from kindred.filter_checks import check_condition
from kindred.item_filter_checks import check_year
from kindred.item_masks import ItemMasks, Mask
from kindred.items import check_name
from kindred.unknown_names import Named, unknown_names

MAX_BOOSTS = 32
MAX_FACTOR = 100.0
MAX_PRODUCT = 1e6
"""What all boosts of one item multiply by at most, and divide by at most: beyond, sums of terms lose their digits."""


@dataclass(frozen=True, slots=True)
class GenreIs:
    """Items of this genre, whatever its case."""

    name: str


@dataclass(frozen=True, slots=True)
class TagIs:
    """Items with this tag, whatever its case."""

    name: str


@dataclass(frozen=True, slots=True)
class FromYear:
    """Items of this year or later."""

    year: int


@dataclass(frozen=True, slots=True)
class Boost:
    """Multiplies the scores of some items.

    Args:
        factor: 0 to 100; below 1 holds an item back, and 0 leaves it out.
        on: Which items.
    """

    factor: float
    on: GenreIs | TagIs | FromYear | Condition


def check_boost(boost: Boost, field: str) -> list[FieldViolation]:
    """What is wrong with a boost in itself.

    Args:
        boost: The boost.
        field: Its path.
    """
    found = check_factor(boost.factor, f"{field}.factor")
    match boost.on:
        case GenreIs(name):
            found += check_name(name, f"{field}.genre")
        case TagIs(name):
            found += check_name(name, f"{field}.tag")
        case FromYear(year):
            found += check_year(year, f"{field}.min_year")
        case condition:
            found += check_condition(condition, f"{field}.attribute")
    return found


def check_factor(factor: float, field: str) -> list[FieldViolation]:
    """What is wrong with a factor: 0 to 100, and so no NaN.

    Args:
        factor: The factor.
        field: Its path.
    """
    if 0.0 <= factor <= MAX_FACTOR:
        return []
    return [FieldViolation(field, f"is {factor:g}, must be 0 to {MAX_FACTOR:g}")]


def unknown_in_boosts(boosts: Iterable[Boost], masks: ItemMasks, field: str = "boosts") -> list[FieldViolation]:
    """Which genres, tags and attributes of boosts no item has.

    Args:
        boosts: The boosts.
        masks: The catalog's.
        field: The path of their list.
    """
    return unknown_names(_names_in(boosts, field), masks.indexes)


def too_strong_together(boosts: Sequence[Boost], masks: ItemMasks, field: str = "boosts") -> list[FieldViolation]:
    """Whether the boosts of some item multiply by too much; those that leave items out aside.

    Args:
        boosts: The boosts.
        masks: The catalog's.
        field: The path of their list.
    """
    if not boosts:
        return []
    together = product(factors([boost for boost in boosts if boost.factor], masks), masks.rows)
    for extreme in (together.max(initial=1.0), together.min(initial=1.0)):
        if not 1 / MAX_PRODUCT <= extreme <= MAX_PRODUCT:
            rule = f"must be 0, or {1 / MAX_PRODUCT:g} to {MAX_PRODUCT:,.0f}"
            return [FieldViolation(field, f"multiply some items by {extreme:g} together, which {rule}")]
    return []


def factors(boosts: Iterable[Boost], masks: ItemMasks) -> list[tuple[float, Mask]]:
    """What each boost does: its factor, and which rows it multiplies. Masks are read-only.

    Args:
        boosts: The boosts.
        masks: The catalog's.

    Returns:
        One (factor, shape (rows,)) a boost, in their order.
    """
    return [(boost.factor, _mask_of(boost, masks)) for boost in boosts]


def product(of: Iterable[tuple[float, Mask]], rows: int) -> NDArray[np.float64]:
    """What each row's score is multiplied by, by all boosts together.

    Args:
        of: What `factors` says of them.
        rows: How many rows there are.

    Returns:
        Shape (rows,).
    """
    together = np.ones(rows)
    for factor, mask in of:
        np.multiply(together, factor, out=together, where=mask)
    return together


def _mask_of(boost: Boost, masks: ItemMasks) -> Mask:
    match boost.on:
        case GenreIs(name):
            return masks.genre(name)
        case TagIs(name):
            return masks.tag(name)
        case FromYear(year):
            return masks.since_year(year)
        case condition:
            return masks.attribute(condition)


def _names_in(boosts: Iterable[Boost], field: str) -> Iterator[Named]:
    for place, boost in enumerate(boosts):
        match boost.on:
            case GenreIs(name):
                yield Named("genres", name, f"{field}[{place}].genre")
            case TagIs(name):
                yield Named("tags", name, f"{field}[{place}].tag")
            case FromYear():
                pass
            case condition:
                yield Named("attributes", condition.name, f"{field}[{place}].attribute.name")
