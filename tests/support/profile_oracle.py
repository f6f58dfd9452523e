"""What a user's events come to, said as slowly and as plainly as can be; and profiles down to their bits."""

from collections.abc import Sequence

import numpy as np

from kindred.ratings import Attributes, AttributesSet, Forgotten, ProfileEvent, Rated, Retracted, UserProfile


def reference(log: Sequence[ProfileEvent]) -> UserProfile:
    """The rule, said slowly: drop what is forgotten, sort by (time, place in the log), let later events overwrite."""
    forgotten_at = max((event.at for event in log if isinstance(event, Forgotten)), default=None)
    last = max((place for place, event in enumerate(log) if isinstance(event, Forgotten)), default=-1)
    ratings: dict[int, tuple[float, int]] = {}
    attributes: tuple[Attributes, int | None] = ({}, None)
    for event in sorted(
        log[last + 1 :], key=lambda event: event.at
    ):  # stable: the place in the log decides between equal times
        if forgotten_at is not None and event.at <= forgotten_at:
            continue
        if isinstance(event, Rated):
            ratings[event.item] = (event.value, event.at)
        elif isinstance(event, Retracted):
            ratings[event.item] = (float("nan"), event.at)
        elif isinstance(event, AttributesSet):
            attributes = (event.attributes, event.at)
    rows = sorted(ratings.items())
    return UserProfile(
        np.array([item for item, _ in rows], np.uint32),
        np.array([value for _, (value, _) in rows], np.float32),
        np.array([at for _, (_, at) in rows], np.int64),
        forgotten_at,
        *attributes,
    )


def bits(profile: UserProfile) -> tuple[object, ...]:
    """Everything in a profile, down to the bits and types; independent of how profiles compare themselves."""
    columns = (profile.items, profile.values, profile.rated_at)
    attributes = sorted((name, repr(value)) for name, value in profile.attributes.items())
    return (
        *((column.dtype.str, column.shape, column.tobytes()) for column in columns),
        profile.forgotten_at,
        attributes,
        profile.attributes_at,
    )
