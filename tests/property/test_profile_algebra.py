"""A profile is a pure function of its events in the log: bit for bit, however they are delivered."""

from itertools import pairwise
from types import MappingProxyType

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kindred.ratings import (
    EMPTY_PROFILE,
    Attributes,
    AttributesSet,
    Forgotten,
    ProfileEvent,
    Rated,
    Retracted,
    UserProfile,
    merge,
)
from kindred.stores.payload import read_user, user_payload
from kindred.stores.port import StoredUser
from tests.support.profile_oracle import bits, reference

ITEMS = st.sampled_from([0, 1, 2, 3, 250, 2**31, 2**32 - 1])
VALUES = st.one_of(st.integers(0, 20).map(lambda halves: halves / 2), st.floats(0, 100))
TIMES = st.integers(-2, 12)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["age", "gender", "länder"]),
    st.one_of(st.sampled_from(["", "f", "Österreich"]), st.floats(2, 9), st.booleans()),
)


def events(times: st.SearchStrategy[int] = TIMES) -> st.SearchStrategy[ProfileEvent]:
    """Events of one user; with the default times many collide."""
    return st.one_of(
        st.builds(Rated, ITEMS, VALUES, times),
        st.builds(Rated, ITEMS, VALUES, times),
        st.builds(Retracted, ITEMS, times),
        st.builds(Forgotten, times),
        st.builds(AttributesSet, ATTRIBUTES, times),
    )


LOGS = st.lists(events(), max_size=30)
LIVES = LOGS.map(lambda log: [event for event in log if not isinstance(event, Forgotten)])
"""Logs of users whom nobody forgets."""


def frozen(profile: UserProfile) -> UserProfile:
    """The profile in read-only arrays: whoever writes into them gets an error."""
    columns = [column.copy() for column in (profile.items, profile.values, profile.rated_at)]
    for column in columns:
        column.setflags(write=False)
    return UserProfile(
        *columns,  # type: ignore[arg-type]  # each of its own type
        profile.forgotten_at,
        MappingProxyType(dict(profile.attributes)),
        profile.attributes_at,
    )


def subject(event: ProfileEvent) -> int | str:
    """What an event is about: an item, the attributes or the whole user."""
    return event.item if isinstance(event, Rated | Retracted) else type(event).__name__


@given(LOGS)
def test_merge_is_the_rule(log: list[ProfileEvent]) -> None:
    """Merging a log into an empty profile gives what the slow reference says."""
    assert bits(merge(EMPTY_PROFILE, log)) == bits(reference(log))


@given(LOGS, LOGS)
def test_merge_into_a_profile_is_the_rule(before: list[ProfileEvent], after: list[ProfileEvent]) -> None:
    """Merging into any profile gives what the reference says about both logs together."""
    assert bits(merge(reference(before), after)) == bits(reference(before + after))


@given(LOGS, st.lists(st.integers(0, 30)))
def test_splitting_the_log_changes_nothing(log: list[ProfileEvent], cuts: list[int]) -> None:
    """Batches of any sizes, empty ones too, lead to the same profile as one batch."""
    bounds = [0, *sorted(min(cut, len(log)) for cut in cuts), len(log)]
    profile = EMPTY_PROFILE
    for start, end in pairwise(bounds):
        profile = merge(profile, log[start:end])
    assert bits(profile) == bits(merge(EMPTY_PROFILE, log))


@given(LOGS, st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6))
def test_replays_converge(log: list[ProfileEvent], reads: list[tuple[int, int]]) -> None:
    """Going back to any earlier place any number of times, and reading on, leads to the same profile in the end."""
    profile, place = EMPTY_PROFILE, 0
    for back, forward in reads:
        start = max(place - back, 0)
        place = min(start + forward, len(log))
        profile = merge(profile, log[start:place])
    assert bits(merge(profile, log[place:])) == bits(merge(EMPTY_PROFILE, log))


