"""`kindred up` as people run it: a process of its own, stopped, killed and started again."""

import asyncio
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from cli.local_broker import LOCAL_SETTINGS
from kindred.stores.edge import EdgeStore
from kindred.stores.port import point_id_of
from kindred.v1.rating_service_pb2 import ListRatingsRequest, NewRating, RecordRatingsRequest
from kindred.v1.recommendation_service_pb2 import RecommendRequest
from tests.support.films import ROMANCE, SPACE
from tests.support.processes import KINDRED, free_port, listening, process, serving
from tests.support.system import BOUND, Client, fresh_names


async def record(client: Client, user: str, film: str) -> str:
    """Records five stars and gives the token."""
    request = RecordRatingsRequest(user_id=user, ratings=[NewRating(item_id=film, value=5)])
    response = await client.ratings.RecordRatings(request, timeout=BOUND)
    token: str = response.freshness_token
    return token


async def stored(data_dir: Path, user: str) -> int:
    """How many ratings of a user a data directory holds, by opening it."""
    store = EdgeStore.open(data_dir)
    try:
        [found] = await store.users([point_id_of(user)])
        return 0 if found is None else found.profile.rating_count
    finally:
        await store.close()


class TestStop:
    async def test_a_clean_stop_applies_what_was_acknowledged(self, own_films_dir: Path) -> None:
        """After SIGTERM what was acknowledged is in the store, the exit code is 0, and the broker is gone."""
        port, broker = free_port(), free_port()
        with process("up", "--data-dir", own_films_dir, "--port", port, "--broker-port", broker) as up:
            async with serving(port) as client:
                for film in (*SPACE, *ROMANCE):
                    await record(client, "newcomer", film)
            up.send_signal(signal.SIGTERM)
            assert up.wait(BOUND) == 0
            assert up.stderr is not None
            assert up.stderr.read() == ""
        assert not listening(broker)
        assert await stored(own_films_dir, "newcomer") == len(SPACE) + len(ROMANCE)

    async def test_it_goes_on_where_it_stopped(self, own_films_dir: Path) -> None:
        """A second start over the same data answers with what the first one was told."""
        for place, film in enumerate(SPACE[:2], start=1):
            port = free_port()
            with process("up", "--data-dir", own_films_dir, "--port", port, "--broker-port", 0) as up:
                async with serving(port) as client:
                    token = await record(client, "regular", film)
                    request = RecommendRequest(user_id="regular", at_least_as_fresh=token)
                    answer = await client.recommendations.Recommend(request, timeout=BOUND)
                    assert answer.as_of.stored_ratings == place
                up.send_signal(signal.SIGINT)
                assert up.wait(BOUND) == 0


class TestKill:
    async def test_a_killed_process_leaves_data_that_opens_and_no_broker(self, own_films_dir: Path) -> None:
        """After kill -9 in mid-stream the data directory opens with what was applied, and the broker is gone."""
        port, broker = free_port(), free_port()
        with process("up", "--data-dir", own_films_dir, "--port", port, "--broker-port", broker) as up:
            async with serving(port) as client:
                token = await record(client, "early", SPACE[0])
                read = ListRatingsRequest(user_id="early", at_least_as_fresh=token)
                await client.ratings.ListRatings(read, timeout=BOUND)
                writes = [asyncio.ensure_future(record(client, f"u{number}", SPACE[0])) for number in range(200)]
                await asyncio.wait(writes, return_when=asyncio.FIRST_COMPLETED)
                up.kill()
                up.wait(BOUND)
                await asyncio.gather(*writes, return_exceptions=True)
        async with asyncio.timeout(BOUND):
            while listening(broker):  # noqa: ASYNC110  # the kernel ends it, in its own time
                await asyncio.sleep(0)
        assert await stored(own_films_dir, "early") == 1

    async def test_a_broker_of_ones_own_keeps_what_was_acknowledged(self, own_films_dir: Path, kafka: str) -> None:
        """What was acknowledged before kill -9 is applied after the next start, if the broker still holds it."""
        names = {f"KINDRED_{name.upper()}": value for name, value in (fresh_names() | LOCAL_SETTINGS).items()}
        acknowledged: list[str] = []
        port = free_port()
        with process("up", "--data-dir", own_films_dir, "--port", port, "--kafka", kafka, **names) as up:
            async with serving(port) as client:

                async def write(user: str) -> None:
                    await record(client, user, SPACE[0])
                    acknowledged.append(user)

                writes = [asyncio.ensure_future(write(f"u{number}")) for number in range(300)]
                async with asyncio.timeout(BOUND):
                    await asyncio.wait(writes[:100])
                up.kill()
                up.wait(BOUND)
                await asyncio.gather(*writes, return_exceptions=True)
        assert len(acknowledged) >= 100
        port = free_port()
        with process("up", "--data-dir", own_films_dir, "--port", port, "--kafka", kafka, **names):
            async with serving(port) as client:
                token = await record(client, "last", SPACE[0])
                await client.ratings.ListRatings(
                    ListRatingsRequest(user_id="last", at_least_as_fresh=token), timeout=BOUND
                )
                async with asyncio.timeout(BOUND):
                    for user in acknowledged:
                        request = ListRatingsRequest(user_id=user)
                        while not (await client.ratings.ListRatings(request)).total_size:
                            pass


def failed(*arguments: object) -> str:
    """What a command that must fail says on standard error."""
    ended = subprocess.run(  # noqa: S603  # our own command
        [KINDRED, *map(str, arguments)], capture_output=True, text=True, timeout=BOUND, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("kindred: ")
    assert ended.stderr.count("\n") == 1
    return ended.stderr


class TestRefusals:
    async def test_one_process_at_a_time(self, own_films_dir: Path) -> None:
        """A second process over the same data directory is told who has it and what to do."""
        port = free_port()
        with process("up", "--data-dir", own_films_dir, "--port", port, "--broker-port", 0) as up:
            async with serving(port):
                said = await asyncio.to_thread(failed, "serve", "--data-dir", own_films_dir, "--port", 0)
        assert f"process {up.pid} (kindred up)" in said
        assert "kindred up" in said

    @pytest.mark.parametrize("command", ["up", "serve", "consume"])
    def test_nothing_loaded(self, tmp_path: Path, command: str) -> None:
        """Without a collection every command names the one that loads it, and makes nothing."""
        options = ["--broker-port", 0] if command == "up" else []
        assert "kindred load --dataset ml-100k" in failed(command, "--data-dir", tmp_path / "none", *options)
        assert not (tmp_path / "none").exists()

    def test_a_qdrant_server_is_not_for_a_throwaway_log(self, own_films_dir: Path) -> None:
        """`up` over a Qdrant server that the environment names is refused: its local broker keeps nothing."""
        url = {"KINDRED_QDRANT_URL": "http://127.0.0.1:6334"}
        with process("up", "--broker-port", 0, **url) as refused:
            assert refused.wait(BOUND) == 1
            assert "give --data-dir" in (refused.stderr.read() if refused.stderr else "")

    @pytest.mark.parametrize(("option", "fix"), [("--port", "cannot listen"), ("--broker-port", "--broker-port")])
    def test_a_port_that_is_taken(self, own_films_dir: Path, option: str, fix: str) -> None:
        """A port that somebody else has is named, with what to do about it."""
        ports = {"--port": 0, "--broker-port": 0}
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            ports[option] = other.getsockname()[1]
            said = failed("up", "--data-dir", own_films_dir, *(part for pair in ports.items() for part in pair))
        assert str(ports[option]) in said
        assert fix in said
