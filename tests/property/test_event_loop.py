"""The consumers' loop over a real store, with crashes between any two steps, rewinds and zombies.

The steps are those of `consumers.rating_consumer`: poll, decode, fetch, merge, write each user on condition, dead
letters, commit. The decoder, the updater and the store are the real ones; the log, the group and time are the machine's
own, so that it can stop a consumer anywhere.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kindred import updater as updater_module
from kindred.catalog import Catalog
from kindred.errors import UnavailableError
from kindred.eventlog.broker import Record
from kindred.events import EventDecoder, EventError, to_message
from kindred.ratings import AttributesSet, Forgotten, ProfileEvent, Rated, Retracted, UserProfile
from kindred.stores.port import LogPosition, PointId, Removal, Store, StoredUser, UserWrite, point_id_of
from kindred.updater import ProfileUpdater, UserEvent
from kindred.v1 import rating_event_pb2 as pb
from kindred.v1.reaction_pb2 import REACTION_DISLIKE, REACTION_LIKE
from kindred.weighting import SparseVector, stored_vector
from tests.support.edge import EdgeBackend
from tests.support.profile_oracle import bits, reference
from tests.support.stores import SCALE, WEIGHTING, build, entry, sparse
from tests.support.watched_store import WatchedStore

NOW = 1_700_000_000_000
TOPIC_ID = "topic"
PARTITION_OF = {"7": 0, "ann": 0, "42": 1, "Σωκράτης": 1}
"""Every user's partition; 7 and 42 are in the bulk load. An example has users of its own by these names."""
LOADED: dict[str, list[ProfileEvent]] = {
    "7": [Rated(1, 5.0, NOW - 3), AttributesSet({"a": True}, NOW - 3)],
    "42": [Rated(2, 0.5, NOW - 2), Rated(3, 4.5, NOW - 5)],
}
ITEMS = {"1": 1, "2": 2, "3": 3, "fargo": 2**31 + 5}
TIMES = st.integers(NOW - 6, NOW)
"""Few, so that many collide; some before the bulk load's."""


SEEN_AT_ONCE = ["does not look", "is one off", "has no positions", "loses the order", "commits first"]
"""Defects that one of the invariants sees: a bulk load, which takes longer than all the rest, need not be made."""


class Gone(BaseException):  # what a killed process does is no error
    """The consumer's process is no more."""


class GatedStore(WatchedStore):
    """The real store as one consumer sees it: it stops before each call, and may be told to break off there."""

    def __init__(self, inner: Store, gate: Callable[[str], Any], defect: str) -> None:
        super().__init__(inner)
        self._gate = gate
        self._defect = defect

    async def users(self, point_ids: Sequence[PointId]) -> list[StoredUser | None]:
        """See `Store.users`."""
        await self._gate("fetch")
        return await self.inner.users(point_ids)

    async def write_users(self, writes: Sequence[UserWrite]) -> list[bool]:
        """See `Store.write_users`; whoever breaks off here may have written some of them."""
        if (broken := await self._gate("write")) is not None:
            after, error = broken
            await self.inner.write_users(writes[:after])
            raise error
        if self._defect == "weighs wrongly":
            writes = [UserWrite(user, SparseVector(indexes, values + 2e-6)) for user, (indexes, values) in writes]
        if self._defect == "does not look":
            stored = await self.inner.users([write.user.point_id for write in writes])
            writes = [
                UserWrite(replace(write.user, revision=(old.revision if old else 0) + 1), write.vector)
                for write, old in zip(writes, stored, strict=True)
            ]
        return await self.inner.write_users(writes)


@dataclass(slots=True)
class Group:
    """What the broker knows."""

    log: list[list[Record]]
    owner: list["Consumer | None"]
    committed: list[int]
    letters: set[tuple[int, int]]


