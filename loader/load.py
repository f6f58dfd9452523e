"""Loads a data set into a new collection: reads, merges, weighs and writes, in bounded memory."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kindred.items import CatalogEntry, Item
from kindred.ratings import Attributes, UserProfile
from kindred.star_curve import LIKED_FROM
from kindred.stores.port import CollectionBuilder, CollectionMetadata, StoredUser, UserWrite
from kindred.weighting import LikingWeighting, SparseVector, Weighting, ZScoreWeighting, stored_values
from loader.bad_rows import BadRows
from loader.errors import DataError
from loader.ids import UNKNOWN, Codes, allocate_indexes
from loader.moments import Moments
from loader.options import LoadOptions
from loader.profiles import ProfileColumns, profiles_of
from loader.progress import NoProgress, Progress
from loader.rating_buffer import ROW, RatingBuffer
from loader.source import DataSource, RatingChunk

_BATCH_RATINGS = 20_000
_BATCH_ITEMS = 2_000


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was loaded, and what was not.

    Args:
        name: The collection's name.
        users: Users stored.
        items: Items stored.
        ratings: Ratings stored.
        unknown_item_ratings: Ratings dropped because the catalog lacks their item.
        merged_ratings: Ratings merged into another of the same user and item.
        capped_ratings: Sums of such ratings beyond the scale, which are kept as its maximum.
        bad_rows: Rows that could not be read.
        bad_rows_report: The file that lists them, if there are any.
        seconds: How long the load took.
        engine_seconds: How much of that the engine worked.
    """

    name: str
    users: int
    items: int
    ratings: int
    unknown_item_ratings: int
    merged_ratings: int
    capped_ratings: int
    bad_rows: int
    bad_rows_report: Path | None
    seconds: float
    engine_seconds: float


def load(
    source: DataSource, builder: CollectionBuilder, options: LoadOptions | None = None, progress: Progress | None = None
) -> LoadReport:
    """Loads a data set and commits the collection.

    Args:
        source: The data set.
        builder: Builds the collection; the caller leaves it, which discards what an error left uncommitted.
        options: How to load.
        progress: Is told how far it is.

    Raises:
        DataError: The data set cannot be read, or has no ratings of items that it knows.
        UnavailableError: The engine failed.
    """
    with ExitStack() as cleanup:
        if gc.isenabled():  # millions of objects that all live to the end of their batch: looking for cycles costs 5 %
            gc.disable()
            cleanup.callback(gc.enable)
        return _Load(source, builder, options or LoadOptions(), progress or NoProgress(), cleanup).run()


