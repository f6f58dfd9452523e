"""The consumers' loop over a real store, with crashes between any two steps, rewinds and zombies."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from google.protobuf import json_format
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
from kindred.errors import UnavailableError
from kindred.eventlog.broker import Record
from kindred.events import to_message
from kindred.ratings import AttributesSet, Forgotten, ProfileEvent, Rated, Retracted, UserProfile
from kindred.stores.port import PointId, Removal, Store, StoredUser, UserWrite, point_id_of
from kindred.v1 import rating_event_pb2 as pb
from kindred.v1.reaction_pb2 import REACTION_DISLIKE, REACTION_LIKE
from kindred.weighting import stored_vector
from tests.support.edge import EdgeBackend
from tests.support.profile_oracle import bits, reference
from tests.support.stepped_consumer import DEFECTS, ITEMS, NOW, Consumer, Group
from tests.support.stores import WEIGHTING, build, entry, sparse

PARTITION_OF = {"7": 0, "ann": 0, "42": 1, "Σωκράτης": 1}
"""Every user's partition; 7 and 42 are in the bulk load. An example has users of its own by these names."""
LOADED: dict[str, list[ProfileEvent]] = {
    "7": [Rated(1, 5.0, NOW - 3), AttributesSet({"a": True}, NOW - 3)],
    "42": [Rated(2, 0.5, NOW - 2), Rated(3, 4.5, NOW - 5)],
}
TIMES = st.integers(NOW - 6, NOW)
"""Few, so that many collide; some before the bulk load's."""


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
Said = list[tuple[str, pb.RatingEvent, int, bool, bool]]
"""Whose events, what they say, of when, whether they say so themselves, and whether in JSON."""
SAID: st.SearchStrategy[Said] = st.lists(
    st.tuples(st.sampled_from([*PARTITION_OF]), EVENTS, TIMES, st.booleans(), st.booleans()), min_size=1, max_size=6
)


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
        loaded = {self.ids[name]: reference(events) for name, events in LOADED.items()}
        self.run(self.store.write_users(writes_of(loaded)))
        self.group = Group([[], []], [None, None], [0, 0], set())
        self.consumers = [Consumer(self.store, self.group, self.defect) for _ in range(3)]
        self.group.owner = [self.consumers[0], self.consumers[1]]
        self.events: list[list[tuple[str, ProfileEvent] | None]] = [[], []]

    @rule(said=SAID)
    def produce(self, said: Said) -> None:
        """A producer writes events of any kind and time, in either encoding."""
        for name, event, at, stated, as_json in said:
            message = pb.RatingEvent()
            message.CopyFrom(event)
            message.user_id = self.ids[name]
            if stated:
                message.occurred_at.FromMilliseconds(at)
            written = to_message(message, "test")
            value, headers = written.value, [header for header in written.headers if stated or header[0] != "ce_time"]
            if as_json:
                value, headers = json_format.MessageToJson(message).encode(), []
            self._append(PARTITION_OF[name], written.key, value, headers, NOW - 1 if stated else at)
            self.events[PARTITION_OF[name]].append((name, _meaning(message, at)))

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

    @rule(who=WHO, steps=st.integers(1, 9), size=st.integers(1, 5))
    def go_on(self, who: int, steps: int, size: int) -> None:
        """A consumer goes on by some steps: it polls if it was idle, and may begin another batch."""
        self.consumers[who].batch_size = size
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

    @rule(partition=st.sampled_from([0, 1]), back=st.integers(1, 12), size=st.integers(1, 5))
    def read_again(self, partition: int, back: int, size: int) -> None:
        """The group's offset is set back, and some of what was applied is read once more."""
        owner = self.group.owner[partition]
        if owner is not None:
            self.run(owner.batch())
            self.rewind(partition, back)
            owner.batch_size = size
            self.run(owner.batch())

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

    @rule(
        by=WHO, to=st.sampled_from(["fetch", "write", "write", "commit"]), first=SAID, then=SAID, at_once=st.booleans()
    )
    def overtake(self, by: int, to: str, first: Said, then: Said, at_once: bool) -> None:
        """A consumer hangs in mid-batch for so long that another one gets its partition, and works off all of it."""
        partition = PARTITION_OF[first[0][0]]
        slow, fast = self.group.owner[partition], self.consumers[by]
        self.produce(first)
        if slow is None or slow is fast:
            return
        self.run(slow.until(to))
        self.produce(then)
        self.rebalance(by, partition)
        while self.group.committed[partition] < len(self.group.log[partition]):
            self.run(fast.step())
        if at_once:
            self.run(slow.step())

    def teardown(self) -> None:
        """Zombies end, the log is read to its end, read again from its beginning: the store is that of a bulk load."""
        try:
            self.run(self._read_to_the_end(self.consumers))
            self._compare()
            reader = Consumer(self.store, self.group, self.defect)
            self.consumers.append(reader)
            self.group.owner, self.group.committed = [reader, reader], [0, 0]
            self.run(self._read_to_the_end([reader]))
            self._compare()
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

    def _compare(self) -> None:
        """The users are what the whole log says, and are found by the vectors that a load would give them."""
        logs = {name: self._log_of(name, len(self.events[partition])) for name, partition in PARTITION_OF.items()}
        profiles = {name: reference(log) for name, log in logs.items() if log}
        users = self.run(self._users(self.store))
        assert {name: bits(user.profile) for name, user in users.items() if user} == {
            name: bits(profile) for name, profile in profiles.items()
        }
        vectors = {self.ids[name]: stored_vector(WEIGHTING, profile) for name, profile in profiles.items()}
        expected = {
            (point_id_of(id_), index): value
            for id_, (indexes, values) in vectors.items()
            for index, value in zip(indexes.tolist(), values.tolist(), strict=True)
            if value
        }
        mine = {point_id_of(id_) for id_ in self.ids.values()}
        found = {key: value for key, value in self.run(vectors_of(self.store)).items() if key[0] in mine}
        assert found == {key: pytest.approx(value, abs=1e-6) for key, value in expected.items()}
        bad = {
            (number, place)
            for number, events in enumerate(self.events)
            for place, event in enumerate(events)
            if event is None
        }
        assert self.group.letters == bad
        self.place.said.update({self.ids[name]: profile for name, profile in profiles.items()})

    async def _users(self, store: Store) -> dict[str, StoredUser | None]:
        return dict(zip(self.ids, await store.users([point_id_of(id_) for id_ in self.ids.values()]), strict=True))

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


