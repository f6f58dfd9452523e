"""How far a group is behind, as an operator sees it."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.structs import OffsetAndMetadata, TopicPartition

from cli.local_broker import LOCAL_SETTINGS
from cli.runtime import running
from kindred.eventlog.client import prepare_topics
from kindred.settings import Settings
from tests.support.commands import run_kindred
from tests.support.kafka_log import Raw, committed, write_records
from tests.support.services import Services
from tests.support.system import BOUND, fresh_names

pytestmark = pytest.mark.timeout(120)

OLD = 1_700_000_000_000


@pytest.fixture
async def settings(kafka: str) -> Settings:
    """A broker with topics of the test's own."""
    settings = Settings(kafka=kafka, partitions=4, **fresh_names())
    await asyncio.to_thread(prepare_topics, settings.broker())
    return settings


async def fill(settings: Settings, sizes: Mapping[int, tuple[int, ...]]) -> None:
    """Writes records to partitions in batches, each record a second younger than the one before."""
    for partition, batches in sizes.items():
        at = OLD
        for size in batches:
            records = [Raw(b"7", b"{}", (), at + 1_000 * number, partition) for number in range(size)]
            await write_records(settings.kafka, settings.topic, records, linger_ms=200)
            at += 1_000 * size


async def commit(settings: Settings, offsets: Mapping[int, int], mark: str = "") -> None:
    """Commits offsets for the group."""

    def call() -> None:
        consumer = KafkaConsumer(bootstrap_servers=settings.kafka, group_id=settings.group, enable_auto_commit=False)
        try:
            consumer.assign([TopicPartition(settings.topic, each) for each in offsets])
            consumer.commit(
                {
                    TopicPartition(settings.topic, each): OffsetAndMetadata(offset, mark, -1)
                    for each, offset in offsets.items()
                }
            )
        finally:
            consumer.close(autocommit=False)

    await asyncio.to_thread(call)


async def groups(kafka: str) -> set[str]:
    """All groups that there are."""

    def ask() -> set[str]:
        with KafkaAdminClient(bootstrap_servers=kafka) as admin:
            return {each["group_id"] for each in admin.list_groups()}

    return await asyncio.to_thread(ask)


async def test_lag_is_counted_exactly(settings: Settings) -> None:
    """Each partition has its committed offset, its end, and how many records wait since when; the total is the sum."""
    await fill(settings, {0: (3, 10), 1: (5,), 2: (1, 200)})
    await commit(settings, {0: 8, 1: 5, 2: 1})
    done = await run_kindred(settings, "lag", "--json")
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    assert (report["group"], report["topic"], report["total"]) == (settings.group, settings.topic, 205)
    seen = [[each[name] for name in ("partition", "committed", "end", "lag")] for each in report["partitions"]]
    assert seen == [[0, 8, 13, 5], [1, 5, 5, 0], [2, 1, 201, 200], [3, None, 0, 0]]
    oldest = [each["oldest_at"] for each in report["partitions"]]
    assert oldest == ["2023-11-14T22:13:28.000Z", None, "2023-11-14T22:13:21.000Z", None]
    assert report["partitions"][0]["oldest_seconds"] > 86_400
    assert report["partitions"][1]["oldest_seconds"] is None


async def test_lag_as_a_table(settings: Settings) -> None:
    """People see a row for each partition and one line with the total."""
    await fill(settings, {0: (4,)})
    await commit(settings, {0: 1})
    done = await run_kindred(settings, "lag")
    heading, first, *_, total = done.out.splitlines()
    assert heading.split() == ["partition", "committed", "end", "lag", "oldest", "waits", "member", "host"]
    assert first.split()[:4] == ["0", "1", "4", "3"]
    assert total == f"3 events wait in {settings.topic} for the group {settings.group}"


