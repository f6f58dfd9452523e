"""A store that is a list of users: for tests of what reads them all."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from kindred.ratings import EMPTY_PROFILE, Attributes, AttributesSet, Rated, RatingScale, merge
from kindred.stores.port import CollectionMetadata, StoredUser
from kindred.user_filter import EVERY_USER, UserFilter
from kindred.weighting import LikingWeighting

SCALE = RatingScale(0.5, 5.0)


def user_of(user_id: str, *ratings: tuple[int, float, int], attributes: Attributes | None = None) -> StoredUser:
    """A user.

    Args:
        user_id: The id.
        ratings: Index, stars and time of each.
        attributes: What is known of the user.
    """
    events = [Rated(*rating) for rating in ratings]
    profile = merge(EMPTY_PROFILE, [*events, AttributesSet(attributes or {}, 1)])
    return StoredUser(user_id, profile, 1)


class UserList:
    """The parts of `kindred.stores.port.Store` that read many users.

    Args:
        users: The users.
    """

    metadata = CollectionMetadata("list", SCALE, LikingWeighting(SCALE), "2024-05-06T07:08:09+00:00")

    def __init__(self, users: Sequence[StoredUser]) -> None:
        self.users = list(users)
        self.scans = 0
        """How many scans have begun."""
        self.open = asyncio.Event()
        """Scans wait for it."""
        self.open.set()

    async def scan_users(self, page: int, allowed: UserFilter | None = None) -> AsyncIterator[list[StoredUser]]:
        """See `Store.scan_users`."""
        self.scans += 1
        await self.open.wait()
        found = [user for user in self.users if (allowed or EVERY_USER).allows(user.profile)]
        for start in range(0, len(found), page):
            yield found[start : start + page]

    async def has_attribute(self, name: str) -> bool:
        """See `Store.has_attribute`."""
        return any(name in user.profile.attributes for user in self.users)

    async def some_attribute_names(self) -> frozenset[str]:
        """See `Store.some_attribute_names`."""
        return frozenset(name for user in self.users for name in user.profile.attributes)

    async def count_users(self, allowed: UserFilter | None = None) -> int:
        """See `Store.count_users`."""
        return sum((allowed or EVERY_USER).allows(user.profile) for user in self.users)
