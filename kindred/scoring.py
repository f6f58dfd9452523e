"""From the neighbors' ratings to the scores of items. Pure numpy: no loop over neighbors or items.

Notation as in docs/recipes.md: w_v a neighbor's weight, F_i a score.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kindred.neighborhood import NOTHING, TIE_DIGITS, Neighborhood
from kindred.rating_period import RatingPeriod
from kindred.recipes import Recipe
from kindred.ridge import LocalLeastSquares, Solution

_STRONG = 0.25
"""Scores of this part of the highest: a tenth of those above 0 on MovieLens 100K, 2 % with 25 million ratings, and
nearly always as many as are asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """What the neighbors say of items: F_i = sum_v w_v y_vi / (d_i + 1)^beta, y the value of v's rating of i.

    Args:
        hood: The neighbors.
        weights: w. Shape (K,).
        values: y, age discounts included. Shape (m,).
        ages: How much each rating counts by its age; None if all count alike. Shape (m,).
        fitted: How the weights were fitted, if they were.
    """

    hood: Neighborhood
    weights: NDArray[np.float64]
    values: NDArray[np.float64]
    ages: NDArray[np.float64] | None = None
    fitted: tuple[LocalLeastSquares, Solution] | None = None

    def sums(self) -> NDArray[np.float64]:
        """sum_v w_v y_vi by row; 0 for items that no neighbor has rated. Shape (rows,)."""
        terms = self.hood.repeated(self.weights)
        terms *= self.values
        return np.asarray(np.bincount(self.hood.rows, terms, self.hood.query.size), np.float64)

    def raters(self, items: NDArray[np.integer]) -> "Raters":
        """The neighbors' ratings of some items.

        Args:
            items: Rows, each once. Shape (n_items,).
        """
        hood = self.hood
        wanted = np.zeros(hood.query.size, np.bool_)
        wanted[items] = True
        [places] = wanted.take(hood.rows).nonzero()
        column = np.empty(hood.query.size, np.intp)
        column[items] = np.arange(items.size)
        return Raters(places, hood.owners_of(places), column.take(hood.rows.take(places)), items.size)

    def support(self, raters: "Raters") -> NDArray[np.int64]:
        """How many neighbors have rated each of some items; ratings that count nothing are none.

        Args:
            raters: The items' ratings.

        Returns:
            Shape (n_items,).
        """
        columns = raters.columns if self.ages is None else raters.columns[self.ages[raters.places] > 0]
        return np.bincount(columns, minlength=raters.items)

    def parts(self) -> NDArray[np.float64]:
        """What of each neighbor's weight came through each item of the query.

        Plain weights come from similarities, g_v = sum_j q_j s_vj, so j's part of v's weight is w_v q_j s_vj / g_v.

        Returns:
            Shape (K, n); each row adds up to the neighbor's weight.
        """
        hood, query = self.hood, self.hood.query
        if self.fitted is not None:
            equations, solution = self.fitted
            return equations.parts(solution, query.rows, query.affinities)
        shared = self.raters(query.rows)
        through = self.dense(shared, hood.preferences[shared.places]) * query.values
        through *= (self.weights / through.sum(axis=1))[:, None]
        return through

    def terms(self, raters: "Raters") -> NDArray[np.float64]:
        """What of the sums of some items came through each item of the query: sum_v y_vi times j's part of v's weight.

        Args:
            raters: The items' ratings.

        Returns:
            Shape (n_items, n); each row adds up to the item's sum.
        """
        values, query = self.dense(raters), self.hood.query
        if self.fitted is not None:
            equations, solution = self.fitted
            return equations.terms(solution, query.rows, query.affinities, values)
        terms: NDArray[np.float64] = values.T @ self.parts()
        return terms

    def dense(self, raters: "Raters", values: NDArray[Any] | float | None = None) -> NDArray[np.float64]:
        """The neighbors' ratings of a few items as a matrix.

        Args:
            raters: The items' ratings.
            values: What to lay out: a number for each of these, or one for all. Shape (n,). Default: y.

        Returns:
            Shape (K, n_items); 0 where the neighbor has not rated the item.
        """
        matrix: NDArray[np.float64] = np.zeros((len(self.hood), raters.items))
        matrix[raters.owners, raters.columns] = self.values[raters.places] if values is None else values
        return matrix


