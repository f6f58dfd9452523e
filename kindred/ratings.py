"""A user's ratings, and the rule by which events change them. Pure.

A profile is a pure function of its events in the log: per item the latest by (time, then log order) wins, and a
retraction is an event like any other. Forgetting removes everything that stands before it in the log, whatever time
that bears, and what comes after it but is not later than it: a late copy of something forgotten. Reading events twice,
or again from any earlier place in the log to its end, leads to the same profile.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from kindred.star_curve import (
    DISLIKED_UP_TO,
    MAX_STARS,
    Curve,
    check_curve,
    curve_text,
    lowest_value_of,
    span_text,
    stars_on,
    values_on,
)

AttributeValue = str | float | bool
"""What an attribute of a user or an item can be."""

Attributes = Mapping[str, AttributeValue]

T = TypeVar("T", np.uint32, np.float32, np.int64)


_LARGEST = float(np.finfo(np.float32).max)
"""Ratings are kept in single precision."""


class Reaction(Enum):
    """An opinion without a number."""

    LIKE = "like"
    DISLIKE = "dislike"


@dataclass(frozen=True, slots=True)
class RatingScale:
    """The scale on which a catalog's users rate, and what its values mean in stars.

    Args:
        minimum: The lowest rating; at least 0 without a curve.
        maximum: The highest rating.
        curve: Knots (value, stars) of the piecewise linear map to five stars, flat outside. Without any the scale's
            maximum is five stars and zero is none, with a straight line between.

    Raises:
        ValueError: The bounds are not finite, negative or out of order, or the knots are no curve.
    """

    minimum: float
    maximum: float
    curve: Curve = ()

    def __post_init__(self) -> None:
        lowest = -_LARGEST if self.curve else 0
        if not lowest <= self.minimum < self.maximum <= _LARGEST:
            needed = "finite numbers, minimum < maximum" if self.curve else "0 <= minimum < maximum"
            raise ValueError(f"a rating scale needs {needed}, got {span_text(self.minimum, self.maximum)}")
        if self.curve:
            check_curve(self.curve, self.minimum, self.maximum)

    def __str__(self) -> str:
        span = span_text(self.minimum, self.maximum)
        return f"{span} ({curve_text(self.curve)})" if self.curve else span

    def contains(self, value: float) -> bool:
        """Tells whether a value is a rating on this scale; NaN and infinities are not."""
        return self.minimum <= value <= self.maximum

    def stars(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Maps ratings to five stars, by the curve or by the straight line.

        Args:
            values: Ratings on this scale, any shape.

        Returns:
            Stars, same shape. MovieLens scales (0.5 to 5, 1 to 5) map to themselves.
        """
        if self.curve:
            return stars_on(self.curve, values)
        return np.asarray(values, np.float64) * (MAX_STARS / self.maximum)

    def values(self, stars: NDArray[np.floating]) -> NDArray[np.float64]:
        """Maps stars to ratings on this scale: the lowest that have as many.

        Args:
            stars: Any shape.

        Returns:
            Same shape, within the scale; NaN for NaN.
        """
        if self.curve:
            return values_on(self.curve, stars)
        values = np.asarray(stars, np.float64) * (self.maximum / MAX_STARS)
        return np.minimum(np.maximum(values, self.minimum), self.maximum)

    def value_of(self, reaction: Reaction) -> float | None:
        """The rating that stands for a reaction.

        Args:
            reaction: The reaction.

        Returns:
            For LIKE the lowest value with the most stars that the scale has: five, as a rule. For DISLIKE the lowest
            with one star; where even the minimum has more, the minimum, unless that would say that the item is liked:
            then None, since no value of this scale says the contrary.
        """
        if reaction is Reaction.LIKE:
            return lowest_value_of(self.curve, self.curve[-1][1], self.minimum) if self.curve else self.maximum
        lowest = float(self.stars(np.array([self.minimum]))[0])
        if lowest >= 1:
            return self.minimum if lowest <= DISLIKED_UP_TO else None
        return lowest_value_of(self.curve, 1.0, self.minimum) if self.curve else self.maximum / MAX_STARS


@dataclass(frozen=True, slots=True)
class Rated:
    """A user rated an item: `item` is its index, `value` on the catalog's scale, `at` milliseconds since 1970."""

    item: int
    value: float
    at: int


@dataclass(frozen=True, slots=True)
class Retracted:
    """A user took a rating back."""

    item: int
    at: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A user is forgotten: everything before this event, and everything up to and including `at`, is gone."""

    at: int


@dataclass(frozen=True, slots=True)
class AttributesSet:
    """A user's attributes are now these, all of them."""

    attributes: Attributes
    at: int


ProfileEvent = Rated | Retracted | Forgotten | AttributesSet


