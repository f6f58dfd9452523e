"""Records that the Kafka client itself cannot read: in a process of its own, for they may hang one."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from cli.local_broker import LOCAL_SETTINGS
from kindred.eventlog.broker import Broker
from kindred.eventlog.client import prepare_topics
from kindred.v1.rating_service_pb2 import ListRatingsRequest, NewRating, RecordRatingsRequest
from tests.support.kafka_log import BrokenName, Raw, write_records
from tests.support.system import BOUND, connected, fresh_names

pytestmark = pytest.mark.timeout(120)


class TestUnreadableRecords:
    async def test_a_header_whose_name_is_no_text_stops_nobody(self, own_films_dir: Path, kafka: str) -> None:
        """After a record that the client cannot decode, later events are applied, and the process stops when told."""
        names = fresh_names()
        broker = Broker(kafka, names["topic"], names["dead_letter_topic"], partitions=1)
        prepare_topics(broker)
        value = json.dumps({"userId": "a", "rated": {"itemId": "50", "value": 4}}).encode()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = {"data_dir": own_films_dir, "kafka": kafka, "port": port, "partitions": 1, **LOCAL_SETTINGS, **names}
        process = subprocess.Popen(  # noqa: ASYNC220, S603  # our own command
            [Path(sys.executable).parent / "kindred", "up", "--kafka", kafka],
            env=os.environ | {f"KINDRED_{name.upper()}": str(value) for name, value in settings.items()},
        )
        try:
            await write_records(kafka, names["topic"], [Raw(b"a", value), Raw(b"a", value, [(BrokenName("x"), b"")])])
            async with connected(f"127.0.0.1:{port}") as client:
                request = RecordRatingsRequest(user_id="b", ratings=[NewRating(item_id="50", value=4)])
                token = ""
                while not token:
                    try:
                        recorded = await client.ratings.RecordRatings(request, timeout=BOUND, wait_for_ready=True)
                    except grpc.aio.AioRpcError as error:
                        assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017  # its store is being opened
                    else:
                        token = recorded.freshness_token
                listed = ListRatingsRequest(user_id="b", at_least_as_fresh=token)
                assert (await client.ratings.ListRatings(listed, timeout=10)).total_size == 1
            process.send_signal(signal.SIGTERM)
            assert process.wait(BOUND) == 0
        finally:
            process.kill()
            process.wait()
