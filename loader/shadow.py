"""A shadow of a collection: a copy that is built aside, brought up to the log and swapped in.

A shared collection is read and written all the while. Whatever consumers apply to the old collection before they
follow, they apply again: the new one says where the log goes on (`included`).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from operator import attrgetter

import numpy as np
import structlog
from numpy.typing import NDArray

from kindred.catalog import Catalog
from kindred.catalog_follower import OVERLAP_MS
from kindred.errors import UnavailableError
from kindred.eventlog.broker import Record
from kindred.eventlog.reader import LogReader
from kindred.events import UNKNOWN_ITEM, EventDecoder, EventError
from kindred.items import CatalogEntry, Item
from kindred.popularity import count_ratings
from kindred.ratings import RatingScale
from kindred.stores.port import (
    CollectionBuilder,
    CollectionMetadata,
    LogPosition,
    RatingCounts,
    SharedBuilder,
    Store,
    StoredUser,
    UserWrite,
)
from kindred.updater import ProfileUpdater, UserEvent
from kindred.weighting import Weighting, stored_vectors
from loader.progress import Progress

log = structlog.get_logger(__name__)

PAGE = 500
"""Users that are read at once."""
NEAR = 100
"""So many events behind the log is near enough to swap: consumers read the rest again."""
_ITEMS = 2_000
_SETTLE_PAUSE = 1.0
_QUIET_READS = 25
"""Reads that find nothing although there is something behind, before what consumers read again is left to them."""
_PATIENCE = 150
"""As many before it fails, where everything is wanted."""


class Tally:
    """Counts users, their ratings, and who rates and likes each item.

    Args:
        indexes: The indexes of the items, ascending. Shape (n,).
        scale: The scale of the ratings.
    """

    def __init__(self, indexes: NDArray[np.uint32], scale: RatingScale) -> None:
        self.users = 0
        self.ratings = 0
        self.rated = np.zeros(indexes.size, np.int64)
        self.liked = np.zeros(indexes.size, np.int64)
        self._indexes = indexes
        self._scale = scale

    def add(self, users: list[StoredUser]) -> None:
        """Counts some more users."""
        self.users += len(users)
        self.ratings += sum(user.profile.rating_count for user in users)
        rated, liked = count_ratings([user.profile for user in users], self._indexes, self._scale)
        self.rated += rated
        self.liked += liked

    def counts(self) -> RatingCounts:
        """As a store keeps them."""
        kept = self.rated > 0
        return RatingCounts(self._indexes[kept], self.rated[kept].astype(np.uint32), self.liked[kept].astype(np.uint32))


class Shadow:
    """A collection that is to be, and the one that it is copied from.

    Args:
        store: The one that is copied; it may be written meanwhile.
        progress: Is told how far it is.
    """

    def __init__(self, store: Store, progress: Progress) -> None:
        self.store = store
        self.progress = progress
        self.weighting: Weighting = store.metadata.weighting
        """What the shadow's vectors are made with."""
        self.items: dict[int, Item] = {}
        """What was copied, by index."""
        now = datetime.now(UTC)
        self._created_at = now.isoformat(timespec="seconds")
        self._since = int(now.timestamp() * 1000) - OVERLAP_MS

    def metadata(self, included: tuple[LogPosition, ...] = ()) -> CollectionMetadata:
        """The shadow's.

        Args:
            included: Where the log goes on; what the copied one says if left out.
        """
        old = self.store.metadata
        included = included or old.included
        return CollectionMetadata(old.name, old.scale, self.weighting, self._created_at, included=included)

    async def copy_items(self, builder: CollectionBuilder) -> None:
        """Copies the items as they are now, without counts."""
        self._add_items(builder, await self._items_now(), None)

    async def _items_now(self) -> list[CatalogEntry]:
        return sorted(await self.store.items(), key=attrgetter("index"))

    def _add_items(self, builder: CollectionBuilder, items: list[CatalogEntry], tally: Tally | None) -> None:
        self.progress.stage("Writing items", len(items))
        for first in range(0, len(items), _ITEMS):
            builder.add_items(
                CatalogEntry(entry.index, entry.item, int(tally.rated[place]), int(tally.liked[place]))
                if tally
                else CatalogEntry(entry.index, entry.item)
                for place, entry in enumerate(items[first : first + _ITEMS], start=first)
            )
            self.progress.advance(min(_ITEMS, len(items) - first))
        self.items = {entry.index: entry.item for entry in items}

    async def copy_all(
        self, builder: CollectionBuilder, change: Callable[[StoredUser], StoredUser] = lambda user: user
    ) -> Tally:
        """Copies everything as it is now, and counts anew who rates and likes each item.

        Args:
            builder: Takes it.
            change: What becomes of a user.

        Returns:
            What was copied.
        """
        self.progress.stage("Writing users", None)
        items = await self._items_now()  # what is added from now on is brought up later
        tally = Tally(np.array([entry.index for entry in items], np.uint32), self.store.metadata.scale)
        async for page in self.store.scan_users(PAGE):
            vectors = stored_vectors(self.weighting, [user.profile for user in page])
            builder.add_users([UserWrite(change(user), vector) for user, vector in zip(page, vectors, strict=True)])
            tally.add(page)
        self._add_items(builder, items, tally)
        return tally

    async def bring_items_up(self, copy: Store) -> list[CatalogEntry]:
        """Copies the items that were written to the old collection since, unless they were written to the new one."""
        if not self.store.shared:
            return []
        changed = {each.index: each.item for each in await self.store.changed_items(self._since)}
        changed = {index: item for index, item in changed.items() if self.items.get(index) != item}
        if not changed:
            return []
        written = {each.index: each.item for each in await copy.changed_items(self._since)}
        missing = [
            CatalogEntry(index, item)
            for index, item in changed.items()
            if written.get(index, self.items.get(index)) == self.items.get(index)
        ]
        new = [entry for entry in missing if entry.index not in self.items]
        await copy.insert_items(new)
        await copy.replace_items([entry for entry in missing if entry.index in self.items])
        self.items |= changed
        return missing

    async def finish(
        self,
        builder: SharedBuilder,
        bring_up: Callable[[Store], Awaitable[tuple[LogPosition, ...]]],
        grace: float,
    ) -> None:
        """Brings what was copied up to the log, and makes it the current collection.

        Args:
            builder: Has got what was copied.
            bring_up: Applies to the new collection what it lacks, and says where the log goes on.
            grace: Seconds until everybody has followed.
        """
        self.progress.stage("Optimizing", None)
        builder.seal(self.metadata())
        copy = await builder.open()
        try:
            included = await bring_up(copy)
            await self.bring_items_up(copy)
            builder.describe(self.metadata(included))
            builder.swap()
            if builder.replaces:
                self.progress.stage("Waiting until everybody has followed", None)
                await self._settle(copy, grace)
        finally:
            await copy.close()
        builder.drop_replaced()

    async def _settle(self, copy: Store, grace: float) -> None:
        """Brings over the items that were acknowledged right before the swap, as often as it takes.

        The new collection is current, come what may: what goes wrong now is a warning.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        while True:
            try:
                await self.bring_items_up(copy)
            except UnavailableError as error:
                log.warning("items may be missing that were written right before the swap", error=str(error))
            if (left := end - loop.time()) <= 0:
                return
            await asyncio.sleep(min(left, _SETTLE_PAUSE))


class LogApplier:
    """Applies to a shadow what the log has.

    Args:
        reader: Stands where to begin.
        shadow: Has been copied.
        copy: The new collection.
    """

    def __init__(self, reader: LogReader, shadow: Shadow, copy: Store) -> None:
        self.read = 0
        """How many records were read."""
        self.applied = 0
        """How many events were applied."""
        self.undecodable: Counter[str] = Counter()
        """By reason how many records hold no event that can be applied."""
        self._reader = reader
        self._shadow = shadow
        self._copy = copy
        self._catalog = Catalog(CatalogEntry(index, item) for index, item in shadow.items.items())
        self._decoder = EventDecoder(self._catalog, copy.metadata.scale)
        self._updater = ProfileUpdater(copy, lambda _: None)

    async def run(self, stage: str, near: int) -> None:
        """Reads until it is near the end.

        Args:
            stage: What this is, for people.
            near: How many records behind the end is near enough.

        Raises:
            UnavailableError: The store or the broker is away, or the broker keeps back what is to be read to the end.
        """
        behind, quiet = await self._reader.behind(), 0
        self._shadow.progress.stage(stage, behind)
        while behind > near or not self.read:
            records = await self._reader.read(0.2)
            quiet = 0 if records else quiet + 1
            if quiet and behind <= near:
                break
            if near and quiet > _QUIET_READS:
                break
            if quiet > _PATIENCE:
                raise UnavailableError("log", f"the broker does not give the last {behind:,} records; try again")
            await self._apply(records)
            self._shadow.progress.advance(len(records))
            behind = await self._reader.behind()

    async def _apply(self, records: list[Record]) -> None:
        events, wrong = self._decode(records)
        if wrong[UNKNOWN_ITEM]:
            self._catalog.put(await self._shadow.bring_items_up(self._copy))
            events, wrong = self._decode(records)
        self.read += len(records)
        self.undecodable += wrong
        self.applied += (await self._updater.apply(events)).events

    def _decode(self, records: list[Record]) -> tuple[list[UserEvent], Counter[str]]:
        """The events in records, and why others are none. Dead letters are the consumers' to write."""
        events, wrong = [], Counter[str]()
        for record in records:
            try:
                user_id, event = self._decoder.decode(record)
            except EventError as error:
                wrong[error.reason] += 1
                continue
            position = LogPosition(self._reader.topic_id, record.partition, record.offset)
            events.append(UserEvent(user_id, event, position))
        return events, wrong
