"""Why an item is recommended: its score is a sum over (neighbor, shared item) terms, and these are the terms. Pure.

v's part of the score of i is w_v y_vi, and j's part of v's weight is known (`Votes.parts`), so the term of v and j is
their product. Damping and boosts change the sum afterwards, and are terms of their own.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kindred.ratings import RatingScale
from kindred.recommendation import Adjustment, FullExplanation, NeighborTerm, Reason
from kindred.scoring import Raters, Votes

_REASONS = 3
MAX_NEIGHBORS = 50
MAX_SHARED_ITEMS = 20


class Explainer:
    """Explains the items of one answer.

    Args:
        votes: What the neighbors say.
        raters: The neighbors' ratings of the items to explain, which have positive scores.
        preferences: The weighting's preferences for the query's items. Shape (n_query,).
        scale: The collection's scale.
    """

    def __init__(self, votes: Votes, raters: Raters, preferences: NDArray[np.float64], scale: RatingScale) -> None:
        self._scale = scale
        self._votes = votes
        self._raters = raters
        self._rows = votes.hood.query.rows
        self._preferences = preferences

    def shares(self) -> NDArray[np.float64]:
        """What share of each item's score came through each item of the query; damping and boosts leave it as it is.

        Returns:
            Shares that add up to 1 in each row. Shape (n_items, n_query).
        """
        terms = self._votes.terms(self._raters)
        shares: NDArray[np.float64] = terms / terms.sum(axis=1, keepdims=True)
        return shares

    def reasons(self) -> list[list[Reason]]:
        """For each item the liked items that carried most of its score."""
        # "Because you liked": shares that came through items the user does not like are no reason to show.
        shown = np.where(self._preferences > 0, self.shares(), 0.0)
        best = np.argsort(-shown, axis=1, kind="stable")[:, :_REASONS]
        return [
            [Reason(int(self._rows[j]), float(own[j])) for j in order if own[j] > 0]
            for own, order in zip(shown, best, strict=True)
        ]

    def full(self, place: int, adjustments: Sequence[Adjustment]) -> FullExplanation:
        """Every term of one item's score.

        Args:
            place: The item's place among those to explain.
            adjustments: What changed its score after the neighbors' terms were added up.
        """
        votes, values = self._votes, self._values[:, place]
        contributions = votes.weights * values
        raters = np.flatnonzero(self._counted[:, place])
        order = raters[np.argsort(-np.abs(contributions[raters]), kind="stable")]
        shown, others = order[:MAX_NEIGHBORS], order[MAX_NEIGHBORS:]
        ratings = self._scale.values(self._stars[:, place])
        return FullExplanation(
            neighbors=[
                self._term(v, float(values[v]), float(contributions[v]), float(ratings[v]), self._rated[v])
                for v in shown.tolist()
            ],
            other_neighbors=float(contributions[others].sum()),
            other_neighbors_count=others.size,
            adjustments=adjustments,
        )

    @cached_property
    def _parts(self) -> NDArray[np.float64]:
        """What of each neighbor's weight came through each item of the query. Shape (K, n_query)."""
        return self._votes.parts()

    @cached_property
    def _values(self) -> NDArray[np.float64]:
        """What the neighbors' ratings of each item count. Shape (K, n_items)."""
        return self._votes.dense(self._raters)

    @cached_property
    def _stars(self) -> NDArray[np.float64]:
        """What the neighbors rate each item. Shape (K, n_items)."""
        return self._votes.dense(self._raters, self._votes.hood.stars_at(self._raters.places))

    @cached_property
    def _counted(self) -> NDArray[np.bool_]:
        """Which neighbors have rated each item; ratings that count nothing are none. Shape (K, n_items)."""
        ages = self._votes.ages
        counts = 1.0 if ages is None else ages[self._raters.places] > 0
        counted: NDArray[np.bool_] = self._votes.dense(self._raters, counts) > 0
        return counted

    @cached_property
    def _rated(self) -> NDArray[np.bool_]:
        """Which of the query's items each neighbor has rated. Shape (K, n_query)."""
        rated: NDArray[np.bool_] = self._votes.dense(self._votes.raters(self._rows), 1.0) > 0
        return rated

    def _term(self, v: int, value: float, contribution: float, rating: float, rated: NDArray[np.bool_]) -> NeighborTerm:
        through = self._parts[v] * value
        shared = np.flatnonzero(rated & (through != 0))
        shown = shared[np.argsort(-np.abs(through[shared]), kind="stable")][:MAX_SHARED_ITEMS]
        return NeighborTerm(
            user_id=self._votes.hood.profiles[v].user_id,
            rating=rating,
            similarity=float(self._votes.hood.similarities[v]),
            weight=float(self._votes.weights[v]),
            contribution=contribution,
            shared=[(int(self._rows[j]), float(through[j])) for j in shown.tolist()],
            other_shared=contribution - float(through[shown].sum()),
        )
