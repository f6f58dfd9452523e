"""Makes an answer: what the neighbors like, what is new, what is popular. Steps 5 to 8."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kindred.boosts import factors, product
from kindred.catalog import Catalog
from kindred.diversity import diversify, likeness, pool_size
from kindred.drafts import Draft, Task
from kindred.freshness import FreshnessToken
from kindred.neighborhood import Neighborhood
from kindred.new_items import pick_new, places_of
from kindred.personalized import Personalizer
from kindred.ratings import RatingScale
from kindred.recommendation import (
    Explained,
    Reason,
    RecommendationAnswer,
    RecommendedItem,
    Source,
    Strategy,
)
from kindred.scoring import top_items
from kindred.timing import Step, lap

_NEW_REASONS = 3


class Composer:
    """Makes answers.

    Args:
        catalog: The items.
        scale: The collection's scale.
        predicts: Whether ratings can be predicted: not from z-scores.
    """

    def __init__(self, catalog: Catalog, scale: RatingScale, *, predicts: bool) -> None:
        self._catalog = catalog
        self._personalizer = Personalizer(catalog, scale, predicts=predicts)

    def compose(self, task: Task, hood: Neighborhood | None) -> RecommendationAnswer:
        """Makes the answer to a request.

        Args:
            task: The request, made ready.
            hood: Its neighbors, if there are any.
        """
        request, catalog = task.request, self._catalog
        draft = self._draft(task)
        lap(Step.FILTER)
        new = self._new(task, draft)
        if hood is not None:
            self._personalizer.take(task, hood, draft, request.limit - len(new))
        personalized = len(draft.items)
        draft.items += self._popular(task, draft, request.limit - len(new) - personalized)
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

    def _draft(self, task: Task) -> Draft:
        """An empty answer, with what may be taken for it."""
        request, catalog = task.request, self._catalog
        allowed = catalog.listed & catalog.masks.allowed(request.items) if request.items else catalog.listed.copy()
        allowed[task.excluded] = False
        if not request.boosts:
            return Draft(allowed, (), None)
        boosts = factors(request.boosts, catalog.masks)
        together = product(boosts, catalog.rows)
        allowed &= together > 0
        return Draft(allowed, boosts, together)

    def _new(self, task: Task, draft: Draft) -> list[RecommendedItem]:
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

    def _popular(self, task: Task, draft: Draft, limit: int) -> list[RecommendedItem]:
        """What most users like, of what is allowed; items that nobody likes are not popular."""
        if limit <= 0:
            return []
        counts, diversity, allowed = self._catalog.counts, task.request.diversity, draft.left()
        liked = counts.liked if task.segment is None else task.segment.liked
        if task.segment is None and not task.request.boosts and not diversity:
            rows = counts.order[(allowed & (liked > 0))[counts.order]][:limit]
        else:
            rows = top_items(liked, allowed, counts.rank, pool_size(limit) if diversity else limit, draft.factors)
            if draft.factors is not None:
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
    if not task.asked.k:
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
