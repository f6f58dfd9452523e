"""Reads and counts the users that a filter allows."""

from collections.abc import AsyncIterator

from kindred.stores.port import Store, StoredUser
from kindred.user_filter import EVERY_USER, UserFilter

_PAGE = 200


async def scan_users(store: Store, page: int, users: UserFilter) -> AsyncIterator[list[StoredUser]]:
    """Reads the allowed users, a page at a time."""
    async for found in store.scan_users(page):
        yield [user for user in found if users.allows(user.profile)]


async def count_users(store: Store, users: UserFilter = EVERY_USER) -> int:
    """How many users are allowed."""
    return sum([len(page) async for page in scan_users(store, _PAGE, users)])
