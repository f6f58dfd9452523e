"""Makes an answer from what the neighbors say: score, filter, boost, diversify, fill, explain. Steps 5 to 8."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kindred.attribute_filter import AttributeFilter
from kindred.boosts import factors, product
from kindred.catalog import Catalog
from kindred.diversity import diversify, likeness, pool_size
from kindred.explanations import Explainer
from kindred.freshness import FreshnessToken
from kindred.neighborhood import NOTHING, Neighborhood, Query
from kindred.new_items import pick_new, places_of
from kindred.opinions import Opinions
from kindred.prediction import predict
from kindred.ratings import RatingScale
from kindred.recipes import DEFAULT, Recipe
from kindred.recommendation import (
    Adjustment,
    Explained,
    Reason,
    RecommendationAnswer,
    RecommendationRequest,
    RecommendedItem,
    Source,
    Strategy,
)
from kindred.scoring import Raters, Votes, top_items, votes_of
from kindred.stores.port import StoredUser
from kindred.timing import Step, lap

_NEW_REASONS = 3


class Segment(NamedTuple):
    """People with something in common: how many of them like each item, shape (rows,), and who they are."""

    liked: NDArray[np.float64]
    among: AttributeFilter


@dataclass(frozen=True, slots=True)
class Task:
    """A request made ready to answer.

    Args:
        request: The request.
        recipe: The recipe with its overrides.
        k: How many neighbors; 0 for none.
        stored: The user as stored, if they are.
        opinions: What they think of items.
        query: What neighbors are compared with.
        excluded: Rows that may not be returned. Shape (n,).
        now: Milliseconds since 1970.
        segment: Whose likes popular items are counted from; None for everyone's.
    """

    request: RecommendationRequest
    recipe: Recipe
    k: int
    stored: StoredUser | None
    opinions: Opinions
    query: Query
    excluded: NDArray[np.int32]
    now: int
    segment: Segment | None = None

    @property
    def searches(self) -> bool:
        """Whether there is anything to find neighbors by."""
        return bool(self.k and np.any(self.query.values))


class _Scores(NamedTuple):
    """What the neighbors' terms sum up to, then with damping, then with boosts: each by row, shape (rows,)."""

    sums: NDArray[np.float64]
    damped: NDArray[np.float64]
    final: NDArray[np.float64]


@dataclass(slots=True)
class _Draft:
    """An answer that is being made: its items, and the rows that may still be taken."""

    allowed: NDArray[np.bool_]
    boosts: Sequence[tuple[float, NDArray[np.bool_]]]
    factors: NDArray[np.float64]
    items: list[RecommendedItem] = field(default_factory=list)

    def take(self, items: Sequence[RecommendedItem]) -> None:
        self.items += items
        self.allowed[[item.row for item in items]] = False


