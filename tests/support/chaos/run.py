"""One chaos run: deploy, write and torment, heal, wait until the log is read to its end, compare."""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from tests.support.chaos.comparison import differences, lost, wrong_letters
from tests.support.chaos.deployment import COLLECTION, Deployment, deployed
from tests.support.chaos.log_reader import commits, read_log
from tests.support.chaos.oracle import LogRecord, expected_users
from tests.support.chaos.plan import CONSUMERS, SERVERS, Fault, plan
from tests.support.chaos.producers import Ledger, RecordProducer, call
from tests.support.chaos.raw_store import read_contents
from tests.support.chaos.report import Report
from tests.support.chaos.steps import call_steps, record_steps
from tests.support.chaos.tormentor import Tormentor
from tests.support.kafka_log import Raw, write_records
from tests.support.system import connected

RECORDS_A_SECOND, CALLS_A_SECOND = 80.0, 12.0
_SETTLE_SECONDS = 60.0
_STUCK_SECONDS = 20.0
_LEAST_CLOSING = 24
_COMPLAINTS = ("Traceback", "was never retrieved", "was never awaited", "Fatal Python error")


async def chaos(folder: Path, services: str, seed: int, seconds: float) -> Report:
    """Runs it.

    Args:
        folder: An empty folder; everybody's output is there afterwards.
        services: `kafka`, where the broker fails as well, or `embedded`.
        seed: Decides on faults and events.
        seconds: How long the torment lasts.
    """
    report = Report(seed, services, seconds)
    async with deployed(folder, services) as deployment:
        tormentor = Tormentor(deployment)
        watching = asyncio.create_task(tormentor.watch())
        faults = plan(seed, seconds, log_faults=deployment.log.can_fail)
        ledger = Ledger(time.time_ns() // 1_000_000)
        await _torment(deployment, tormentor, faults, ledger, report)
        start = time.monotonic()
        print(f"{seconds:6.2f} s | heal, and wait until everything is applied", flush=True)
        await tormentor.heal()
        records = await _settle(deployment, tormentor, report)
        report.settled = time.monotonic() - start
        await _compare(deployment, tormentor, ledger, records, report)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        for name in (*SERVERS, *CONSUMERS):  # and in the end everybody can be stopped
            await tormentor.end(deployment.children[name])
        report.problems += tormentor.problems + ledger.problems + _complaints(deployment)
        report.faults, report.kills = tormentor.faults, tormentor.kills
    return report


async def _torment(
    deployment: Deployment, tormentor: Tormentor, faults: list[Fault], ledger: Ledger, report: Report
) -> None:
    started, seed, seconds = time.monotonic(), report.seed, report.seconds
    topic = deployment.names["topic"]
    writers = [
        RecordProducer(deployment.log.address, topic, record_steps(seed, form, form, RECORDS_A_SECOND), ledger, started)
        for form in ("json", "protobuf")
    ]
    async with AsyncExitStack() as stack:
        addresses = [f"127.0.0.1:{deployment.ports[name]}" for name in SERVERS]
        clients = [await stack.enter_async_context(connected(address)) for address in addresses]
        for writer in writers:
            writer.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(tormentor.torment(faults, started))
            for name in ("caller-1", "caller-2"):
                steps = call_steps(seed, name, CALLS_A_SECOND / 2)
                group.create_task(call(clients, steps, ledger, started, seconds))
            await asyncio.sleep(seconds)
            for writer in writers:
                writer.stop()
    for writer in writers:
        await deployment.by_hand(writer.join)
    report.produced = ledger.produced
    for each in ledger.acknowledged:
        report.acknowledged["records" if each.step.form else "calls"] += 1


async def _leave_a_stuck_group(deployment: Deployment, tormentor: Tormentor, report: Report) -> None:
    """Lets the consumers go on in another group of the local broker.

    Tansu does not answer some members of a group any more after many came and went, plain clients neither. In a new
    group everything is read from the beginning, which must change nothing. On Apache Kafka there is no such way out.
    """
    names = deployment.names
    report.groups += 1
    names["group"] += "-again"
    for name in CONSUMERS:
        await tormentor.end(deployment.children[name])
        deployment.children[name].set("group", names["group"])
        deployment.children[name].start()


async def _settle(deployment: Deployment, tormentor: Tormentor, report: Report) -> list[LogRecord]:
    """Waits until the group has committed the log's end for the current collection; the log."""
    kafka, topic = deployment.log.address, deployment.names["topic"]
    # A last record for every partition: whoever commits it has followed to the current collection.
    closing = [
        Raw(
            f"closing-{number}".encode(),
            f'{{"userId":"closing-{number}","rated":{{"itemId":"50","value":5}}}}'.encode(),
        )
        for number in range(_LEAST_CLOSING)
    ]
    await write_records(kafka, topic, closing)
    records = await read_log(kafka, topic)
    ends = {record.partition: record.offset + 1 for record in records}
    generation = (await deployment.by_hand(read_contents, deployment.store_address, COLLECTION)).generation
    marked = deployment.log.can_fail  # Tansu keeps no marks
    start = time.monotonic()
    while True:
        found = await deployment.by_hand(commits, kafka, deployment.names["group"], topic)
        behind = {
            number: (found.get(number), end)
            for number, end in ends.items()
            if number not in found or found[number][0] < end or (marked and generation not in found[number][1])
        }
        if not behind:
            return records
        if not deployment.log.can_fail and report.groups == 1 and time.monotonic() - start > _STUCK_SECONDS:
            await _leave_a_stuck_group(deployment, tormentor, report)
            start = time.monotonic()
        if time.monotonic() - start > _SETTLE_SECONDS:
            report.problems.append(
                f"not applied after {_SETTLE_SECONDS:g} s: committed, and end, by partition {behind}"
            )
            return records
        await asyncio.sleep(0.2)


async def _compare(
    deployment: Deployment, tormentor: Tormentor, ledger: Ledger, records: list[LogRecord], report: Report
) -> None:
    expected = expected_users(records)
    contents = await deployment.by_hand(read_contents, deployment.store_address, COLLECTION)
    letters = await read_log(deployment.log.address, deployment.names["dead_letter_topic"])
    report.records, report.dead_letters = len(records), len(letters)
    report.users, report.ratings = len(expected), sum(len(each.ratings) for each in expected.values())
    report.poison = sum(record.poison for record in records)
    report.generations += tormentor.faults["reindex, done"]
    report.differences += differences(expected, contents)
    report.differences += lost(ledger, records)
    report.differences += wrong_letters(records, letters)
    missing = set(ledger.items) - set(contents.items.values())
    report.differences += [f"the item {item} was made and is not there" for item in sorted(missing)]
    weighting = contents.metadata["weighting"]
    if weighting["name"] != "default" or weighting["parameters"]["shrinkage"] not in tormentor.shrinkages:
        report.differences.append(
            f"the weighting is {weighting}, its shrinkage has to be one of {tormentor.shrinkages}"
        )


def _complaints(deployment: Deployment) -> list[str]:
    """What nobody may log."""
    logs = {child.name: child.complained() for child in deployment.everybody}
    logs["store"] = deployment.store.errors.read_text(errors="replace")
    found = []
    for name, text in logs.items():
        for word in _COMPLAINTS:
            if word in text:
                place = text.index(word)
                found.append(f"{name} logged: …{text[max(0, place - 500) : place + 3000]}")
                break
    return found
