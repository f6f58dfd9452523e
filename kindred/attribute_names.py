"""Which names the attributes of users have, remembered for a while: filters that name others are refused."""

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic

from kindred.errors import FieldViolation
from kindred.filter_checks import check_known_names
from kindred.stores.port import Store
from kindred.user_filter import UserFilter

KEEP_KNOWN = 60.0
"""Seconds for which a name that is there is taken to be there."""
KEEP_UNKNOWN = 1.0
"""Seconds for which a name that is not there is not looked for again: somebody may set it any moment."""
MOST_MISSING = 3
"""Names that nobody has, of those asked for at once, before no more are looked for."""
MAX_REMEMBERED = 10_000
"""Names that are remembered, at most: callers make them up."""


class AttributeNames:
    """What is known of the names in one store.

    Args:
        store: The store.
        clock: Seconds, from anywhere.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._clock = clock
        self._sample: frozenset[str] = frozenset()
        self._sample_until = float("-inf")
        self._seen: dict[str, tuple[bool, float]] = {}
        """Whether a name is there, and until when that is believed."""

    async def known(self, asked: Iterable[str]) -> frozenset[str]:
        """Names that are there: those of the asked that some user has, and others that many have.

        After three that nobody has the rest is taken to be there: the request is wrong already, and the engine looks at
        every user before it knows that nobody has a name.

        Args:
            asked: Names that `check_user_filter` finds nothing wrong with.

        Raises:
            UnavailableError: The store is away.
        """
        names = frozenset(asked)
        if not names:
            return names
        if self._clock() >= self._sample_until:
            self._sample = await self._store.some_attribute_names()
            self._sample_until = self._clock() + (KEEP_KNOWN if self._sample else KEEP_UNKNOWN)
        there, missing = [], 0
        for name in sorted(names - self._sample):
            if missing == MOST_MISSING or await self._has(name):
                there.append(name)
            else:
                missing += 1
        return self._sample.union(there)

    async def check(self, asked: UserFilter, field: str) -> list[FieldViolation]:
        """Which attributes a filter names that nobody has, with the nearest known ones.

        Args:
            asked: The filter.
            field: Its path.

        Raises:
            UnavailableError: The store is away.
        """
        if not asked.attributes:
            return []
        known = await self.known(condition.name for condition in asked.attributes.conditions)
        return check_known_names(asked.attributes, known, f"{field}.attributes")

    async def _has(self, name: str) -> bool:
        has, until = self._seen.get(name, (False, float("-inf")))
        if self._clock() >= until:
            has = await self._store.has_attribute(name)
            await asyncio.sleep(0)  # other calls get their turn
            if len(self._seen) >= MAX_REMEMBERED:
                self._seen.clear()
            self._seen[name] = (has, self._clock() + (KEEP_KNOWN if has else KEEP_UNKNOWN))
        return has
