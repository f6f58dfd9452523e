"""The collections in Qdrant: how they are named, made, described, swapped and dropped.

    NAME                      alias of the current generation's users: what makes a generation the current one
    NAME_users_GENERATION     one point a user
    NAME_items_GENERATION     one point an item, and the counts

A new generation is built aside and made current by moving one alias, which Qdrant does at once for everybody. What a
build that was killed has left, built or replaced, shows no sign of life, and is dropped by a later build.
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

import grpc
import structlog
from qdrant_client import QdrantClient
from qdrant_client.models import (
    CollectionInfo,
    CollectionStatus,
    CreateAlias,
    CreateAliasOperation,
    DeleteAlias,
    DeleteAliasOperation,
    IntegerIndexParams,
    IntegerIndexType,
    KeywordIndexParams,
    KeywordIndexType,
    OptimizersConfigDiff,
    PayloadSchemaType,
    SparseIndexParams,
    SparseVectorParams,
)

from kindred.errors import PreconditionError, UnavailableError
from kindred.stores.indexes import IndexKind, user_indexes
from kindred.stores.qdrant.messages import VECTOR
from kindred.stores.qdrant.server import QdrantServer, answering

log = structlog.get_logger(__name__)

_GENERATION = re.compile("[0-9a-f]{32}")
_ALIVE = "alive_at"
_DEAD_AFTER = 15 * 60
"""Seconds without a sign of life after which a generation is taken for dead: far more than clocks differ."""
_SETTLE_SECONDS = 3_600.0
_BUSY_SECONDS = 300.0
"""Seconds for which a server that optimizes may leave the question unanswered whether it still does."""
_SCHEMAS = {
    IndexKind.NUMBER: PayloadSchemaType.FLOAT,
    IndexKind.KEYWORD: PayloadSchemaType.KEYWORD,
    IndexKind.BOOL: PayloadSchemaType.BOOL,
    IndexKind.COUNT: PayloadSchemaType.INTEGER,
    IndexKind.TIME: PayloadSchemaType.DATETIME,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How new collections are laid out. What is None is left to the Qdrant server's own configuration.

    Args:
        shards: Into how many shards the users are split.
        replicas: How many copies of each shard there are.
        write_consistency: How many copies must have a write before it is acknowledged.
        payload_on_disk: Whether payloads, and so the profiles, stay on disk.
        index_on_disk: Whether the posting lists stay on disk.
        indexed: The attributes of users that have an index.
    """

    shards: int | None = None
    replicas: int | None = None
    write_consistency: int | None = None
    payload_on_disk: bool | None = None
    index_on_disk: bool | None = None
    indexed: Mapping[str, IndexKind] = field(default_factory=dict)


def users_collection(name: str, generation: str) -> str:
    """The collection of a generation's users."""
    return f"{name}_users_{generation}"


def items_collection(name: str, generation: str) -> str:
    """The collection of a generation's items."""
    return f"{name}_items_{generation}"


class Alias(Protocol):
    """An alias, as either of the clients has it."""

    @property
    def alias_name(self) -> str:
        """Its name."""

    @property
    def collection_name(self) -> str:
        """The collection that it stands for."""


def current_generation(name: str, aliases: Iterable[Alias]) -> str | None:
    """The generation that a server's aliases name as the current one; None if nothing is loaded."""
    prefix = users_collection(name, "")
    for alias in aliases:
        if alias.alias_name == name and alias.collection_name.startswith(prefix):
            return alias.collection_name.removeprefix(prefix)
    return None


