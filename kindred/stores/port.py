"""The port: what the heart needs of a store. edge.py adapts the embedded engine, qdrant/ a Qdrant server."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray

from kindred.errors import SchemaError
from kindred.items import CatalogEntry, Item
from kindred.ratings import RatingScale, UserProfile
from kindred.user_filter import UserFilter
from kindred.weighting import SparseVector, Weighting, make_weighting

SCHEMA_VERSION = 2
"""1 had the counts in every item; 2 has them in columns of their own."""
OLDEST_SCHEMA_VERSION = 1
"""The oldest that `kindred reindex` reads."""

NAMES_FROM = 1_000
"""From how many users a store tells some names of attributes."""

USER_NAMESPACE = UUID("6b3f5c1e-3a52-5d7c-9c64-6d1f7a0f2b11")
"""UUIDv5 namespace of user ids. Changing it loses every user whose id is no number."""

PointId = int | UUID
"""A decimal u64 user id as a number, any other one as its UUIDv5."""


class LogPosition(NamedTuple):
    """A place in the event log.

    Args:
        topic_id: The topic's id, which differs for every creation of a topic.
        partition: The partition.
        offset: The offset of one event.
    """

    topic_id: str
    partition: int
    offset: int

    def includes(self, other: "LogPosition") -> bool:
        """Whether everything up to `other` comes before or at this place: only within one partition of one topic."""
        return (self.topic_id, self.partition) == (other.topic_id, other.partition) and self.offset >= other.offset


class Removal(NamedTuple):
    """What forgetting a user removed: how many ratings and attributes."""

    ratings: int
    attributes: int


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user as stored.

    Args:
        user_id: The external id; empty for a forgotten user whose id is no number.
        profile: What the user's events say.
        revision: Grows by one with every write; 1 is the first.
        source: The last event that was applied; None for a bulk load.
        removal: What the last forgetting removed; None if there was none.
        known_point: Its point, where that is known already: it was read, or is about to be written; else None.
    """

    user_id: str
    profile: UserProfile
    revision: int
    source: LogPosition | None = None
    removal: Removal | None = None
    known_point: PointId | None = field(default=None, compare=False)

    @property
    def point_id(self) -> PointId:
        """Where the user is stored."""
        return point_id_of(self.user_id) if self.known_point is None else self.known_point


class UserWrite(NamedTuple):
    """A user to write, with the vector to find them by. It replaces revision `user.revision - 1`; 0 means nobody."""

    user: StoredUser
    vector: SparseVector


class Hits(NamedTuple):
    """The users that a search found, best first, as columns: point ids, versions and dot products.

    A point's version changes with every write of it.
    """

    point_ids: list[PointId]
    versions: list[int]
    scores: list[float]


class RatingCounts(NamedTuple):
    """How many users rate and like each item, as columns.

    Args:
        indexes: The items' indexes, ascending. Shape (n,), uint32.
        rated: How many users have rated each. Shape (n,), uint32.
        liked: How many of them like it. Shape (n,), uint32.
    """

    indexes: NDArray[np.uint32]
    rated: NDArray[np.uint32]
    liked: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class ChangedItem:
    """An item by its index, and when it was last written, in milliseconds since 1970 by the writer's clock."""

    index: int
    item: Item
    changed_at: int


@dataclass(frozen=True, slots=True)
class CollectionMetadata:
    """What a collection is and how it was written.

    Args:
        name: What it was loaded from, for people.
        scale: The scale of its ratings.
        weighting: What its vectors were made with.
        created_at: When it was loaded, ISO 8601.
        schema_version: The form of its payloads.
        included: By partition where the log goes on: every event before these places is in the collection since it
            became the current one. Empty if nobody knows.
    """

    name: str
    scale: RatingScale
    weighting: Weighting
    created_at: str
    schema_version: int = SCHEMA_VERSION
    included: tuple[LogPosition, ...] = ()

    def includes(self, position: LogPosition) -> bool:
        """Whether an event is in the collection for sure, whoever's it is."""
        return any(
            (each.topic_id, each.partition) == (position.topic_id, position.partition) and position.offset < each.offset
            for each in self.included
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "schema_version": self.schema_version,
            "name": self.name,
            "scale": _scale_json(self.scale),
            "weighting": {"name": self.weighting.name, "parameters": dict(self.weighting.parameters())},
            "created_at": self.created_at,
            "included": [
                {"topic_id": each.topic_id, "partition": each.partition, "offset": each.offset}
                for each in self.included
            ],
        }

    @classmethod
    def from_json(cls, data: Any, where: str, oldest: int = SCHEMA_VERSION) -> Self:
        """Reads what `to_json` made.

        Args:
            data: What was read.
            where: What it belongs to, for the error.
            oldest: The oldest schema version that will do.

        Raises:
            SchemaError: It is of another schema version, or damaged.
        """
        version = data.get("schema_version") if isinstance(data, Mapping) else None
        if not isinstance(version, int) or not oldest <= version <= SCHEMA_VERSION:
            older = isinstance(version, int) and OLDEST_SCHEMA_VERSION <= version < SCHEMA_VERSION
            mend = "write it anew: kindred reindex" if older else "load it again: kindred load … --replace"
            raise SchemaError(
                where,
                f"{where} has schema version {version}, this version of Kindred reads {SCHEMA_VERSION}; {mend}",
            )
        try:
            scale = _scale_from(**data["scale"])
            weighting = make_weighting(data["weighting"]["name"], scale, data["weighting"]["parameters"])
            included = tuple(LogPosition(**each) for each in data.get("included", ()))
            return cls(data["name"], scale, weighting, data["created_at"], version, included)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            message = f"the metadata of {where} is damaged ({error}); load it again: kindred load … --replace"
            raise SchemaError(where, message) from error


