"""`kindred replay` over both stores and a real log: what it builds, and what it leaves alone."""

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka import KafkaProducer

from cli.runtime import running
from kindred.errors import PreconditionError, StoreLoadedError
from kindred.events import now_ms
from kindred.ratings import EMPTY_PROFILE, AttributesSet, Forgotten, Rated, Retracted, merge
from kindred.settings import Settings
from kindred.stores.port import LogPosition, StoredUser, UserWrite, point_id_of
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as recommendation
from kindred.weighting import stored_vector
from loader.log_span import Offsets
from loader.log_span import Place as LogPlace
from loader.replay import Onto, ReplayOptions, ReplayReport, replay
from tests.support.films import INDEX, ROMANCE, SPACE, USERS
from tests.support.kafka_log import Raw, read_records, write_records
from tests.support.place import Place
from tests.support.processes import process
from tests.support.replaying import (
    T0,
    Log,
    between,
    built_at,
    consume,
    elsewhere,
    event,
    generation_of,
    log_for,
    rated,
    ratings_in,
    users_of,
)
from tests.support.services import Services
from tests.support.system import BOUND, Client, connected

pytestmark = pytest.mark.timeout(120)


class TestOntoNothing:
    async def test_users_come_from_the_log_alone(self, own_films: Place, kafka: str) -> None:
        """Every profile is what its events say, counts and vectors too; what cannot be applied is counted by reason."""
        log = await log_for(own_films, kafka)
        places = await log.write(
            rated("7", "50", 5, 1),
            rated("7", "14", 2, 2),
            rated("new", "50", 4, 3),
            rated("7", "50", 1, 4),
            event("7", 5, retracted={"itemId": "14"}),
            rated("new", "96", 3.5, 2),
            event("new", 6, attributesSet={"attributes": {"country": "FR"}}),
            rated("gone", "50", 5, 1),
            event("gone", 7, forgotten={}),
            rated("gone", "50", 5, 1),
            rated("new", "nothing", 5, 8),
            rated("new", "50", 11, 9),
        )
        await write_records(kafka, log.settings.topic, [Raw(b"x", b"{")])
        options = ReplayOptions("earliest", onto="nothing", drop_other_users=True)
        report = await replay(log.settings, options)
        second = 1_000
        at = [T0 + second * number for number in range(10)]
        expected = {
            "7": merge(
                EMPTY_PROFILE,
                [Rated(INDEX["50"], 1, at[4]), Rated(INDEX["14"], 2, at[2]), Retracted(INDEX["14"], at[5])],
            ),
            "new": merge(
                EMPTY_PROFILE,
                [
                    Rated(INDEX["50"], 4, at[3]),
                    Rated(INDEX["96"], 3.5, at[2]),
                    AttributesSet({"country": "FR"}, at[6]),
                ],
            ),
            # A forgotten user is kept without a name.
            "": merge(EMPTY_PROFILE, [Forgotten(at[7])]),
        }
        users = await users_of(own_films)
        assert {name: user.profile for name, user in users.items()} == expected
        assert users["7"].source == LogPosition(log.topic_id, *places[4])
        assert report.undecodable == {"undecodable": 1, "unknown_item": 1, "off_scale": 1}
        assert (report.events, report.applied, report.users, report.ratings) == (13, 10, 3, 3)
        assert (report.copied_users, report.other_users, report.past) == (0, len(USERS), False)
        store = await own_films.open()
        counts = await store.counts()
        assert {tuple(row) for row in np.column_stack(counts).tolist()} == {(INDEX["50"], 2, 1), (INDEX["96"], 1, 0)}
        ends = {each.span.partition: each.span.end for each in report.partitions}
        assert {each.partition: each.offset for each in store.metadata.included} == ends
        [hits] = await store.search([stored_vector(store.metadata.weighting, expected["new"])], 10)
        assert point_id_of("new") in hits.point_ids
        await store.close()

    async def test_users_that_files_have_made_are_not_dropped_unasked(self, own_films: Place, kafka: str) -> None:
        """Without --drop-other-users it is refused with their number, and nothing has changed."""
        log = await log_for(own_films, kafka)
        await log.write(rated("7", "50", 5))
        before = await built_at(own_films)
        with pytest.raises(PreconditionError, match=r"12 of 12 users would be gone.*--drop-other-users"):
            await replay(log.settings, ReplayOptions("earliest", onto="nothing"))
        assert await built_at(own_films) == before
        assert len(await users_of(own_films)) == len(USERS)


