"""What `kindred replay` refuses, and what it leaves when it fails: the old collection and nothing else."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.structs import TopicPartition

from cli.local_broker import local_broker
from kindred.errors import PreconditionError, StoreInUseError, UnavailableError
from kindred.eventlog.broker import Broker
from kindred.eventlog.client import prepare_topics
from kindred.events import now_ms
from loader.log_span import Moment, Offsets
from loader.replay import ReplayOptions, replay
from tests.support.films import SPACE
from tests.support.place import Place, data_dir
from tests.support.processes import free_port
from tests.support.replaying import (
    T0,
    built_at,
    elsewhere,
    generation_of,
    log_for,
    rated,
    ratings_in,
    users_of,
)
from tests.support.services import Services
from tests.support.system import BOUND, fresh_names
from tests.support.tcp_proxy import wire_to

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _sockets_go() -> Iterator[None]:
    """The sockets that kafka-python drops are collected here."""
    yield
    gc.collect()


class TestRefusals:
    async def test_a_topic_that_is_not_there(self, own_films: Place, kafka: str) -> None:
        """A misspelt topic is an error, and is not made."""
        settings = own_films.settings(kafka=kafka, **fresh_names())
        with pytest.raises(PreconditionError, match=f"has no topic {settings.topic}.*KINDRED_TOPIC"):
            await replay(settings, ReplayOptions("earliest"))
        with KafkaAdminClient(bootstrap_servers=kafka) as admin:
            assert settings.topic not in admin.list_topics()

    async def test_a_broker_that_is_away(self, own_films: Place) -> None:
        """Without Kafka nothing is begun."""
        before = await built_at(own_films)
        settings = own_films.settings(kafka=f"127.0.0.1:{free_port()}", kafka_timeout=1.0)
        with pytest.raises(UnavailableError, match="no Kafka broker answers"):
            await replay(settings, ReplayOptions("earliest"))
        assert await built_at(own_films) == before

    async def test_an_end_before_the_beginning(self, qdrant_films: Place, kafka: str) -> None:
        """--from after --until is refused, for times and for offsets."""
        log = await log_for(qdrant_films, kafka)
        await log.write(*(rated("7", film, 5) for film in SPACE), partition=1)
        for start, until in (
            (Moment(T0 + 1), Moment(T0)),
            (Offsets({0: 0, 1: 4}), Offsets({0: 0, 1: 3})),
            ("latest", Moment(T0)),
        ):
            with pytest.raises(PreconditionError, match="is after --until"):
                await replay(log.settings, ReplayOptions(start, until=until))
        with pytest.raises(PreconditionError, match="partition 1 ends at offset 6"):
            await replay(log.settings, ReplayOptions("earliest", until=Offsets({0: 0, 1: 7})))

    async def test_events_that_the_log_has_lost(self, qdrant_films: Place, kafka: str, services: Services) -> None:
        """Of a trimmed log older offsets and times are refused with what there is; earliest takes what is left."""
        if services.choice == "embedded":
            pytest.skip("the local broker does not trim")
        log = await log_for(qdrant_films, kafka)
        start = Moment(now_ms())
        await log.write(*(rated("7", film, 5) for film in SPACE), partition=1)
        with KafkaAdminClient(bootstrap_servers=kafka) as admin:
            admin.delete_records({TopicPartition(log.settings.topic, 1): 4})
        with pytest.raises(PreconditionError, match=r"partition 1 before offset 4 are gone.*--from earliest"):
            await replay(log.settings, ReplayOptions(Offsets({0: 0, 1: 3})))
        with pytest.raises(
            PreconditionError, match=r"begins at offset 4.*events before that are gone.*--from earliest"
        ):
            await replay(log.settings, ReplayOptions(start))
        options = ReplayOptions("earliest", onto="nothing", drop_other_users=True)
        assert (await replay(log.settings, options)).applied == 2
        assert ratings_in((await users_of(qdrant_films))["7"].profile) == dict.fromkeys(SPACE[4:], 5.0)

    async def test_another_log(self, own_films: Place, kafka: str) -> None:
        """A log that none of the users' events came from is refused, and taken when it is meant."""
        old = await log_for(own_films, kafka)
        await old.write(rated("7", "50", 5))
        await replay(old.settings, ReplayOptions("earliest"))
        log = await log_for(own_films, kafka)
        await log.write(rated("8", "50", 5))
        before = await built_at(own_films)
        with pytest.raises(
            PreconditionError, match=r"no event of the collection films came from this topic.*--another"
        ):
            await replay(log.settings, ReplayOptions("earliest"))
        assert await built_at(own_films) == before
        assert (await replay(log.settings, ReplayOptions("earliest", another_log=True))).applied == 1

    async def test_an_embedded_store_that_is_in_use(self, own_films_dir: Path, kafka: str) -> None:
        """Nothing else may have the folder open."""
        place = data_dir(own_films_dir)
        store = await place.open()
        with pytest.raises(StoreInUseError):
            await replay(place.settings(kafka=kafka, **fresh_names()), ReplayOptions("earliest"))
        await store.close()


