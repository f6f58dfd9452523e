"""What a request's user thinks of items: the stored ratings, overlaid by those in the request. Steps 1 and 2."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred.bounded_cache import BoundedCache
from kindred.catalog import Catalog
from kindred.errors import FieldViolation, InvalidArgumentError, ItemNotFoundError
from kindred.neighborhood import Query
from kindred.ratings import RatingScale, Reaction, UserProfile
from kindred.recipes import Recipe
from kindred.recommendation import InlineRating
from kindred.ridge import affinity
from kindred.weighting import Weighting

_BYTES_A_RATING, _OVERHEAD = 68, 1_500
"""What opinions take in memory with their profile and a query, and what the objects of these take."""
_NEWEST = np.iinfo(np.int64).max
"""The time of a rating in the request: newer than every stored one."""


@dataclass(frozen=True, slots=True, eq=False)
class Opinions:
    """A user's opinions, one an item, as columns.

    Args:
        rows: The rows of the items. Shape (n,), int32.
        preferences: The weighting's preferences. Shape (n,), float64.
        stars: On the five-star scale; NaN for a dislike without a number, which weighs nothing. Shape (n,), float64.
        rated_at: Milliseconds since 1970. Shape (n,), int64.
    """

    rows: NDArray[np.int32]
    preferences: NDArray[np.float64]
    stars: NDArray[np.float64]
    rated_at: NDArray[np.int64]
    _last: list[Any] = field(default_factory=list, init=False, repr=False)

    @property
    def likes(self) -> int:
        """How many items are liked fully: four stars or more."""
        return int(np.count_nonzero(self.preferences >= 1.0))

    @property
    def numbered(self) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Rows and stars without the dislikes that have no number: the columns themselves, if there is none."""
        missing = np.isnan(self.stars)
        return (self.rows[~missing], self.stars[~missing]) if missing.any() else (self.rows, self.stars)

    def without(self, rows: Collection[int]) -> "Opinions":
        """All but those of some items."""
        kept = ~np.isin(self.rows, list(rows))
        return Opinions(self.rows[kept], self.preferences[kept], self.stars[kept], self.rated_at[kept])

    def query(self, recipe: Recipe, catalog: Catalog) -> Query:
        """The query of a recipe: q_i = phi_i / max(d_i, 1)^a and x_i = v(stars), both times f + (1 - f) 2^(-newer / H).

        The last one is remembered, and is the answer while recipe and counts are the same.

        Args:
            recipe: The recipe.
            catalog: The items, with the counts.
        """
        of = recipe, catalog, catalog.counts.version, catalog.rows
        if not self._last or self._last[0] != of:
            self._last[:] = of, self._query(recipe, catalog)
        query: Query = self._last[1]
        return query

    def _query(self, recipe: Recipe, catalog: Catalog) -> Query:
        values = self.preferences
        affinities = np.where(np.isnan(self.stars), 0.0, affinity(self.stars)) if recipe.fit else self.preferences
        if recipe.query_damping:
            values = values * catalog.counts.costs(recipe.query_damping).take(self.rows)
        if recipe.recency_half_life is not None:
            newer = self.rated_at.size - np.searchsorted(np.sort(self.rated_at), self.rated_at, side="right")
            floor = recipe.recency_floor
            recency = floor + (1.0 - floor) * np.exp2(-newer / recipe.recency_half_life)
            values, affinities = values * recency, affinities * recency
        return Query(self.rows, values, affinities, catalog.rows)


class _Known(BoundedCache[int, tuple[UserProfile, Opinions]]):
    """The opinions of profiles, by which object each is: an entry holds its profile, so no other one is that object."""

    def get(self, profile: UserProfile) -> Opinions | None:
        if (entry := self._entries.get(id(profile))) is None:
            return None
        self._entries.move_to_end(id(profile))
        return entry[1][1]

    def put(self, profile: UserProfile, opinions: Opinions) -> None:
        self._keep(id(profile), (profile, opinions), profile.items.size * _BYTES_A_RATING + _OVERHEAD)


class OpinionReader:
    """Reads opinions from profiles and requests.

    Args:
        catalog: The items.
        weighting: The collection's weighting.
        scale: Its scale.
        memory: Bytes for opinions to keep, where whoever asks again has the same profile, the same object, until it is
            written.
    """

    def __init__(self, catalog: Catalog, weighting: Weighting, scale: RatingScale, memory: int = 0) -> None:
        self._catalog = catalog
        self._weighting = weighting
        self._scale = scale
        self._known = _Known(memory) if memory else None

    def read(self, profile: UserProfile, inline: Sequence[InlineRating]) -> Opinions:
        """The opinions of a profile, overlaid by those of a request.

        Args:
            profile: The stored ratings.
            inline: The request's, each item once.

        Raises:
            InvalidArgumentError: A rating is off the scale, or an item is rated twice.
            ItemNotFoundError: The catalog lacks an item.
        """
        stored = self._stored(profile)
        if not inline:
            return stored
        given = self._inline(inline)
        kept = stored.without(given.rows.tolist())
        return Opinions(
            np.concatenate([kept.rows, given.rows]),
            np.concatenate([kept.preferences, given.preferences]),
            np.concatenate([kept.stars, given.stars]),
            np.concatenate([kept.rated_at, given.rated_at]),
        )

    def _stored(self, profile: UserProfile) -> Opinions:
        if self._known is None:
            return self._read(profile)
        if (known := self._known.get(profile)) is None:
            self._known.put(profile, known := self._read(profile))
        return known

    def _read(self, profile: UserProfile) -> Opinions:
        items, values, rated_at = profile.ratings
        return Opinions(
            self._catalog.rows_of(items), self._weighting.preferences(values), self._scale.stars(values), rated_at
        )

    def _inline(self, ratings: Sequence[InlineRating]) -> Opinions:
        rows: dict[int, tuple[float, float]] = {}
        violations = []
        for place, rating in enumerate(ratings):
            row = self._catalog.row_of(rating.item_id)
            if row is None:
                raise ItemNotFoundError(rating.item_id)
            if row in rows:
                violations.append(FieldViolation(f"ratings[{place}].item_id", "names an item that is rated already"))
            rows[row] = 0.0, np.nan
            if isinstance(rating.opinion, Reaction):
                rows[row] = self._weighting.preference_of(rating.opinion), self._stars_of(rating.opinion)
            elif self._scale.contains(rating.opinion):
                value = np.array([rating.opinion], np.float32)
                rows[row] = float(self._weighting.preferences(value)[0]), float(self._scale.stars(value)[0])
            else:
                violations.append(FieldViolation(f"ratings[{place}].value", f"must be {self._scale}"))
        if violations:
            raise InvalidArgumentError(violations)
        columns = np.array(list(rows.values())).reshape(-1, 2)
        return Opinions(
            np.fromiter(rows, np.int32, len(rows)), columns[:, 0], columns[:, 1], np.full(len(rows), _NEWEST)
        )

    def _stars_of(self, reaction: Reaction) -> float:
        """The stars of a LIKE; a DISLIKE weighs nothing, and has none."""
        value = self._scale.value_of(reaction) if reaction is Reaction.LIKE else None
        return float("nan") if value is None else float(self._scale.stars(np.array([value]))[0])
