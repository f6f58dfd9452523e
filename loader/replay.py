"""Builds a collection anew from the event log, and swaps it in or puts it aside: repair, and a look at the past.

Onto the current profiles a replay repairs: what the log says is merged into them, and merging an event twice changes
nothing. Onto nothing it shows what the log alone says, now or at some time.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np

from kindred.errors import PreconditionError
from kindred.eventlog.broker import AppliedTo
from kindred.eventlog.reader import LogReader
from kindred.settings import Settings
from kindred.stores.choice import new_builder, open_store, successor, where
from kindred.stores.data_dir import DataDir
from kindred.stores.port import LogPosition, SharedBuilder, Store, StoredUser
from loader.log_span import PartitionSpan, Place, find_span
from loader.progress import NoProgress, Progress
from loader.shadow import NEAR, PAGE, LogApplier, Shadow, Tally

Onto = Literal["current", "nothing"]
"""What events are applied to: the current profiles, or nobody's."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to replay.

    Args:
        start: Where in the log to begin.
        until: Where to end.
        onto: What events are applied to.
        into: Names the collection to make, instead of replacing the current one.
        replace: Whether a collection that `into` names may be replaced.
        drop_other_users: Whether users may go that no event in this part of the log has made.
        another_log: Whether the log may be another than the one that the users' events came from.
        dry_run: Whether to only say what would be done.
    """

    start: Place
    until: Place = "latest"
    onto: Onto = "current"
    into: Settings | None = None
    replace: bool = False
    drop_other_users: bool = False
    another_log: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ReplayedPartition:
    """What of a partition was read: its span, and the times of the first and the last record, if they are known.

    Args:
        span: The offsets.
        first_at: Milliseconds since 1970.
        last_at: Milliseconds since 1970.
    """

    span: PartitionSpan
    first_at: int | None
    last_at: int | None


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What was replayed, or would be.

    Args:
        name: The collection's name.
        place: Where the new collection is.
        dry_run: Whether nothing was made.
        onto: What events were applied to.
        past: Whether the replay ended before the log does.
        partitions: What was read of each.
        copied_users: Users whose profiles were copied.
        copied_ratings: Their ratings.
        other_users: Users of the current collection that no event in this part of the log has made.
        items: Items copied.
        events: Records read, those that came meanwhile included.
        applied: Events applied.
        undecodable: By reason how many records hold no event that can be applied.
        users: Users in the new collection when the replay was over.
        ratings: Their ratings.
        seconds: How long it took.
    """

    name: str
    place: str
    dry_run: bool
    onto: Onto
    past: bool
    partitions: tuple[ReplayedPartition, ...]
    copied_users: int
    copied_ratings: int
    other_users: int
    items: int
    seconds: float
    events: int = 0
    applied: int = 0
    undecodable: dict[str, int] = field(default_factory=dict)
    users: int = 0
    ratings: int = 0


async def replay(settings: Settings, options: ReplayOptions, progress: Progress | None = None) -> ReplayReport:
    """Builds a collection from the log. Until it takes its place nothing is seen of it; failing, it leaves nothing.

    Args:
        settings: The current collection, and where its events come from.
        options: How.
        progress: Is told how far it is.

    Raises:
        PreconditionError: The log, or the part of it, is not there or is another collection's; users would be lost; or
            the collection is in use by another process, not loaded or of another form.
        UnavailableError: The store or the broker is away; nothing has changed.
    """
    if options.into and where(options.into) == where(settings):
        message = f"{where(settings)} is the current collection; without --into the replay takes its place"
        raise PreconditionError("COLLECTION", where(settings), message)
    start = perf_counter()
    store = await open_store(settings)
    try:
        applied_to = AppliedTo(store.generation, store.metadata.included)
        async with LogReader(
            settings.broker(), settings.group, applied_to, max_records=settings.batch_size, make_topics=False
        ) as reader:
            run = _Replay(settings, options, reader, Shadow(store, progress or NoProgress()))
            report = await run.prepare()
            if not options.dry_run:
                report = await run.build(report)
    finally:
        await store.close()
    return replace(report, seconds=perf_counter() - start)


