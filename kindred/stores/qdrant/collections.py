"""The collections in Qdrant: how they are named, made, described, swapped and dropped.

    NAME                      alias of the current generation's users: what makes a generation the current one
    NAME_users_GENERATION     one point a user
    NAME_items_GENERATION     one point an item, and the counts

A new generation is built aside and made current by moving one alias, which Qdrant does at once for everybody. What is
left of a build that was killed is known by its heartbeat, and is dropped by the next build.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import structlog
from qdrant_client import QdrantClient
from qdrant_client.grpc import ListAliasesResponse
from qdrant_client.models import (
    CollectionStatus,
    CreateAlias,
    CreateAliasOperation,
    DatetimeIndexParams,
    DatetimeIndexType,
    DeleteAlias,
    DeleteAliasOperation,
    IntegerIndexParams,
    IntegerIndexType,
    SparseIndexParams,
    SparseVectorParams,
)

from kindred.errors import UnavailableError
from kindred.stores.qdrant.messages import VECTOR
from kindred.stores.qdrant.server import QdrantServer, answering

log = structlog.get_logger(__name__)

_GENERATION = re.compile("[0-9a-f]{32}")
_HEARTBEAT = "building_at"
_DEAD_AFTER = 15 * 60
"""Seconds without a heartbeat after which a build is taken for dead: far more than clocks differ."""
_BEAT_EVERY = 30.0
_SETTLE_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Layout:
    """How new collections are laid out. What is None is left to the Qdrant server's own configuration.

    Args:
        shards: Into how many shards the users are split.
        replicas: How many copies of each shard there are.
        write_consistency: How many copies must have a write before it is acknowledged.
        payload_on_disk: Whether payloads, and so the profiles, stay on disk.
        index_on_disk: Whether the posting lists stay on disk.
    """

    shards: int | None = None
    replicas: int | None = None
    write_consistency: int | None = None
    payload_on_disk: bool | None = None
    index_on_disk: bool | None = None


def users_collection(name: str, generation: str) -> str:
    """The collection of a generation's users."""
    return f"{name}_users_{generation}"


def items_collection(name: str, generation: str) -> str:
    """The collection of a generation's items."""
    return f"{name}_items_{generation}"


def current_generation(name: str, response: ListAliasesResponse) -> str | None:
    """The generation that an answer about aliases names; None if nothing is loaded under this name."""
    prefix = users_collection(name, "")
    for alias in response.aliases:
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
        self._beat_at = 0.0

    def current(self) -> str | None:
        """The current generation; None if nothing is loaded."""
        with answering(self._server):
            found = self._client.get_aliases().aliases
        response = ListAliasesResponse()
        for alias in found:
            response.aliases.add(alias_name=alias.alias_name, collection_name=alias.collection_name)
        return current_generation(self._name, response)

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
                metadata={_HEARTBEAT: time.time()},
                **common,
            )
            # The catalog is small and read whole: one shard.
            self._client.create_collection(items, shard_number=1, metadata={_HEARTBEAT: time.time()}, **common)
            number = IntegerIndexParams(type=IntegerIndexType.INTEGER, lookup=True, range=True)
            moment = DatetimeIndexParams(type=DatetimeIndexType.DATETIME)
            self._client.create_payload_index(users, "revision", number)
            self._client.create_payload_index(users, "rating_count", number)
            self._client.create_payload_index(users, "last_rated_at", moment)
            self._client.create_payload_index(items, "changed_at", number)
        return generation

    def beat(self, generation: str) -> None:
        """Tells other builds, now and then, that this one lives."""
        if time.monotonic() - self._beat_at > _BEAT_EVERY:
            self._beat_at = time.monotonic()
            with answering(self._server):
                self._client.update_collection(
                    users_collection(self._name, generation), metadata={_HEARTBEAT: time.time()}
                )

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
                with answering(self._server):
                    info = self._client.get_collection(collection)
                if info.status is CollectionStatus.GREEN:
                    break
                if info.status is CollectionStatus.RED or time.monotonic() > deadline:
                    raise UnavailableError(
                        "store", "Qdrant failed to optimize the new collection; its log has the reason"
                    )
                self.beat(generation)
                time.sleep(pause)
                pause = min(2 * pause, 1.0)

    def make_current(self, generation: str) -> None:
        """Moves the alias to a generation: everybody sees the old one before, and the new one after."""
        with answering(self._server):
            there = any(each.alias_name == self._name for each in self._client.get_aliases().aliases)
            old = [DeleteAliasOperation(delete_alias=DeleteAlias(alias_name=self._name))] if there else []
            users = users_collection(self._name, generation)
            new = CreateAliasOperation(create_alias=CreateAlias(collection_name=users, alias_name=self._name))
            self._client.update_collection_aliases([*old, new])

    def drop(self, generation: str) -> None:
        """Drops the collections of a generation; those that are not there are none."""
        with answering(self._server):
            for collection in (users_collection(self._name, generation), items_collection(self._name, generation)):
                self._client.delete_collection(collection)

    def drop_leftovers(self) -> list[str]:
        """Drops what killed builds have left, and gives the generations."""
        current = self.current()
        with answering(self._server):
            names = [each.name for each in self._client.get_collections().collections]
        dead = [each for each in self._generations(names) if each != current and self._is_dead(each)]
        for generation in dead:
            log.warning("dropping what a build that was killed has left", generation=generation)
            self.drop(generation)
        return dead

    def _generations(self, names: Sequence[str]) -> list[str]:
        prefixes = (users_collection(self._name, ""), items_collection(self._name, ""))
        found = {name.removeprefix(prefix) for prefix in prefixes for name in names if name.startswith(prefix)}
        return sorted(each for each in found if _GENERATION.fullmatch(each))

    def _is_dead(self, generation: str) -> bool:
        """Whether a generation is a build whose heart stopped; one that was current once is somebody's to keep."""
        with answering(self._server):
            collection = users_collection(self._name, generation)
            if not self._client.collection_exists(collection):
                return True
            metadata = self._client.get_collection(collection).config.metadata or {}
        return "schema_version" not in metadata and time.time() - float(metadata.get(_HEARTBEAT, 0)) > _DEAD_AFTER
