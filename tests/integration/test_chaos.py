"""Whatever fails, and whenever: in the end the store is what the log says. `make chaos` does this for longer."""

import asyncio
import math
import os
import secrets
import sys
from pathlib import Path

import pytest

from kindred.ratings import EMPTY_PROFILE, Forgotten, Rated, Retracted, merge
from tests.support.chaos.oracle import Event, bits, fold
from tests.support.chaos.plan import plan
from tests.support.chaos.seeds import seeded
from tests.support.chaos.steps import call_steps, record_steps
from tests.support.services import Services

_SECONDS = 50
_ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
async def test_the_store_is_what_the_log_says(services: Services, tmp_path: Path) -> None:
    """After kills, freezes, cuts and failures of everybody the store equals a bulk load of the log, read to its end."""
    seed = int(os.environ.get("SEED") or secrets.randbelow(2**32))
    on = "kafka" if services.choice == "kafka" else "embedded"
    print(f"SEED={seed}")  # noqa: T201  # it repeats the run
    # A process of its own: what it cuts leaves sockets and threads of kafka-python behind.
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.chaos", "--services", on),
        *("--seed", str(seed), "--seconds", str(_SECONDS), "--keep", str(tmp_path / "chaos")),
        cwd=_ROOT,
        env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"},  # or gRPC tells of every process that is started
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await run.communicate()
    finally:
        if run.returncode is None:
            run.kill()
            await run.wait()
    print(said.decode(errors="replace"))  # noqa: T201  # the faults and the figures
    assert run.returncode == 0, f"SEED={seed} on {on}; the report is in what was printed"


def test_the_oracle_finds_the_rule_by_itself() -> None:
    """Slowly folded and merged by Kindred, the same events of one user come to the same ratings, bit for bit."""
    rng = seeded(1, "oracle")
    for _ in range(300):
        folded, merged = [], EMPTY_PROFILE
        for _ in range(rng.randrange(30)):
            kind = rng.choice(("rated", "rated", "rated", "retracted", "forgotten"))
            at, item, value = rng.randrange(20), rng.randrange(5), rng.uniform(0.5, 5.0)
            named = str(item) if kind != "forgotten" else ""
            folded.append(Event(kind, at, item=named, value=value))
            events = {"rated": Rated(item, value, at), "retracted": Retracted(item, at), "forgotten": Forgotten(at)}
            merged = merge(merged, [events[kind]])
        due = fold(folded)
        columns = zip(merged.items.tolist(), merged.values.tolist(), merged.rated_at.tolist(), strict=True)
        ratings = {str(item): (None if math.isnan(value) else bits(value), at) for item, value, at in columns}
        assert (ratings, merged.forgotten_at) == (due.ratings, due.forgotten_at)


def test_a_seed_repeats_faults_and_events() -> None:
    """The plan of faults and what producers do are the same for the same seed, and others for another one."""

    def everything(seed: int) -> list[object]:
        producers = [record_steps(seed, "json", "json", 50.0), call_steps(seed, "caller-1", 10.0)]
        steps = [next(producer) for producer in producers for _ in range(500)]
        return [*plan(seed, 120.0, log_faults=True), *steps]

    assert everything(7) == everything(7)
    assert everything(7) != everything(8)


def test_a_plan_has_every_kind_of_fault() -> None:
    """In a minute every kind comes at least once, and everything is undone by the end."""
    for seed in range(20):
        faults = plan(seed, 60.0, log_faults=True)
        assert len({fault.kind for fault in faults}) >= 20
        assert all(fault.at + fault.seconds <= 60.0 for fault in faults)
