from dataclasses import replace

import numpy as np
import pytest

from loader.evaluation.options import SplitOptions
from loader.evaluation.splits import Split, Task, sample_users, split
from loader.evaluation.table import RatingTable
from tests.support.rating_tables import random_table, table_of

RANDOM, TIME, COLD = SplitOptions("random"), SplitOptions("time", n_out=3), SplitOptions("cold", likes=(1, 3))


def only(found: Split) -> Task:
    """The task, if there is one."""
    [task] = found.tasks
    return task


def by_user(table: RatingTable, chosen: np.ndarray) -> np.ndarray:
    """How many of the chosen ratings each user has."""
    return np.bincount(table.users[chosen], minlength=len(table.user_ids))


def pairs(table: RatingTable, chosen: np.ndarray) -> set[tuple[str, str]]:
    """The chosen ratings by id."""
    users, codes = table.users[chosen].tolist(), table.codes[chosen].tolist()
    return {(table.user_ids[user], table.items[code].item_id) for user, code in zip(users, codes, strict=True)}


def test_random_holds_out_a_fifth_of_each_user() -> None:
    """A fifth of each user's ratings, rounded, is held out, and everything else is stored."""
    table = random_table()
    found = split(table, RANDOM)
    held = np.floor(table.rating_counts * 0.2 + 0.5)
    assert np.array_equal(by_user(table, only(found).held_out), held)
    assert np.array_equal(found.train, ~only(found).held_out)


def test_time_holds_out_the_last_ratings_of_each_user() -> None:
    """The three latest ratings are held out; who has no more than three keeps them all."""
    rows = [("a", f"i{place}", 5.0, 100 - place) for place in range(6)]
    rows += [("b", f"i{place}", 5.0, place) for place in range(3)]
    table = table_of(rows)
    found = split(table, TIME)
    assert pairs(table, only(found).held_out) == {("a", "i0"), ("a", "i1"), ("a", "i2")}
    assert only(found).users.tolist() == [0]


def test_ties_of_time_do_not_favor_any_item() -> None:
    """Of ratings of the same moment the seed says which are the last."""
    table = table_of([("a", f"i{place}", 5.0, 7) for place in range(40)])
    held = {frozenset(pairs(table, only(split(table, replace(TIME, seed=seed))).held_out)) for seed in range(3)}
    assert len(held) == 3


def test_cold_users_are_not_stored_at_all() -> None:
    """A fifth of the users with 20 likes is taken out wholly, asks with some likes, and is to get the others."""
    table = random_table()
    found = split(table, COLD)
    able = np.bincount(table.users[table.liked], minlength=60) >= 20
    cold = by_user(table, ~found.train) > 0
    assert cold.sum() == round(able.sum() * 0.2)
    assert not (cold & ~able).any()
    assert not by_user(table, found.train)[cold].any()
    for task, number in zip(found.tasks, (1, 3), strict=True):
        assert task.given is not None
        assert np.array_equal(np.flatnonzero(cold), task.users)
        assert set(by_user(table, task.given)[cold].tolist()) == {number}
        assert table.liked[task.given].all()
        parts = task.given.astype(int) + task.kept_back + task.held_out
        assert np.array_equal(parts, ~found.train)


def test_cold_users_look_for_the_same_whatever_they_ask_with() -> None:
    """Who asks with three likes has the one of before among them, and the same ratings are held out."""
    one, three = split(random_table(), COLD).tasks
    assert one.given is not None
    assert three.given is not None
    assert not (one.given & ~three.given).any()
    assert np.array_equal(one.held_out, three.held_out)
    assert np.array_equal(one.given | one.kept_back, three.given)


@pytest.mark.parametrize("options", [RANDOM, TIME, COLD])
def test_the_seed_says_everything(options: SplitOptions) -> None:
    """The same seed splits alike, another one differently."""
    if options is TIME:
        table = table_of([(f"u{user}", f"i{item}", 5.0, 1) for user in range(5) for item in range(30)])
    else:
        table = random_table()
    first, again, other = (split(table, replace(options, seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.train, again.train)
    assert np.array_equal(first.tasks[0].held_out, again.tasks[0].held_out)
    assert not np.array_equal(first.train, other.train)


@pytest.mark.parametrize("options", [RANDOM, TIME, COLD])
def test_validation_never_sees_the_test_part(options: SplitOptions) -> None:
    """With validation only the train part is there at all, split in the same way."""
    table = random_table(users=100)
    tested, validated = split(table, options), split(table, replace(options, validation=True))
    train = pairs(table, tested.train)
    inner = validated.table
    assert pairs(inner, np.ones(inner.users.size, np.bool_)) == train
    assert pairs(inner, validated.train) < train
    for task in validated.tasks:
        held_out = pairs(inner, task.held_out)
        assert held_out
        assert held_out <= train


def test_users_with_nothing_to_find_are_counted() -> None:
    """Who likes nothing of what is held out is not asked for, and is counted."""
    rows = [("a", f"i{place}", 2.0, place) for place in range(5)] + [
        ("b", f"i{place}", 5.0, place) for place in range(5)
    ]
    task = only(split(table_of(rows), RANDOM))
    assert (task.users.tolist(), task.left_out) == ([1], 1)


def test_no_likes_no_task() -> None:
    """Where nobody likes anything there is nothing to ask for."""
    table = table_of([("a", f"i{place}", 2.0, place) for place in range(5)])
    assert not split(table, RANDOM).tasks


def test_a_sample_has_so_many_users() -> None:
    """A sample is a part of the users, the same for the same seed; more than there are is all of them."""
    task = only(split(random_table(), RANDOM))
    some = sample_users(task, 10, seed=3)
    assert some.users.size == 10
    assert np.isin(some.users, task.users).all()
    assert np.array_equal(some.users, sample_users(task, 10, seed=3).users)
    assert not np.array_equal(some.users, sample_users(task, 10, seed=4).users)
    assert sample_users(task, 1_000, seed=3) is sample_users(task, None, seed=3) is task
