"""The items of an answer that the neighbors like: score, choose, predict, explain. Steps 5, 6 and 8."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kindred.catalog import Catalog
from kindred.diversity import diversify, likeness, pool_size
from kindred.drafts import Draft, Task
from kindred.explanations import Explainer
from kindred.neighborhood import NOTHING, Neighborhood
from kindred.prediction import predict
from kindred.ratings import RatingScale
from kindred.recipes import DEFAULT
from kindred.recommendation import Adjustment, Explained, RecommendedItem
from kindred.scoring import Raters, Votes, top_places, votes_of
from kindred.timing import Step, lap


class _Chosen(NamedTuple):
    """The items that were chosen, best first: their rows and scores, each of shape (n,).

    Args:
        rows: Rows.
        sums: What the neighbors' terms sum up to.
        damped: The same, damped.
        final: The same, boosted.
    """

    rows: NDArray[np.intp]
    sums: NDArray[np.float64]
    damped: NDArray[np.float64]
    final: NDArray[np.float64]


class Personalizer:
    """Chooses items by what neighbors say.

    Args:
        catalog: The items.
        scale: The collection's scale.
        predicts: Whether ratings can be predicted: not from z-scores.
    """

    def __init__(self, catalog: Catalog, scale: RatingScale, *, predicts: bool) -> None:
        self._catalog = catalog
        self._scale = scale
        self._predicts = predicts

    def take(self, task: Task, hood: Neighborhood, draft: Draft, limit: int) -> None:
        """Adds what the neighbors like to an answer; what they dislike is not to fill it up either.

        Args:
            task: The request, made ready.
            hood: Its neighbors.
            draft: The answer so far.
            limit: How many items to add, at most.
        """
        counts, request = self._catalog.counts, task.request
        hood.make_room(self._catalog.rows)  # other calls may have added items since
        sharpness, exponent = task.recipe.exponents(task.opinions.likes)
        fit, damping = task.recipe.fit, counts.damping(exponent)
        costs = None if fit is None else counts.costs(fit.damping)
        votes = votes_of(hood, task.recipe, sharpness=sharpness, costs=costs, period=request.period, now=task.now)
        sums = votes.sums()
        [liked] = (sums > 0).nonzero()  # few of all items: what follows is about these
        scores = sums.take(liked) / damping.take(liked)
        lap(Step.SCORE)
        top = float(scores.max(initial=0.0))
        [allowed] = draft.allowed.take(liked).nonzero()
        rows, scores = liked.take(allowed), scores.take(allowed)
        places = self._chosen(votes, rows, scores, top, draft, request.diversity, limit)
        rows, damped = rows.take(places), scores.take(places)
        final = damped if draft.factors is None else damped * draft.factors[rows]
        chosen = _Chosen(rows, sums.take(rows), damped, final)
        lap(Step.FILTER)
        draft.items += self._items(task, votes, chosen, draft)
        if len(draft.items) < limit:
            scores = sums / damping
            draft.allowed[scores < -NOTHING * np.abs(scores).max(initial=0.0)] = False

    def _chosen(  # noqa: PLR0917  # what a choice depends on
        self,
        votes: Votes,
        rows: NDArray[np.intp],
        scores: NDArray[np.float64],
        top: float,
        draft: Draft,
        diversity: float,
        limit: int,
    ) -> NDArray[np.intp]:
        """The places of the best of what the neighbors like and may be taken."""
        rank, factors = self._catalog.counts.rank, draft.factors
        if not diversity or not limit:
            return top_places(scores, top, rows, rank, limit, factors)
        pool = top_places(scores, top, rows, rank, pool_size(limit), factors)
        rows, scores = rows[pool], scores[pool]
        alike = likeness(self._catalog.content.genres(rows), votes.dense(votes.raters(rows)))
        final = scores if factors is None else scores * factors[rows]
        return pool[diversify(final, alike, diversity, limit)]

    def _items(self, task: Task, votes: Votes, chosen: _Chosen, draft: Draft) -> list[RecommendedItem]:
        raters = votes.raters(chosen.rows)
        support, predicted = votes.support(raters).tolist(), self._predicted(task, votes, chosen.rows, raters)
        found = zip(chosen.rows.tolist(), chosen.final.tolist(), support, predicted, strict=True)
        items = [RecommendedItem(row, score, count, predicted=value) for row, score, count, value in found]
        lap(Step.PREDICT)
        if not items or task.request.explained is Explained.NONE:
            return items
        explainer = Explainer(votes, raters, task.opinions.preferences, self._scale)
        items = [item._replace(reasons=reasons) for item, reasons in zip(items, explainer.reasons(), strict=True)]
        if task.request.explained is Explained.FULL:
            items = [
                item._replace(explanation=explainer.full(place, _adjustments(chosen, place, draft.boosts)))
                for place, item in enumerate(items)
            ]
        lap(Step.EXPLAIN)
        return items

    def _predicted(self, task: Task, votes: Votes, rows: NDArray[np.intp], raters: Raters) -> Sequence[float | None]:
        """What the user may rate items, on the catalog's scale; None where no neighbor says."""
        if not self._predicts or not rows.size:
            return [None] * rows.size
        hood, opinions = votes.hood, task.opinions
        user_rows, user_stars = opinions.numbered
        weights = votes.weights
        if task.recipe.fit is not None or not task.recipe.relative:
            # Fitted weights may be negative, which is no way to average.
            sharpness, _ = (task.recipe if task.recipe.fit is None else DEFAULT).exponents(opinions.likes)
            weights = (hood.similarities / hood.similarities[0]) ** sharpness
        counts = self._catalog.counts
        stars = predict(
            rows,
            raters,
            hood,
            weights=weights,
            user_rows=user_rows,
            user_stars=user_stars,
            terms=counts.terms,
            term_sums=hood.term_sums(counts.terms, counts.version),
            ages=votes.ages,
        )
        # NaN alone is not equal to itself.
        return [value if value == value else None for value in self._scale.values(stars).tolist()]  # noqa: PLR0124


def _adjustments(chosen: _Chosen, place: int, boosts: Sequence[tuple[float, NDArray[np.bool_]]]) -> list[Adjustment]:
    row, total, score = int(chosen.rows[place]), float(chosen.sums[place]), float(chosen.damped[place])
    found = [Adjustment("score_damping", score - total)] if score != total else []
    for number, (factor, mask) in enumerate(boosts):
        if mask[row] and factor != 1:
            found.append(Adjustment(f"boosts[{number}]", score * factor - score))
            score *= factor
    return found
