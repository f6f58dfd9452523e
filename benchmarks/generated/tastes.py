"""What users like more than others do: some tastes, and well-known or little-known items."""

import numpy as np
from numpy.typing import NDArray

TASTES = 12
"""Every item is to one of so many tastes, and every user likes some of them more than others."""
TIERS = 5
"""Every item is in one of so many tiers of fame, each with the same share of all ratings."""
CELLS = TASTES * TIERS
"""Taste t and tier f is the cell t * TIERS + f."""

_EVENNESS = 3.0
"""How evenly users like the tastes: the concentration of the Dirichlet distribution."""
_SNOBBERY = 0.5
"""How much users differ in the fame of what they rate: a deviation, on a logarithmic scale, first tier to middle."""
_POINTS = 250
"""So many items, and twice as many users, stand for all where chances are worked out,"""
_STEPS = 200
"""in so many steps."""

_FAME = np.linspace(1, -1, TIERS)


def draw_tastes(users: int, random: np.random.Generator) -> NDArray[np.float64]:
    """How many times more than others users rate in each cell, before what they rate is taken away.

    Args:
        users: How many.
        random: The source of chance.

    Returns:
        Factors, 1 on average. Shape (n_users, CELLS).
    """
    tastes = random.standard_gamma(_EVENNESS / TASTES, (users, TASTES)) + 1e-3
    tastes *= TASTES / tastes.sum(axis=1, keepdims=True)
    tiers = np.exp(_SNOBBERY * random.standard_normal((users, 1)) * _FAME)
    return (tastes[:, :, None] * tiers[:, None, :]).reshape(users, CELLS)


def draw_weights(
    shares: NDArray[np.float64],
    cells: NDArray[np.int64],
    counts: NDArray[np.int64],
    random: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The chances with which items have to be drawn, one after the other, so that so many users get them.

    A user gets each item once, so active users have all the popular ones, and the chances must be steeper than the
    shares: after n draws a user with the factor f has the item i with the probability 1 - exp(-n f w_i). Its mean over
    users must be the item's share, and its sum over items the user's count: both are scaled in turn until they fit.

    Args:
        shares: The share of users who rate each item, descending. Shape (n_items,).
        cells: The items' cells. Shape (n_items,).
        counts: How many ratings users have, ascending. Shape (n_users,).
        random: The source of chance.

    Returns:
        The chances, which add up to 1, shape (n_items,), and for each of `counts` how many draws with replacement it
        takes on average, shape (n_users,).
    """
    grid = np.unique(np.geomspace(1, shares.size, _POINTS).astype(np.int64)) - 1
    widths = np.diff(grid, append=shares.size).astype(np.float64)
    target = np.add.reduceat(shares, grid) / widths
    # Users stand for others of about their activity: some evenly, some the nearer, the nearer they are to the top.
    even, steep = np.linspace(0, counts.size - 1, _POINTS), counts.size - np.geomspace(1, counts.size, _POINTS)
    places = np.unique(np.concatenate([even, steep]).astype(np.int64))
    crowd = np.diff(places, append=counts.size) / counts.size
    sample = counts[places].astype(np.float64)
    factors = draw_tastes(places.size, random)[:, cells[grid]]
    weights, draws = target / (target * widths).sum(), sample.copy()
    for _ in range(_STEPS):
        reached = -np.expm1(-draws[:, None] * weights * factors)
        draws *= sample / (reached @ widths)
        reached = -np.expm1(-draws[:, None] * weights * factors)
        weights *= target / (crowd @ reached)
    middles = grid + (widths - 1) / 2
    found = np.exp(np.interp(np.log1p(np.arange(shares.size)), np.log1p(middles), np.log(weights)))
    rising = np.maximum.accumulate(draws)  # somebody of rare tastes needs many, which says nothing about the others
    return found / found.sum(), np.interp(counts, sample, rising) * found.sum()
