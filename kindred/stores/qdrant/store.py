"""The store of one process over the current collections of a Qdrant server. Many processes may have it open.

Conditional writes: a point is replaced only where its stored revision is the one before (`update_filter`), and inserted
only where there is none. Qdrant does not say whether it did, so each write carries a mark of its writer and is read
back. Two writers of one point must meet in one place: writes go through the shard's permanent leader (ordering
`strong`). With `weak`, replicas may see two writes in different orders, and each would let another one win; `medium`
allows the same for a moment while the leader changes.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import groupby
from secrets import token_hex
from time import time_ns
from typing import Any, Self

import grpc
from qdrant_client.grpc import (
    CollectionsStub,
    Condition,
    CountPoints,
    FieldCondition,
    Filter,
    GetCollectionInfoRequest,
    GetPoints,
    ListAliasesRequest,
    PointsStub,
    PointsUpdateOperation,
    QueryBatchPoints,
    Range,
    ScrollPoints,
    UpdateBatchPoints,
    UpdateMode,
    UpsertPoints,
    WithPayloadSelector,
    WriteOrdering,
    WriteOrderingType,
)

from kindred.errors import StoreNotLoadedError, UnavailableError
from kindred.items import CatalogEntry
from kindred.stores.clauses import ATTRIBUTES, WITH_ATTRIBUTES, Clauses, having
from kindred.stores.indexes import NO_INDEXES, IndexKind, user_indexes
from kindred.stores.payload import (
    FIRST_COUNTS_POINT,
    counts_payloads,
    item_payload,
    read_counts,
    read_item,
    read_user,
    user_payload,
    with_counts,
)
from kindred.stores.port import (
    NAMES_FROM,
    SCHEMA_VERSION,
    ChangedItem,
    CollectionMetadata,
    Hits,
    PointId,
    RatingCounts,
    StoredUser,
    UserWrite,
)
from kindred.stores.qdrant.collections import current_generation, items_collection, users_collection
from kindred.stores.qdrant.filters import filter_of, missing_indexes, user_filter
from kindred.stores.qdrant.messages import (
    EVERYTHING,
    NOTHING,
    check_done,
    equals,
    lacks,
    nearest,
    only,
    point,
    point_id_message,
    read_hits,
    read_payload,
    read_point_id,
)
from kindred.stores.qdrant.server import QdrantServer
from kindred.user_filter import UserFilter
from kindred.weighting import SparseVector

STRONG = WriteOrdering(type=WriteOrderingType.Strong)
_ITEMS_PER_PAGE = 2_000

Payload = dict[str, Any]


class QdrantStore:
    """See `kindred.stores.port.Store`."""

    shared = True

    def __init__(
        self, server: QdrantServer, channel: grpc.aio.Channel, name: str, generation: str, metadata: CollectionMetadata
    ) -> None:
        self.metadata = metadata
        self.generation = generation
        self._server = server
        self._channel = channel
        self._name = name
        self._users = users_collection(name, generation)
        self._items = items_collection(name, generation)
        self._points = PointsStub(channel)
        self._collections = CollectionsStub(channel)

    @classmethod
    async def open(
        cls,
        server: QdrantServer,
        name: str,
        generation: str | None = None,
        oldest: int = SCHEMA_VERSION,
        indexed: Mapping[str, IndexKind] = NO_INDEXES,
    ) -> Self:
        """Opens a collection.

        Args:
            server: Where it is.
            name: Its name.
            generation: Which of its generations; the current one if left out.
            oldest: The oldest schema version that will do: only writing it anew may read others.
            indexed: The attributes of users that have an index; the server begins to make those that are missing.

        Raises:
            StoreNotLoadedError: There is none under this name.
            SchemaError: It was written in another form.
            PreconditionError: The server is too old, refuses the key, or is none.
            UnavailableError: The server does not answer.
        """
        async with AsyncExitStack() as stack:
            channel = server.channel()
            stack.push_async_callback(channel.close)
            await server.check(channel)
            collections = CollectionsStub(channel)
            if generation is None:
                aliases = await server.call(collections.ListAliases, ListAliasesRequest())
                generation = current_generation(name, aliases.aliases)
            if generation is None:
                raise StoreNotLoadedError(
                    f"Qdrant at {server.target}", f"--qdrant-url {server.url} --collection {name}"
                )
            users = users_collection(name, generation)
            request = GetCollectionInfoRequest(collection_name=users)
            info = await server.call(collections.Get, request)
            where = f"collection {name!r} at {server.target}"
            metadata = CollectionMetadata.from_json(read_payload(info.result.config.metadata), where, oldest)
            points = PointsStub(channel)
            for creation in missing_indexes(users, user_indexes(indexed), info.result.payload_schema):
                await server.call(points.CreateFieldIndex, creation)
            stack.pop_all()
        return cls(server, channel, name, generation, metadata)

    async def is_current(self) -> bool:
        """See `Store.is_current`."""
        aliases = await self._server.call(self._collections.ListAliases, ListAliasesRequest())
        return current_generation(self._name, aliases.aliases) == self.generation

    async def search(
        self, queries: Sequence[SparseVector], limit: int, filters: Sequence[UserFilter | None] = ()
    ) -> list[Hits]:
        """See `Store.search`."""
        if not queries:
            return []
        requests = [
            nearest(self._users, query, limit, user_filter(allowed))
            for query, allowed in zip(queries, filters or [None] * len(queries), strict=True)
        ]
        if len(requests) == 1:
            response = await self._server.call(self._points.Query, requests[0])
            return [read_hits(response.result)]
        batch = QueryBatchPoints(collection_name=self._users, query_points=requests)
        response = await self._server.call(self._points.QueryBatch, batch)
        return [read_hits(each.result) for each in response.result]

    async def users(self, point_ids: Sequence[PointId]) -> list[StoredUser | None]:
        """See `Store.users`."""
        found = {
            point_id: read_user(point_id, payload)
            for point_id, payload in await self._read(self._users, point_ids, EVERYTHING)
        }
        return [found.get(point_id) for point_id in point_ids]

    async def write_users(self, writes: Sequence[UserWrite]) -> list[bool]:
        """See `Store.write_users`."""
        if not writes:
            return []
        mark = token_hex(8)
        ordered = sorted(writes, key=lambda write: write.user.revision)
        operations = [
            _conditional(revision, list(group), mark)
            for revision, group in groupby(ordered, key=lambda write: write.user.revision)
        ]
        batch = UpdateBatchPoints(collection_name=self._users, wait=True, operations=operations, ordering=STRONG)
        await self._server.call(self._points.UpdateBatch, batch)
        ids = [write.user.point_id for write in writes]
        stored = dict(await self._read(self._users, ids, only("revision", "writer")))
        return [
            (payload := stored.get(id_, {})).get("revision") == write.user.revision and payload.get("writer") == mark
            for id_, write in zip(ids, writes, strict=True)
        ]

    async def scan_users(self, page: int, allowed: UserFilter | None = None) -> AsyncIterator[list[StoredUser]]:
        """See `Store.scan_users`."""
        request = ScrollPoints(
            collection_name=self._users, filter=user_filter(allowed), limit=page, with_payload=EVERYTHING
        )
        async for payloads in self._pages(request):
            yield [read_user(point_id, payload) for point_id, payload in payloads]

    async def count_users(self, allowed: UserFilter | None = None) -> int:
        """See `Store.count_users`."""
        request = CountPoints(collection_name=self._users, filter=user_filter(allowed), exact=True)
        response = await self._server.call(self._points.Count, request)
        return int(response.result.count)

    async def has_attribute(self, name: str) -> bool:
        """See `Store.has_attribute`."""
        return bool(await self._some_users(having(name), 1, NOTHING))

    async def some_attribute_names(self) -> frozenset[str]:
        """See `Store.some_attribute_names`."""
        payloads = await self._some_users(WITH_ATTRIBUTES, NAMES_FROM, only(ATTRIBUTES))
        return frozenset(name for payload in payloads for name in payload[ATTRIBUTES])

    async def items(self) -> list[CatalogEntry]:
        """See `Store.items`."""
        request = ScrollPoints(collection_name=self._items, limit=_ITEMS_PER_PAGE, with_payload=EVERYTHING)
        items = [
            (index, read_item(payload))
            async for page in self._pages(request)
            for index, payload in _indexed(page)
            if index < FIRST_COUNTS_POINT
        ]
        return list(with_counts(items, await self.counts()))

    async def changed_items(self, since: int) -> list[ChangedItem]:
        """See `Store.changed_items`."""
        lately = Condition(field=FieldCondition(key="changed_at", range=Range(gte=since)))
        request = ScrollPoints(
            collection_name=self._items, filter=Filter(must=[lately]), limit=_ITEMS_PER_PAGE, with_payload=EVERYTHING
        )
        return [
            ChangedItem(index, read_item(payload), payload["changed_at"])
            async for page in self._pages(request)
            for index, payload in _indexed(page)
        ]

    async def insert_items(self, entries: Sequence[CatalogEntry]) -> list[bool]:
        """See `Store.insert_items`."""
        await self._write_items(entries, lacks("item_id"))
        held = dict(await self._read(self._items, [entry.index for entry in entries], only("item_id")))
        return [held.get(entry.index, {}).get("item_id") == entry.item.item_id for entry in entries]

    async def replace_items(self, entries: Sequence[CatalogEntry]) -> None:
        """See `Store.replace_items`."""
        await self._write_items(entries)

    async def counts(self) -> RatingCounts:
        """See `Store.counts`."""
        first = await self._read(self._items, [FIRST_COUNTS_POINT], EVERYTHING)
        points = first[0][1]["points"] if first else 0
        rest = [FIRST_COUNTS_POINT + place for place in range(1, points)]
        payloads = dict(first + (await self._read(self._items, rest, EVERYTHING) if rest else []))
        if len(payloads) < points:
            raise UnavailableError("store", "the counts are being written")
        return read_counts(payloads[FIRST_COUNTS_POINT + place] for place in range(points))

    async def write_counts(self, counts: RatingCounts) -> None:
        """See `Store.write_counts`."""
        points = [point(point_id, None, payload) for point_id, payload in counts_payloads(counts)]
        request = UpsertPoints(collection_name=self._items, wait=True, points=points, ordering=STRONG)
        check_done(await self._server.call(self._points.Upsert, request))

    async def close(self) -> None:
        """See `Store.close`."""
        await self._channel.close()

    async def _some_users(self, clauses: Clauses, limit: int, payload: WithPayloadSelector) -> list[Payload]:
        request = ScrollPoints(
            collection_name=self._users, filter=filter_of(clauses), limit=limit, with_payload=payload
        )
        response = await self._server.call(self._points.Scroll, request)
        return [read_payload(each.payload) for each in response.result]

    async def _write_items(self, entries: Sequence[CatalogEntry], condition: Filter | None = None) -> None:
        if not entries:
            return
        now = time_ns() // 1_000_000
        points = [point(entry.index, None, item_payload(entry.item, now)) for entry in entries]
        request = UpsertPoints(
            collection_name=self._items, wait=True, points=points, ordering=STRONG, update_filter=condition
        )
        check_done(await self._server.call(self._points.Upsert, request))

    async def _read(
        self, collection: str, point_ids: Sequence[PointId], payload: WithPayloadSelector
    ) -> list[tuple[PointId, Payload]]:
        if not point_ids:
            return []
        ids = [point_id_message(point_id) for point_id in dict.fromkeys(point_ids)]
        request = GetPoints(collection_name=collection, ids=ids, with_payload=payload)
        response = await self._server.call(self._points.Get, request)
        return [(read_point_id(each.id), read_payload(each.payload)) for each in response.result]

    async def _pages(self, request: ScrollPoints) -> AsyncIterator[list[tuple[PointId, Payload]]]:
        while True:
            response = await self._server.call(self._points.Scroll, request)
            yield [(read_point_id(each.id), read_payload(each.payload)) for each in response.result]
            if not response.HasField("next_page_offset"):
                return
            request.offset.CopyFrom(response.next_page_offset)


def _indexed(page: Iterable[tuple[PointId, Payload]]) -> Iterable[tuple[int, Payload]]:
    return ((int(point_id), payload) for point_id, payload in page)


def _conditional(revision: int, writes: Sequence[UserWrite], mark: str) -> PointsUpdateOperation:
    """The operation that writes users of one revision where the one before is stored: for the first one, nobody."""
    points = [point(write.user.point_id, write.vector, user_payload(write.user) | {"writer": mark}) for write in writes]
    first = revision == 1
    return PointsUpdateOperation(
        upsert=PointsUpdateOperation.PointStructList(
            points=points,
            update_filter=lacks("revision") if first else equals("revision", revision - 1),
            # The filter lets nobody replace a point, but anybody insert one. Qdrant 1.16 does not know the modes: there
            # a point that was deleted by hand would come back.
            update_mode=UpdateMode.InsertOnly if first else UpdateMode.UpdateOnly,
        )
    )
