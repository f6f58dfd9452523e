"""What the tests of the stores share: a place for a collection, and short ways to make users and items."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from kindred.items import CatalogEntry, Item
from kindred.ratings import EMPTY_PROFILE, Rated, RatingScale, UserProfile, merge
from kindred.stores.indexes import IndexKind
from kindred.stores.port import (
    CollectionBuilder,
    CollectionMetadata,
    LogPosition,
    Store,
    StoredUser,
    UserWrite,
)
from kindred.weighting import LikingWeighting, SparseVector, stored_vector

SCALE = RatingScale(0.5, 5.0)
WEIGHTING = LikingWeighting(SCALE)
METADATA = CollectionMetadata("contract", SCALE, WEIGHTING, "2024-05-06T07:08:09+00:00")


class StoreBackend(Protocol):
    """A place that can hold one collection, empty at the start of a test."""

    indexed: Mapping[str, IndexKind]
    """The attributes that have an index, from the next builder or store on."""

    opening: str
    """A Python expression, for another process, that opens the place; its value is a `Store` or awaitable to one."""

    def builder(self, *, replace: bool = False) -> CollectionBuilder:
        """Begins a new collection in this place."""

    async def open(self) -> Store:
        """Opens the collection in this place."""


def build(
    backend: StoreBackend,
    users: Iterable[UserWrite] = (),
    items: Iterable[CatalogEntry] = (),
    metadata: CollectionMetadata = METADATA,
    *,
    replace: bool = False,
) -> None:
    """Builds a collection and commits it."""
    with backend.builder(replace=replace) as builder:
        builder.add_items(items)
        builder.add_users(users)
        builder.commit(metadata)


def profile_of(ratings: Mapping[int, float], at: int = 1_000) -> UserProfile:
    """A profile with these values by item index."""
    return merge(EMPTY_PROFILE, [Rated(item, value, at) for item, value in ratings.items()])


def write(
    user_id: str, profile: UserProfile = EMPTY_PROFILE, revision: int = 1, source: LogPosition | None = None
) -> UserWrite:
    """A write of a user under the vector that the profile has."""
    return UserWrite(StoredUser(user_id, profile, revision, source), stored_vector(WEIGHTING, profile))


def placed(user_id: str, dimensions: Mapping[int, float], revision: int = 1) -> UserWrite:
    """A write of a user without ratings under an arbitrary vector: a search sees only the vector."""
    return UserWrite(StoredUser(user_id, EMPTY_PROFILE, revision), sparse(dimensions))


def sparse(dimensions: Mapping[int, float]) -> SparseVector:
    """A sparse vector with these values by dimension."""
    return SparseVector(np.array([*dimensions], np.uint32), np.array([*dimensions.values()], np.float32))


def entry(index: int, title: str = "", item_id: str | None = None) -> CatalogEntry:
    """An item at an index, by default under the index as its id."""
    return CatalogEntry(index, Item(str(index) if item_id is None else item_id, title))


async def scanned(pages: AsyncIterator[list[StoredUser]]) -> list[StoredUser]:
    """The users of all pages, in the order they came in."""
    return [user async for page in pages for user in page]


async def found(store: Store, query: Mapping[int, float], limit: int = 1_000) -> list[str]:
    """The ids of the users that a search finds with a positive score, best first."""
    [hits] = await store.search([sparse(query)], limit)
    users = await store.users([id_ for id_, score in zip(hits.point_ids, hits.scores, strict=True) if score > 0])
    return [user.user_id for user in users if user is not None]


def by_id(users: Sequence[StoredUser | None]) -> dict[str, StoredUser]:
    """Users by their id; those who are not there are left out."""
    return {user.user_id: user for user in users if user is not None}