class Collections:
    """The collections under one name. Its calls block.

    Args:
        client: The high-level client.
        server: What the client is connected to, for errors.
        name: The name that the settings give.
    """

    def __init__(self, client: QdrantClient, server: QdrantServer, name: str) -> None:
        self._client = client
        self._server = server
        self._name = name

    def current(self) -> str | None:
        """The current generation; None if nothing is loaded."""
        with answering(self._server):
            return current_generation(self._name, self._client.get_aliases().aliases)

    def create(self, layout: Layout) -> str:
        """Makes the empty collections of a new generation, which is not current, and gives its name."""
        generation = uuid4().hex
        users, items = users_collection(self._name, generation), items_collection(self._name, generation)
        common: dict[str, Any] = {
            "vectors_config": {},
            "replication_factor": layout.replicas,
            "write_consistency_factor": layout.write_consistency,
            "on_disk_payload": layout.payload_on_disk,
        }
        with answering(self._server):
            self._client.create_collection(
                users,
                sparse_vectors_config={
                    VECTOR: SparseVectorParams(index=SparseIndexParams(on_disk=layout.index_on_disk))
                },
                shard_number=layout.shards,
                metadata={_ALIVE: time.time()},
                **common,
            )
            # The catalog is small and read whole: one shard.
            self._client.create_collection(items, shard_number=1, metadata={_ALIVE: time.time()}, **common)
            number = IntegerIndexParams(type=IntegerIndexType.INTEGER, lookup=True, range=True)
            self._client.create_payload_index(users, "revision", number)
            for path, kind in user_indexes(layout.indexed).items():
                self._client.create_payload_index(users, path, _SCHEMAS[kind])
            self._client.create_payload_index(items, "changed_at", number)
            self._client.create_payload_index(items, "item_id", KeywordIndexParams(type=KeywordIndexType.KEYWORD))
        return generation

    def beat(self, generation: str) -> None:
        """Tells other builds that a generation is still wanted: it is being built, or was replaced a moment ago."""
        with answering(self._server):
            self._client.update_collection(users_collection(self._name, generation), metadata={_ALIVE: time.time()})

    def check_name(self) -> None:
        """Sees that the alias is ours to move.

        Raises:
            PreconditionError: A collection has its name, or it is an alias of somebody else's collection.
        """
        with answering(self._server):
            taken = self._name in {each.name for each in self._client.get_collections().collections}
            aliases = {each.alias_name: each.collection_name for each in self._client.get_aliases().aliases}
        if taken or not aliases.get(self._name, prefix := users_collection(self._name, "")).startswith(prefix):
            message = f"{self._name!r} at {self._server.target} is something else's; choose another --collection"
            raise PreconditionError("COLLECTION", self._name, message)

    def describe(self, generation: str, metadata: dict[str, Any]) -> None:
        """Writes the metadata of a generation."""
        with answering(self._server):
            self._client.update_collection(users_collection(self._name, generation), metadata=metadata)

    def settle(self, generation: str) -> None:
        """Waits until the server has optimized what was written.

        Raises:
            UnavailableError: It did not within an hour, or failed.
        """
        deadline, pause = time.monotonic() + _SETTLE_SECONDS, 0.01
        for collection in (users_collection(self._name, generation), items_collection(self._name, generation)):
            while True:
                info = self._info(collection)
                if info.status is CollectionStatus.GREEN:
                    break
                if info.status is CollectionStatus.RED or time.monotonic() > deadline:
                    message = "Qdrant failed to optimize the new collection; its log has the reason"
                    raise UnavailableError("store", message)
                if info.status is CollectionStatus.GREY:  # it was restarted, and optimizes only what changes
                    with answering(self._server):
                        self._client.update_collection(collection, optimizers_config=OptimizersConfigDiff())
                time.sleep(pause)
                pause = min(2 * pause, 1.0)

    def _info(self, collection: str) -> CollectionInfo:
        """What the server says of a collection. While it optimizes it may be too busy to say so in time."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            with answering(self._server):
                try:
                    return self._client.get_collection(collection)
                except grpc.RpcError as error:
                    if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED or time.monotonic() > deadline:
                        raise

    def prepare_swap(self, instead_of: str | None) -> None:
        """Sees that the current generation is the one to replace, and keeps it from being dropped too early.

        Args:
            instead_of: The one that a build began with; None for none.

        Raises:
            PreconditionError: Another one has become the current one meanwhile.
        """
        if self.current() != instead_of:
            message = f"another build has replaced the collection {self._name!r} meanwhile; start again"
            raise PreconditionError("SWAPPED", self._name, message)
        if instead_of is not None:
            self.beat(instead_of)

    def make_current(self, generation: str) -> None:
        """Moves the alias to a generation: everybody sees the old one before, and the new one after.

        Raises:
            UnavailableError: The server does not answer; nobody knows which one is current.
        """
        old = [DeleteAliasOperation(delete_alias=DeleteAlias(alias_name=self._name))] if self.current() else []
        users = users_collection(self._name, generation)
        new = CreateAliasOperation(create_alias=CreateAlias(collection_name=users, alias_name=self._name))
        try:
            with answering(self._server):
                self._client.update_collection_aliases([*old, new])
        except UnavailableError:
            if self.current() != generation:  # an answer that was lost is none that was not given
                raise

    def drop(self, generation: str) -> None:
        """Drops the collections of a generation; those that are not there are none."""
        with answering(self._server):
            for collection in (users_collection(self._name, generation), items_collection(self._name, generation)):
                self._client.delete_collection(collection)

    def drop_leftovers(self) -> list[str]:
        """Drops what is neither current nor alive, and gives the generations."""
        current = self.current()
        with answering(self._server):
            names = [each.name for each in self._client.get_collections().collections]
        dead = [each for each in self._generations(names) if each != current and self._is_dead(each)]
        for generation in dead:
            log.warning("dropping a collection that nobody has finished or dropped", generation=generation)
            self.drop(generation)
        return dead

    def _generations(self, names: Sequence[str]) -> list[str]:
        prefixes = (users_collection(self._name, ""), items_collection(self._name, ""))
        found = {name.removeprefix(prefix) for prefix in prefixes for name in names if name.startswith(prefix)}
        return sorted(each for each in found if _GENERATION.fullmatch(each))

    def _is_dead(self, generation: str) -> bool:
        """Whether a generation that is not current is nobody's any more: neither built nor read as the replaced one."""
        with answering(self._server):
            collection = users_collection(self._name, generation)
            if not self._client.collection_exists(collection):
                return True
            metadata = self._client.get_collection(collection).config.metadata or {}
        return time.time() - float(metadata.get(_ALIVE, 0)) > _DEAD_AFTER