@given(LOGS, st.data())
def test_any_suffix_may_come_again(log: list[ProfileEvent], data: st.DataObject) -> None:
    """A whole log followed by any of its suffixes, in one batch or two, is as good as the log."""
    suffix = log[data.draw(st.integers(0, len(log)), label="start") :]
    once = merge(EMPTY_PROFILE, log)
    assert bits(merge(once, suffix)) == bits(once)
    assert bits(merge(EMPTY_PROFILE, log + suffix)) == bits(once)


@given(LOGS, st.data())
def test_each_event_may_come_twice_in_a_row(log: list[ProfileEvent], data: st.DataObject) -> None:
    """An event that a producer sent again at once changes nothing."""
    repeats = data.draw(st.lists(st.integers(1, 3), min_size=len(log), max_size=len(log)), label="repeats")
    stuttered = [event for event, times in zip(log, repeats, strict=True) for _ in range(times)]
    assert bits(merge(EMPTY_PROFILE, stuttered)) == bits(merge(EMPTY_PROFILE, log))


@given(LIVES, st.data())
def test_the_order_between_different_items_does_not_matter(log: list[ProfileEvent], data: st.DataObject) -> None:
    """Any interleaving that keeps each item's own order leads to the same profile, whatever the times."""
    queues: dict[int | str, list[ProfileEvent]] = {}
    for event in log:
        queues.setdefault(subject(event), []).append(event)
    order = data.draw(st.permutations([subject(event) for event in log]), label="order")
    interleaved = [queues[each].pop(0) for each in order]
    assert bits(merge(EMPTY_PROFILE, interleaved)) == bits(merge(EMPTY_PROFILE, log))


@given(
    st.lists(
        events(st.integers(-(2**40), 2**42)).filter(lambda event: not isinstance(event, Forgotten)),
        max_size=20,
        unique_by=lambda event: event.at,
    ),
    st.data(),
)
def test_events_at_distinct_times_may_come_in_any_order(log: list[ProfileEvent], data: st.DataObject) -> None:
    """Where no two times are equal the order of delivery, in one batch or one by one, does not matter at all."""
    expected = bits(merge(EMPTY_PROFILE, log))
    shuffled = data.draw(st.permutations(log), label="shuffled")
    assert bits(merge(EMPTY_PROFILE, shuffled)) == expected
    profile = EMPTY_PROFILE
    for event in shuffled:
        profile = merge(profile, [event])
    assert bits(profile) == expected


@given(LIVES, ITEMS, st.lists(st.none() | VALUES, min_size=2, max_size=4), st.booleans())
def test_at_the_same_time_the_later_in_the_log_stands(
    log: list[ProfileEvent], item: int, values: list[float | None], together: bool
) -> None:
    """Of ratings and retractions of one item at one time the last in the log stands, in one batch or one by one."""
    ties = [Retracted(item, 13) if value is None else Rated(item, value, 13) for value in values]
    profile = merge(EMPTY_PROFILE, log)
    for batch in [ties] if together else [[tie] for tie in ties]:
        profile = merge(profile, batch)
    [place] = np.flatnonzero(profile.items == item)
    expected = np.float32(np.nan if values[-1] is None else values[-1])
    assert profile.values[place].tobytes() == expected.tobytes()


@given(LOGS, TIMES)
def test_forgetting_leaves_nothing(log: list[ProfileEvent], at: int) -> None:
    """After forgetting nothing that stood before it in the log is there, not even what claims to be from later."""
    after = merge(EMPTY_PROFILE, [*log, Forgotten(at)])
    times = [event.at for event in log if isinstance(event, Forgotten)]
    assert bits(after) == bits(UserProfile(forgotten_at=max([at, *times])))


