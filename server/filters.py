"""Reads who and what a request lets in, and notes every field that is wrong.

What only the catalog or the users know, whether there is such a genre or attribute, is asked afterwards:
`ItemMasks.check`, `unknown_in_boosts`, `check_known_names`.
"""

from google.protobuf.timestamp_pb2 import Timestamp

from kindred.attribute_filter import EVERY_ATTRIBUTE, AnyOf, AttributeFilter, Condition, Equals, Has, InRange
from kindred.events import FUTURE_TOLERANCE_MS, attribute_of, now_ms, time_of
from kindred.filter_checks import MAX_CONDITIONS, MAX_VALUES, check_user_filter
from kindred.item_filter import ItemFilter, WordFilter
from kindred.item_filter_checks import check_item_filter
from kindred.rating_period import MAX_HALF_LIFE, RatingPeriod
from kindred.user_filter import UserFilter
from kindred.v1 import filter_pb2 as pb
from server.checks import Checks

_NANOSECONDS = 10**9


def read_item_filter(message: pb.ItemFilter, field: str, checks: Checks) -> ItemFilter:
    """Reads which items may be returned.

    Args:
        message: The filter; an empty one allows every item.
        field: Its path.
        checks: Notes what is wrong.
    """
    wanted = ItemFilter(
        genres=_words(message.genres),
        tags=_words(message.tags),
        min_year=message.min_year if message.HasField("min_year") else None,
        max_year=message.max_year if message.HasField("max_year") else None,
        attributes=_read_attributes(message.attributes, f"{field}.attributes", checks),
        candidates=tuple(message.candidate_item_ids),
    )
    checks.violations += check_item_filter(wanted, field)
    return wanted


def read_user_filter(message: pb.UserFilter, field: str, checks: Checks) -> UserFilter:
    """Reads which users count.

    Args:
        message: The filter; an empty one allows every user.
        field: Its path.
        checks: Notes what is wrong.
    """
    wanted = UserFilter(
        attributes=_read_attributes(message.attributes, f"{field}.attributes", checks),
        active_since=_read_time(
            message.active_since if message.HasField("active_since") else None, f"{field}.active_since", checks
        ),
        min_ratings=message.min_ratings if message.HasField("min_ratings") else None,
    )
    checks.violations += check_user_filter(wanted, field)
    return wanted


def read_period(message: pb.RatingPeriod, field: str, checks: Checks) -> RatingPeriod | None:
    """Reads which ratings count, by their age.

    Args:
        message: The period.
        field: Its path.
        checks: Notes what is wrong.

    Returns:
        The period; None if every rating counts alike.
    """
    since = _read_time(message.since if message.HasField("since") else None, f"{field}.since", checks)
    until = _read_time(message.until if message.HasField("until") else None, f"{field}.until", checks)
    if since is not None and until is not None:
        if _order(message.since) >= _order(message.until):
            checks.wrong(f"{field}.until", "must be after since")
    elif since is not None and since > now_ms() + FUTURE_TOLERANCE_MS:
        checks.wrong(f"{field}.since", "is in the future, where nothing has been rated")
    period = RatingPeriod(since, until, _read_half_life(message, f"{field}.half_life", checks))
    return None if period == RatingPeriod() else period


def read_condition(message: pb.AttributeCondition, field: str, checks: Checks) -> Condition:
    """Reads a condition on an attribute. Whether what it says makes sense is for `check_condition` to say.

    Args:
        message: The condition.
        field: Its path.
        checks: Notes what cannot be read.

    Returns:
        The condition; if it cannot be read one that stands in for it, so that what else is wrong is found, too.
    """
    match message.WhichOneof("condition"):
        case "equals":
            return Equals(message.name, attribute_of(message.equals))
        case "any_of" if len(message.any_of.values) > MAX_VALUES:
            count = len(message.any_of.values)
            checks.wrong(f"{field}.any_of", f"has {count:,} values, at most {MAX_VALUES} are allowed")
        case "any_of":
            return AnyOf(message.name, tuple(attribute_of(value) for value in message.any_of.values))
        case "range":
            ends = message.range
            return InRange(
                message.name,
                ends.at_least if ends.HasField("at_least") else None,
                ends.at_most if ends.HasField("at_most") else None,
            )
        case _:
            checks.wrong(field, "needs one of equals, any_of and range")
    return Has(message.name)


def _read_attributes(message: pb.AttributeFilter, field: str, checks: Checks) -> AttributeFilter:
    lists = {"all_of": message.all_of, "any_of": message.any_of, "none_of": message.none_of}
    if (count := sum(map(len, lists.values()))) > MAX_CONDITIONS:  # before any time is spent on them
        checks.wrong(field, f"has {count:,} conditions, at most {MAX_CONDITIONS} are allowed")
        return EVERY_ATTRIBUTE
    return AttributeFilter(
        **{
            name: tuple(
                read_condition(each, f"{field}.{name}[{place}]", checks) for place, each in enumerate(conditions)
            )
            for name, conditions in lists.items()
        }
    )


def _words(message: pb.WordFilter) -> WordFilter:
    return WordFilter(tuple(message.any_of), tuple(message.all_of), tuple(message.none_of))


def _read_time(time: Timestamp | None, field: str, checks: Checks) -> int | None:
    """The first millisecond that is not before a time: ratings have whole ones, and these compare alike with both."""
    if time is None:
        return None
    try:
        return time_of(time) + bool(time.nanos % 1_000_000)
    except ValueError as error:
        checks.wrong(field, str(error))
        return None


def _order(time: Timestamp) -> tuple[int, int]:
    return time.seconds, time.nanos


def _read_half_life(message: pb.RatingPeriod, field: str, checks: Checks) -> float | None:
    if not message.HasField("half_life"):
        return None
    span = message.half_life
    milliseconds = span.seconds * 1_000 + span.nanos / 1_000_000
    if 0 <= span.nanos < _NANOSECONDS and 0 < milliseconds <= MAX_HALF_LIFE:
        return milliseconds
    checks.wrong(field, "must be above 0 and at most 100 years")
    return None
