"""How many events one consumer applies in a second, against what the store takes without anything around it."""

import asyncio
import random
import shutil
import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

from google.protobuf.timestamp_pb2 import Timestamp
from kafka import KafkaProducer

from benchmarks.report import Figure, Ratio
from cli.local_broker import LOCAL_SETTINGS, local_broker
from cli.runtime import calm_memory
from consumers.dead_letters import DeadLetters
from consumers.membership import Membership
from consumers.poison_guard import PoisonGuard
from consumers.rating_consumer import RatingConsumer
from kindred.backend import Backend, Current
from kindred.eventlog.client import prepare_topics
from kindred.eventlog.consumer import EventConsumer
from kindred.eventlog.producer import EventProducer
from kindred.events import now_ms, to_message
from kindred.settings import Settings
from kindred.stores.port import UserWrite
from kindred.v1.rating_event_pb2 import Rated, RatingEvent

EVENTS, CROWD = 20_000, 10_000
"""Events of the throughput, and the users that they are spread over."""
EVENTS_A_SECOND, SHARE_OF_BARE = 5_000, 0.6
_PATIENCE = 60.0


def measure_events(workspace: Path) -> list[Figure]:
    """Lets one consumer over the embedded store apply events that are there already; then writes the same points, bare.

    Args:
        workspace: A folder with the loaded data directory `ml-100k`.
    """
    calm_memory()  # as every process of ours does
    return asyncio.run(_throughput(workspace))


async def _throughput(workspace: Path) -> list[Figure]:
    with local_broker(0) as kafka:
        applied, bare = [], []
        for number in range(3):
            copies = [workspace / f"events-{number}", workspace / f"bare-{number}"]
            for copy in copies:
                shutil.copytree(workspace / "ml-100k", copy)
            settings = Settings(
                data_dir=copies[0], kafka=kafka, topic=f"ratings-{number}", group=f"group-{number}", **LOCAL_SETTINGS
            )
            await asyncio.to_thread(_fill, settings)
            seconds, batches = await _apply(settings)
            applied.append(seconds)
            bare.append(await _write_bare(copies[1], batches))
            for copy in copies:
                shutil.rmtree(copy)
    rate = EVENTS / statistics.median(applied)
    points = sum(map(len, batches))
    shares = [b / a for a, b in zip(applied, bare, strict=True)]
    of_time = statistics.median(shares)
    share = of_time * EVENTS / points
    return [
        Figure(
            "Events applied by one consumer, embedded store",
            f"{rate:,.0f} a second",
            f"{EVENTS:,} events of {CROWD:,} users, {points:,} writes in {len(batches)} batches; median of three",
            f"at least {EVENTS_A_SECOND:,}",
            rate >= EVENTS_A_SECOND,
        ),
        Figure(
            "Events a second against bare conditional writes a second of the same points",
            f"{share:.0%}",
            f"{points / statistics.median(bare):,.0f} ready-made points a second with nothing but the store's "
            f"conditional write, which takes {of_time:.0%} of the consumer's time; events of one user are one write",
            f"at least {SHARE_OF_BARE:.0%}",
            share >= SHARE_OF_BARE,
            Ratio("events.of-bare-writes", share, "higher", [each * EVENTS / points for each in shares]),
        ),
    ]


def _fill(settings: Settings) -> None:
    """Writes the events into the log."""
    prepare_topics(settings.broker())
    rng, now = random.Random(7), now_ms()  # noqa: S311  # the same events in every run
    producer = KafkaProducer(bootstrap_servers=settings.kafka, acks="all", linger_ms=20)
    for _ in range(EVENTS):
        at = Timestamp()
        at.FromMilliseconds(now - rng.randrange(10**6))
        rated = Rated(item_id=str(rng.randrange(1, 1_600)), value=rng.randrange(1, 6))
        message = to_message(RatingEvent(user_id=str(rng.randrange(CROWD)), occurred_at=at, rated=rated), "benchmark")
        producer.send(settings.topic, message.value, message.key, headers=list(message.headers))
    producer.flush()
    producer.close()


async def _apply(settings: Settings) -> tuple[float, list[Sequence[UserWrite]]]:
    """Applies everything, and gives the seconds from the first record to the last commit, and what was written."""
    async with _member(settings) as (member, backend, loop):
        batches: list[Sequence[UserWrite]] = []
        write = backend.store.write_users

        async def noted(writes: Sequence[UserWrite]) -> list[bool]:
            batches.append(writes)
            return await write(writes)

        backend.store.write_users = noted  # type: ignore[method-assign]  # costs nothing that could be measured
        records = await member.poll(_PATIENCE)
        while not records:
            records = await member.poll(_PATIENCE)
        start, done = perf_counter(), 0
        while done < EVENTS:
            await loop.process(records)
            done += len(records)
            records = await member.poll(0.5) if done < EVENTS else []
        return perf_counter() - start, batches


@asynccontextmanager
async def _member(settings: Settings) -> AsyncIterator[tuple[EventConsumer, Backend, RatingConsumer]]:
    backend = await Backend.open(settings)
    producer = EventProducer(settings.broker())
    member = EventConsumer(
        settings.broker(),
        settings.group,
        session_timeout=2,
        max_records=settings.batch_size,
        fetch_wait=settings.fetch_wait,
        applied_to=backend.applied_to,
    )
    loop = RatingConsumer(
        member,
        Current(backend),
        backend,
        dead_letters=DeadLetters(producer, settings.dead_letter_topic, settings.kafka_timeout),
        notifier=None,
        membership=Membership(settings.unready_after),
        guard=PoisonGuard(settings.poison_share),
    )
    try:
        async with member:
            yield member, backend, loop
    finally:
        await producer.close()
        await backend.store.close()


async def _write_bare(data_dir: Path, batches: Sequence[Sequence[UserWrite]]) -> float:
    """Writes ready-made points on condition of their revisions, in the same batches; the seconds."""
    backend = await Backend.open(Settings(data_dir=data_dir))
    start = perf_counter()
    for batch in batches:
        if not all(await backend.store.write_users(batch)):
            raise RuntimeError("a bare write lost a race that nobody else was in")
    seconds = perf_counter() - start
    await backend.store.close()
    return seconds
