"""The people who rate like a user, by name: only where the operator allows it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.catalog import Catalog
from kindred.errors import FieldViolation, InvalidArgumentError, ItemNotFoundError, PreconditionError
from kindred.filter_effect import FilterEffect
from kindred.nearest_users import NearestUsers
from kindred.ratings import EMPTY_PROFILE, Reaction
from kindred.recipes import DEFAULT
from kindred.recommendation import InlineRating
from kindred.scoring import NOTHING, TIE_DIGITS, DecodedProfile
from kindred.stores.port import Store, point_id_of
from kindred.user_filter import EVERY_USER, UserFilter
from kindred.user_names import check_user_names
from kindred.weighting import SparseVector

_CANDIDATES = 1_000
"""Who shares several items need not be among the most similar: so many are looked at."""


@dataclass(frozen=True, slots=True)
class SimilarUser:
    """One similar user.

    Args:
        user_id: Who it is.
        similarity: The dot product of the query and the user's vector.
        shared_items: How many of the query's items they have rated.
        rated_items: How many items they have rated.
    """

    user_id: str
    similarity: float
    shared_items: int
    rated_items: int


@dataclass(frozen=True, slots=True)
class SimilarUsersRequest:
    """Whom to find similar users to.

    Args:
        user_id: A stored user, or None.
        ratings: Ratings that overlay the stored ones.
        limit: How many users.
        min_overlap: How many of the query's items a user must have rated.
        users: Who may be returned.
    """

    user_id: str | None = None
    ratings: Sequence[InlineRating] = ()
    limit: int = 10
    min_overlap: int = 1
    users: UserFilter = EVERY_USER


@dataclass(frozen=True, slots=True)
class SimilarUsersAnswer:
    """The users, the most similar first, and if there are too few of them: what the filter has left out."""

    users: Sequence[SimilarUser]
    filter_effects: Sequence[FilterEffect] = ()


class SimilarUsers:
    """Finds similar users.

    Args:
        store: The users.
        catalog: The items.
        nearest: Searches.
        allowed: Whether users may be named.
    """

    def __init__(self, store: Store, catalog: Catalog, nearest: NearestUsers, *, allowed: bool) -> None:
        self._store = store
        self._catalog = catalog
        self._nearest = nearest
        self._allowed = allowed

    def check_allowed(self) -> None:
        """Refuses to name users unless the operator allows it.

        Raises:
            PreconditionError: It is not allowed.
        """
        if not self._allowed:
            raise PreconditionError(
                "NAME_NEIGHBORS",
                "KINDRED_NAME_NEIGHBORS",
                "this server does not tell who its users are; its operator can allow it: KINDRED_NAME_NEIGHBORS=true",
            )

    async def similar(self, request: SimilarUsersRequest) -> SimilarUsersAnswer:
        """The users most similar to a user; ties by user id.

        Raises:
            PreconditionError: The operator does not allow it.
            InvalidArgumentError: The filter names what no user has, a rating is off the scale, or an item is rated
                twice.
            ItemNotFoundError: A rated item is not in the catalog.
            UnavailableError: The store is away.
        """
        self.check_allowed()
        await check_user_names(self._store, request.users, "filter")
        rows, preferences = await self._opinions(request)
        raters = np.maximum(self._catalog.counts.rated[rows], 1.0)
        values = preferences / raters**DEFAULT.query_damping
        weighs = values != 0
        found: list[SimilarUser] = []
        if weighs.any():
            vector = SparseVector(self._catalog.indexes[rows[weighs]], values[weighs].astype(np.float32))
            k = request.limit + 1 if request.min_overlap == 1 else max(_CANDIDATES, request.limit + 1)
            people = await self._nearest.find(vector, k, request.users)
            people = [profile for profile in people if profile.user_id != request.user_id]
            query, rated = np.zeros(self._catalog.rows), np.zeros(self._catalog.rows, np.bool_)
            query[rows], rated[rows] = values, True
            found = most_similar(people, query, rated, request.min_overlap, request.limit)
        effects: list[FilterEffect] = []
        if request.users and len(found) < request.limit:
            total, kept = await self._store.count_users(), await self._store.count_users(request.users)
            effects.append(FilterEffect("filter", total - kept, total))
        return SimilarUsersAnswer(found, effects)

    async def _opinions(self, request: SimilarUsersRequest) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The rows of the rated items, and the weighting's preferences for them; both of shape (n,)."""
        profile = EMPTY_PROFILE
        if request.user_id is not None:
            [stored] = await self._store.users([point_id_of(request.user_id)])
            profile = EMPTY_PROFILE if stored is None else stored.profile
        current = profile.current
        rows = self._catalog.rows_of(profile.items[current])
        preferences = self._store.metadata.weighting.preferences(profile.values[current])
        inline = self._inline(request.ratings)
        inline_rows = np.fromiter(inline, np.int32, len(inline))
        kept = ~np.isin(rows, inline_rows)
        return (
            np.concatenate([rows[kept], inline_rows]),
            np.concatenate([preferences[kept], np.fromiter(inline.values(), np.float64, len(inline))]),
        )

    def _inline(self, ratings: Sequence[InlineRating]) -> dict[int, float]:
        weighting, scale = self._store.metadata.weighting, self._store.metadata.scale
        preferences: dict[int, float] = {}
        violations = []
        for place, rating in enumerate(ratings):
            row = self._catalog.row_of(rating.item_id)
            if row is None:
                raise ItemNotFoundError(rating.item_id)
            if row in preferences:
                violations.append(FieldViolation(f"ratings[{place}].item_id", "names an item that is rated already"))
            preferences[row] = 0.0
            if isinstance(rating.opinion, Reaction):
                preferences[row] = weighting.preference_of(rating.opinion)
            elif scale.contains(rating.opinion):
                preferences[row] = float(weighting.preferences(np.array([rating.opinion], np.float32))[0])
            else:
                violations.append(FieldViolation(f"ratings[{place}].value", f"must be {scale}"))
        if violations:
            raise InvalidArgumentError(violations)
        return preferences


def most_similar(
    people: Sequence[DecodedProfile],
    query: NDArray[np.float64],
    rated: NDArray[np.bool_],
    min_overlap: int,
    limit: int,
) -> list[SimilarUser]:
    """The users with the highest positive similarities; ties by user id.

    Args:
        people: The users found, each with at least one rating, by user id.
        query: q by row. Shape (rows,).
        rated: Which items the query rates. Shape (rows,).
        min_overlap: How many of these a user must have rated.
        limit: How many users at most.
    """
    if not people:
        return []
    rows = np.concatenate([profile.rows for profile in people], dtype=np.intp)
    preferences = np.concatenate([profile.preferences for profile in people])
    lengths = np.array([profile.rows.size for profile in people])
    starts = np.cumsum(lengths) - lengths
    norms = np.array([profile.norm for profile in people])
    similarities = np.add.reduceat(query[rows] * preferences, starts) / norms
    shared = np.add.reduceat(rated[rows].astype(np.int64), starts)
    top = similarities.max()
    if top <= 0:
        return []
    order = np.argsort(-np.round(similarities / top, TIE_DIGITS), kind="stable")
    chosen = order[(similarities[order] > top * NOTHING) & (shared[order] >= min_overlap)][:limit]
    return [
        SimilarUser(people[place].user_id, float(similarities[place]), int(shared[place]), int(lengths[place]))
        for place in chosen.tolist()
    ]