class TestOntoCurrent:
    async def test_what_is_missing_is_repaired(self, own_films: Place, kafka: str) -> None:
        """A user who lost ratings that the log has gets them back, although their point says that they were applied."""
        log = await log_for(own_films, kafka)
        places = await log.write(rated("7", "14", 3), rated("7", "213", 4), rated("8", "50", 2))
        store = await own_films.open()
        [damaged] = await store.users([point_id_of("7")])
        assert damaged is not None
        source = LogPosition(log.topic_id, *places[1])
        user = StoredUser("7", EMPTY_PROFILE, damaged.revision + 1, source)
        assert await store.write_users([UserWrite(user, stored_vector(store.metadata.weighting, user.profile))])
        await store.close()
        before = await users_of(own_films)
        report = await replay(log.settings, ReplayOptions("earliest"))
        after = await users_of(own_films)
        assert ratings_in(after["7"].profile) == {"14": 3, "213": 4}
        assert ratings_in(after["8"].profile) == USERS["8"] | {"50": 2}
        assert after["7"].source == source
        untouched = before.keys() - {"7", "8"}
        assert {name: after[name] for name in untouched} == {name: before[name] for name in untouched}
        assert (report.copied_users, report.applied, report.users) == (len(USERS), 3, len(USERS))

    async def test_doing_it_again_changes_no_profile(self, own_films: Place, kafka: str) -> None:
        """Events that had been applied, forgetting among them, lead to the same profiles, also from the middle on."""
        log = await log_for(own_films, kafka)
        places = await log.write(
            rated("7", "14", 3, 1), event("7", 2, forgotten={}), rated("7", "50", 4, 3), rated("8", "50", 2, 4)
        )
        await replay(log.settings, ReplayOptions("earliest"))
        once = await users_of(own_films)
        assert ratings_in(once["7"].profile) == {"50": 4}
        starts = dict.fromkeys((0, 1), 0) | {places[1][0]: places[1][1]}
        for start in ("earliest", "latest", Offsets(starts)):
            await replay(log.settings, ReplayOptions(start))
            again = await users_of(own_films)
            assert {name: user.profile for name, user in again.items()} == {
                name: user.profile for name, user in once.items()
            }
            assert {name: user.source for name, user in again.items()} == {
                name: user.source for name, user in once.items()
            }

    async def test_what_consumers_have_not_applied_yet_is_not_lost(self, own_films: Place, kafka: str) -> None:
        """Even from the end of the log on it begins where the consumers are: nobody would apply that any more."""
        log = await log_for(own_films, kafka)
        await log.write(*(rated("late", film, 5) for film in SPACE))
        report = await replay(log.settings, ReplayOptions("latest"))
        assert sum(each.span.asked - each.span.start for each in report.partitions) == len(SPACE)
        assert ratings_in((await users_of(own_films))["late"].profile) == dict.fromkeys(SPACE, 5.0)

    async def test_a_consumer_goes_on_where_it_ended(self, own_films: Place, kafka: str) -> None:
        """With --until in the past the rest is applied by the next consumer, and so is what comes later."""
        log = await log_for(own_films, kafka)
        await log.write(*(rated(f"user-{number}", "50", 5) for number in range(20)))
        await consume(log, 20)
        options = ReplayOptions("earliest", until=Offsets({0: 0, 1: 0}), onto="nothing", drop_other_users=True)
        report = await replay(log.settings, options)
        assert (report.users, report.past) == (0, True)
        assert await users_of(own_films) == {}
        await log.write(rated("later", "50", 5))
        await consume(log, 21)
        assert (await users_of(own_films)).keys() == {f"user-{number}" for number in range(20)} | {"later"}
        assert await read_records(kafka, log.settings.dead_letter_topic) == []