class Consumer:
    """A consumer that takes one step when it is told to.

    Args:
        store: The real store.
        group: The log and the group.
        defect: What it does wrong; empty for nothing.
    """

    def __init__(self, store: Store, group: Group, defect: str) -> None:
        self._group = group
        self._defect = defect
        self._store = store
        self._decoder = EventDecoder(
            Catalog([entry(index, "", name) for name, index in ITEMS.items()]), SCALE, lambda: NOW
        )
        self._go = asyncio.Event()
        self._parked = asyncio.Event()
        self._broken: tuple[int, BaseException] | None = None
        self.positions = [0, 0]
        self.task: asyncio.Task[None] | None = None
        self.place = ""

    async def step(self, broken: tuple[int, BaseException] | None = None) -> None:
        """Goes on to the next gate.

        Args:
            broken: How many users the write at this gate does, if it is at one, and what happens then.
        """
        self._broken = broken
        self._parked.clear()
        if self.task is None:
            self.task = asyncio.create_task(self._process())
            self.task.add_done_callback(lambda _: self._parked.set())
        self._go.set()
        await self._parked.wait()
        if self.task.done():
            task, self.task, self.place = self.task, None, ""
            with suppress(Gone):
                task.result()

    async def until(self, place: str) -> None:
        """Goes on until it stands at a gate; a batch ends there at the latest."""
        await self.step()
        while self.task is not None and self.place != place:
            await self.step()

    async def crash(self, written: int) -> None:
        """Its process ends here, with some users written if it was about to write; another one starts over."""
        if self.task is not None:
            await self.step((written, Gone()))
            assert self.task is None
        self.positions = [*self._group.committed]

    async def _gate(self, place: str) -> tuple[int, BaseException] | None:
        self.place = place
        self._go.clear()
        self._parked.set()
        await self._go.wait()
        broken, self._broken = self._broken, None
        if broken is not None and (place != "write" or (isinstance(broken[1], UnavailableError) and not broken[0])):
            raise broken[1]
        return broken

    async def _process(self) -> None:
        records = self._poll()
        if self._defect == "commits first":
            self._commit(records)
        while True:
            try:
                await self._apply(records)
                break
            except UnavailableError:
                await self._gate("again")
        await self._gate("commit")
        self._commit(records)

    def _poll(self) -> list[Record]:
        records = []
        for partition, owner in enumerate(self._group.owner):
            if owner is self:
                records += self._group.log[partition][self.positions[partition] :][:4]
        for record in records:
            self.positions[record.partition] = record.offset + 1
        return records

    async def _apply(self, records: Sequence[Record]) -> None:
        await self._gate("decode")
        batch, letters = [], []
        for record in records:
            try:
                user_id, event = self._decoder.decode(record)
            except EventError:
                letters.append((record.partition, record.offset))
            else:
                offset = record.offset + (self._defect == "is one off")
                batch.append(UserEvent(user_id, event, LogPosition(TOPIC_ID, record.partition, offset)))
        if self._defect == "has no positions":
            batch = [replace(event, position=LogPosition("", 0, 0)) for event in batch]
        if self._defect == "loses the order":
            batch.sort(key=lambda event: -event.event.at)
        store = GatedStore(self._store, self._gate, self._defect)
        await ProfileUpdater(store, lambda _: None).apply(batch)
        await self._gate("dead letters")
        self._group.letters.update(letters)

    def _commit(self, records: Sequence[Record]) -> None:
        for record in records:
            if self._group.owner[record.partition] is self or self._defect == "commits as a zombie":  # no zombie
                self._group.committed[record.partition] = record.offset + 1


def opinion(value: float, *, reaction: bool) -> dict[str, Any]:
    """An opinion in protobuf's fields."""
    return {"reaction": REACTION_LIKE if value > 2 else REACTION_DISLIKE} if reaction else {"value": value}


EVENTS = st.one_of(
    st.builds(
        lambda item, value, reaction: pb.RatingEvent(rated=pb.Rated(item_id=item, **opinion(value, reaction=reaction))),
        st.sampled_from([*ITEMS]),
        st.sampled_from([0.5, 2.0, 3.3, 5.0]),
        st.booleans(),
    ),
    st.builds(lambda item: pb.RatingEvent(retracted=pb.Retracted(item_id=item)), st.sampled_from([*ITEMS])),
    st.just(pb.RatingEvent(forgotten=pb.Forgotten())),
    st.builds(
        lambda values: pb.RatingEvent(
            attributes_set=pb.AttributesSet(
                attributes={name: {"number_value": value} for name, value in values.items()}
            )
        ),
        st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from([1.0, -2.5]), max_size=2),
    ),
)
BAD = st.sampled_from([None, b"", b"poison", b'{"userId":"7"}', b'{"userId":"7","rated":{"itemId":"x","value":1}}'])
WHO = st.sampled_from([0, 1, 2])