class Composer:
    """Makes answers.

    Args:
        catalog: The items.
        scale: The collection's scale.
        predicts: Whether ratings can be predicted: not from z-scores.
    """

    def __init__(self, catalog: Catalog, scale: RatingScale, *, predicts: bool) -> None:
        self._catalog = catalog
        self._scale = scale
        self._predicts = predicts

    def compose(self, task: Task, hood: Neighborhood | None) -> RecommendationAnswer:
        """Makes the answer to a request.

        Args:
            task: The request, made ready.
            hood: Its neighbors, if there are any.
        """
        request, catalog = task.request, self._catalog
        allowed = catalog.listed & catalog.masks.allowed(request.items)
        allowed[task.excluded] = False
        boosts = factors(request.boosts, catalog.masks)
        draft = _Draft(allowed, boosts, product(boosts, catalog.rows))
        draft.allowed &= draft.factors > 0
        lap(Step.FILTER)
        new = self._new(task, draft)
        if hood is not None:
            hood.make_room(catalog.rows)  # other calls may have added items since
            self._personalize(task, hood, draft, request.limit - len(new))
        personalized = len(draft.items)
        draft.take(self._popular(task, draft, request.limit - len(new) - personalized))
        popular = len(draft.items) - personalized
        items = _mixed(draft.items, new)
        effects = catalog.masks.effects(request.items, catalog.listed) if len(items) < request.limit else ()
        lap(Step.FILTER)
        stored = task.stored
        return RecommendationAnswer(
            items=items,
            strategy=_strategy(task, hood, mixed=bool(popular or new)),
            recipe=task.recipe.name,
            neighbors_used=0 if hood is None else len(hood),
            filter_effects=effects,
            popular_among=task.segment.among if task.segment is not None and popular else None,
            profile_revision=stored.revision if stored else 0,
            stored_ratings=stored.profile.rating_count if stored else 0,
            freshness_token=FreshnessToken(request.user_id or "", stored.source).encode()
            if stored and stored.source
            else "",
        )

    def _personalize(self, task: Task, hood: Neighborhood, draft: _Draft, limit: int) -> None:
        """What the neighbors like; what they dislike is not to fill the answer either."""
        counts, request = self._catalog.counts, task.request
        sharpness, damping = task.recipe.exponents(task.opinions.likes)
        fit = task.recipe.fit
        costs = None if fit is None else counts.costs(fit.damping)
        votes = votes_of(hood, task.recipe, sharpness=sharpness, costs=costs, period=request.period, now=task.now)
        sums = votes.sums()
        scores = sums / counts.damping(damping)
        final = np.where(scores > 0, scores * draft.factors, scores)
        factors = draft.factors if draft.boosts else None
        lap(Step.SCORE)
        if request.diversity and limit:
            rows = top_items(scores, draft.allowed, counts.rank, pool_size(limit), factors)
            alike = likeness(self._catalog.content.genres(rows), votes.dense(votes.raters(rows)))
            rows = rows[diversify(final[rows], alike, request.diversity, limit)]
        else:
            rows = top_items(scores, draft.allowed, counts.rank, limit, factors)
        disliked = scores < -NOTHING * np.abs(scores).max(initial=0.0)
        lap(Step.FILTER)
        draft.take(self._items(task, votes, rows, _Scores(sums, scores, final), draft.boosts))
        draft.allowed[disliked] = False

    def _items(
        self,
        task: Task,
        votes: Votes,
        rows: NDArray[np.intp],
        scores: _Scores,
        boosts: Sequence[tuple[float, NDArray[np.bool_]]],
    ) -> list[RecommendedItem]:
        raters = votes.raters(rows)
        support, predicted = votes.support(raters).tolist(), self._predicted(task, votes, rows, raters)
        items = [
            RecommendedItem(row, score, count, predicted=value)
            for row, score, count, value in zip(
                rows.tolist(), scores.final[rows].tolist(), support, predicted, strict=True
            )
        ]
        lap(Step.PREDICT)
        if not items or task.request.explained is Explained.NONE:
            return items
        explainer = Explainer(votes, raters, task.opinions.preferences, self._scale)
        items = [replace(item, reasons=reasons) for item, reasons in zip(items, explainer.reasons(), strict=True)]
        if task.request.explained is Explained.FULL:
            items = [
                replace(item, explanation=explainer.full(place, _adjustments(item.row, scores, boosts)))
                for place, item in enumerate(items)
            ]
        lap(Step.EXPLAIN)
        return items

    def _predicted(self, task: Task, votes: Votes, rows: NDArray[np.intp], raters: Raters) -> list[float | None]:
        """What the user may rate items, on the catalog's scale; None where no neighbor says."""
        if not self._predicts or not rows.size:
            return [None] * rows.size
        hood, opinions = votes.hood, task.opinions
        known = ~np.isnan(opinions.stars)
        sharpness, _ = (task.recipe if task.recipe.fit is None else DEFAULT).exponents(opinions.likes)
        stars = predict(
            rows,
            raters,
            hood,
            # Fitted weights may be negative, which is no way to average.
            weights=(hood.similarities / hood.similarities.max()) ** sharpness,
            user_rows=opinions.rows[known],
            user_stars=opinions.stars[known],
            terms=self._catalog.counts.terms,
            ages=votes.ages,
        )
        return [None if np.isnan(value) else value for value in self._scale.values(stars).tolist()]

    def _new(self, task: Task, draft: _Draft) -> list[RecommendedItem]:
        """Items that few have rated, like what the user likes."""
        count = places_of(task.request.new_item_share, task.request.limit)
        if not count:
            return []
        content, opinions, counts = self._catalog.content, task.opinions, self._catalog.counts
        liked = np.flatnonzero(opinions.preferences > 0)
        rows, scores = pick_new(
            content,
            opinions.rows[liked],
            opinions.preferences[liked],
            allowed=draft.allowed,
            rated_counts=counts.rated,
            rank=counts.rank,
            count=count,
        )
        draft.allowed[rows] = False
        reasons: list[list[Reason]] = [[]] * rows.size
        if task.request.explained is not Explained.NONE:
            reasons = _nearest(opinions.rows[liked], content.row_likeness(rows, opinions.rows[liked]))
        lap(Step.NEW)
        return [
            RecommendedItem(row, score, source=Source.NEW, reasons=own)
            for row, score, own in zip(rows.tolist(), scores.tolist(), reasons, strict=True)
        ]

    def _popular(self, task: Task, draft: _Draft, limit: int) -> list[RecommendedItem]:
        """What most users like, of what is allowed; items that nobody likes are not popular."""
        if limit <= 0:
            return []
        counts, diversity = self._catalog.counts, task.request.diversity
        liked = counts.liked if task.segment is None else task.segment.liked
        if task.segment is None and not task.request.boosts and not diversity:
            rows = counts.order[(draft.allowed & (liked > 0))[counts.order]][:limit]
        else:
            rows = top_items(liked, draft.allowed, counts.rank, pool_size(limit) if diversity else limit, draft.factors)
            liked = liked * draft.factors
            if diversity and rows.size:
                alike = likeness(self._catalog.content.genres(rows), np.zeros((1, rows.size)))
                rows = rows[diversify(liked[rows], alike, diversity, limit)]
        lap(Step.POPULAR)
        return [
            RecommendedItem(row, likes, source=Source.POPULAR)
            for row, likes in zip(rows.tolist(), liked[rows].tolist(), strict=True)
        ]


