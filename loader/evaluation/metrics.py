"""How good ranked lists are. Pure, over all users at once; docs/evaluating.md has the definitions and their papers.

A list is a row of item codes, best first, filled up with -1. An item is relevant to a user if it is among the likes
that were held out of theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOTHING = -1
"""What fills a list up that has fewer items than others."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Lists and what is right in them.

    Args:
        lists: Item codes, best first, -1 behind the last one. Shape (n_queries, depth), int32.
        hits: Which places hold a relevant item. Shape (n_queries, depth).
        relevant: How many relevant items each user has, at least 1. Shape (n_queries,).
    """

    lists: NDArray[np.int32]
    hits: NDArray[np.bool_]
    relevant: NDArray[np.int64]


def judge(lists: NDArray[np.int32], starts: NDArray[np.int64], relevant: NDArray[np.int32]) -> Judged:
    """Finds the hits in lists.

    Args:
        lists: Item codes, as in `Judged`.
        starts: Where each user's relevant items begin, and where the last one's end. Shape (n_queries + 1,).
        relevant: Their codes, ascending within a user. Shape (n_relevant,).
    """
    counts = np.diff(starts)
    width = int(max(lists.max(initial=0), relevant.max(initial=0))) + 1
    # One number for a user and an item; these ascend. What fills a list up is nobody's item.
    keys = np.repeat(np.arange(counts.size), counts) * width + relevant
    asked = np.arange(counts.size)[:, None] * width + lists
    places = np.minimum(np.searchsorted(keys, asked), max(keys.size - 1, 0))
    hits = (keys[places] == asked if keys.size else np.zeros(lists.shape, np.bool_)) & (lists >= 0)
    return Judged(lists, hits, counts)


def user_metrics(judged: Judged, k: int, popularity: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
    """The metrics that each user has one of.

    Args:
        judged: The lists, at least k places deep.
        k: How many places count.
        popularity: By item the share of the stored users who have rated it, above 0. Shape (n_items,).

    Returns:
        By name, each of shape (n_queries,). `mean_popularity` and `novelty` are NaN for an empty list.
    """
    hits, relevant = judged.hits[:, :k], judged.relevant
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(relevant, k) - 1]
    found = hits.sum(axis=1)
    first = np.argmax(hits, axis=1)
    listed = judged.lists[:, :k] != NOTHING
    lengths = np.where(listed.any(axis=1), listed.sum(axis=1), np.nan)
    shares = np.where(listed, popularity[judged.lists[:, :k]], 1.0)
    return {
        "ndcg": (hits * discounts).sum(axis=1) / ideal,
        "recall": found / relevant,
        "hit_rate": (found > 0).astype(np.float64),
        "mrr": np.where(found > 0, 1.0 / (first + 1.0), 0.0),
        "mean_popularity": np.where(listed, shares, 0.0).sum(axis=1) / lengths,
        "novelty": -np.log2(shares).sum(axis=1) / lengths,
    }


def coverage(judged: Judged, k: int, n_items: int) -> float:
    """The share of the catalog that is in somebody's list.

    Args:
        judged: The lists.
        k: How many places count.
        n_items: How many items the catalog has.
    """
    shown = judged.lists[:, :k]
    return float(np.unique(shown[shown != NOTHING]).size / n_items)


def popularity_of(rated: NDArray[np.int64], users: int) -> NDArray[np.float64]:
    """The share of the users who have rated each item; an item that nobody has rated counts as rated by one.

    Args:
        rated: How many users have rated each item. Shape (n_items,).
        users: How many users there are.
    """
    shares: NDArray[np.float64] = np.maximum(rated, 1) / max(users, 1)
    return np.minimum(shares, 1.0)