class _Replay:
    """One replay, step by step."""

    def __init__(self, settings: Settings, options: ReplayOptions, reader: LogReader, shadow: Shadow) -> None:
        self._settings = settings
        self._options = options
        self._reader = reader
        self._shadow = shadow
        self._spans: dict[int, PartitionSpan] = {}

    async def prepare(self) -> ReplayReport:
        """Finds out what there is to do, and refuses what would lose something."""
        options, store = self._options, self._shadow.store
        # Before anything is copied: what consumers have applied by now is in what will be copied.
        applied = {each.partition: each.offset for each in await self._reader.positions()}
        onto_current = options.onto == "current"
        spans = await find_span(self._reader, options.start, options.until, applied if onto_current else None)
        self._spans = {span.partition: span for span in spans}
        users, ratings, others = await self._survey()
        if others and not onto_current and not options.into and not options.drop_other_users and not options.dry_run:
            message = (
                f"{others:,} of {users:,} users would be gone: no event in this part of the log has made them, they "
                "were loaded from files or are older. --onto current keeps them, --into builds aside, "
                "--drop-other-users lets them go"
            )
            raise PreconditionError("USERS_LOST", store.metadata.name, message)
        return ReplayReport(
            name=store.metadata.name,
            place=where(options.into or self._settings),
            dry_run=options.dry_run,
            onto=options.onto,
            past=any(span.until < span.end for span in spans),
            partitions=await self._with_times(spans),
            copied_users=users if onto_current else 0,
            copied_ratings=ratings if onto_current else 0,
            other_users=others,
            items=len(await store.items()),
            seconds=0.0,
        )

    async def build(self, report: ReplayReport) -> ReplayReport:
        """Builds the new collection, and makes it the current one of its place."""
        shadow = self._shadow
        await self._reader.begin(
            {partition: span.start for partition, span in self._spans.items()},
            {partition: span.until for partition, span in self._spans.items()},
        )
        appliers: list[LogApplier] = []
        tallies: list[Tally] = []

        async def bring_up(copy: Store) -> tuple[LogPosition, ...]:
            applier = LogApplier(self._reader, shadow, copy)
            appliers.append(applier)
            await applier.run("Applying events", 0)
            tallies.append(await self._count(copy))
            if self._options.until == "latest" and self._options.into is None:
                await self._reader.go_on()
                await applier.run("Catching up with the log", NEAR)
            if not await self._reader.topic_is_the_same():
                message = f"the topic {self._settings.topic} was made anew meanwhile; start again"
                raise PreconditionError("TOPIC", self._settings.topic, message)
            return await self._reader.positions()

        copied = Tally(np.empty(0, np.uint32), shadow.store.metadata.scale)
        with self._builder() as builder:
            if self._options.onto == "current":
                copied = await shadow.copy_all(builder, partial(_rewound, self._reader.topic_id, self._spans))
            else:
                await shadow.copy_items(builder)
            await shadow.finish(builder, bring_up, (self._options.into or self._settings).swap_grace)
        [applier], [tally] = appliers, tallies
        return replace(
            report,
            copied_users=copied.users,
            copied_ratings=copied.ratings,
            items=len(shadow.items),
            events=applier.read,
            applied=applier.applied,
            undecodable=dict(applier.undecodable.most_common()),
            users=tally.users,
            ratings=tally.ratings,
        )

    @contextmanager
    def _builder(self) -> Iterator[SharedBuilder]:
        into = self._options.into
        if into is None:
            with successor(self._settings, self._shadow.store) as builder:
                yield builder
            return
        folder = None if into.qdrant_url or into.data_dir.exists() else into.data_dir
        try:
            with new_builder(into, replace=self._options.replace) as builder:
                yield builder
        except BaseException:
            if folder is not None:
                _remove_unfinished(folder)
            raise

    async def _survey(self) -> tuple[int, int, int]:
        """How many users there are, their ratings, and how many of them no event in this part of the log has made."""
        store, topic_id = self._shadow.store, self._reader.topic_id
        self._shadow.progress.stage("Reading users", None)
        users = ratings = others = 0
        topics = {each.topic_id for each in store.metadata.included}
        async for page in store.scan_users(PAGE):
            for user in page:
                users += 1
                ratings += user.profile.rating_count
                others += not _is_in(user.source, topic_id, self._spans)
                if user.source is not None:
                    topics.add(user.source.topic_id)
        if topics and topic_id not in topics and not self._options.another_log:
            message = (
                f"no event of the collection {store.metadata.name} came from this topic {self._settings.topic}: it is "
                f"another one, or was made anew (its id is {topic_id}). If its events are meant all the same, say "
                "--another-log"
            )
            raise PreconditionError("ANOTHER_LOG", self._settings.topic, message)
        return users, ratings, others

    async def _with_times(self, spans: tuple[PartitionSpan, ...]) -> tuple[ReplayedPartition, ...]:
        some = [span for span in spans if span.events]
        first = await self._reader.times_at({span.partition: span.start for span in some}) if some else {}
        last = await self._reader.times_at({span.partition: span.until - 1 for span in some}) if some else {}
        return tuple(ReplayedPartition(span, first.get(span.partition), last.get(span.partition)) for span in spans)

    async def _count(self, copy: Store) -> Tally:
        """Counts anew who rates and likes each item: there may be no consumer to do it."""
        self._shadow.progress.stage("Counting", None)
        tally = Tally(np.array(sorted(self._shadow.items), np.uint32), copy.metadata.scale)
        async for page in copy.scan_users(PAGE):
            tally.add(page)
        await copy.write_counts(tally.counts())
        return tally


def _is_in(source: LogPosition | None, topic_id: str, spans: dict[int, PartitionSpan]) -> bool:
    """Whether a user's last event stands in or after what is read."""
    return (
        source is not None
        and source.topic_id == topic_id
        and source.partition in spans
        and source.offset >= spans[source.partition].start
    )


def _rewound(topic_id: str, spans: dict[int, PartitionSpan], user: StoredUser) -> StoredUser:
    """A user who says that what is read was not applied to them yet, and what stands before it was."""
    if user.source is None or not _is_in(user.source, topic_id, spans):
        return user
    before = spans[user.source.partition].start - 1
    return replace(user, source=LogPosition(topic_id, user.source.partition, before) if before >= 0 else None)


def _remove_unfinished(folder: Path) -> None:
    """Removes a data directory that a build has made and left without a collection."""
    if not DataDir.is_loaded(folder):
        shutil.rmtree(folder, ignore_errors=True)
