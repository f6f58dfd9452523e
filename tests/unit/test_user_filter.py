import pytest

from kindred.attribute_filter import AttributeFilter, Equals, Has
from kindred.ratings import EMPTY_PROFILE, AttributesSet, Forgotten, Rated, Retracted, merge
from kindred.user_filter import EVERY_USER, UserFilter

ANN = merge(
    EMPTY_PROFILE,
    [Rated(1, 5.0, 1_000), Rated(2, 4.0, 2_000), Rated(3, 1.0, 3_000), Retracted(3, 4_000), AttributesSet({"a": 1}, 9)],
)
"""Rates two items, the newest at 2,000; took one back later."""


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (UserFilter(active_since=2_000), True),
        (UserFilter(active_since=2_001), False),
        (UserFilter(min_ratings=2), True),
        (UserFilter(min_ratings=3), False),
        (UserFilter(AttributeFilter((Equals("a", 1),))), True),
        (UserFilter(AttributeFilter((Equals("a", 2),))), False),
        (UserFilter(AttributeFilter((Has("a"),)), 2_000, 2), True),
        (UserFilter(AttributeFilter((Has("a"),)), 2_000, 3), False),
        (UserFilter(AttributeFilter((Has("a"),)), 2_001, 2), False),
        (UserFilter(AttributeFilter((Has("b"),)), 2_000, 2), False),
    ],
    ids=repr,
)
def test_every_criterion_must_hold(asked: UserFilter, *, allowed: bool) -> None:
    """A user is allowed who meets them all; a rating that was taken back neither counts nor shows activity."""
    assert asked.allows(ANN) is allowed


def test_users_without_ratings_were_never_active() -> None:
    """Nobody without ratings was active at any time, and a forgotten user has none."""
    forgotten = merge(ANN, [Forgotten(5_000)])
    for profile in (EMPTY_PROFILE, forgotten):
        assert not UserFilter(active_since=-(10**13)).allows(profile)
        assert not UserFilter(min_ratings=1).allows(profile)
        assert not UserFilter(AttributeFilter((Has("a"),))).allows(profile)
        assert UserFilter(AttributeFilter(none_of=(Has("a"),))).allows(profile)


def test_a_filter_without_criteria_allows_everybody_and_is_false() -> None:
    """A filter is true as soon as one criterion could refuse somebody."""
    assert not EVERY_USER
    assert EVERY_USER.allows(EMPTY_PROFILE)
    assert not UserFilter(min_ratings=0)
    assert UserFilter(min_ratings=1)
    assert UserFilter(active_since=0)
    assert UserFilter(AttributeFilter(none_of=(Has("a"),)))
