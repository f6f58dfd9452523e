"""Refuses filters on attributes that no user has: probably misspelt."""

from kindred.attribute_names import AttributeNames
from kindred.errors import InvalidArgumentError
from kindred.filter_checks import check_known_names
from kindred.user_filter import UserFilter


async def check_user_names(names: AttributeNames, users: UserFilter, field: str) -> None:
    """Checks that users have the attributes that a filter names.

    Args:
        names: What is known of the users' attributes.
        users: The filter.
        field: The path of its field.

    Raises:
        InvalidArgumentError: Nobody has one of them.
        UnavailableError: The store is away.
    """
    known = await names.known(condition.name for condition in users.attributes.conditions)
    if violations := check_known_names(users.attributes, known, f"{field}.attributes"):
        raise InvalidArgumentError(violations)
