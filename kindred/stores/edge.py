"""The embedded store: Qdrant Edge, the engine of the Qdrant server, in this process and on disk.

Every call of the engine holds the interpreter's lock while it works (a search takes a fraction of a millisecond), so
the methods do not hand it to a thread: they run on the event loop and are atomic there. That, and the lock on the data
directory, is why `write_users` can compare revisions and write in one engine call for the whole batch.
"""

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from operator import attrgetter
from pathlib import Path
from time import perf_counter, time_ns
from typing import Self

import qdrant_edge as qe

from kindred.asker_cache import AskerCache
from kindred.errors import SchemaError, StoreLoadedError, StoreNotLoadedError
from kindred.items import CatalogEntry
from kindred.stores.clauses import ATTRIBUTES, WITH_ATTRIBUTES, Clauses, having
from kindred.stores.data_dir import LOAD_AGAIN, DataDir, write_json
from kindred.stores.edge_filter import edge_filter, filter_of
from kindred.stores.edge_shard import (
    VECTOR,
    Payload,
    PointParts,
    config,
    counts_points,
    engine,
    give_memory_back,
    item_parts,
    make_indexes,
    pages,
    records,
    user_parts,
)
from kindred.stores.indexes import NO_INDEXES, IndexKind, user_indexes
from kindred.stores.payload import FIRST_COUNTS_POINT, counts_of, read_counts, read_item, read_user, with_counts
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
from kindred.user_filter import UserFilter
from kindred.weighting import SparseVector

_PARTS = ("users", "items")

FOLD_EVERY = 4_000_000
"""After so many ratings a build turns what it has into a finished segment: as long as a segment is written to, its
posting lists are in memory, and to finish it doubles them."""
_UNMERGED, _MERGED = 1_000, 4
"""Segments, with the one that is written to: many while users come in, then three finished ones of about the same size.
One alone would spare each search some processor time, but making it takes half as much memory again."""
_BYTES_A_RATING = 6
"""In what the engine counts as the size of a segment's vectors, about."""
_SLACK = 1.25
_ASKERS_BYTES = 16 * 2**20
_COLUMNS = (attrgetter("id"), attrgetter("version"), attrgetter("score"))


def _read_metadata(path: Path, oldest: int) -> CollectionMetadata:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SchemaError(str(path), f"{path} cannot be read ({error}); {LOAD_AGAIN}") from error
    return CollectionMetadata.from_json(data, str(path), oldest)