async def test_a_group_that_nobody_knows(settings: Settings) -> None:
    """A group without a committed offset has everything before it, it is said so, and it does not come to be."""
    await fill(settings, {1: (7,), 3: (2,)})
    done = await run_kindred(settings, "lag", "--group", f"un-{settings.group}")
    assert done.code == 0
    assert f"the group un-{settings.group} has committed nothing yet" in done.out
    assert done.out.endswith(f"9 events wait in {settings.topic} for the group un-{settings.group}\n")
    assert f"un-{settings.group}" not in await groups(settings.kafka)
    assert await committed(settings.kafka, f"un-{settings.group}", settings.topic) == {}


@pytest.mark.parametrize(("bound", "code"), [(9, 0), (8, 1), (0, 1)])
async def test_scripts_fail_above_a_bound(settings: Settings, bound: int, code: int) -> None:
    """The exit code is 1 if more wait than that, and the report is printed all the same."""
    await fill(settings, {1: (9,)})
    done = await run_kindred(settings, "lag", "--json", "--fail-above", bound)
    assert (done.code, json.loads(done.out)["total"]) == (code, 9)
    assert done.err == (f"kindred: the lag is 9, more than {bound}\n" if code else "")


async def test_an_offset_behind_the_end_is_no_lag(settings: Settings) -> None:
    """A group that has committed more than a topic made anew holds is not behind by less than nothing."""
    await fill(settings, {0: (2,)})
    await commit(settings, {0: 50})
    report = json.loads((await run_kindred(settings, "lag", "--json")).out)
    assert (report["partitions"][0]["committed"], report["partitions"][0]["lag"]) == (50, 0)


async def test_an_offset_of_another_topic_counts_for_nothing(settings: Settings, services: Services) -> None:
    """What was committed before the topic was made anew under the same name is not in this one."""
    if services.choice == "embedded":
        pytest.skip("the local broker keeps no marks with committed offsets")
    await fill(settings, {0: (3,)})
    await commit(settings, {0: 2}, "generation another-topic-id")
    report = json.loads((await run_kindred(settings, "lag", "--json")).out)
    assert (report["partitions"][0]["committed"], report["total"]) == (None, 3)


async def test_a_topic_that_is_missing_is_not_made(kafka: str) -> None:
    """The error names the topic and the settings, and nothing is created."""
    settings = Settings(kafka=kafka, **fresh_names())
    for _ in range(2):
        done = await run_kindred(settings, "lag")
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"kindred: Kafka at {kafka} has no topic {settings.topic}")


async def test_a_broker_that_is_away() -> None:
    """Without a broker the error says where none answers."""
    done = await run_kindred(Settings(kafka="127.0.0.1:1", kafka_timeout=0.5), "lag", "--fail-above", 0)
    assert (done.code, done.out, done.err) == (1, "", "kindred: no Kafka broker answers at 127.0.0.1:1\n")


async def test_a_consumer_that_runs(kafka: str, own_films_dir: Path, services: Services) -> None:
    """Once it has applied everything nothing waits; where the broker tells, its partitions are said to be its own."""
    settings = Settings(data_dir=own_films_dir, port=0, kafka=kafka, **LOCAL_SETTINGS, **fresh_names())
    async with running(settings, serve=False, consume=True) as parts:
        await parts.joined.wait()
        event = json.dumps({"userId": "7", "rated": {"itemId": "50", "value": 5}}).encode()
        [(partition, _)] = await write_records(kafka, settings.topic, [Raw(b"7", event)])
        async with asyncio.timeout(BOUND):
            while (await committed(kafka, settings.group, settings.topic)).get(partition) != 1:
                continue
        report = json.loads((await run_kindred(settings, "lag", "--json", "--fail-above", 0)).out)
    assert report["total"] == 0
    assert report["partitions"][partition]["committed"] == 1
    members = {each["member"] for each in report["partitions"]}
    hosts = {each["host"] for each in report["partitions"]}
    if services.choice == "embedded":  # the client does not understand what this broker says of groups
        assert (members, hosts) == ({None}, {None})
    else:
        assert len(members) == 1
        assert members != {None}
        assert hosts == {"127.0.0.1"}
