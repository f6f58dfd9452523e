"""Writes a collection anew from its stored profiles, with another weighting, and swaps it in.

The copy of a shared collection begins where the consumers were when the copying began, so every event is in what was
copied, or is applied after it.
"""

from dataclasses import dataclass
from time import perf_counter

from kindred.eventlog.broker import AppliedTo
from kindred.eventlog.reader import LogReader
from kindred.settings import Settings
from kindred.stores.choice import open_store, successor
from kindred.stores.port import OLDEST_SCHEMA_VERSION, LogPosition, Store
from kindred.weighting import LikingWeighting, Weighting, ZScoreWeighting
from loader.errors import DataError
from loader.moments import Moments
from loader.options import WeightingName
from loader.progress import NoProgress, Progress
from loader.shadow import NEAR, PAGE, LogApplier, Shadow, Tally


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
        shadow = Shadow(store, progress or NoProgress())
        shadow.weighting = await _make(store, weighting, shrinkage, shadow.progress)
        copied, events = await (_shared if store.shared else _embedded)(settings, shadow)
    finally:
        await store.close()
    return ReindexReport(
        name=store.metadata.name,
        weighting=weighting,
        users=copied.users,
        items=len(shadow.items),
        ratings=copied.ratings,
        events=events,
        seconds=perf_counter() - start,
    )


async def _make(store: Store, name: WeightingName, shrinkage: float, progress: Progress) -> Weighting:
    """The weighting; z-scores need a look at all ratings."""
    if name == "default":
        return LikingWeighting(store.metadata.scale, shrinkage)
    progress.stage("Reading ratings", None)
    moments = Moments()
    async for page in store.scan_users(PAGE):
        for user in page:
            if user.profile.rating_count:
                moments.add(user.profile.values[user.profile.current].astype("f8"))
    if not moments.std > 0:
        raise DataError(store.metadata.name, None, "z-scores need ratings that differ")
    return ZScoreWeighting(moments.mean, moments.std)


async def _embedded(settings: Settings, shadow: Shadow) -> tuple[Tally, int]:
    """Nobody else has the folder: a copy is all there is to it."""
    with successor(settings, shadow.store) as builder:
        copied = await shadow.copy_all(builder)
        shadow.progress.stage("Optimizing", None)
        builder.commit(shadow.metadata())
    return copied, 0


async def _shared(settings: Settings, shadow: Shadow) -> tuple[Tally, int]:
    store = shadow.store
    applied_to = AppliedTo(store.generation, store.metadata.included)
    events = 0

    async def catch_up(copy: Store) -> tuple[LogPosition, ...]:
        nonlocal events
        applier = LogApplier(reader, shadow, copy)
        await applier.run("Catching up with the log", NEAR)
        events = applier.applied
        return await reader.positions()

    # Before anything is copied: what consumers have applied by now is in what will be copied.
    async with LogReader(settings.broker(), settings.group, applied_to, max_records=settings.batch_size) as reader:
        with successor(settings, store) as builder:
            copied = await shadow.copy_all(builder)
            await shadow.finish(builder, catch_up, settings.swap_grace)
    return copied, events