class At:
    """Progress that does something at a stage, for instance fail as a signal may.

    Args:
        name: The stage.
        do: What to do.
    """

    def __init__(self, name: str, do: Callable[[], object]) -> None:
        self.name = name
        self.do = do
        self.reached = False

    def stage(self, name: str, total: int | None) -> None:
        """Does it at the stage."""
        if name == self.name:
            self.reached = True
            self.do()

    def advance(self, amount: int) -> None:
        """Nothing."""


def _interrupt() -> None:
    raise KeyboardInterrupt


class TestFailures:
    @pytest.mark.parametrize(
        "stage", ["Reading users", "Writing users", "Writing items", "Optimizing", "Applying events", "Counting"]
    )
    @pytest.mark.parametrize("aside", [False, True], ids=["in place", "aside"])
    def test_whatever_ends_it_leaves_nothing(
        self, own_films: Place, kafka: str, tmp_path: Path, stage: str, aside: bool
    ) -> None:
        """Stopped at any stage it leaves the old collection as it was, and nothing else."""
        log = asyncio.run(log_for(own_films, kafka))
        asyncio.run(log.write(rated("7", "50", 1)))
        before, users = asyncio.run(built_at(own_films)), asyncio.run(users_of(own_films))
        past = elsewhere(own_films, tmp_path)
        stop = At(stage, _interrupt)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(replay(log.settings, ReplayOptions("earliest", into=past.settings() if aside else None), stop))
        assert stop.reached
        assert (asyncio.run(built_at(own_films)), asyncio.run(users_of(own_films))) == (before, users)
        assert not (tmp_path / "elsewhere").exists()

    @pytest.mark.parametrize("stage", ["Applying events", "Counting"])
    async def test_a_broker_that_goes_away_meanwhile(self, own_films: Place, stage: str) -> None:
        """If Kafka is gone in the middle the replay fails, and does not take the part that it has for the whole."""
        with ExitStack() as stack:
            kafka = stack.enter_context(local_broker(0))
            log = await log_for(own_films, kafka, kafka_timeout=1.0)
            await log.write(rated("7", "50", 1))
            before = await built_at(own_films)
            with pytest.raises(UnavailableError, match="no Kafka broker answers"):
                await replay(log.settings, ReplayOptions("earliest"), At(stage, stack.close))
        assert await built_at(own_films) == before

    async def test_a_store_that_goes_away_meanwhile(self, qdrant_films: Place, kafka: str) -> None:
        """If Qdrant is gone in the middle the replay fails, and the old collection stays the current one."""
        first = await generation_of(qdrant_films)
        port = int(qdrant_films.options["qdrant_url"].rpartition(":")[2])
        with wire_to(f"127.0.0.1:{port}") as wire:
            place = Place(qdrant_films.options | {"qdrant_url": f"http://127.0.0.1:{wire.port}"})
            log = await log_for(place, kafka, qdrant_timeout=1.0)
            await log.write(rated("7", "50", 1))
            with pytest.raises(UnavailableError):
                await replay(log.settings, ReplayOptions("earliest"), At("Applying events", wire.refuse))
        assert await generation_of(qdrant_films) == first

    async def test_a_topic_made_anew_meanwhile(self, own_films: Place, kafka: str) -> None:
        """If the topic is another one when the events were applied, nothing is swapped in."""
        log = await log_for(own_films, kafka)
        await log.write(rated("7", "50", 1))
        before = await built_at(own_films)

        change = At("Counting", lambda: _make_anew(log.settings.broker()))
        with pytest.raises(PreconditionError, match="made anew meanwhile"):
            await replay(log.settings, ReplayOptions("earliest", until=Offsets({0: 0, 1: 0})), change)
        assert change.reached
        assert await built_at(own_films) == before


def _make_anew(broker: Broker) -> None:
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        admin.delete_topics([broker.topic])
        end = time.monotonic() + BOUND
        while broker.topic in admin.list_topics() and time.monotonic() < end:
            pass
    prepare_topics(broker)