def _scale_json(scale: RatingScale) -> dict[str, Any]:
    """Without a curve as ever. A version of Kindred that knows no curves refuses one: it would read another scale."""
    bounds = {"minimum": scale.minimum, "maximum": scale.maximum}
    return bounds | {"curve": [[*knot] for knot in scale.curve]} if scale.curve else bounds


def _scale_from(minimum: float, maximum: float, curve: Iterable[Iterable[float]] = ()) -> RatingScale:
    return RatingScale(minimum, maximum, tuple((float(value), float(stars)) for value, stars in curve))


class Store(Protocol):
    """A collection of users and items.

    Every method raises `UnavailableError` if the engine is away. Writes have happened when the call returns.
    """

    metadata: CollectionMetadata
    generation: str
    """The name of this collection among those that were, are and will be the current one."""
    shared: bool
    """Whether other processes read and write it, too."""

    async def is_current(self) -> bool:
        """Whether this is still the current collection: another may have been swapped in."""

    async def search(
        self, queries: Sequence[SparseVector], limit: int, filters: Sequence[UserFilter | None] = ()
    ) -> list[Hits]:
        """Finds the users with the highest dot products, best first, for each query.

        Users whose vectors share no dimension with the query are not found; dot products of 0 and below may be. Which
        of those that tie at the limit are found is the engine's choice: who needs another rule asks for more.

        Args:
            queries: Query vectors, none of them empty.
            limit: How many users a query.
            filters: For each query which users it may find, None for all; none given finds all for each.
        """

    async def users(self, point_ids: Sequence[PointId]) -> list[StoredUser | None]:
        """Reads users by point id, in the order of the ids; None where there is none."""

    async def write_users(self, writes: Sequence[UserWrite]) -> list[bool]:
        """Replaces users whose stored revision is the one before the written one.

        Args:
            writes: Users, each point once.

        Returns:
            For each whether it was written; False means that somebody else was faster: read, merge and try again.
        """

    def scan_users(self, page: int, allowed: UserFilter | None = None) -> AsyncIterator[list[StoredUser]]:
        """Reads users, a page at a time. Users written meanwhile may or may not be as they were.

        Args:
            page: Users a page, at most.
            allowed: Which users; None for all, the forgotten ones among them.
        """

    async def count_users(self, allowed: UserFilter | None = None) -> int:
        """Counts users, exactly.

        Args:
            allowed: Which users; None for all, the forgotten ones among them.
        """

    async def has_attribute(self, name: str) -> bool:
        """Whether any user has an attribute of this name.

        Args:
            name: The name, one that `check_user_filter` finds nothing wrong with.
        """

    async def some_attribute_names(self) -> frozenset[str]:
        """The names of the attributes of some users, a thousand at most: not every name there is."""

    async def items(self) -> list[CatalogEntry]:
        """Reads the whole catalog, with the counts."""

    async def changed_items(self, since: int) -> list[ChangedItem]:
        """Reads the items that were inserted or replaced lately; a load does not count.

        Args:
            since: From this time on, in milliseconds since 1970 by the writers' clocks.
        """

    async def insert_items(self, entries: Sequence[CatalogEntry]) -> list[bool]:
        """Adds items whose index is free, without counts; compare and swap on the index.

        Returns:
            For each whether its index now holds this item.
        """

    async def replace_items(self, entries: Sequence[CatalogEntry]) -> None:
        """Writes items, whether or not they are there; their counts stay as they are."""

    async def counts(self) -> RatingCounts:
        """Reads how many users rate and like each item, when they were last counted; items without any are left out."""

    async def write_counts(self, counts: RatingCounts) -> None:
        """Replaces the counts of all items."""

    async def close(self) -> None:
        """Flushes and closes. Idempotent."""


class CollectionBuilder(Protocol):
    """Builds a new collection aside; nothing is seen of it until `commit`. Left without commit, it leaves nothing.

    A context manager: leaving it without `commit` discards what was built.
    """

    def __enter__(self) -> Self:
        """Begins."""

    def __exit__(self, *exc_info: object) -> None:
        """Discards what was not committed."""

    def add_items(self, entries: Iterable[CatalogEntry]) -> None:
        """Adds items, each index once."""

    def add_users(self, users: Iterable[UserWrite]) -> None:
        """Adds users, each once, whatever their revision."""

    def commit(self, metadata: CollectionMetadata) -> None:
        """Optimizes, makes durable and swaps the new collection in for the old one."""

    @property
    def engine_seconds(self) -> float:
        """How long the engine itself has worked: the floor of a load."""


class SharedBuilder(CollectionBuilder, Protocol):
    """Builds a new collection that is read and written before it becomes the current one: `commit` in steps."""

    @property
    def replaces(self) -> bool:
        """Whether there is a collection to replace that other processes may be reading: `swap` does not drop it."""

    def seal(self, metadata: CollectionMetadata) -> None:
        """Ends the upload and describes the collection, which is not the current one yet."""

    async def open(self) -> Store:
        """Opens the sealed collection."""

    def describe(self, metadata: CollectionMetadata) -> None:
        """Describes the sealed collection anew."""

    def swap(self) -> None:
        """Makes it the current one, for everybody at once; the replaced one stays until `drop_replaced`."""

    def drop_replaced(self) -> None:
        """Drops the replaced collection, when the processes that read it have had time to follow."""


def point_id_of(user_id: str) -> PointId:
    """The point of a user: the id itself if it is a decimal u64 in its shortest form, else its UUIDv5.

    Args:
        user_id: The external id.
    """
    if user_id.isascii() and user_id.isdigit() and (user_id == "0" or user_id[0] != "0") and int(user_id) < 2**64:
        return int(user_id)
    return uuid5(USER_NAMESPACE, user_id)