@given(LOGS, TIMES, st.data())
def test_a_replay_does_not_bring_a_user_back(log: list[ProfileEvent], at: int, data: st.DataObject) -> None:
    """Events from up to the time of forgetting, in any order and number, change a forgotten user not at all."""
    forgotten = merge(EMPTY_PROFILE, [*log, Forgotten(at)])
    old = [event for event in log if event.at <= at]
    replay = data.draw(st.lists(st.sampled_from(old)) if old else st.just([]), label="replay")
    assert bits(merge(forgotten, replay)) == bits(forgotten)


@given(LOGS, TIMES, ITEMS, VALUES)
def test_forgetting_loses_to_a_later_rating(log: list[ProfileEvent], at: int, item: int, value: float) -> None:
    """A rating that comes after the forgetting, and is later than any, begins a new life."""
    rated = Rated(item, value, 13)
    after = merge(EMPTY_PROFILE, [*log, Forgotten(at), rated])
    assert after.items.tolist() == [item]
    [place] = np.flatnonzero(after.items == item)
    assert (after.values[place], after.rated_at[place]) == (np.float32(value), 13)


@given(LOGS, ATTRIBUTES, ATTRIBUTES, TIMES, TIMES)
def test_the_latest_attributes_stand_alone(
    log: list[ProfileEvent], first: Attributes, second: Attributes, first_at: int, second_at: int
) -> None:
    """Of two settings the later by time, then place in the log, stands whole; ratings are untouched by both."""
    ratings = [event for event in log if isinstance(event, Rated | Retracted)]
    profile = merge(EMPTY_PROFILE, [AttributesSet(first, first_at), *ratings, AttributesSet(second, second_at)])
    expected = UserProfile(attributes=first if first_at > second_at else second, attributes_at=max(first_at, second_at))
    assert bits(profile)[3:] == bits(expected)[3:]
    assert bits(profile)[:3] == bits(merge(EMPTY_PROFILE, ratings))[:3]


@given(LOGS, LOGS)
def test_inputs_are_not_changed(before: list[ProfileEvent], after: list[ProfileEvent]) -> None:
    """Merging writes neither into the profile nor into the events."""
    profile = frozen(merge(EMPTY_PROFILE, before))
    expected, log = bits(profile), [*after]
    kept = [dict(event.attributes) for event in after if isinstance(event, AttributesSet)]
    merged = merge(profile, after)
    assert bits(profile) == expected
    assert after == log
    assert [dict(event.attributes) for event in after if isinstance(event, AttributesSet)] == kept
    assert bits(merged) == bits(reference(before + after))


@given(LOGS, LOGS)
def test_columns_are_as_promised(before: list[ProfileEvent], after: list[ProfileEvent]) -> None:
    """Items ascend, each once; columns keep their types and one length; a retraction is the one canonical NaN."""
    profile = merge(merge(EMPTY_PROFILE, before), after)
    assert (profile.items.dtype, profile.values.dtype, profile.rated_at.dtype) == (np.uint32, np.float32, np.int64)
    assert profile.items.shape == profile.values.shape == profile.rated_at.shape
    assert profile.items.tolist() == sorted(set(profile.items.tolist()))
    assert set(profile.values[~profile.current].view(np.uint32).tolist()) <= {0x7FC00000}


@given(LOGS, LOGS)
def test_the_store_changes_nothing(before: list[ProfileEvent], after: list[ProfileEvent]) -> None:
    """A profile that went through a stored payload goes on like one that did not."""
    profile = merge(EMPTY_PROFILE, before)
    stored = read_user(7, user_payload(StoredUser("7", profile, 1))).profile
    assert bits(stored) == bits(profile)
    assert bits(merge(stored, after)) == bits(merge(profile, after))


@given(LOGS, LOGS)
def test_profiles_are_equal_when_their_bits_are(one: list[ProfileEvent], other: list[ProfileEvent]) -> None:
    """Profiles compare equal exactly when everything in them is the same."""
    first, second = merge(EMPTY_PROFILE, one), merge(EMPTY_PROFILE, other)
    assert (first == second) == (bits(first) == bits(second))
    assert first == frozen(first)