class TestThePast:
    async def test_the_state_of_then_is_built_aside(self, own_films: Place, kafka: str, tmp_path: Path) -> None:
        """With --until a time and --into another place there is what was rated then; the current one is untouched."""
        log = await log_for(own_films, kafka)
        await log.write(rated("ann", "50", 5), rated("ben", "50", 4), rated("ann", "14", 3))
        then = await between()
        await log.write(rated("ann", "50", 1, 9), event("ben", 9, forgotten={}), rated("cas", "50", 4, 9))
        before, generation = await users_of(own_films), await generation_of(own_films)
        past = elsewhere(own_films, tmp_path)
        options = ReplayOptions("earliest", until=then, onto="nothing", into=past.settings())
        report = await replay(log.settings, options)
        users = await users_of(past)
        assert {name: ratings_in(user.profile) for name, user in users.items()} == {
            "ann": {"50": 5, "14": 3},
            "ben": {"50": 4},
        }
        assert (report.events, report.users, report.past, report.other_users) == (3, 2, True, len(USERS))
        assert (await generation_of(own_films), await users_of(own_films)) == (generation, before)
        with pytest.raises(StoreLoadedError):
            await replay(log.settings, options)
        options = ReplayOptions(then, onto="nothing", into=past.settings(), replace=True)
        await replay(log.settings, options)
        users = await users_of(past)
        assert {name: ratings_in(user.profile) for name, user in users.items() if name} == {
            "ann": {"50": 1},
            "cas": {"50": 4},
        }

    @pytest.mark.parametrize("until", ["latest", Offsets({0: 2_000, 1: 1})], ids=["latest", "in the middle"])
    async def test_a_long_log_is_read_whole(
        self, own_films: Place, kafka: str, tmp_path: Path, until: LogPlace
    ) -> None:
        """Many more records than a read brings: every one up to the end is applied, in every partition, and no more."""
        log = await log_for(own_films, kafka, batch_size=100)
        for partition in (0, 1):
            events = [rated(f"{partition}-{number}", "50", 4) for number in range(3_000)]
            await log.write(*events, partition=partition)
        past = elsewhere(own_films, tmp_path)
        report = await replay(log.settings, ReplayOptions("earliest", until, onto="nothing", into=past.settings()))
        ends = (3_000, 3_000) if until == "latest" else (2_000, 1)
        assert all(None not in (each.first_at, each.last_at) for each in report.partitions)
        assert (report.events, report.applied, report.users) == (sum(ends), sum(ends), sum(ends))
        wanted = {f"{partition}-{number}" for partition in (0, 1) for number in range(ends[partition])}
        assert (await users_of(past)).keys() == wanted

    async def test_offsets_without_records(self, qdrant_films: Place, kafka: str, services: Services) -> None:
        """The marks that transactions leave in the log, at its end, too, are read over."""
        if services.choice == "embedded":
            pytest.skip("the local broker has no transactions")
        log = await log_for(qdrant_films, kafka)
        await asyncio.to_thread(_write_in_transactions, log.settings, [rated("ann", film, 5) for film in SPACE])
        report = await replay(log.settings, ReplayOptions("earliest"))
        assert sum(each.span.events for each in report.partitions) == 2 * len(SPACE)
        assert (report.events, report.applied) == (len(SPACE), len(SPACE))

    async def test_into_the_current_one_is_a_mistake(self, own_films: Place, kafka: str) -> None:
        """--into the collection itself is refused: without it the replay takes its place."""
        log = await log_for(own_films, kafka)
        with pytest.raises(PreconditionError, match="is the current collection"):
            await replay(log.settings, ReplayOptions("earliest", into=own_films.settings(), replace=True))

    async def test_a_dry_run_makes_nothing(self, own_films: Place, kafka: str, tmp_path: Path) -> None:
        """It says what would be read of each partition, of which times, and what copied."""
        log = await log_for(own_films, kafka)
        start = now_ms()
        await log.write(*(rated("7", film, 5) for film in SPACE), partition=0)
        before = await built_at(own_films)
        past = elsewhere(own_films, tmp_path)
        options = ReplayOptions(
            Offsets({0: 1, 1: 0}), until=Offsets({0: 4, 1: 0}), onto="nothing", into=past.settings(), dry_run=True
        )
        report = await replay(log.settings, options)
        one, other = report.partitions
        assert (one.span.oldest, one.span.start, one.span.until, one.span.end, one.span.events) == (0, 1, 4, 6, 3)
        assert one.first_at is not None
        assert one.last_at is not None
        assert start <= one.first_at <= one.last_at <= now_ms()
        assert (other.span.events, other.first_at, other.last_at) == (0, None, None)
        assert (report.other_users, report.items, report.copied_users, report.past) == (12, len(INDEX), 0, True)
        report = await replay(log.settings, ReplayOptions("earliest", dry_run=True))
        assert (report.copied_users, report.copied_ratings) == (12, sum(map(len, USERS.values())))
        assert await built_at(own_films) == before
        assert not (tmp_path / "elsewhere").exists()


