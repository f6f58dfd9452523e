"""From the neighbors' ratings to the scores of items. Pure numpy: no loop over neighbors or items.

The engine finds candidates with single-precision sums in an order of its own. Here similarities are computed again from
the neighbors' exact ratings in double precision, so that the same data gives the same answer on every engine.
Notation as in docs/recipes.md: q the query, s_v a stored vector, g_v = q . s_v, w_v a neighbor's weight, F_i a score.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from kindred.rating_period import RatingPeriod
from kindred.recipes import Recipe
from kindred.ridge import LocalLeastSquares, Solution

Number = TypeVar("Number", bound=np.generic)

TIE_DIGITS = 10
"""Numbers that agree to this many digits of the largest one are ties: sums in another order differ by less."""
NOTHING = 1e-13
"""What is this small against the largest one is what rounding left of terms that cancel out."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedProfile:
    """A user's ratings, ready for scoring.

    Args:
        user_id: Whose they are.
        rows: Rows of the rated items. Shape (n,), int32.
        preferences: The weighting's preferences for them, exact: equal sums are ties. Shape (n,), float64.
        affinities: v of their stars, for recipes that fit. Shape (n,), float32.
        stars: The ratings on the five-star scale. Shape (n,), float32.
        rated_at: Milliseconds since 1970. Shape (n,), int64.
        norm: What the preferences are divided by in the stored vector.
        mean: The mean of the stars.
    """

    user_id: str
    rows: NDArray[np.int32]
    preferences: NDArray[np.float64]
    affinities: NDArray[np.float32]
    stars: NDArray[np.float32]
    rated_at: NDArray[np.int64]
    norm: float
    mean: float

    @property
    def nbytes(self) -> int:
        """What its columns take in memory."""
        columns = (self.rows, self.preferences, self.affinities, self.stars, self.rated_at)
        return sum(column.nbytes for column in columns)


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What the neighbors are compared with.

    Args:
        rows: The rows of the rated items, each once. Shape (n,).
        values: q of these. Shape (n,).
        affinities: x of these, for a recipe that fits. Shape (n,).
        size: How many rows there are in all.
    """

    rows: NDArray[np.int32]
    values: NDArray[np.float64]
    affinities: NDArray[np.float64]
    size: int

    def dense(self) -> NDArray[np.float64]:
        """Q by row. Shape (size,)."""
        by_row = np.zeros(self.size)
        by_row[self.rows] = self.values
        return by_row


class Neighborhood:
    """The neighbors of a query and their ratings, as ragged columns: one neighbor after the other.

    Args:
        profiles: The users found, at least one, each with at least one rating. Sorted by user id, so that ties of
            similarity are broken by it.
        query: The query.
        k: How many of them are neighbors, at most: the most similar, of those with a positive similarity.
        min_overlap: How many items a neighbor shares with the query, at least.
    """

    def __init__(self, profiles: Sequence[DecodedProfile], query: Query, k: int, min_overlap: int = 1) -> None:
        self.query = query
        lengths = np.array([profile.rows.size for profile in profiles], np.intp)
        # numpy's own index type: gathering with any other one converts it each time.
        rows = _column([profile.rows for profile in profiles], np.intp)
        preferences = _column([profile.preferences for profile in profiles], np.float64)
        starts = np.cumsum(lengths) - lengths
        norms = np.array([profile.norm for profile in profiles])
        similarities = np.add.reduceat(query.dense()[rows] * preferences, starts) / norms
        if min_overlap > 1:
            shared = np.zeros(query.size, np.int64)
            shared[query.rows] = 1
            similarities[np.add.reduceat(shared[rows], starts) < min_overlap] = 0.0
        chosen = _choose(similarities, k)
        self.ranking: list[DecodedProfile] = [profiles[place] for place in chosen.tolist()]
        """The neighbors, the most similar first."""
        places = np.sort(chosen)
        self.profiles: list[DecodedProfile] = [profiles[place] for place in places.tolist()]
        """The neighbors, by user id: the order of every column here."""
        self.similarities = similarities[places]
        """g_v = sum_i q_i s_vi, all above 0. Shape (K,)."""
        self.lengths = lengths[places]
        """How many ratings each neighbor has. Shape (K,)."""
        kept = np.repeat(np.isin(np.arange(lengths.size), places), lengths)
        self.rows = rows[kept]
        """The rows of the ratings. Shape (m,)."""
        self.preferences = preferences[kept]
        """The weighting's preferences for the ratings. Shape (m,)."""

    def __len__(self) -> int:
        return len(self.profiles)

    def make_room(self, rows: int) -> None:
        """Makes room for rows that came after the neighbors were found, who have rated none of them.

        Args:
            rows: How many rows there are.
        """
        self.query = replace(self.query, size=rows)

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """Where each neighbor's ratings begin. Shape (K,)."""
        starts: NDArray[np.intp] = np.cumsum(self.lengths) - self.lengths
        return starts

    @cached_property
    def owners(self) -> NDArray[np.intp]:
        """Whose rating each is, by the neighbor's place. Shape (m,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @cached_property
    def affinities(self) -> NDArray[np.float64]:
        """What a fit makes of the ratings, v of their stars. Shape (m,)."""
        return _column([profile.affinities for profile in self.profiles], np.float64)

    @cached_property
    def stars(self) -> NDArray[np.float32]:
        """The ratings on the five-star scale. Shape (m,)."""
        return _column([profile.stars for profile in self.profiles], np.float32)

    @cached_property
    def rated_at(self) -> NDArray[np.int64]:
        """When they were given, milliseconds since 1970. Shape (m,)."""
        return _column([profile.rated_at for profile in self.profiles], np.int64)

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """Each neighbor's mean rating in stars. Shape (K,)."""
        return np.array([profile.mean for profile in self.profiles])


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
    _terms: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_terms", self.weights[self.hood.owners] * self.values)

    def sums(self) -> NDArray[np.float64]:
        """sum_v w_v y_vi by row; 0 for items that no neighbor has rated. Shape (rows,)."""
        return np.asarray(np.bincount(self.hood.rows, self._terms, self.hood.query.size), np.float64)

    def raters(self, items: NDArray[np.integer]) -> "Raters":
        """The neighbors' ratings of some items.

        Args:
            items: Rows, each once. Shape (n_items,).
        """
        column = np.full(self.hood.query.size, -1, np.int32)
        column[items] = np.arange(items.size)
        columns = column[self.hood.rows]
        places = np.flatnonzero(columns >= 0)
        return Raters(places, columns[places], items.size)

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
        through = self.dense(self.raters(query.rows), hood.preferences) * query.values
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

    def dense(self, raters: "Raters", values: NDArray[Any] | None = None) -> NDArray[np.float64]:
        """The neighbors' ratings of a few items as a matrix.

        Args:
            raters: The items' ratings.
            values: What to lay out. Shape (m,). Default: y.

        Returns:
            Shape (K, n_items); 0 where the neighbor has not rated the item.
        """
        matrix: NDArray[np.float64] = np.zeros((len(self.hood), raters.items))
        laid_out = self.values if values is None else values
        matrix[self.hood.owners[raters.places], raters.columns] = laid_out[raters.places]
        return matrix


