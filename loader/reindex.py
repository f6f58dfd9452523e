"""Writes a collection anew from its stored profiles, with another weighting, and swaps it in.

A shared collection is read and written all the while. The copy is brought up to the log before the swap: it begins
where the consumers were when the copying began, so every event is in what was copied, or is applied after it. What
consumers apply to the old collection before they follow, they apply again: the new one says where the log goes on
(`included`).
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from time import perf_counter

import numpy as np
import structlog

from kindred.catalog import Catalog
from kindred.catalog_follower import OVERLAP_MS
from kindred.errors import UnavailableError
from kindred.eventlog.broker import AppliedTo, Record
from kindred.eventlog.reader import LogReader
from kindred.events import UNKNOWN_ITEM, EventDecoder, EventError
from kindred.items import CatalogEntry, Item
from kindred.popularity import count_ratings
from kindred.settings import Settings
from kindred.stores.choice import open_store, shared_builder
from kindred.stores.edge import EdgeStore
from kindred.stores.port import (
    OLDEST_SCHEMA_VERSION,
    CollectionBuilder,
    CollectionMetadata,
    LogPosition,
    Store,
    UserWrite,
)
from kindred.updater import ProfileUpdater, UserEvent
from kindred.weighting import LikingWeighting, Weighting, ZScoreWeighting, stored_vectors
from loader.errors import DataError
from loader.moments import Moments
from loader.options import WeightingName
from loader.progress import NoProgress, Progress

log = structlog.get_logger(__name__)

_PAGE = 500
_ITEMS = 2_000
_SETTLE_PAUSE = 1.0
_QUIET_READS = 25
"""Reads that find nothing although there is something behind: offsets without records, as transactions leave them."""
_NEAR = 100
"""So many events behind the log is near enough to swap: consumers read the rest again."""


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """What was written anew.

    Args:
        name: The collection's name.
        weighting: What its vectors are made with now.
        users: Users written.
        items: Items written.
        ratings: Their ratings.
        events: Events that came meanwhile and were applied before the swap.
        seconds: How long it took.
    """

    name: str
    weighting: str
    users: int
    items: int
    ratings: int
    events: int
    seconds: float


async def reindex(
    settings: Settings, weighting: WeightingName, shrinkage: float, progress: Progress | None = None
) -> ReindexReport:
    """Writes the current collection anew and swaps it in.

    Args:
        settings: Which collection, and where its events come from.
        weighting: What the vectors are to be made with.
        shrinkage: The default weighting's h.
        progress: Is told how far it is.

    Raises:
        DataError: The weighting cannot be made from these ratings.
        PreconditionError: The collection is in use by another process, not loaded or of another form.
        UnavailableError: The store or the broker is away; nothing has changed.
    """
    start = perf_counter()
    store = await open_store(settings, OLDEST_SCHEMA_VERSION)
    try:
        copying = _Copying(store, progress or NoProgress())
        copying.weighting = await copying.make(weighting, shrinkage)
        events = await _shared(settings, copying) if store.shared else await _embedded(copying)
    finally:
        await store.close()
    return ReindexReport(
        name=store.metadata.name,
        weighting=weighting,
        users=copying.users,
        items=len(copying.copied),
        ratings=copying.ratings,
        events=events,
        seconds=perf_counter() - start,
    )


async def _embedded(copying: "_Copying") -> int:
    """Nobody else has the folder: a copy is all there is to it."""
    if not isinstance(copying.store, EdgeStore):
        raise TypeError(f"{type(copying.store).__name__} is no embedded store")
    with copying.store.successor() as builder:
        await copying.copy_to(builder)
        builder.commit(copying.metadata())
    return 0


async def _shared(settings: Settings, copying: "_Copying") -> int:
    store = copying.store
    applied_to = AppliedTo(store.generation, store.metadata.included)
    # Before anything is copied: what consumers have applied by now is in what will be copied.
    async with LogReader(settings.broker(), settings.group, applied_to, max_records=settings.batch_size) as reader:
        with shared_builder(settings) as builder:
            await copying.copy_to(builder)
            builder.seal(copying.metadata())
            copy = await builder.open()
            try:
                events = await _CatchUp(reader, copying, copy).run()
                await copying.bring_items_up(copy)
                builder.describe(copying.metadata(await reader.positions()))
                builder.swap()
                copying.progress.stage("Waiting until everybody has followed", None)
                await _settle(copying, copy, settings.swap_grace)
            finally:
                await copy.close()
            builder.drop_replaced()
    return events


async def _settle(copying: "_Copying", copy: Store, grace: float) -> None:
    """Brings over the items that were acknowledged right before the swap, as often as it takes.

    The new collection is current, come what may: what goes wrong now is a warning.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + grace
    while True:
        try:
            await copying.bring_items_up(copy)
        except UnavailableError as error:
            log.warning("items may be missing that were written right before the swap", error=str(error))
        if (left := end - loop.time()) <= 0:
            return
        await asyncio.sleep(min(left, _SETTLE_PAUSE))