class TestUnderLoad:
    @pytest.mark.parametrize("onto", ["current", "nothing"])
    async def test_nobody_notices(self, qdrant_films: Place, kafka: str, onto: Onto) -> None:
        """While a collection is replayed a writer reads its own writes without an error, and none of them is lost."""
        log = await log_for(qdrant_films, kafka)
        await log.write(*(rated(f"early-{number}", "50", 5) for number in range(300)))
        films, done, written = [*SPACE, *ROMANCE], asyncio.Event(), dict[str, int]()
        going, enough, until = asyncio.Event(), asyncio.Event(), [0]

        async def write(client: Client) -> None:
            number = 0
            while not done.is_set():
                user, film = f"writer-{number // len(films)}", films[number % len(films)]
                request = rating.RecordRatingsRequest(user_id=user, ratings=[rating.NewRating(item_id=film, value=5)])
                token = (await client.ratings.RecordRatings(request, timeout=BOUND)).freshness_token
                written[user] = number % len(films) + 1
                wanted = recommendation.RecommendRequest(user_id=user, at_least_as_fresh=token)
                answer = await client.recommendations.Recommend(wanted, timeout=BOUND)
                assert answer.as_of.stored_ratings == written[user]
                number += 1
                going.set()
                if number == until[0]:
                    enough.set()

        async def build() -> ReplayReport:
            try:
                await going.wait()
                return await replay(
                    log.settings, ReplayOptions("earliest", onto=onto, drop_other_users=onto == "nothing")
                )
            finally:
                until[0] = sum(written.values()) + 20
                await enough.wait()
                done.set()

        async with (
            asyncio.timeout(100),
            running(log.settings, serve=True, consume=False) as parts,
            connected(parts.address) as client,
            running(log.settings, serve=False, consume=True),
        ):
            first = await generation_of(qdrant_films)
            report, _ = await asyncio.gather(build(), write(client))
            assert await generation_of(qdrant_films) != first
            assert report.events >= 300
            while True:
                users = await users_of(qdrant_films)
                counts = {name: users[name].profile.rating_count if name in users else 0 for name in written}
                if counts == written:
                    break
        assert {f"early-{number}" for number in range(300)} <= users.keys()
        assert ("ann" in users) == (onto == "current")
        assert await read_records(kafka, log.settings.dead_letter_topic) == []


