"""`kindred recommend --watch`, against a real system."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.local_broker import LOCAL_SETTINGS
from cli.runtime import running
from kindred.settings import Settings
from kindred.v1.rating_service_pb2 import NewRating, RecordRatingsRequest
from tests.support.films import SPACE
from tests.support.processes import process
from tests.support.system import BOUND, System, connected, fresh_names

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def system(kafka: str, own_films_dir: Path) -> AsyncIterator[System]:
    """Server, broker and a consumer that has joined."""
    options = {"data_dir": own_films_dir, "port": 0, "kafka": kafka}
    settings = Settings(**(options | LOCAL_SETTINGS | {"session_timeout": 2} | fresh_names()))
    async with running(settings, serve=True, consume=True) as parts, connected(parts.address) as client:
        await parts.joined.wait()
        yield System(settings, parts.address, client)


def until_footer(stream: object) -> list[str]:
    """Reads one table: up to the line that says what answered."""
    lines = []
    for line in stream:
        lines.append(line)
        if "recipe ridge" in line:
            return lines
    raise AssertionError(f"the command ended: {lines}")


async def test_a_new_list_is_printed_when_ratings_change_it(system: System) -> None:
    """The first list comes at once, the next one after a rating; Ctrl-C ends the command."""
    with process("recommend", "--user", "me", "--watch", "--server", system.address) as command:
        async with asyncio.timeout(BOUND):
            first = await asyncio.to_thread(until_footer, command.stdout)
            rating = NewRating(item_id=SPACE[0], value=5)
            await system.client.ratings.RecordRatings(RecordRatingsRequest(user_id="me", ratings=[rating]))
            second = await asyncio.to_thread(until_footer, command.stdout)
        assert "popular fallback" in first[-1]
        assert "1 stored ratings, revision 1" in second[-1]
        assert not any(line.startswith(f"{SPACE[0]} ") for line in second)
        command.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(command.wait, BOUND) != 0
        assert "Traceback" not in command.stderr.read()


@pytest.mark.parametrize("arguments", [["--like", "50"], ["--user", "7", "--data-dir", "."]])
def test_it_needs_a_user_and_a_server(arguments: list[str]) -> None:
    """Without a stored user, or over a data directory, there is nothing to wait for."""
    with process("recommend", "--watch", *arguments) as command:
        _, errors = command.communicate(timeout=BOUND)
    assert command.returncode == 2
    assert errors == "kindred: --watch needs --user and a server: it waits for that user's next ratings\n"


async def test_a_wrong_request_is_one_clear_line(system: System) -> None:
    """What the server refuses is said of the option that it was typed for."""
    arguments = ["--user", "7", "--watch", "--fresh", "nonsense", "--server", system.address]
    with process("recommend", *arguments) as command:
        _, errors = await asyncio.to_thread(command.communicate, None, BOUND)
    assert (command.returncode, errors.count("\n")) == (1, 1)
    assert errors.startswith("kindred: --fresh nonsense: ")
