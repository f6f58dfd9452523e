"""RIDGE: the weights with which the neighbors' ratings rebuild the query's, by local least squares. Pure numpy.

Instead of trusting each similarity alone, neighbors who say the same share their weight. It is the dual of EASE^R
(Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data") on the neighborhood of one query: solved for this
request alone, with nothing trained before. In the notation of docs/recipes.md, over all items j that the neighbors v
have rated:

    minimize  sum_j c_j (sum_v w_v y_vj - x_j)^2 + lambda sum_v (w_v / t_v)^2
    y_vj = v(stars of v for j),  x_j = v(stars of the query for j),  c_j = max(d_j, 1)^-damping
    t_v = (g_v / max g)^trust,  lambda = penalty m (1 + 20 / q)
    m = sum_vj (t_v y_vj)^2 c_j / K,  q = how many items the query has

A few steps of conjugate gradients from 0 (Hestenes and Stiefel 1952) on the normal equations are the solution: stopping
early shrinks, too. The matrix of the equations is never built: it is applied as Z (Z^T u), with the ragged columns
Z_vj = t_v sqrt(c_j) y_vj.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kindred.recipes import Fit

_STARS = (2.0, 3.0, 4.0, 5.0)
_AFFINITY = (0.2, 0.35, 1.0, 1.2)
_SHORT = 20.0
"""How many items a query has when its penalty is twice that of a long one."""
_BLOCK = 2_048
"""Items whose ratings are laid out densely at once, K numbers each."""


def affinity(stars: NDArray[np.floating]) -> NDArray[np.float64]:
    """v: piecewise linear through (2, 0.2), (3, 0.35), (4, 1), (5, 1.2) and flat outside.

    Having rated an item at all says something, too: it is never 0.

    Args:
        stars: Ratings on the five-star scale, any shape.

    Returns:
        Same shape, 0.2 to 1.2.
    """
    values: NDArray[np.float64] = np.interp(stars, _STARS, _AFFINITY)
    return values


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Neighbors' weights, and how they came about.

    Args:
        weights: w. Shape (K,).
        trust: t. Shape (K,).
        step_sizes: The lengths of the steps that were taken. Shape (steps,).
        conjugations: How much of the last direction went into each next one. Shape (steps,).
    """

    weights: NDArray[np.float64]
    trust: NDArray[np.float64]
    step_sizes: NDArray[np.float64]
    conjugations: NDArray[np.float64]


class LocalLeastSquares:
    """The equations of one query.

    Args:
        rows: The rows of the neighbors' ratings, one neighbor after the other. Shape (m,).
        values: y of these. Shape (m,).
        starts: Where each neighbor's begin, ascending; each has one at least. Shape (K,).
        owners: Whose each rating is, by the neighbor's place. Shape (m,).
        similarities: g, all above 0. Shape (K,).
        raters: d by row. Shape (rows,).
        fit: The recipe's numbers.
    """

    def __init__(
        self,
        rows: NDArray[np.intp],
        values: NDArray[np.float64],
        starts: NDArray[np.intp],
        *,
        owners: NDArray[np.intp],
        similarities: NDArray[np.float64],
        raters: NDArray[np.float64],
        fit: Fit,
    ) -> None:
        self._fit = fit
        self._rows = rows
        self._starts = starts
        self._owners = owners
        self._terms = np.empty(rows.size)
        self._root = np.maximum(raters, 1.0) ** (-0.5 * fit.damping)
        self._trust = (similarities / similarities.max()) ** fit.trust
        self._z = self._root[rows]
        self._z *= values
        self._z *= self._trust[owners]
        self._mean_square = float(np.square(self._z).sum()) / starts.size  # a dot product this long takes BLAS threads
        self._penalty = 0.0

    def solve(self, query_rows: NDArray[np.integer], query_values: NDArray[np.float64]) -> Solution:
        """The neighbors' weights for a query.

        Args:
            query_rows: The rows of the query's items, each once. Shape (n,).
            query_values: x of these. Shape (n,).
        """
        self._penalty = self._fit.penalty * self._mean_square * (1.0 + _SHORT / max(query_rows.size, 1))
        target = np.zeros(self._root.size)
        target[query_rows] = query_values * self._root[query_rows]
        residual = self._times(target)
        solution = np.zeros_like(residual)
        direction = residual.copy()
        size = float(np.dot(residual, residual))
        steps, conjugations = [], []
        for _ in range(self._fit.steps):
            if size <= 0.0:  # the query and the neighbors have nothing in common
                break
            image = self._normal(direction)
            step = size / float(np.dot(direction, image))
            solution += step * direction
            residual -= step * image
            size, last = float(np.dot(residual, residual)), size
            direction = residual + (size / last) * direction
            steps.append(step)
            conjugations.append(size / last)
        return Solution(solution * self._trust, self._trust, np.array(steps), np.array(conjugations))

    def parts(
        self, solution: Solution, query_rows: NDArray[np.integer], query_values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """What of each weight came through each item of the query.

        With the lengths of its steps given, conjugate gradients is a linear map of the query's values: the same steps
        on each item alone give parts that add up to the weights.

        Args:
            solution: Of this query.
            query_rows: As it was solved for. Shape (n,).
            query_values: As it was solved for. Shape (n,).

        Returns:
            Shape (K, n); each row adds up to the neighbor's weight.
        """
        column = np.full(self._root.size, -1)
        column[query_rows] = np.arange(query_rows.size)
        columns = column[self._rows]
        here = np.flatnonzero(columns >= 0)
        residual = np.zeros((self._starts.size, query_rows.size))
        shared = columns[here]
        scaled = (query_values * self._root[query_rows])[shared]
        residual[self._owners[here], shared] = self._z[here] * scaled
        parts = np.zeros_like(residual)
        direction = residual.copy()
        gram = self._gram()
        for step, conjugation in zip(solution.step_sizes, solution.conjugations, strict=True):
            parts += step * direction
            residual -= step * (gram @ direction + self._penalty * direction)
            direction = residual + conjugation * direction
        parts *= solution.trust[:, None]
        return parts

    def _times(self, by_row: NDArray[np.float64]) -> NDArray[np.float64]:
        """Z times a vector by row."""
        by_row.take(self._rows, out=self._terms, mode="clip")  # other modes copy to be safe from wrong indexes
        self._terms *= self._z
        return np.add.reduceat(self._terms, self._starts)

    def _normal(self, direction: NDArray[np.float64]) -> NDArray[np.float64]:
        """(Z Z^T + lambda I) times a vector by neighbor."""
        direction.take(self._owners, out=self._terms, mode="clip")
        self._terms *= self._z
        by_row = np.asarray(np.bincount(self._rows, self._terms, self._root.size), np.float64)
        return self._times(by_row) + self._penalty * direction

    def _gram(self) -> NDArray[np.float64]:
        """Z Z^T, summed up over blocks of items; only explanations need it. Shape (K, K)."""
        count = self._starts.size
        items, places = np.unique(self._rows, return_inverse=True)
        order = np.argsort(places, kind="stable")
        ends = np.searchsorted(places[order], np.arange(0, items.size + _BLOCK, _BLOCK))
        gram = np.zeros((count, count))
        for block, (start, end) in enumerate(pairwise(ends.tolist())):
            ratings = order[start:end]
            dense = np.zeros((count, _BLOCK))
            dense[self._owners[ratings], places[ratings] - block * _BLOCK] = self._z[ratings]
            gram += dense @ dense.T
        return gram
