"""RIDGE: the weights with which the neighbors' ratings rebuild the query's, by local least squares. Pure.

Instead of trusting each similarity alone, neighbors who say the same share their weight. It is the dual of EASE^R
(Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data") on the neighborhood of one query: solved for this
request alone, with nothing trained before. In the notation of docs/recipes.md, over all items j that the neighbors v
have rated:

    minimize  sum_j c_j (sum_v w_v y_vj - x_j)^2 + lambda sum_v (w_v / t_v)^2
    y_vj = v(stars of v for j),  x_j = v(stars of the query for j),  c_j = max(d_j, 1)^-damping
    t_v = (g_v / max g)^trust,  lambda = penalty m (1 + 20 / q)
    m = sum_vj (t_v y_vj)^2 c_j / K,  q = how many items the query has

A few steps of conjugate gradients from 0 (Hestenes and Stiefel 1952) on the normal equations are the solution: stopping
early shrinks, too. The matrix of the equations is never built: T Y C Y^T T is applied from right to left, with the
sparse matrix Y, a neighbor a row, and the diagonals T and C, so that the neighbors' ratings serve as they are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from kindred.recipes import Fit

_STARS = np.array([2.0, 3.0, 4.0, 5.0])
_AFFINITY = np.array([0.2, 0.35, 1.0, 1.2])
_SHORT = 20.0
"""How many items a query has when its penalty is twice that of a long one."""


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
        rows: The rows of the neighbors' ratings, one neighbor after the other. Shape (m,), int32.
        values: y of these. Shape (m,).
        starts: Where each neighbor's begin, ascending; each has one at least. Shape (K,).
        similarities: g, all above 0. Shape (K,).
        costs: c by row. Shape (rows,).
        fit: The recipe's numbers.
    """

    def __init__(
        self,
        rows: NDArray[np.int32],
        values: NDArray[np.float64],
        starts: NDArray[np.intp],
        *,
        similarities: NDArray[np.float64],
        costs: NDArray[np.float64],
        fit: Fit,
    ) -> None:
        self._fit = fit
        self._costs = costs
        self._trust = (similarities / similarities.max()) ** fit.trust
        ends = np.append(starts, rows.size).astype(np.int32)
        self._ratings = csr_array((values, rows, ends), shape=(starts.size, costs.size))
        self._by_item = self._ratings.T
        squares = costs.take(rows)
        squares *= values
        squares *= values
        lengths = np.add.reduceat(squares, starts)
        self._mean_square = float(np.dot(self._trust**2, lengths)) / starts.size
        self._penalty = 0.0

    def solve(self, query_rows: NDArray[np.integer], query_values: NDArray[np.float64]) -> Solution:
        """The neighbors' weights for a query.

        Args:
            query_rows: The rows of the query's items, each once. Shape (n,).
            query_values: x of these. Shape (n,).
        """
        self._penalty = self._fit.penalty * self._mean_square * (1.0 + _SHORT / max(query_rows.size, 1))
        target = np.zeros(self._costs.size)
        target[query_rows] = query_values * self._costs[query_rows]
        residual = self._trust * (self._ratings @ target)
        solution = np.zeros_like(residual)
        direction = residual
        size = float(np.dot(residual, residual))
        steps, conjugations = [], []
        for _ in range(self._fit.steps):
            if size <= 0.0:  # the query and the neighbors have nothing in common
                break
            image = self._normal(direction)
            step = size / float(np.dot(direction, image))
            solution += step * direction
            residual = residual - step * image
            size, last = float(np.dot(residual, residual)), size
            direction = residual + (size / last) * direction
            steps.append(step)
            conjugations.append(size / last)
        return Solution(solution * self._trust, self._trust, np.array(steps), np.array(conjugations))

    def parts(
        self, solution: Solution, query_rows: NDArray[np.integer], query_values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """What of each weight came through each item of the query.

        With the lengths of its steps given, conjugate gradients is a linear map of the query's values, a polynomial of
        the equations' matrix: the same steps on each item alone give parts that add up to the weights.

        Args:
            solution: Of this query.
            query_rows: As it was solved for. Shape (n,).
            query_values: As it was solved for. Shape (n,).

        Returns:
            Shape (K, n); each row adds up to the neighbor's weight.
        """
        return solution.trust[:, None] * self._mapped(solution, self._shared(query_rows, query_values))

    def terms(
        self,
        solution: Solution,
        query_rows: NDArray[np.integer],
        query_values: NDArray[np.float64],
        values: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """What of the scores of some items came through each item of the query: V^T `parts`, for less.

        The map is symmetric, and there are fewer items to explain than items in a query.

        Args:
            solution: Of this query.
            query_rows: As it was solved for. Shape (n,).
            query_values: As it was solved for. Shape (n,).
            values: V, what the neighbors' ratings of the items count, 0 where there is none. Shape (K, n_items).

        Returns:
            Shape (n_items, n).
        """
        mapped = self._mapped(solution, solution.trust[:, None] * values)
        found: NDArray[np.float64] = mapped.T @ self._shared(query_rows, query_values)
        return found

    def _shared(self, query_rows: NDArray[np.integer], query_values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each neighbor shares with each item of the query: its sums are what `solve` begins with."""
        shared: NDArray[np.float64] = self._ratings[:, query_rows].toarray()
        shared *= query_values * self._costs[query_rows]
        shared *= self._trust[:, None]
        return shared

    def _mapped(self, solution: Solution, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """The steps of a solution on other right-hand sides, one a column."""
        mapped, residual, direction = np.zeros_like(columns), columns, columns
        last = solution.step_sizes.size - 1
        for place, (step, conjugation) in enumerate(zip(solution.step_sizes, solution.conjugations, strict=True)):
            mapped += step * direction
            if place < last:
                residual = residual - step * self._normal(direction)
                direction = residual + conjugation * direction
        return mapped

    def _normal(self, direction: NDArray[np.float64]) -> NDArray[np.float64]:
        """(T Y C Y^T T + lambda I) times a vector by neighbor, or times several."""
        trust, costs = (
            (self._trust, self._costs) if direction.ndim == 1 else (self._trust[:, None], self._costs[:, None])
        )
        shared = self._by_item @ (trust * direction)
        shared *= costs
        image: NDArray[np.float64] = self._ratings @ shared
        image *= trust
        image += self._penalty * direction
        return image
