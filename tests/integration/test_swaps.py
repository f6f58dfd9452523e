"""Another collection is swapped in while servers and consumers run: by a reindex and by a load."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kindred.errors import SchemaError
from kindred.eventlog.broker import AppliedTo
from kindred.eventlog.reader import LogReader
from kindred.items import CatalogEntry
from kindred.settings import Settings
from kindred.stores.choice import open_store, shared_builder
from kindred.stores.port import SharedBuilder, UserWrite, point_id_of
from kindred.v1 import catalog_service_pb2 as catalog
from kindred.v1 import recommendation_service_pb2 as recommendation
from kindred.v1.item_pb2 import Item
from kindred.v1.reaction_pb2 import REACTION_LIKE
from kindred.weighting import stored_vector
from loader.reindex import ReindexReport, reindex
from tests.support.films import ROMANCE, SPACE, USERS
from tests.support.fleet import all_applied, fleet, listed, recommended, record
from tests.support.kafka_log import read_records
from tests.support.place import Place
from tests.support.processes import free_port
from tests.support.system import BOUND, Client, fresh_names

pytestmark = pytest.mark.timeout(120)


class TestReindex:
    @pytest.mark.parametrize("weighting", ["zscore", "default"])
    async def test_nobody_notices(  # noqa: C901, PLR0915  # three kinds of callers at once
        self, qdrant_films: Place, kafka: str, weighting: str
    ) -> None:
        """While a collection is written anew readers and writers meet no error, and nothing that they wrote is lost."""
        async with fleet(qdrant_films, kafka) as parts:
            servers = [await parts.server(), await parts.server()]
            await parts.consumer()
            await parts.consumer()
            done = asyncio.Event()
            written: dict[str, int] = {}

            async def read(client: Client) -> int:
                answers = 0
                while not done.is_set():
                    request = recommendation.RecommendRequest(
                        user_id="8", ratings=[recommendation.InlineRating(item_id="50", reaction=REACTION_LIKE)]
                    )
                    assert (await client.recommendations.Recommend(request, timeout=BOUND)).recommendations
                    answers += 1
                return answers

            async def write(client: Client, name: str) -> None:
                films = [*SPACE, *ROMANCE]
                number = 0
                while not done.is_set():
                    user, film = f"{name}-{number // len(films)}", films[number % len(films)]
                    token = await record(client, user, film)
                    written[user] = number % len(films) + 1
                    answer = await recommended(client, user, token)  # read your own write, whatever goes on
                    assert answer.as_of.stored_ratings == written[user]
                    number += 1

            async def add_items(client: Client) -> int:
                number = 0
                while not done.is_set():
                    item = Item(item_id=f"item-{number}", title=f"Item {number}")
                    await client.catalog.UpsertItems(catalog.UpsertItemsRequest(items=[item]), timeout=BOUND)
                    await record(client, f"fan-{number}", item.item_id)
                    written[f"fan-{number}"] = 1
                    number += 1
                    await asyncio.sleep(0.02)
                return number

            async def rewrite() -> ReindexReport:
                try:
                    await asyncio.sleep(0.5)
                    return await reindex(parts.settings, weighting, 7.0)
                finally:
                    await asyncio.sleep(0.5)
                    done.set()

            async with asyncio.timeout(100):
                report, *_, items = await asyncio.gather(
                    rewrite(),
                    *(read(client) for client in servers),
                    *(write(client, f"writer-{place}") for place, client in enumerate(servers)),
                    add_items(servers[0]),
                )
            assert report.users >= len(USERS)
            store = await qdrant_films.open()
            assert store.metadata.weighting.name == weighting
            assert {f"item-{number}" for number in range(items)} <= {each.item.item_id for each in await store.items()}
            async with asyncio.timeout(BOUND):
                while True:
                    users = await store.users([point_id_of(user) for user in written])
                    counts = {
                        name: user.profile.rating_count if user else 0
                        for name, user in zip(written, users, strict=True)
                    }
                    if counts == written:
                        break
            await store.close()
            for client in servers:
                assert (await recommended(client, "7")).recipe == (
                    recommendation.RECIPE_RIDGE if weighting == "default" else recommendation.RECIPE_TUTORIAL_RATINGS
                )
            assert await read_records(kafka, parts.settings.dead_letter_topic) == []

    async def test_it_needs_the_log(self, qdrant_films: Place) -> None:
        """Without Kafka nothing is begun, and the old collection stays."""
        settings = qdrant_films.settings(kafka=f"127.0.0.1:{free_port()}", kafka_timeout=1.0)
        before = await qdrant_films.open()
        with pytest.raises(Exception, match="no Kafka broker answers"):
            await reindex(settings, "zscore", 5.0)
        assert await before.is_current()
        await before.close()

    async def test_a_consumer_that_comes_later_reads_what_the_new_collection_lacks(
        self, qdrant_films: Place, kafka: str
    ) -> None:
        """Offsets that were committed for the old collection do not hide events from the new one."""
        async with fleet(qdrant_films, kafka) as parts:
            server = await parts.server(swap_interval=0.1)
            async with fleet(qdrant_films, kafka) as first:
                first.settings = parts.settings
                await first.consumer()
                await recommended(server, "early", await record(server, "early", "50"))
                # The copy is made, and swapped in only after more was applied to the old one.
                builder = await _copy_aside(parts.settings)
                await recommended(server, "late", await record(server, "late", "50"))
            with builder:
                builder.swap()
                store = await qdrant_films.open()
                [missing] = await store.users([point_id_of("late")])
                assert missing is None
                await parts.consumer()
                await all_applied(qdrant_films, ["early", "late"])
                await store.close()
                await asyncio.sleep(0.5)  # the server follows before the old collection goes
                builder.drop_replaced()

    @pytest.mark.parametrize("kind", ["embedded", "qdrant"])
    async def test_a_collection_of_the_schema_before_is_written_anew(
        self, kind: str, own_films_dir: Path, qdrant_films: Place, kafka: str
    ) -> None:
        """A collection without counts of its own, as version 1 had it, has them afterwards, and opens."""
        place = Place({"data_dir": own_films_dir}) if kind == "embedded" else qdrant_films
        store = await place.open()
        counts, metadata = await store.counts(), store.metadata
        users = [user async for page in store.scan_users(100) for user in page]
        items = [CatalogEntry(entry.index, entry.item) for entry in await store.items()]
        await store.close()
        with place.builder(replace=True) as builder:
            builder.add_items(items)
            builder.add_users(UserWrite(user, stored_vector(metadata.weighting, user.profile)) for user in users)
            builder.commit(replace(metadata, schema_version=1))
        with pytest.raises(SchemaError, match="kindred reindex"):
            await place.open()
        await reindex(place.settings(kafka=kafka, **fresh_names()), "default", 5.0)
        store = await place.open()
        assert store.metadata.schema_version == 2
        assert all(np.array_equal(*pair) for pair in zip(await store.counts(), counts, strict=True))
        await store.close()

    async def test_an_embedded_collection_is_written_anew(self, own_films_dir: Path) -> None:
        """Over a data directory a copy with the new weighting takes the place of the old one."""
        settings = Settings(data_dir=own_films_dir)
        place = Place({"data_dir": own_films_dir})
        before = await place.open()
        users = sorted([user async for page in before.scan_users(5) for user in page], key=lambda user: user.user_id)
        items = await before.items()
        await before.close()
        report = await reindex(settings, "zscore", 5.0)
        assert (report.users, report.items, report.events) == (len(users), len(items), 0)
        after = await place.open()
        assert after.metadata.weighting.name == "zscore"
        again = sorted([user async for page in after.scan_users(5) for user in page], key=lambda user: user.user_id)
        assert (again, await after.items()) == (users, items)
        await after.close()


class TestLoad:
    async def test_a_replacing_load_is_followed(self, qdrant_films: Place, kafka: str) -> None:
        """Servers answer from a collection that was loaded anew, without a restart and without an error."""
        async with fleet(qdrant_films, kafka) as parts:
            client = await parts.server()
            assert await listed(client, "7") == len(USERS["7"])
            with shared_builder(qdrant_films.settings()) as builder:
                store = await qdrant_films.open()
                builder.add_items(await store.items())
                metadata = store.metadata
                await store.close()
                builder.seal(metadata)
                builder.swap()
                async with asyncio.timeout(BOUND):
                    while await listed(client, "7"):
                        pass
                builder.drop_replaced()
            answer = await recommended(client, "7")
            assert answer.strategy == recommendation.STRATEGY_POPULAR_FALLBACK


async def _copy_aside(settings: Settings) -> SharedBuilder:
    """A copy of the collection that is sealed and not current yet, and says where the consumers were."""
    store = await open_store(settings)
    applied_to = AppliedTo(store.generation, store.metadata.included)
    async with LogReader(settings.broker(), settings.group, applied_to, max_records=10) as reader:
        included = await reader.positions()
    builder = shared_builder(settings)
    builder.add_items(await store.items())
    async for page in store.scan_users(100):
        builder.add_users(UserWrite(user, stored_vector(store.metadata.weighting, user.profile)) for user in page)
    builder.seal(replace(store.metadata, included=included))
    await store.close()
    return builder