class EventLoop(RuleBasedStateMachine):
    """Two consumers of two partitions, a third that comes and goes, and everything that can befall them."""

    place: "Place"
    defect = ""

    @initialize()
    def start(self) -> None:
        """Users that no other example knows, some of them loaded, and an empty log."""
        self.run, self.store = self.place.loop.run_until_complete, self.place.store
        number = next(self.place.numbers)
        self.ids = {name: name + (f"{number:06}" if name.isdigit() else f"/{number}") for name in PARTITION_OF}
        loaded = {name: reference(events) for name, events in LOADED.items()}
        self.run(self.store.write_users(self._writes(loaded)))
        self.group = Group([[], []], [None, None], [0, 0], set())
        self.consumers = [Consumer(self.store, self.group, self.defect) for _ in range(3)]
        self.group.owner = [self.consumers[0], self.consumers[1]]
        self.events: list[list[tuple[str, ProfileEvent] | None]] = [[], []]

    def _writes(self, profiles: Mapping[str, UserProfile]) -> list[UserWrite]:
        return [
            UserWrite(StoredUser(self.ids[name], profile, 1), stored_vector(WEIGHTING, profile))
            for name, profile in profiles.items()
        ]

    @rule(user=st.sampled_from([*PARTITION_OF]), event=EVENTS, at=TIMES, stated=st.booleans(), as_json=st.booleans())
    def produce(self, user: str, event: pb.RatingEvent, at: int, stated: bool, as_json: bool) -> None:
        """A producer writes an event of any kind and time, in either encoding."""
        message = pb.RatingEvent()
        message.CopyFrom(event)
        message.user_id = self.ids[user]
        if stated:
            message.occurred_at.FromMilliseconds(at)
        written = to_message(message, "test")
        headers = [header for header in written.headers if stated or header[0] != "ce_time"]
        value = written.value
        if as_json and message.WhichOneof("kind") == "retracted":
            document: dict[str, Any] = {"userId": self.ids[user], "retracted": {"itemId": message.retracted.item_id}}
            if stated:
                document["occurredAt"] = message.occurred_at.ToJsonString()
            value, headers = json.dumps(document).encode(), []
        self._append(PARTITION_OF[user], message.user_id.encode(), value, headers, NOW - 1 if stated else at)
        self.events[PARTITION_OF[user]].append((user, _meaning(message, at)))

    @rule(partition=st.sampled_from([0, 1]), value=BAD)
    def produce_poison(self, partition: int, value: bytes | None) -> None:
        """A producer writes what can never be applied."""
        self._append(partition, b"7", value, (), NOW)
        self.events[partition].append(None)

    @precondition(lambda self: any(self.group.log))
    @rule(back=st.integers(0, 8), partition=st.sampled_from([0, 1]))
    def produce_again(self, back: int, partition: int) -> None:
        """A producer writes an earlier record once more."""
        if log := self.group.log[partition]:
            place = max(0, len(log) - 1 - back)
            record = log[place]
            self._append(partition, record.key, record.value, record.headers, record.timestamp)
            self.events[partition].append(self.events[partition][place])

    def _append(self, partition: int, key: bytes | None, value: bytes | None, headers: Any, timestamp: int) -> None:
        log = self.group.log[partition]
        log.append(Record("ratings", partition, len(log), key, value, tuple(headers), timestamp))

    @rule(who=WHO, steps=st.integers(1, 7))
    def go_on(self, who: int, steps: int) -> None:
        """A consumer goes on by some steps: it polls if it was idle, and may begin another batch."""
        for _ in range(steps):
            self.run(self.consumers[who].step())

    @rule(who=WHO, written=st.integers(0, 3))
    def crash(self, who: int, written: int) -> None:
        """A consumer's process dies where it is, and starts anew at the committed offsets."""
        self.run(self.consumers[who].crash(written))

    @rule(who=WHO, written=st.integers(0, 3))
    def store_goes_away(self, who: int, written: int) -> None:
        """The store fails under a consumer, which has written some users or none and tries the batch again."""
        consumer = self.consumers[who]
        if consumer.place in {"fetch", "write"}:
            self.run(consumer.step((written, UnavailableError("store", "the store is away"))))

    @rule(who=WHO, partition=st.sampled_from([0, 1]))
    def rebalance(self, who: int, partition: int) -> None:
        """The group gives a partition to another consumer; whoever had it goes on with its batch, as a zombie."""
        consumer = self.consumers[who]
        self.group.owner[partition] = consumer
        consumer.positions[partition] = self.group.committed[partition]

    @rule(partition=st.sampled_from([0, 1]), back=st.integers(0, 12))
    def rewind(self, partition: int, back: int) -> None:
        """Somebody sets the group's offset back, to any earlier place."""
        self.group.committed[partition] = max(0, self.group.committed[partition] - back)
        owner = self.group.owner[partition]
        if owner is not None:
            owner.positions[partition] = self.group.committed[partition]

    @invariant()
    def every_profile_is_a_prefix_of_the_log(self) -> None:
        """At any moment every user is what the log says up to the event that their point names, to the bit."""
        for user_id, user in self.run(self._users(self.store)).items():
            applied = -1 if user is None or user.source is None else user.source.offset
            log = self._log_of(user_id, applied)
            if user is None:
                assert not log
                continue
            assert bits(user.profile) == bits(reference(log))
            assert user.removal == _removal(log)

    @invariant()
    def what_is_committed_is_applied(self) -> None:
        """No event before a committed offset is missing from the store or from the dead letters."""
        for user_id, user in self.run(self._users(self.store)).items():
            partition = PARTITION_OF[user_id]
            applied = -1 if user is None or user.source is None else user.source.offset
            below = self.events[partition][: self.group.committed[partition]]
            assert (
                max((place for place, each in enumerate(below) if each and each[0] == user_id), default=-1) <= applied
            )
        for partition, events in enumerate(self.events):
            bad = {
                (partition, place) for place, each in enumerate(events[: self.group.committed[partition]]) if not each
            }
            assert bad <= self.group.letters

    @rule(partition=st.sampled_from([0, 1]), by=WHO, to=st.sampled_from(["fetch", "write", "commit"]))
    def overtake(self, partition: int, by: int, to: str) -> None:
        """A consumer hangs in mid-batch for so long that another one gets its partition, and works off all of it."""
        slow, fast = self.group.owner[partition], self.consumers[by]
        if slow is None or slow is fast:
            return
        self.run(slow.until(to))
        self.rebalance(by, partition)
        while self.group.committed[partition] < len(self.group.log[partition]):
            self.run(fast.step())

    def teardown(self) -> None:
        """Zombies end, the log is read to its end, read again from its beginning: the store is that of a bulk load."""
        try:
            self.run(self._read_to_the_end(self.consumers))
            if self.defect not in SEEN_AT_ONCE:
                loaded = self._loaded()
                self._compare(*loaded)
            reader = Consumer(self.store, self.group, self.defect)
            self.consumers.append(reader)
            self.group.owner, self.group.committed = [reader, reader], [0, 0]
            self.run(self._read_to_the_end([reader]))
            if self.defect not in SEEN_AT_ONCE:
                self._compare(*loaded)
        finally:
            for consumer in self.consumers:
                self.run(consumer.crash(0))

    async def _read_to_the_end(self, consumers: Sequence[Consumer]) -> None:
        for consumer in consumers:
            while consumer.task is not None:
                await consumer.step()
        ends = [len(log) for log in self.group.log]
        for consumer in consumers:
            consumer.positions = [*self.group.committed]
        for _ in range(1_000):
            if self.group.committed == ends:
                return
            for consumer in consumers:
                await consumer.step()
        pytest.fail("the log is never read to its end")

    def _loaded(self) -> tuple[dict[str, Any], dict[tuple[str, int], float]]:
        """What a bulk load of all that was said leads to."""
        logs = {name: self._log_of(name, len(self.events[partition])) for name, partition in PARTITION_OF.items()}
        with TemporaryDirectory() as folder:
            backend = EdgeBackend(Path(folder) / "data")
            build(backend, self._writes({name: reference(log) for name, log in logs.items() if log}))
            store = self.run(backend.open())
            found = _bits(self.run(self._users(store))), self.run(self._vectors(store))
            self.run(store.close())
        return found

    def _compare(self, profiles: dict[str, Any], vectors: dict[tuple[str, int], float]) -> None:
        assert _bits(self.run(self._users(self.store))) == profiles
        found = self.run(self._vectors(self.store))
        assert found == {key: pytest.approx(value, abs=1e-6) for key, value in vectors.items()}
        bad = {
            (number, place)
            for number, events in enumerate(self.events)
            for place, event in enumerate(events)
            if event is None
        }
        assert self.group.letters == bad

    async def _users(self, store: Store) -> dict[str, StoredUser | None]:
        return dict(zip(self.ids, await store.users([point_id_of(id_) for id_ in self.ids.values()]), strict=True))

    async def _vectors(self, store: Store) -> dict[tuple[str, int], float]:
        """Every value of every vector, as searches for one dimension each find them."""
        names = {point_id_of(id_): name for name, id_ in self.ids.items()}
        found = {}
        for item in ITEMS.values():
            for sign in (1.0, -1.0):
                [hits] = await store.search([sparse({item: sign})], 10_000)
                for point_id, score in zip(hits.point_ids, hits.scores, strict=True):
                    if score > 0 and point_id in names:
                        found[names[point_id], item] = score * sign
        return found

    def _log_of(self, user_id: str, last: int) -> list[ProfileEvent]:
        """The events of a user, from the bulk load on, up to an offset."""
        events = self.events[PARTITION_OF[user_id]][: last + 1]
        return LOADED.get(user_id, []) + [each[1] for each in events if each and each[0] == user_id]