async def vectors_of(store: Store) -> dict[tuple[PointId, int], float]:
    """Every value of every vector, as searches for one dimension each find them."""
    found = {}
    for item in ITEMS.values():
        for sign in (1.0, -1.0):
            [hits] = await store.search([sparse({item: sign})], 100_000)
            for point_id, score in zip(hits.point_ids, hits.scores, strict=True):
                if score > 0:
                    found[point_id, item] = score * sign
    return found


def writes_of(profiles: Mapping[str, UserProfile]) -> list[UserWrite]:
    """What a load writes."""
    return [
        UserWrite(StoredUser(user_id, profile, 1), stored_vector(WEIGHTING, profile))
        for user_id, profile in profiles.items()
    ]


@dataclass(frozen=True, slots=True)
class Place:
    """What all examples share: making a store takes longer than an example."""

    loop: asyncio.AbstractEventLoop
    store: Store
    numbers: Iterator[int]
    said: dict[str, UserProfile]
    """What the logs of all examples say of their users."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An empty store."""
    backend = EdgeBackend(tmp_path_factory.mktemp("loop") / "data")
    build(backend, items=[entry(index, "", item_id) for item_id, index in ITEMS.items()])
    loop = asyncio.new_event_loop()
    with mock.patch.object(updater_module, "_BACKOFF", 0.0), closing(loop):
        store = loop.run_until_complete(backend.open())
        yield Place(loop, store, count(1), {})
        loop.run_until_complete(store.close())


CHECK = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def run_machine(place: Place, checked: settings, defect: str = "") -> None:
    """Lets Hypothesis look for something that goes wrong."""
    machine = type("Machine", (EventLoop,), {"place": place, "defect": defect})
    run_state_machine_as_test(machine, settings=checked)


def test_whatever_happens_the_store_is_that_of_a_bulk_load(place: Place, tmp_path: Path) -> None:
    """Crashes anywhere, replays, zombies and races of consumers lead to what loading the log's ratings leads to."""
    run_machine(place, CHECK)
    backend = EdgeBackend(tmp_path / "loaded")
    build(backend, writes_of(place.said))
    loaded = place.loop.run_until_complete(backend.open())
    ids = [point_id_of(user_id) for user_id in place.said]
    pairs = [place.loop.run_until_complete(store.users(ids)) for store in (place.store, loaded)]
    for user, wanted in zip(*pairs, strict=True):
        assert user is not None
        assert wanted is not None
        assert (user.user_id, bits(user.profile)) == (wanted.user_id, bits(wanted.profile))
    found, expected = (place.loop.run_until_complete(vectors_of(store)) for store in (place.store, loaded))
    assert len(found) > len(ids) / 4
    assert found == {key: pytest.approx(value, abs=1e-6) for key, value in expected.items()}
    place.loop.run_until_complete(loaded.close())


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_found(place: Place, defect: str) -> None:
    """A consumer that ignores conditions, skips, orders or weighs wrongly, or commits too early does not pass."""
    find = settings(CHECK, max_examples=200, phases=[Phase.generate], database=None, derandomize=True)
    with pytest.raises(AssertionError):
        run_machine(place, find, defect)
