"""Which users count: by their attributes, by when they last rated, by how much they rate. Pure.

This is the reference: whatever an engine answers for a filter is what `UserFilter.allows` says.
"""

from dataclasses import dataclass

from kindred.attribute_filter import EVERY_ATTRIBUTE, AttributeFilter
from kindred.ratings import UserProfile


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users are allowed; every criterion must hold, and a filter without any is false.

    A forgotten user counts as one without attributes and ratings.

    Args:
        attributes: Conditions on what is known of the user.
        active_since: Milliseconds since 1970: the newest of the user's ratings is from then or later.
        min_ratings: The user rates at least so many items.
    """

    attributes: AttributeFilter = EVERY_ATTRIBUTE
    active_since: int | None = None
    min_ratings: int | None = None

    def __bool__(self) -> bool:
        """Whether the filter says anything."""
        return bool(self.attributes or self.active_since is not None or self.min_ratings)

    def allows(self, profile: UserProfile) -> bool:
        """Whether a user with this profile is allowed."""
        if self.active_since is not None and not (profile.rated_at[profile.current] >= self.active_since).any():
            return False
        if self.min_ratings is not None and profile.rating_count < self.min_ratings:
            return False
        return self.attributes.allows(profile.attributes)


EVERY_USER = UserFilter()
"""Allows everybody."""