class Raters(NamedTuple):
    """The neighbors' ratings of some items.

    Args:
        places: Where they stand in the columns of the neighborhood, ascending. Shape (n,).
        columns: Which of the items each is of, by its place. Shape (n,).
        items: How many items there are.
    """

    places: NDArray[np.intp]
    columns: NDArray[np.int32]
    items: int


def votes_of(
    hood: Neighborhood,
    recipe: Recipe,
    *,
    sharpness: float,
    raters: NDArray[np.float64],
    period: RatingPeriod | None,
    now: int,
) -> Votes:
    """What the neighbors say by a recipe.

    Args:
        hood: The neighbors, at least one.
        recipe: The recipe.
        sharpness: p.
        raters: d by row. Shape (rows,).
        period: Which of their ratings count, and how much; None for all alike.
        now: Milliseconds since 1970: the end of a period that names none.
    """
    fitted = None
    if recipe.fit is not None:
        values = hood.affinities
        equations = LocalLeastSquares(
            hood.rows,
            values,
            hood.starts,
            owners=hood.owners,
            similarities=hood.similarities,
            raters=raters,
            fit=recipe.fit,
        )
        fitted = equations, equations.solve(hood.query.rows, hood.query.affinities)
        weights = fitted[1].weights
    else:
        values = hood.preferences if recipe.counts_preferences else np.ones(hood.rows.size)
        scale = hood.similarities.max() if recipe.relative else 1.0
        weights = (hood.similarities / scale) ** sharpness
    ages = None if period is None else period.weights(hood.rated_at, now)
    if ages is not None:
        values = values * ages
    return Votes(hood, weights, values, ages, fitted)


def _column(columns: Sequence[NDArray[Any]], dtype: type[Number]) -> NDArray[Number]:
    return np.concatenate(columns, dtype=dtype) if columns else np.empty(0, dtype)


def _choose(similarities: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    top = similarities.max()
    if top <= 0:
        return np.empty(0, np.intp)
    order = np.argsort(-np.round(similarities / top, TIE_DIGITS), kind="stable")[:k]
    chosen: NDArray[np.intp] = order[similarities[order] > top * NOTHING]
    return chosen


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
    top = scores.max(initial=0.0)
    rows = np.flatnonzero(allowed & (scores > top * NOTHING))
    if not rows.size:
        return rows
    if factors is None and rows.size > limit:
        # Partial selection: everything that could tie with the last place stays for the exact sort.
        found = scores[rows]
        last = np.partition(found, rows.size - limit)[rows.size - limit]
        rows = rows[found >= last - top * 10.0**-TIE_DIGITS]
    keys = np.round(scores[rows] / top, TIE_DIGITS)
    if factors is not None:
        keys *= factors[rows]  # after rounding: a large factor makes no ties of what others score
    return rows[np.lexsort((rank[rows], -keys))][:limit]