class Raters(NamedTuple):
    """The neighbors' ratings of some items.

    Args:
        places: Where they stand in the columns of the neighborhood, ascending. Shape (n,).
        owners: Whose they are, by the neighbor's place. Shape (n,).
        columns: Which of the items each is of, by its place. Shape (n,).
        items: How many items there are.
    """

    places: NDArray[np.intp]
    owners: NDArray[np.intp]
    columns: NDArray[np.intp]
    items: int


def votes_of(
    hood: Neighborhood,
    recipe: Recipe,
    *,
    sharpness: float,
    costs: NDArray[np.float64] | None = None,
    period: RatingPeriod | None = None,
    now: int = 0,
) -> Votes:
    """What the neighbors say by a recipe.

    Args:
        hood: The neighbors, at least one.
        recipe: The recipe.
        sharpness: p.
        costs: c by row, for a recipe that fits. Shape (rows,).
        period: Which of their ratings count, and how much; None for all alike.
        now: Milliseconds since 1970: the end of a period that names none.
    """
    fitted = None
    if recipe.fit is not None:
        if costs is None:
            raise TypeError(f"recipe {recipe.name!r} fits, and needs costs")
        values = hood.affinities
        equations = LocalLeastSquares(
            hood.rows.astype(np.int32), values, hood.starts, similarities=hood.similarities, costs=costs, fit=recipe.fit
        )
        fitted = equations, equations.solve(hood.query.rows, hood.query.affinities)
        weights = fitted[1].weights
    else:
        values = hood.preferences if recipe.counts_preferences else np.ones(hood.rows.size)
        scale = hood.similarities[0] if recipe.relative else 1.0  # the most similar stands first
        weights = (hood.similarities / scale) ** sharpness
    ages = None if period is None else period.weights(hood.rated_at, now)
    if ages is not None:
        values = values * ages
    return Votes(hood, weights, values, ages, fitted)


def top_items(
    scores: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    rank: NDArray[np.int64],
    limit: int,
    factors: NDArray[np.float64] | None = None,
) -> NDArray[np.intp]:
    """The rows with the highest positive scores; ties by popularity, then item id.

    Args:
        scores: F. Shape (rows,).
        allowed: Which rows may be returned. Shape (rows,).
        rank: Each row's place by popularity, then item id. Shape (rows,).
        limit: How many at most.
        factors: What the scores are multiplied by before they are compared, above 0 where a row is allowed: it changes
            the order, not which scores are positive. None for 1. Shape (rows,).

    Returns:
        Rows, best first.
    """
    [rows] = allowed.nonzero()
    found = scores.take(rows)
    return rows[top_places(found, scores.max(initial=0.0), rows, rank, limit, factors)]


def top_places(  # noqa: PLR0917  # as many columns
    scores: NDArray[np.float64],
    top: float,
    rows: NDArray[np.intp],
    rank: NDArray[np.int64],
    limit: int,
    factors: NDArray[np.float64] | None = None,
) -> NDArray[np.intp]:
    """The places of the highest positive scores; ties by rank.

    Args:
        scores: F of items that may be returned. Shape (n,).
        top: The highest score of all items, by which it is told what ties, and what is none.
        rows: Their rows. Shape (n,).
        rank: As for `top_items`. Shape (rows,).
        limit: How many at most.
        factors: As for `top_items`. Shape (rows,).

    Returns:
        Places, best first.
    """
    least = top * NOTHING
    if factors is None and scores.size > limit > 0:
        # Partial selection: everything that could tie with the last place stays for the exact sort.
        strong = scores[scores > _STRONG * top]
        pool = strong if strong.size >= limit else scores
        last = np.partition(pool, pool.size - limit)[pool.size - limit]
        least = max(least, last - top * 10.0**-TIE_DIGITS)
    [places] = (scores > least).nonzero()
    if not places.size:
        return places
    rows = rows.take(places)
    keys = (scores.take(places) / -top).round(TIE_DIGITS)
    if factors is not None:
        keys *= factors.take(rows)  # after rounding: a large factor makes no ties of what others score
    return places.take(np.lexsort((rank.take(rows), keys))[:limit])
