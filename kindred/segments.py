"""What people like a newcomer like: those with the same attributes.

Who has rated nothing has no neighbors, but may have said where they live or how old they are.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kindred.attribute_filter import EVERY_ATTRIBUTE, AttributeFilter, Condition
from kindred.errors import OutOfTimeError, ResourceExhaustedError
from kindred.popular_lists import PopularLists
from kindred.ratings import Attributes
from kindred.segment_attributes import SegmentAttribute, conditions_of
from kindred.stale_cache import StaleCache
from kindred.stores.port import Store
from kindred.user_filter import UserFilter

LEAST_USERS = 20
"""So many users must have rated something: what a handful likes says little, and tells who they are."""
_PATIENCE = 1.0
"""Seconds that a newcomer waits for the first count of a segment: everyone's favorites are there at once."""
_KEPT = 256
_AT_A_TIME = 4


class Segments:
    """Counts by segment.

    Args:
        store: The users.
        lists: Counts.
        attributes: What tells users apart, the most important first.
        age: Seconds for which is kept which segments have enough users.
    """

    def __init__(self, store: Store, lists: PopularLists, attributes: Sequence[SegmentAttribute], age: float) -> None:
        self._store = store
        self._lists = lists
        self._attributes = tuple(attributes)
        self._chosen: StaleCache[_Segment, AttributeFilter] = StaleCache(self._choose, age, _KEPT, _AT_A_TIME)

    async def segment_counts(
        self, attributes: Attributes
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], AttributeFilter] | None:
        """What people like somebody rate and like: those who share the most attributes, in their order, and are enough.

        Args:
            attributes: What is known of somebody.

        Returns:
            How many of these people have rated each item and how many like it, both of shape (rows,), and who they are;
            None if there are too few of them, or if they are still being counted.

        Raises:
            UnavailableError: The store is away.
        """
        known = conditions_of(self._attributes, attributes)
        if not known:
            return None
        try:
            people = await self._chosen.get(_Segment(known, repr(known)), _PATIENCE)
            if not people:
                return None
            counts = await self._lists.counts(users=_raters(people), patience=_PATIENCE)
        except (OutOfTimeError, ResourceExhaustedError):
            return None  # the count goes on: the next newcomer finds it
        return counts.rated, counts.liked, people

    async def _choose(self, segment: "_Segment") -> AttributeFilter:
        """The largest beginning of the conditions that enough users meet; an empty filter if there is none."""
        for length in range(len(segment.conditions), 0, -1):
            people = AttributeFilter(all_of=segment.conditions[:length])
            if await self._store.count_users(_raters(people)) >= LEAST_USERS:
                counts = await self._lists.counts(users=_raters(people))
                if counts.liked.any():
                    return people
        return EVERY_ATTRIBUTE


class _Segment(NamedTuple):
    """A segment: its conditions, and the same as text, since a condition for true equals one for 1."""

    conditions: tuple[Condition, ...]
    spelled: str


def _raters(people: AttributeFilter) -> UserFilter:
    return UserFilter(attributes=people, min_ratings=1)