class _Load:
    """One load, step by step."""

    def __init__(
        self,
        source: DataSource,
        builder: CollectionBuilder,
        options: LoadOptions,
        progress: Progress,
        cleanup: ExitStack,
    ) -> None:
        self._source = source
        self._builder = builder
        self._options = options
        self._progress = progress
        self._bad_rows = cleanup.enter_context(BadRows(options.bad_rows_report))
        self._buffer = cleanup.enter_context(RatingBuffer(options.rows_in_memory, options.spill_folder))
        self._user_codes = Codes()
        self._item_codes = Codes()
        self._moments = Moments()
        self._unknown_item_ratings = 0
        self._merged_ratings = 0
        self._capped_ratings = 0

    def run(self) -> LoadReport:
        start = perf_counter()
        self._progress.stage("Reading the catalog", None)
        items = self._source.items(self._bad_rows)
        attributes = self._source.user_attributes(self._bad_rows)
        if items is not None:
            self._item_codes = Codes((item.item_id for item in items), closed=True)
        self._read_ratings()
        pa.default_memory_pool().release_unused()  # the readers' blocks; the engine needs the memory from here on
        if items is None:
            items = [Item(item_id, item_id) for item_id in self._item_codes.ids]
        weighting = self._weighting()
        users, n_items = self._write(items, attributes, weighting), len(items)
        del items, attributes  # the engine needs the memory
        self._user_codes = self._item_codes = Codes()
        self._progress.stage("Optimizing", None)
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        included = self._options.included
        metadata = CollectionMetadata(self._source.name, self._source.scale, weighting, created_at, included=included)
        self._builder.commit(metadata)
        return LoadReport(
            name=self._source.name,
            users=users,
            items=n_items,
            ratings=self._buffer.rows - self._merged_ratings,
            unknown_item_ratings=self._unknown_item_ratings,
            merged_ratings=self._merged_ratings,
            capped_ratings=self._capped_ratings,
            bad_rows=self._bad_rows.count,
            bad_rows_report=self._bad_rows.report,
            seconds=perf_counter() - start,
            engine_seconds=self._builder.engine_seconds,
        )

    def _read_ratings(self) -> None:
        self._progress.stage("Reading ratings", self._source.size)
        for chunk, size in self._source.ratings(self._bad_rows):
            if chunk is not None:
                self._add(chunk)
            self._progress.advance(size)
        if not self._buffer.rows:
            dropped = self._unknown_item_ratings
            reason = f"none of the {dropped:,} ratings is of an item in the catalog" if dropped else "has no ratings"
            raise DataError(self._source.name, None, reason)

    def _add(self, chunk: RatingChunk) -> None:
        self._moments.add(chunk.values)
        rows = np.empty(chunk.values.size, ROW)
        item_codes = self._item_codes.encode(chunk.items)
        rows["user"] = self._user_codes.encode(chunk.users)
        rows["item"] = item_codes
        rows["value"] = chunk.values
        rows["time"] = chunk.times
        unknown = int(np.count_nonzero(item_codes == UNKNOWN))
        self._unknown_item_ratings += unknown
        self._buffer.add(rows[item_codes != UNKNOWN] if unknown else rows)

    def _weighting(self) -> Weighting:
        if self._options.weighting == "default":
            return LikingWeighting(self._source.scale, self._options.shrinkage)
        if not self._moments.std > 0:
            raise DataError(self._source.name, None, "z-scores need ratings that differ")
        return ZScoreWeighting(self._moments.mean, self._moments.std)

    def _write(self, items: Sequence[Item], attributes: Mapping[str, Attributes], weighting: Weighting) -> int:
        """Writes users and items; gives the number of users."""
        indexes = allocate_indexes(item.item_id for item in items)
        order = np.argsort(indexes)
        indexes, items = indexes[order], [items[place] for place in order.tolist()]
        ranks = np.empty(order.size, np.uint32)
        ranks[order] = np.arange(order.size)
        user_ids = self._user_codes.ids
        written = np.zeros(len(user_ids), np.bool_)
        rated, liked = np.zeros(len(items), np.int64), np.zeros(len(items), np.int64)
        self._progress.stage("Writing users", self._buffer.rows)
        for part in self._buffer.parts():
            profiles = profiles_of(part, ranks, self._options.duplicates, self._source.scale.maximum)
            self._merged_ratings += profiles.merged
            self._capped_ratings += profiles.capped
            written[profiles.users] = True
            rated += np.bincount(profiles.items, minlength=rated.size)
            likes = self._source.scale.stars(profiles.values) >= LIKED_FROM
            liked += np.bincount(profiles.items[likes], minlength=liked.size)
            self._progress.advance(profiles.merged)
            for batch in _batches(profiles, indexes, user_ids, attributes, weighting):
                self._builder.add_users(batch)
                self._progress.advance(sum(write.vector.indices.size for write in batch))
        silent = [
            UserWrite(StoredUser(user_id, UserProfile(attributes=facts), revision=1), _NO_VECTOR)
            for user_id, facts in attributes.items()
            if (code := self._user_codes.get(user_id)) == UNKNOWN or not written[code]
        ]
        for first in range(0, len(silent), _BATCH_ITEMS):
            self._builder.add_users(silent[first : first + _BATCH_ITEMS])
        self._progress.stage("Writing items", len(items))
        entries = [
            CatalogEntry(*entry) for entry in zip(indexes.tolist(), items, rated.tolist(), liked.tolist(), strict=True)
        ]
        for first in range(0, len(entries), _BATCH_ITEMS):
            self._builder.add_items(entries[first : first + _BATCH_ITEMS])
            self._progress.advance(len(entries[first : first + _BATCH_ITEMS]))
        return int(np.count_nonzero(written)) + len(silent)


_NO_VECTOR = SparseVector(np.empty(0, np.uint32), np.empty(0, np.float32))


def _batches(
    profiles: ProfileColumns,
    indexes: NDArray[np.uint32],
    user_ids: Sequence[str],
    attributes: Mapping[str, Attributes],
    weighting: Weighting,
) -> Iterator[list[UserWrite]]:
    """Users with their vectors, in lists of at least `_BATCH_RATINGS` ratings."""
    items, values, times, starts = indexes[profiles.items], profiles.values, profiles.times, profiles.starts
    nothing: Attributes = {}
    first = 0
    while first < profiles.users.size:
        after = min(int(np.searchsorted(starts, starts[first] + _BATCH_RATINGS)), profiles.users.size)
        begin, offset = int(starts[first]), int(starts[first])
        weights = stored_values(weighting, values[begin : starts[after]], starts[first:after] - offset)
        batch = []
        for code, end in zip(profiles.users[first:after].tolist(), starts[first + 1 : after + 1].tolist(), strict=True):
            user_id, rated = user_ids[code], items[begin:end]
            profile = UserProfile(rated, values[begin:end], times[begin:end], None, attributes.get(user_id, nothing))
            vector = SparseVector(rated, weights[begin - offset : end - offset])
            batch.append(UserWrite(StoredUser(user_id, profile, 1), vector))
            begin = end
        yield batch
        first = after