def _nearest(liked: NDArray[np.int32], alike: NDArray[np.float64]) -> list[list[Reason]]:
    """The liked items that each new item is most like, and their part of how much it is like all of them."""
    best = np.argsort(-alike, axis=1, kind="stable")[:, :_NEW_REASONS]
    totals = alike.sum(axis=1)
    return [
        [Reason(int(liked[j]), float(own[j] / total)) for j in order if own[j] > 0]
        for own, order, total in zip(alike, best, totals, strict=True)
    ]


def _strategy(task: Task, hood: Neighborhood | None, *, mixed: bool) -> Strategy:
    if not task.k:
        return Strategy.POPULAR
    if hood is None:
        return Strategy.POPULAR_FALLBACK
    return Strategy.MIXED if mixed else Strategy.PERSONALIZED


def _mixed(items: Sequence[RecommendedItem], new: Sequence[RecommendedItem]) -> list[RecommendedItem]:
    """New items among the others, evenly: each stands at the end of its part of the answer."""
    mixed, total = list(items), len(items) + len(new)
    for place, item in enumerate(new):
        mixed.insert((place + 1) * total // len(new) - 1, item)
    return mixed


def _adjustments(row: int, scores: _Scores, boosts: Sequence[tuple[float, NDArray[np.bool_]]]) -> list[Adjustment]:
    total, score = float(scores.sums[row]), float(scores.damped[row])
    found = [Adjustment("score_damping", score - total)] if score != total else []
    for place, (factor, mask) in enumerate(boosts):
        if mask[row] and factor != 1:
            found.append(Adjustment(f"boosts[{place}]", score * factor - score))
            score *= factor
    return found
