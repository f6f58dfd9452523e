"""The people who rate like a user, by name: only where the operator allows it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kindred.attribute_names import AttributeNames
from kindred.catalog import Catalog
from kindred.errors import InvalidArgumentError, PreconditionError
from kindred.filter_effect import FilterEffect
from kindred.neighborhood import Neighborhood
from kindred.neighbors import NeighborFinder, NeighborQuery
from kindred.opinions import OpinionReader
from kindred.ratings import EMPTY_PROFILE
from kindred.recipes import Recipe
from kindred.recommendation import InlineRating
from kindred.stores.port import Store, point_id_of
from kindred.user_filter import EVERY_USER, UserFilter


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
        names: What is known of the users' attributes.
        reader: Reads opinions.
        finder: Searches.
        recipe: Whose query to compare with.
        allowed: Whether users may be named.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        names: AttributeNames,
        *,
        reader: OpinionReader,
        finder: NeighborFinder,
        recipe: Recipe,
        allowed: bool,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._names = names
        self._reader = reader
        self._finder = finder
        self._recipe = recipe
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
        if violations := await self._names.check(request.users, "filter"):
            raise InvalidArgumentError(violations)
        hood = await self._neighborhood(request)
        found = [] if hood is None else by_similarity(hood)
        effects: list[FilterEffect] = []
        if request.users and len(found) < request.limit:
            total, kept = await self._store.count_users(), await self._store.count_users(request.users)
            effects.append(FilterEffect("filter", total - kept, total))
        return SimilarUsersAnswer(found, effects)

    async def _neighborhood(self, request: SimilarUsersRequest) -> Neighborhood | None:
        own = None if request.user_id is None else point_id_of(request.user_id)
        [stored] = [None] if own is None else await self._store.users([own])
        opinions = self._reader.read(EMPTY_PROFILE if stored is None else stored.profile, request.ratings)
        query = opinions.query(self._recipe, self._catalog)
        if not np.any(query.values):
            return None
        asked = NeighborQuery(query, request.limit, request.min_overlap, own, request.users or None)
        [hood] = await self._finder.gather([asked], await self._finder.search([asked]))
        return hood


def by_similarity(hood: Neighborhood) -> list[SimilarUser]:
    """The neighbors, the most similar first; ties by user id.

    Args:
        hood: The neighbors.
    """
    rated = np.zeros(hood.query.size, np.int64)
    rated[hood.query.rows] = 1
    shared = np.add.reduceat(rated[hood.rows], hood.starts)
    return [
        SimilarUser(profile.user_id, *numbers)
        for profile, *numbers in zip(
            hood.profiles, hood.similarities.tolist(), shared.tolist(), hood.lengths.tolist(), strict=True
        )
    ]
