"""Which ratings are stored, which are asked for: the splits of a data set into train and test. Pure.

Every choice comes from a generator of its own, seeded with the seed and with what is chosen, so that asking for one
thing more does not change another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from loader.evaluation.options import MIN_COLD_LIKES, SplitOptions
from loader.evaluation.table import RatingTable

_TEST, _VALIDATION = 0, 1
_SPLIT, _SAMPLE = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Users to ask for, and what they are to get.

    Args:
        name: What it is called.
        users: User codes, ascending: those with something relevant held out. Shape (n_queries,).
        given: The ratings that the request brings along as likes; None if the users are stored. Shape (n,).
        kept_back: Ratings of items that may not be in the lists, though the request does not bring them along: what
            cold users ask with when they have more likes. Shape (n,).
        held_out: The ratings that are to be guessed. Shape (n,).
        left_out: Users who are not asked for, since nothing relevant of theirs is held out.
    """

    name: str
    users: NDArray[np.int32]
    given: NDArray[np.bool_] | None
    kept_back: NDArray[np.bool_]
    held_out: NDArray[np.bool_]
    left_out: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Ratings that are stored, and what is asked over them.

    Args:
        table: All ratings that are looked at: with validation, those of the train part alone.
        train: Which of them are stored. Shape (n,).
        tasks: What is asked.
    """

    table: RatingTable
    train: NDArray[np.bool_]
    tasks: Sequence[Task]


def split(table: RatingTable, options: SplitOptions) -> Split:
    """Splits ratings.

    Args:
        table: The ratings.
        options: How.

    Returns:
        The split; tasks that have no user are left out.
    """
    found = _split(table, options, _TEST)
    if options.validation:
        found = _split(table.where(found.train), options, _VALIDATION)
    return found


def sample_users(task: Task, most: int | None, seed: int) -> Task:
    """A task with so many of its users, at most.

    Args:
        task: The task.
        most: How many; None for all.
        seed: Of the choice; the same users are chosen in every task that has them all.
    """
    if most is None or task.users.size <= most:
        return task
    keys = np.random.default_rng([seed, _SAMPLE]).random(int(task.users[-1]) + 1)[task.users]
    users = np.sort(task.users[np.argsort(keys, kind="stable")[:most]])
    return replace(task, users=users)


def _split(table: RatingTable, options: SplitOptions, part: int) -> Split:
    random = np.random.default_rng([options.seed, _SPLIT, part])
    if options.kind == "cold":
        return _cold(table, options, random)
    keys = random.random(table.users.size)
    counts = table.rating_counts
    if options.kind == "random":
        held = np.floor(counts * options.share + 0.5).astype(np.int64)
        order = np.lexsort((keys, table.users))
    else:
        held = np.where(counts > options.n_out, options.n_out, 0)
        order = np.lexsort((keys, -table.times, table.users))
    held_out = _ranks(table.users, order) < held[table.users]
    return Split(table, ~held_out, _tasks(table, options.kind, None, np.zeros_like(held_out), held_out))


def _cold(table: RatingTable, options: SplitOptions, random: np.random.Generator) -> Split:
    liked = table.liked
    likes = np.bincount(table.users[liked], minlength=len(table.user_ids))
    able = np.flatnonzero(likes >= MIN_COLD_LIKES)
    chosen = random.permutation(able)[: int(np.floor(able.size * options.share + 0.5))]
    cold = np.zeros(len(table.user_ids), np.bool_)
    cold[chosen] = True
    theirs = cold[table.users]
    # One order of each user's likes: who asks with three of them asks with the one of before and two more. The same
    # items are to be found whatever the number, so that the numbers can be compared.
    ranks = _ranks(table.users, np.lexsort((random.random(table.users.size), ~liked, table.users)))
    asides = theirs & liked & (ranks < max(options.likes))
    tasks: list[Task] = []
    for number in options.likes:
        given = asides & (ranks < number)
        name = f"cold, {number} like{'s' * (number != 1)}"
        tasks += _tasks(table, name, given, asides & ~given, theirs & ~asides)
    return Split(table, ~theirs, tasks)


def _ranks(users: NDArray[np.int32], order: NDArray[np.intp]) -> NDArray[np.int64]:
    """By rating its place among its user's, where `order` sorts by user first."""
    starts = np.searchsorted(users, users, "left")
    ranks = np.empty(users.size, np.int64)
    ranks[order] = np.arange(users.size)
    return ranks - starts


def _tasks(
    table: RatingTable,
    name: str,
    given: NDArray[np.bool_] | None,
    kept_back: NDArray[np.bool_],
    held_out: NDArray[np.bool_],
) -> tuple[Task, ...]:
    users = np.unique(table.users[held_out & table.liked])
    left_out = np.unique(table.users[held_out]).size - users.size
    return (Task(name, users, given, kept_back, held_out, left_out),) if users.size else ()
