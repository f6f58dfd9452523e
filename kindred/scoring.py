"""From the neighbors' ratings to the scores of items, and why. Pure numpy: no loop over neighbors or items.

The engine finds candidates with single-precision sums in an order of its own. Here similarities are computed again from
the neighbors' exact ratings in double precision, so that the same data gives the same answer on every engine.
Notation as in docs/recipes.md: q the query, s_v a stored vector, g_v = q . s_v, w_v a neighbor's weight, F_i a score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.recipes import Recipe

_TIE_DIGITS = 10
"""Numbers that agree to this many digits of the largest one are ties: sums in another order differ by less."""
NOTHING = 1e-13
"""What is this small against the largest one is what rounding left of terms that cancel out."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedProfile:
    """A user's ratings, ready for scoring.

    Args:
        user_id: Whose they are.
        rows: Rows of the rated items. Shape (n,), int32.
        preferences: The weighting's preferences for them. Shape (n,), float64.
        norm: What the preferences are divided by in the stored vector.
    """

    user_id: str
    rows: NDArray[np.int32]
    preferences: NDArray[np.float64]
    norm: float


class Neighborhood:
    """The users that a search found, as ragged columns, with the query's neighbors among them weighed.

    Args:
        profiles: The users found, at least one, each with at least one rating. Sorted by user id, so that ties of
            similarity are broken by it.
        query: q by row. Shape (rows,).
        recipe: The recipe.
        k: How many of them are neighbors, at most: the most similar, of those with a positive similarity.
        sharpness: p.
    """

    def __init__(
        self, profiles: Sequence[DecodedProfile], query: NDArray[np.float64], recipe: Recipe, k: int, sharpness: float
    ) -> None:
        # numpy's own index type: gathering with any other one converts it each time.
        self._rows = np.concatenate([profile.rows for profile in profiles], dtype=np.intp)
        self._preferences = np.concatenate([profile.preferences for profile in profiles])
        self._lengths = np.array([profile.rows.size for profile in profiles])
        self._norms = np.array([profile.norm for profile in profiles])
        self._query = query
        starts = np.cumsum(self._lengths) - self._lengths
        products = query[self._rows]
        products *= self._preferences
        self.similarities = np.add.reduceat(products, starts) / self._norms
        """g_v = sum_i q_i s_vi. Shape (n_users,)."""
        self.neighbors = _choose(self.similarities, k)
        """Places of the neighbors, the most similar first. Shape (at most k,)."""
        weights = np.zeros(len(profiles))
        chosen = self.similarities[self.neighbors]
        scale = chosen.max(initial=0.0) if recipe.relative else 1.0
        weights[self.neighbors] = (chosen / scale) ** sharpness
        # By rating: w_v, which is 0 for users that were found but are no neighbors, and what the item counts with.
        self._weights = np.repeat(weights, self._lengths)
        self._terms = self._weights * self._preferences if recipe.counts_preferences else self._weights

    def scores(self, damping: NDArray[np.float64]) -> NDArray[np.float64]:
        """F_i = sum_v w_v phi(r_vi) / (d_i + 1)^beta.

        Args:
            damping: (d_i + 1)^beta by row. Shape (rows,).

        Returns:
            Shape (rows,); 0 for items that no neighbor has rated.
        """
        return np.bincount(self._rows, self._terms, damping.size) / damping

    def support(self, items: NDArray[np.intp]) -> NDArray[np.int64]:
        """How many neighbors have rated each item.

        Args:
            items: Rows. Shape (n_items,).

        Returns:
            Shape (n_items,).
        """
        wanted = np.zeros(self._query.size, np.bool_)
        wanted[items] = True
        ratings = np.flatnonzero(wanted[self._rows])
        counted = ratings[self._weights[ratings] != 0]
        return np.bincount(self._rows[counted], minlength=self._query.size)[items]

    def shares(self, items: NDArray[np.intp], query_rows: NDArray[np.integer]) -> NDArray[np.float64]:
        """What share of each item's score came through each item of the query.

        A score is a sum over (neighbor v, shared item j) terms: v's part of the score, w_v phi(r_vi), times j's part
        of v's similarity, q_j s_vj / g_v. Damping divides an item's terms alike and leaves the shares as they are.

        Args:
            items: The rows to explain, with positive scores. Shape (n_items,).
            query_rows: The query's rows, each once. Shape (n_query,).

        Returns:
            Shares that add up to 1 in each row. Shape (n_items, n_query).
        """
        counted = np.flatnonzero(self._weights)
        rows = self._rows[counted]
        # Users that are no neighbors have no line in the matrices: they are not to change so much as a bit.
        neighbors = np.sort(self.neighbors)
        neighbor = np.repeat(np.arange(neighbors.size), self._lengths[neighbors])

        def dense(wanted: NDArray[np.integer], values: NDArray[np.float64]) -> NDArray[np.float64]:
            column = np.full(self._query.size, -1)
            column[wanted] = np.arange(wanted.size)
            columns = column[rows]
            here = columns >= 0
            matrix = np.zeros((neighbors.size, wanted.size))
            matrix[neighbor[here], columns[here]] = values[here]
            return matrix

        divisors = (self._norms * self.similarities)[neighbors]
        through = self._query[rows] * self._preferences[counted] / divisors[neighbor]
        terms = dense(items, self._terms[counted]).T @ dense(query_rows, through)
        shares: NDArray[np.float64] = terms / terms.sum(axis=1, keepdims=True)
        return shares


def _choose(similarities: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    top = similarities.max()
    if top <= 0:
        return np.empty(0, np.intp)
    order = np.argsort(-np.round(similarities / top, _TIE_DIGITS), kind="stable")[:k]
    chosen: NDArray[np.intp] = order[similarities[order] > top * NOTHING]
    return chosen


def top_items(
    scores: NDArray[np.float64], allowed: NDArray[np.bool_], rank: NDArray[np.int64], limit: int
) -> NDArray[np.intp]:
    """The rows with the highest positive scores; ties by popularity, then item id.

    Args:
        scores: F. Shape (rows,).
        allowed: Which rows may be returned. Shape (rows,).
        rank: Each row's place by popularity, then item id. Shape (rows,).
        limit: How many at most.

    Returns:
        Rows, best first.
    """
    top = scores.max(initial=0.0)
    rows = np.flatnonzero(allowed & (scores > top * NOTHING))
    if not rows.size:
        return rows
    found = scores[rows]
    if rows.size > limit:
        # Partial selection: everything that could tie with the last place stays for the exact sort.
        last = np.partition(found, rows.size - limit)[rows.size - limit]
        rows = rows[found >= last - top * 10.0**-_TIE_DIGITS]
    return rows[np.lexsort((rank[rows], -np.round(scores[rows] / top, _TIE_DIGITS)))][:limit]