class TestCommand:
    def environment(self, log: Log, place: Place) -> dict[str, str]:
        """For the command."""
        names = {name: getattr(log.settings, name) for name in ("kafka", "topic", "dead_letter_topic", "group")}
        return Place({**place.options, **names}).environment | {"PATH": os.environ["PATH"]}

    async def run(self, log: Log, place: Place, *arguments: object) -> tuple[int | None, str, str]:
        """Runs the command; exit code and what it printed."""
        with process("replay", *arguments, **self.environment(log, place)) as command:
            said, wrong = await asyncio.to_thread(command.communicate, timeout=BOUND)
        assert "Traceback" not in wrong
        return command.returncode, said, wrong

    async def test_it_tells_people(self, own_films: Place, kafka: str) -> None:
        """The table of partitions, what was copied and applied, and what could not be."""
        log = await log_for(own_films, kafka)
        await log.write(rated("7", "50", 1), rated("new", "nothing", 1))
        code, said, _ = await self.run(log, own_films, "--from", "earliest", "--dry-run")
        assert code == 0
        assert "Would copy 12 users, 84 ratings and 13 items, and apply 2 events to make films at" in said
        code, said, _ = await self.run(log, own_films, "--from", "-1h")
        assert code == 0
        assert "12 users, 85 ratings, 13 items in" in said
        assert "applied 1 of 2 events" in said
        assert "Could not apply 1 record: unknown_item 1" in said

    async def test_it_tells_scripts(self, own_films: Place, kafka: str, tmp_path: Path) -> None:
        """--json has all of the report, with times as ISO 8601."""
        log = await log_for(own_films, kafka)
        await log.write(rated("7", "50", 1), partition=0)
        into = str(tmp_path / "past") if "data_dir" in own_films.options else f"{own_films.options['collection']}-past"
        arguments = ("--from", "0:0,1:0", "--until", "0:1,1:0", "--onto", "nothing", "--into", into, "--json")
        code, said, wrong = await self.run(log, own_films, *arguments)
        assert code == 0, wrong
        report: ReplayReport = json.loads(said)
        assert report["partitions"][0] | {"first_at": "", "last_at": ""} == {
            "partition": 0,
            "oldest": 0,
            "asked": 0,
            "start": 0,
            "until": 1,
            "end": 1,
            "events": 1,
            "first_at": "",
            "last_at": "",
        }
        assert report["partitions"][0]["first_at"].endswith("Z")
        assert (report["users"], report["ratings"], report["other_users"]) == (1, 1, 12)
        code, said, wrong = await self.run(log, own_films, *arguments)
        assert (code, said) == (1, "")
        assert "holds a collection already; --replace" in wrong
        code, said, wrong = await self.run(log, own_films, *arguments, "--replace")
        assert code == 0, wrong

    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            (("--from", "earliest", "--until", "earliest"), "--until earliest: leaves nothing"),
            (("--from", "earliest", "--drop-other-users"), "goes with --onto nothing"),
            (("--from", "earliest", "--replace"), "--replace goes with --into"),
            (("--from", "tomorrow"), "--from tomorrow: must be"),
            (("--from", "earliest", "--into", "a b", "--qdrant-url", "http://localhost:1"), "--into a b: must be"),
        ],
    )
    async def test_wrong_usage(self, arguments: tuple[str, ...], why: str) -> None:
        """Options that do not go together are refused before anything is opened, with exit code 2."""
        with process("replay", *arguments, PATH=os.environ["PATH"]) as command:
            _, wrong = await asyncio.to_thread(command.communicate, timeout=BOUND)
        assert command.returncode == 2
        assert why in wrong

    async def test_ctrl_c(self, own_films: Place, kafka: str) -> None:
        """A signal in the middle ends it, and leaves the old collection alone."""
        log = await log_for(own_films, kafka)
        await log.write(*(rated(f"user-{number % 3000}", "50", 1) for number in range(20_000)))
        before = await built_at(own_films)
        folder = own_films.options.get("data_dir")
        with process("replay", "--from", "earliest", **self.environment(log, own_films)) as command:
            async with asyncio.timeout(BOUND):
                if folder:
                    while len(list((folder / "generations").iterdir())) == 1:
                        assert command.poll() is None
                else:
                    while len(await built_at(own_films)) == len(before):
                        assert command.poll() is None
            command.send_signal(signal.SIGINT)
            _, wrong = await asyncio.to_thread(command.communicate, timeout=BOUND)
        assert command.returncode not in (0, 1)
        assert "Traceback" not in wrong
        assert await built_at(own_films) == before


def _write_in_transactions(settings: Settings, events: Sequence[dict[str, Any]]) -> None:
    """Writes each event in a transaction of its own."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka, transactional_id=settings.group, acks="all")
    producer.init_transactions()
    for each in events:
        producer.begin_transaction()
        producer.send(settings.topic, json.dumps(each).encode(), each["userId"].encode(), partition=0)
        producer.commit_transaction()
    producer.close()