class _Copying:
    """Copies a store's users and items, with another weighting."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self.store = store
        self.progress = progress
        self.weighting: Weighting = store.metadata.weighting
        self.copied: dict[int, Item] = {}
        self.users = 0
        self.ratings = 0
        now = datetime.now(UTC)
        self._created_at = now.isoformat(timespec="seconds")
        self._since = int(now.timestamp() * 1000) - OVERLAP_MS

    async def make(self, name: WeightingName, shrinkage: float) -> Weighting:
        """The weighting; z-scores need a look at all ratings."""
        if name == "default":
            return LikingWeighting(self.store.metadata.scale, shrinkage)
        self.progress.stage("Reading ratings", None)
        moments = Moments()
        async for page in self.store.scan_users(_PAGE):
            for user in page:
                if user.profile.rating_count:
                    moments.add(user.profile.values[user.profile.current].astype("f8"))
        if not moments.std > 0:
            raise DataError(self.store.metadata.name, None, "z-scores need ratings that differ")
        return ZScoreWeighting(moments.mean, moments.std)

    def metadata(self, included: tuple[LogPosition, ...] = ()) -> CollectionMetadata:
        """The copy's."""
        old = self.store.metadata
        included = included or old.included
        return CollectionMetadata(old.name, old.scale, self.weighting, self._created_at, included=included)

    async def copy_to(self, builder: CollectionBuilder) -> None:
        """Copies everything as it is now, and counts anew who rates and likes each item."""
        self.progress.stage("Writing users", None)
        items = sorted(await self.store.items(), key=attrgetter("index"))
        indexes = np.array([entry.index for entry in items], np.uint32)
        rated, liked = np.zeros(indexes.size, np.int64), np.zeros(indexes.size, np.int64)
        async for page in self.store.scan_users(_PAGE):
            vectors = stored_vectors(self.weighting, [user.profile for user in page])
            builder.add_users([UserWrite(user, vector) for user, vector in zip(page, vectors, strict=True)])
            self.users += len(page)
            self.ratings += sum(user.profile.rating_count for user in page)
            page_rated, page_liked = count_ratings([user.profile for user in page], indexes, self.store.metadata.scale)
            rated += page_rated
            liked += page_liked
        self.progress.stage("Writing items", len(items))
        for first in range(0, len(items), _ITEMS):
            builder.add_items(
                CatalogEntry(entry.index, entry.item, int(rated[place]), int(liked[place]))
                for place, entry in enumerate(items[first : first + _ITEMS], start=first)
            )
            self.progress.advance(min(_ITEMS, len(items) - first))
        self.copied = {entry.index: entry.item for entry in items}
        self.progress.stage("Optimizing", None)

    async def bring_items_up(self, copy: Store) -> list[CatalogEntry]:
        """Copies the items that were written to the old collection since, unless they were written to the new one."""
        changed = {each.index: each.item for each in await self.store.changed_items(self._since)}
        changed = {index: item for index, item in changed.items() if self.copied.get(index) != item}
        if not changed:
            return []
        written = {each.index: each.item for each in await copy.changed_items(self._since)}
        missing = [
            CatalogEntry(index, item)
            for index, item in changed.items()
            if written.get(index, self.copied.get(index)) == self.copied.get(index)
        ]
        new = [entry for entry in missing if entry.index not in self.copied]
        await copy.insert_items(new)
        await copy.replace_items([entry for entry in missing if entry.index in self.copied])
        self.copied |= changed
        return missing


class _CatchUp:
    """Applies to the copy what the log has got since the copying began."""

    def __init__(self, reader: LogReader, copying: _Copying, copy: Store) -> None:
        self._reader = reader
        self._copying = copying
        self._copy = copy
        self._catalog = Catalog(CatalogEntry(index, item) for index, item in copying.copied.items())
        self._decoder = EventDecoder(self._catalog, copy.metadata.scale)
        self._updater = ProfileUpdater(copy, lambda _: None)

    async def run(self) -> int:
        """Reads until it is near the end, and gives the number of events that it has applied."""
        behind, applied = await self._reader.behind(), 0
        self._copying.progress.stage("Catching up with the log", behind)
        quiet = 0
        while behind > _NEAR or not applied:
            records = await self._reader.read(0.2)
            quiet = 0 if records else quiet + 1
            if quiet and (behind <= _NEAR or quiet > _QUIET_READS):
                break
            applied += await self._apply(records)
            self._copying.progress.advance(len(records))
            behind = await self._reader.behind()
        return applied

    async def _apply(self, records: list[Record]) -> int:
        events, unknown = self._decode(records)
        if unknown:
            self._catalog.put(await self._copying.bring_items_up(self._copy))
            events, _ = self._decode(records)
        return (await self._updater.apply(events)).events

    def _decode(self, records: list[Record]) -> tuple[list[UserEvent], bool]:
        """The events in records, and whether one is of an unknown item. Dead letters are the consumers' to write."""
        events, unknown = [], False
        for record in records:
            try:
                user_id, event = self._decoder.decode(record)
            except EventError as error:
                unknown |= error.reason == UNKNOWN_ITEM
                continue
            position = LogPosition(self._reader.topic_id, record.partition, record.offset)
            events.append(UserEvent(user_id, event, position))
        return events, unknown
