"""What most users like: of all time or lately, of everyone or of some.

What everybody likes of all time is counted all along and kept with the items. Everything else needs a look at all the
profiles: the counts are kept for a while, and made again in the background.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np

from kindred.attribute_names import AttributeNames
from kindred.catalog import Catalog
from kindred.errors import InvalidArgumentError
from kindred.events import now_ms
from kindred.filter_effect import FilterEffect
from kindred.item_filter import EVERY_ITEM, ItemFilter
from kindred.popular_counts import PopularCounts, Span, Tally, most_liked
from kindred.stale_cache import StaleCache
from kindred.stores.port import Store
from kindred.user_filter import EVERY_USER, UserFilter

_PAGE = 200
_KEPT = 64
"""How many different counts are kept."""
_AT_A_TIME = 4
"""How many counts are made at a time."""
_DAY = 86_400_000


class Window(Enum):
    """The span of time before its end, in milliseconds; None for all time."""

    DAY = _DAY
    WEEK = 7 * _DAY
    MONTH = 30 * _DAY
    YEAR = 365 * _DAY
    ALL = None


class Counted(NamedTuple):
    """Which ratings to count.

    Args:
        window: When they were given.
        until: When it ends, milliseconds since 1970; None for now.
        users: By whom.
        spelled: The same users as text: a filter for true equals one for 1, and is not the same.
    """

    window: Window
    until: int | None
    users: UserFilter
    spelled: str


@dataclass(frozen=True, slots=True)
class PopularItem:
    """One popular item: its row, how many like it, and how many have rated it."""

    row: int
    likes: int
    ratings: int


@dataclass(frozen=True, slots=True)
class PopularRequest:
    """What is popular, where.

    Args:
        limit: How many items.
        window: When the ratings were given.
        until: When it ends, milliseconds since 1970; None for now.
        items: Which items may be returned.
        users: Whose ratings count.
    """

    limit: int = 10
    window: Window = Window.ALL
    until: int | None = None
    items: ItemFilter = EVERY_ITEM
    users: UserFilter = EVERY_USER


@dataclass(frozen=True, slots=True)
class PopularAnswer:
    """What is popular.

    Args:
        items: The most liked first.
        counted_at: When the ratings were counted, milliseconds since 1970; None for the counts kept with the items.
        users_counted: How many users have a rating that was counted.
        filter_effects: If there are too few items: what the filters have left out.
    """

    items: Sequence[PopularItem]
    counted_at: int | None
    users_counted: int
    filter_effects: Sequence[FilterEffect] = ()


class PopularLists:
    """Counts who likes and rates what.

    Args:
        store: The users.
        catalog: The items.
        names: What is known of the users' attributes.
        age: Seconds for which counts are kept.
        now: The time, milliseconds since 1970.
    """

    def __init__(
        self, store: Store, catalog: Catalog, names: AttributeNames, age: float, now: Callable[[], int] = now_ms
    ) -> None:
        self._store = store
        self._names = names
        self._catalog = catalog
        self._age = age
        self._now = now
        self._cache = StaleCache(self._count, age, _KEPT, _AT_A_TIME)

    async def counts(
        self,
        window: Window = Window.ALL,
        until: int | None = None,
        users: UserFilter = EVERY_USER,
        patience: float | None = None,
    ) -> PopularCounts:
        """How many users like and have rated each item.

        Args:
            window: When the ratings were given.
            until: The end of the window, milliseconds since 1970, which is not part of it; None for now. A time that is
                so short ago that counts of then may still be kept, or in the future, is taken for now: callers who pass
                their own clock's time share their counts with everyone else.
            users: Whose ratings count.
            patience: Seconds to wait for the counting at most, if that is less than the call's deadline.

        Raises:
            OutOfTimeError: The counting takes longer. It goes on.
            ResourceExhaustedError: Too many other counts are being made.
            UnavailableError: The store is away.
        """
        if until is not None and until > self._now() - self._age * 1_000:
            until = None
        if window is Window.ALL and until is None and not users:
            return await self._of_everyone()
        key = Counted(window, until, users, repr(users))
        counts = await (self._cache.get(key) if patience is None else self._cache.get(key, patience))
        return counts.over(self._catalog.rows)

    async def popular(self, request: PopularRequest) -> PopularAnswer:
        """The items that most users like, the most liked first; ties by item id. What nobody likes is not popular.

        Raises:
            InvalidArgumentError: A filter names what no item or user has.
            ItemNotFoundError: The catalog lacks a candidate of the filter of items.
            OutOfTimeError: The counting takes longer. It goes on.
            ResourceExhaustedError: Too many other counts are being made.
            UnavailableError: The store is away.
        """
        catalog = self._catalog
        violations = [*catalog.masks.check(request.items), *await self._names.check(request.users, "users")]
        if violations:
            raise InvalidArgumentError(violations)
        catalog.masks.candidate_rows(request.items.candidates)  # before anything is counted
        counts = await self.counts(request.window, request.until, request.users)
        allowed = catalog.listed & catalog.masks.allowed(request.items) if request.items else catalog.listed
        rows = most_liked(counts, allowed, catalog.counts.id_rank, request.limit)
        found = zip(rows.tolist(), counts.liked[rows].tolist(), counts.rated[rows].tolist(), strict=True)
        items = [PopularItem(row, likes, ratings) for row, likes, ratings in found]
        too_few = len(items) < request.limit
        effects = list(catalog.masks.effects(request.items, catalog.listed)) if too_few else []
        if too_few and request.users:
            total, kept = await self._store.count_users(), await self._store.count_users(request.users)
            effects.append(FilterEffect("users", total - kept, total))
        return PopularAnswer(items, counts.counted_at, counts.users, effects)

    async def _of_everyone(self) -> PopularCounts:
        kept = self._catalog.counts
        users = await self._store.count_users(UserFilter(min_ratings=1))
        return PopularCounts(kept.rated.astype(np.int64), kept.liked.astype(np.int64), users, None)

    async def _count(self, key: Counted) -> PopularCounts:
        begun = self._now()
        until = key.until
        if until is None and key.window is not Window.ALL:
            until = begun
        span = Span(None if key.window.value is None or until is None else until - key.window.value, until)
        tally = Tally(self._store.metadata.scale, span, self._catalog.rows_of)
        async for page in self._store.scan_users(_PAGE, key.users or None):
            tally.add(user.profile for user in page)
            await asyncio.sleep(0)  # other calls get their turn
        return tally.counts(self._catalog.rows, begun)