def _meaning(message: pb.RatingEvent, at: int) -> ProfileEvent:
    """What an event says, read without the decoder."""
    match message.WhichOneof("kind"):
        case "rated":
            rated = message.rated
            value = (
                rated.value
                if rated.WhichOneof("opinion") == "value"
                else (5.0 if rated.reaction == REACTION_LIKE else 1.0)
            )
            return Rated(ITEMS[rated.item_id], value, at)
        case "retracted":
            return Retracted(ITEMS[message.retracted.item_id], at)
        case "forgotten":
            return Forgotten(at)
        case _:
            attributes = message.attributes_set.attributes
            return AttributesSet({name: attributes[name].number_value for name in attributes}, at)


def _removal(log: Sequence[ProfileEvent]) -> Removal | None:
    places = [place for place, event in enumerate(log) if isinstance(event, Forgotten)]
    if not places:
        return None
    before = reference(log[: places[-1]])
    return Removal(before.rating_count, len(before.attributes))


def _bits(users: Mapping[str, StoredUser | None]) -> dict[str, Any]:
    return {name: None if user is None else (user.user_id, bits(user.profile)) for name, user in users.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """What all examples share: making a store takes longer than an example."""

    loop: asyncio.AbstractEventLoop
    store: Store
    numbers: Iterator[int]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An empty store."""
    backend = EdgeBackend(tmp_path_factory.mktemp("loop") / "data")
    build(backend, items=[entry(index, "", item_id) for item_id, index in ITEMS.items()])
    loop = asyncio.new_event_loop()
    with mock.patch.object(updater_module, "_BACKOFF", 0.0), closing(loop):
        store = loop.run_until_complete(backend.open())
        yield Place(loop, store, count(1))
        loop.run_until_complete(store.close())


CHECK = settings(
    max_examples=30,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def run_machine(place: Place, checked: settings, defect: str = "") -> None:
    """Lets Hypothesis look for something that goes wrong."""
    machine = type("Machine", (EventLoop,), {"place": place, "defect": defect})
    run_state_machine_as_test(machine, settings=checked)


def test_whatever_happens_the_store_is_that_of_a_bulk_load(place: Place) -> None:
    """Crashes anywhere, replays, zombies and races of consumers lead to what loading the log's ratings leads to."""
    run_machine(place, CHECK)


@pytest.mark.parametrize("defect", [*SEEN_AT_ONCE, "weighs wrongly"])
def test_a_defect_is_found(place: Place, defect: str) -> None:
    """A consumer that ignores conditions, skips, orders or weighs wrongly, or commits too early does not pass."""
    find = settings(CHECK, max_examples=200, phases=[Phase.generate], database=None, derandomize=True)
    with pytest.raises(AssertionError):
        run_machine(place, find, defect)
