"""Refuses filters on attributes that no user has: probably misspelt."""

from kindred.errors import InvalidArgumentError
from kindred.filter_checks import check_known_names
from kindred.stores.port import Store
from kindred.user_filter import UserFilter


async def check_user_names(store: Store, users: UserFilter, field: str) -> None:
    """Checks that users have the attributes that a filter names.

    Args:
        store: The users.
        users: The filter.
        field: The path of its field.

    Raises:
        InvalidArgumentError: Nobody has one of them.
        UnavailableError: The store is away.
    """
    asked = {condition.name for condition in users.attributes.conditions}
    known = {name for name in asked if await store.has_attribute(name)}
    if known != asked:
        known |= await store.some_attribute_names()
        raise InvalidArgumentError(check_known_names(users.attributes, known, f"{field}.attributes"))
