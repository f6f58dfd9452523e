"""Which items users rate, in which order: each once, drawn by popularity and by the users' tastes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.generated.catalog import Catalog
from benchmarks.generated.tastes import CELLS

_MARGIN = 1.15
"""Many pairs are drawn twice; so many times more than on average are drawn at once."""


class Choices(NamedTuple):
    """What users rate: one row a rating, by user and then by place in the catalog.

    Args:
        users: Places of the users, ascending. Shape (n,).
        items: Places in the catalog, ascending within a user. Shape (n,).
        turns: In which order a user rated them, from 0. Shape (n,).
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    turns: NDArray[np.int64]


def choose(
    catalog: Catalog,
    factors: NDArray[np.float64],
    counts: NDArray[np.int64],
    expected: NDArray[np.float64],
    random: np.random.Generator,
) -> Choices:
    """Draws what users rate.

    Args:
        catalog: The items.
        factors: How much more than others each user rates in each cell. Shape (n_users, CELLS).
        counts: How many items each user rates. Shape (n_users,).
        expected: How many draws with replacement that takes on average. Shape (n_users,).
        random: The source of chance.
    """
    parts: list[Choices] = []
    left = np.arange(counts.size)
    draws = np.ceil(expected * _MARGIN).astype(np.int64) + 8
    while left.size:
        many = draws[left] > catalog.ids.size
        parts += [_race(catalog, factors[user], int(counts[user]), user, random) for user in left[many].tolist()]
        left = left[~many]
        if left.size:
            drawn, short = _draw(catalog, factors[left], counts[left], draws[left], random)
            parts.append(Choices(left[drawn.users], drawn.items, drawn.turns))
            left = left[short]
            draws[left] *= 2
    users, items, turns = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(users * catalog.ids.size + items)
    return Choices(users[order], items[order], turns[order])


def _race(
    catalog: Catalog, factors: NDArray[np.float64], count: int, user: int, random: np.random.Generator
) -> Choices:
    """Draws for somebody who rates much of the catalog: exponential times by weight, and the first `count` win.

    This is the same as one draw after the other without replacement (Efraimidis and Spirakis, "Weighted random sampling
    with a reservoir", 2006).
    """
    weights = catalog.weights * np.repeat(factors, np.diff(catalog.starts))
    times = random.standard_exponential(weights.size) / np.maximum(weights, 1e-300)
    first = np.argpartition(times, count - 1)[:count]
    items = np.sort(first)
    turns = np.empty(count, np.int64)
    turns[np.argsort(times[items])] = np.arange(count)
    return Choices(np.full(count, user), items, turns)


def _draw(
    catalog: Catalog,
    factors: NDArray[np.float64],
    counts: NDArray[np.int64],
    draws: NDArray[np.int64],
    random: np.random.Generator,
) -> tuple[Choices, NDArray[np.bool_]]:
    """Draws with replacement and keeps the first of each; also says for whom that was not enough."""
    n_items = catalog.ids.size
    owners = np.repeat(np.arange(counts.size), draws)
    # A number in [user, user + 1) on the users' ladders finds the cell, and another how far into it the item is.
    ladder = np.cumsum(factors * catalog.shares, axis=1)
    ladder /= ladder[:, -1:]
    ladder += np.arange(counts.size)[:, None]
    rungs = np.searchsorted(ladder.ravel(), owners + random.random(owners.size), side="right")
    cells = np.clip(rungs - owners * CELLS, 0, CELLS - 1)
    masses = np.concatenate([[0.0], np.cumsum(catalog.weights)])
    begin, width = masses[catalog.starts[:-1]], np.diff(masses[catalog.starts])
    items = np.searchsorted(masses, begin[cells] + random.random(owners.size) * width[cells], side="right") - 1
    items = np.clip(items, catalog.starts[cells], catalog.starts[cells + 1] - 1)
    # The pair and the turn in one number: sorted, the first of each pair is its first draw.
    turn_bits = int(owners.size).bit_length()
    keys = np.sort(((owners * n_items + items) << turn_bits) | np.arange(owners.size))
    pairs, turns = keys >> turn_bits, keys & ((1 << turn_bits) - 1)
    first = np.ones(keys.size, np.bool_)
    first[1:] = pairs[1:] != pairs[:-1]
    pairs, turns = pairs[first], turns[first]
    new = np.zeros(owners.size, np.bool_)
    new[turns] = True
    passed = np.cumsum(new)
    ends_of_draws = np.cumsum(draws)
    before = np.concatenate([[0], passed[ends_of_draws[:-1] - 1]])
    short = passed[ends_of_draws - 1] - before < counts
    users, places = np.divmod(pairs, n_items)
    nth = passed[turns] - 1 - before[users]
    kept = (nth < counts[users]) & ~short[users]
    return Choices(users[kept], places[kept], nth[kept]), short