class CurrentRatings(NamedTuple):
    """Ratings that stand: item indexes, ascending (uint32), values (float32) and times (int64), each of shape (n,)."""

    items: NDArray[np.uint32]
    values: NDArray[np.float32]
    rated_at: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class UserProfile:
    """Everything that events say about a user.

    Args:
        items: Item indexes, ascending, each once. Shape (n,), uint32.
        values: Ratings on the catalog's scale; NaN marks a rating that was taken back. Shape (n,), float32.
        rated_at: Milliseconds since 1970. Shape (n,), int64.
        forgotten_at: Everything up to this time is forgotten; None if never.
        attributes: The user's attributes.
        attributes_at: When they were set; None if never.
    """

    items: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    values: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    rated_at: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    forgotten_at: int | None = None
    attributes: Attributes = field(default_factory=dict)
    attributes_at: int | None = None

    def __eq__(self, other: object) -> bool:
        """Bit for bit: the same items, values (a retraction equals a retraction), times and attributes."""
        return (
            isinstance(other, UserProfile)
            and np.array_equal(self.items, other.items)
            and np.array_equal(self.values.view(np.uint32), other.values.view(np.uint32))
            and np.array_equal(self.rated_at, other.rated_at)
            and self.forgotten_at == other.forgotten_at
            and _typed(self.attributes) == _typed(other.attributes)
            and self.attributes_at == other.attributes_at
        )

    __hash__ = None  # type: ignore[assignment]  # equal by value, and arrays do not hash

    @property
    def current(self) -> NDArray[np.bool_]:
        """Which of the columns' entries are ratings, not retractions. Shape (n,)."""
        return ~np.isnan(self.values)

    @property
    def ratings(self) -> CurrentRatings:
        """The ratings without those that were taken back: the columns themselves, if none was."""
        current = self.current
        if current.all():
            return CurrentRatings(self.items, self.values, self.rated_at)
        return CurrentRatings(self.items[current], self.values[current], self.rated_at[current])

    @property
    def rating_count(self) -> int:
        """How many items the user rates."""
        return int(np.count_nonzero(self.current))


def _typed(attributes: Attributes) -> dict[str, tuple[type, AttributeValue]]:
    return {name: (type(value), value) for name, value in attributes.items()}  # True == 1.0, but it is not the same


EMPTY_PROFILE = UserProfile()


def merge(profile: UserProfile, events: Iterable[ProfileEvent]) -> UserProfile:
    """Applies events to a profile.

    Args:
        profile: The profile so far. It is not changed.
        events: Events of one user, in log order.

    Returns:
        The profile after the events: per item the latest by (`at`, then log order), nothing from before the latest
        `Forgotten`, and the latest attributes.
    """
    events = list(events)
    forgettings = [place for place, event in enumerate(events) if type(event) is Forgotten]
    if forgettings:
        known = [] if profile.forgotten_at is None else [profile.forgotten_at]
        profile = UserProfile(forgotten_at=max(known + [events[place].at for place in forgettings]))
        events = events[forgettings[-1] + 1 :]
    forgotten_at = profile.forgotten_at
    if forgotten_at is not None:
        events = [event for event in events if event.at > forgotten_at]  # not a late copy of something forgotten
    attributes, attributes_at = profile.attributes, profile.attributes_at
    latest: dict[int, tuple[int, float]] = {}
    for event in events:
        if isinstance(event, Rated | Retracted):
            if event.item not in latest or event.at >= latest[event.item][0]:
                latest[event.item] = (event.at, event.value if isinstance(event, Rated) else np.nan)
        elif isinstance(event, AttributesSet) and (attributes_at is None or event.at >= attributes_at):
            attributes, attributes_at = event.attributes, event.at
    items, values, rated_at = _overlay(profile, latest)
    return UserProfile(items, values, rated_at, forgotten_at, attributes, attributes_at)


def _overlay(
    profile: UserProfile, latest: Mapping[int, tuple[int, float]]
) -> tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.int64]]:
    """Replaces the profile's entries by newer ones, and adds the new ones."""
    items, values, rated_at = profile.items, profile.values, profile.rated_at
    if not latest:
        return items, values, rated_at
    order = sorted(latest)
    new_items = np.array(order, np.uint32)
    new_at = np.array([latest[item][0] for item in order], np.int64)
    new_values = np.array([latest[item][1] for item in order], np.float32)
    if not items.size:
        return new_items, new_values, new_at
    place = items.searchsorted(new_items)
    known = items[np.minimum(place, items.size - 1)] == new_items
    if known.any():
        old = place[known]
        wins = new_at[known] >= rated_at[old]
        values, rated_at = values.copy(), rated_at.copy()
        values[old[wins]], rated_at[old[wins]] = new_values[known][wins], new_at[known][wins]
    added = ~known
    if not added.any():
        return items, values, rated_at
    places = place[added]
    return (
        _inserted(items, places, new_items[added]),
        _inserted(values, places, new_values[added]),
        _inserted(rated_at, places, new_at[added]),
    )


def _inserted(old: NDArray[T], places: NDArray[np.intp], new: NDArray[T]) -> NDArray[T]:
    """What np.insert gives, which takes several times as long: most batches have one new rating of a user."""
    both = np.empty(old.size + new.size, old.dtype)
    if new.size == 1:
        place = places[0]
        both[:place], both[place], both[place + 1 :] = old[:place], new[0], old[place:]
    else:
        slots = places + np.arange(new.size)
        olds = np.ones(both.size, np.bool_)
        olds[slots] = False
        both[olds], both[slots] = old, new
    return both