class EdgeStore:
    """The store of one process over one data directory. See `kindred.stores.port.Store`."""

    shared = False

    def __init__(
        self,
        data_dir: DataDir | None,
        users: qe.EdgeShard,
        items: qe.EdgeShard,
        metadata: CollectionMetadata,
        generation: str,
        *,
        indexed: Mapping[str, IndexKind] = NO_INDEXES,
    ) -> None:
        # Without a folder it is somebody else's to close.
        self.metadata = metadata
        self.generation = generation
        self._data_dir = data_dir
        self._users = users
        self._items = items
        self._indexed = indexed
        self._askers: AskerCache[PointId] = AskerCache(_ASKERS_BYTES)
        self._closed = False

    @classmethod
    def open(cls, path: Path, oldest: int = SCHEMA_VERSION, indexed: Mapping[str, IndexKind] = NO_INDEXES) -> Self:
        """Opens a data directory.

        Args:
            path: The folder.
            oldest: The oldest schema version that will do: only writing it anew may read others.
            indexed: The attributes of users that have an index; those that have none yet get one.

        Raises:
            StoreInUseError: Another process has it open.
            StoreNotLoadedError: It holds no collection.
            SchemaError: Its collection was written in another form.
            UnavailableError: The engine cannot read it.
        """
        if not DataDir.is_loaded(path):  # opening must not make a folder where somebody mistyped a name
            raise StoreNotLoadedError(str(path), f"--data-dir {path}")
        data_dir = DataDir(path)
        try:
            generation = data_dir.current()
            metadata = _read_metadata(generation / "collection.json", oldest)
            users, items = (engine(partial(qe.EdgeShard.load, str(generation / part))) for part in _PARTS)
            for shard in (users, items):
                engine(shard.optimize)  # folds in what was written since the last start; at once if that is little
            make_indexes(users, user_indexes(indexed))
        except BaseException:
            data_dir.close()
            raise
        return cls(data_dir, users, items, metadata, generation.name, indexed=indexed)

    def successor(self) -> "EdgeBuilder":
        """Begins the collection that is to replace this one, which stays open meanwhile."""
        if self._data_dir is None:
            raise TypeError("a collection that is being built has no successor")
        return EdgeBuilder(self._data_dir.path, replace=True, opened=self._data_dir, indexed=self._indexed)

    async def is_current(self) -> bool:
        """See `Store.is_current`: nobody else can swap while this process has the folder."""
        return True

    async def search(
        self, queries: Sequence[SparseVector], limit: int, filters: Sequence[UserFilter | None] = ()
    ) -> list[Hits]:
        """See `Store.search`."""
        requests = [
            qe.QueryRequest(
                limit=limit,
                query=qe.Query.Nearest(qe.SparseVector(query.indices.tolist(), query.values.tolist()), VECTOR),
                filter=edge_filter(allowed),
                with_payload=False,
                with_vector=False,
            )
            for query, allowed in zip(queries, filters or [None] * len(queries), strict=True)
        ]
        if len(requests) == 1:
            found = [engine(lambda: self._users.query(requests[0]))]
        else:
            found = engine(lambda: self._users.query_batch(qe.QueryBatchRequest(requests)))
        return [Hits(*(list(map(column, hits)) for column in _COLUMNS)) for hits in found]

    async def users(self, point_ids: Sequence[PointId]) -> list[StoredUser | None]:
        """See `Store.users`."""
        if len(point_ids) == 1 and (asked_before := self._askers.get(point_ids)) is not None:
            return [*asked_before]
        found = {
            point_id: read_user(point_id, payload) for point_id, payload in self._read(self._users, point_ids, True)
        }
        users = [found.get(point_id) for point_id in point_ids]
        if len(users) == 1 and users[0] is not None and self._data_dir is not None:
            self._askers.put(point_ids[0], users[0])
        return users

    async def write_users(self, writes: Sequence[UserWrite]) -> list[bool]:
        """See `Store.write_users`."""
        ids = [write.user.point_id for write in writes]
        revisions = {point_id: payload["revision"] for point_id, payload in self._read(self._users, ids, ["revision"])}
        current = [revisions.get(id_, 0) == write.user.revision - 1 for id_, write in zip(ids, writes, strict=True)]
        points = [user_parts(write).point() for write, is_current in zip(writes, current, strict=True) if is_current]
        if points:
            self._askers.drop(ids)
            engine(lambda: self._users.update(qe.UpdateOperation.upsert_points(points)))
        return current

    async def scan_users(self, page: int, allowed: UserFilter | None = None) -> AsyncIterator[list[StoredUser]]:
        """See `Store.scan_users`."""
        for found in pages(self._users, page, edge_filter(allowed)):
            yield [read_user(point_id, payload) for point_id, payload in found]

    async def count_users(self, allowed: UserFilter | None = None) -> int:
        """See `Store.count_users`."""
        request = qe.CountRequest(exact=True, filter=edge_filter(allowed))
        return engine(partial(self._users.count, request))

    async def has_attribute(self, name: str) -> bool:
        """See `Store.has_attribute`."""
        return bool(self._some_users(having(name), 1, payload=False))

    async def some_attribute_names(self) -> frozenset[str]:
        """See `Store.some_attribute_names`."""
        found = self._some_users(WITH_ATTRIBUTES, NAMES_FROM, payload=[ATTRIBUTES])
        return frozenset(name for record in found for name in (record.payload or {})[ATTRIBUTES])

    async def items(self) -> list[CatalogEntry]:
        """See `Store.items`."""
        return list(
            with_counts(((index, read_item(payload)) for index, payload in self._item_payloads()), self._counts())
        )

    async def changed_items(self, since: int) -> list[ChangedItem]:
        """See `Store.changed_items`."""
        return [
            ChangedItem(index, read_item(payload), payload["changed_at"])
            for index, payload in self._item_payloads()
            if payload.get("changed_at", -1) >= since
        ]

    async def insert_items(self, entries: Sequence[CatalogEntry]) -> list[bool]:
        """See `Store.insert_items`."""
        points = [item_parts(entry, time_ns() // 1_000_000).point() for entry in entries]
        insert = qe.UpdateOperation.upsert_points(points, update_mode=qe.UpdateMode.InsertOnly)
        engine(lambda: self._items.update(insert))
        held = {
            index: payload["item_id"]
            for index, payload in self._read(self._items, [entry.index for entry in entries], ["item_id"])
        }
        return [held[entry.index] == entry.item.item_id for entry in entries]

    async def replace_items(self, entries: Sequence[CatalogEntry]) -> None:
        """See `Store.replace_items`."""
        points = [item_parts(entry, time_ns() // 1_000_000).point() for entry in entries]
        engine(lambda: self._items.update(qe.UpdateOperation.upsert_points(points)))

    async def counts(self) -> RatingCounts:
        """See `Store.counts`."""
        return self._counts()

    async def write_counts(self, counts: RatingCounts) -> None:
        """See `Store.write_counts`."""
        points = counts_points(counts)
        engine(lambda: self._items.update(qe.UpdateOperation.upsert_points(points)))

    async def close(self) -> None:
        """See `Store.close`."""
        if not self._closed:
            self._closed = True
            with ExitStack() as stack:  # the lock goes last, whatever happens before
                if self._data_dir is not None:
                    stack.callback(self._data_dir.close)
                for shard in (self._users, self._items):
                    stack.callback(engine, shard.close)

    def _some_users(self, clauses: Clauses, limit: int, *, payload: bool | list[str]) -> list[qe.Record]:
        request = qe.ScrollRequest(filter=filter_of(clauses), limit=limit, with_payload=payload, with_vector=False)
        found, _ = engine(partial(self._users.scroll, request))
        return found

    def _item_payloads(self) -> Iterator[tuple[int, Payload]]:
        for page in pages(self._items, 2_000):
            for point_id, payload in page:
                if (index := int(point_id)) < FIRST_COUNTS_POINT:
                    yield index, payload

    def _counts(self) -> RatingCounts:
        [*first] = self._read(self._items, [FIRST_COUNTS_POINT], payload=True)
        points = first[0][1]["points"] if first else 0
        ids = [FIRST_COUNTS_POINT + place for place in range(points)]
        return read_counts(payload for _, payload in sorted(self._read(self._items, ids, payload=True)))

    @staticmethod
    def _read(
        shard: qe.EdgeShard, point_ids: Sequence[PointId], payload: bool | list[str]
    ) -> list[tuple[PointId, Payload]]:
        ids: list[qe.PointId] = list(point_ids)
        return records(engine(lambda: shard.retrieve(ids, with_payload=payload, with_vector=False)))


class EdgeBuilder:
    """Builds a new generation of a data directory aside. See `kindred.stores.port.SharedBuilder`.

    Args:
        path: The data directory; made if it is not there.
        replace: Whether a collection that is there may be replaced.
        opened: The folder, if this process has it open already and closes it itself.
        indexed: The attributes of users that have an index.

    Raises:
        StoreInUseError: Another process has the folder open.
        StoreLoadedError: It holds a collection, and `replace` is false.
    """

    def __init__(
        self,
        path: Path,
        *,
        replace: bool = False,
        opened: DataDir | None = None,
        indexed: Mapping[str, IndexKind] = NO_INDEXES,
    ) -> None:
        self._data_dir = opened or DataDir(path)
        self._keep_open = opened is not None
        self._indexes = user_indexes(indexed)
        if DataDir.is_loaded(path) and not replace:
            self._close()
            raise StoreLoadedError(str(path))
        self._generation = self._data_dir.new_generation()
        self._metadata: CollectionMetadata | None = None
        self._committed = False
        self._engine_seconds = 0.0
        self._ratings = 0
        self._unfolded = 0
        self._folded = False
        self._counted: list[CatalogEntry] = []
        try:
            self._users, self._items = (
                engine(partial(qe.EdgeShard.create, str(self._generation / part), config())) for part in _PARTS
            )
        except BaseException:
            self._data_dir.discard(self._generation)
            self._close()
            raise

    def __enter__(self) -> Self:
        """Begins."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Closes, and discards what was not committed."""
        for shard in (self._users, self._items):
            shard.close()
        if not self._committed:
            self._data_dir.discard(self._generation)
        self._close()

    def add_items(self, entries: Iterable[CatalogEntry]) -> None:
        """See `CollectionBuilder.add_items`."""
        entries = list(entries)
        self._counted += [entry for entry in entries if entry.rated_count]
        self._upsert(self._items, [item_parts(entry) for entry in entries])

    def add_users(self, users: Iterable[UserWrite]) -> None:
        """See `CollectionBuilder.add_users`."""
        parts = [user_parts(user) for user in users]
        self._upsert(self._users, parts)
        added = sum(len(each.indices) for each in parts)
        self._ratings += added
        self._unfolded += added
        if self._unfolded >= FOLD_EVERY:
            self._unfolded = 0
            self._fold()

    @property
    def replaces(self) -> bool:
        """See `SharedBuilder.replaces`: nobody else has the folder open."""
        return False

    def seal(self, metadata: CollectionMetadata) -> None:
        """See `SharedBuilder.seal`."""
        start = perf_counter()
        points = counts_points(counts_of(self._counted))
        self._counted = []
        engine(lambda: self._items.update(qe.UpdateOperation.upsert_points(points)))
        self._engine_seconds += perf_counter() - start
        self.describe(metadata)

    async def open(self) -> EdgeStore:
        """See `SharedBuilder.open`: what is written there is part of what is built. It is closed after the swap."""
        if self._metadata is None:
            raise TypeError("open comes after seal")
        return EdgeStore(None, self._users, self._items, self._metadata, self._generation.name)

    def describe(self, metadata: CollectionMetadata) -> None:
        """See `SharedBuilder.describe`."""
        self._metadata = metadata

    def swap(self) -> None:
        """See `SharedBuilder.swap`: optimizes and makes durable what was built. The replaced one goes at once."""
        if self._metadata is None:
            raise TypeError("swap comes after seal")
        start = perf_counter()
        for shard in (self._items, self._users):
            engine(shard.optimize)
        if self._folded:
            self._merge()
        make_indexes(self._users, self._indexes)  # cheaper now than while users come in
        if self._folded:
            self._reopen_users(max(self._segments(), _MERGED))  # so it stays, whoever opens it
        for shard in (self._items, self._users):
            engine(shard.flush)
            shard.close()
        self._engine_seconds += perf_counter() - start
        write_json(self._generation / "collection.json", self._metadata.to_json())
        self._data_dir.make_current(self._generation)
        self._committed = True

    def drop_replaced(self) -> None:
        """See `SharedBuilder.drop_replaced`: `swap` has done it."""

    def commit(self, metadata: CollectionMetadata) -> None:
        """See `CollectionBuilder.commit`."""
        self.seal(metadata)
        self.swap()

    @property
    def engine_seconds(self) -> float:
        """See `CollectionBuilder.engine_seconds`."""
        return self._engine_seconds

    def _close(self) -> None:
        if not self._keep_open:
            self._data_dir.close()

    def _fold(self) -> None:
        start = perf_counter()
        engine(self._users.optimize)
        engine(self._users.flush)  # lets go of the segment that was written to
        if not self._folded:
            self._folded = True
            self._reopen_users(_UNMERGED)
        self._engine_seconds += perf_counter() - start

    def _merge(self) -> None:
        """Merges two segments at a time, and lets go of both before the next two."""
        third = int(self._ratings * _BYTES_A_RATING * _SLACK / (_MERGED - 1) / 1024)
        for segments in range(self._segments() - 1, _MERGED - 1, -1):
            self._reopen_users(segments, third)
            engine(self._users.optimize)

    def _segments(self) -> int:
        return engine(self._users.info).segments_count

    def _reopen_users(self, segments: int, largest: int | None = None) -> None:
        engine(self._users.flush)
        self._users.close()
        give_memory_back()  # merging needs the most of all
        self._users = engine(partial(qe.EdgeShard.load, str(self._generation / _PARTS[0]), config(segments, largest)))

    def _upsert(self, shard: qe.EdgeShard, parts: list[PointParts]) -> None:
        start = perf_counter()  # making and freeing the engine's objects is the engine's work, too
        engine(lambda: shard.update(qe.UpdateOperation.upsert_points([each.point() for each in parts])))
        self._engine_seconds += perf_counter() - start
