"""What docker-compose.yml starts, started by hand, and what stands in it."""

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from cli.local_broker import LOCAL_SETTINGS
from kindred.settings import Settings
from tests.support.fleet import ready
from tests.support.place import Place, on_qdrant
from tests.support.processes import free_port, process, serving
from tests.support.services import KAFKA_IMAGE, QDRANT_IMAGE
from tests.support.system import BOUND, fresh_names

pytestmark = pytest.mark.timeout(120)


class TestDeployment:
    async def test_the_story_is_told_against_a_deployment(self, qdrant: str, kafka: str, ml100k: Path) -> None:
        """What docker-compose.yml starts, started by hand: two workers, two consumers, a load, and the demo's story."""
        port, names = free_port(), fresh_names()
        with on_qdrant(qdrant) as place, ExitStack() as stack:
            options = {**LOCAL_SETTINGS, "session_timeout": 6, "kafka": kafka, **names}
            environment = Place({**place.options, **options}).environment | {"PATH": os.environ["PATH"]}
            stack.enter_context(process("serve", "--workers", 2, "--port", port, **environment))
            consumers = [stack.enter_context(process("consume", **environment)) for _ in range(2)]
            for _ in range(2):  # a second load replaces the first while everything runs
                load = stack.enter_context(process("load", "--path", ml100k, "--replace", **environment))
                said, wrong = await asyncio.to_thread(load.communicate, timeout=BOUND)
                assert load.returncode == 0, wrong
                assert "943 users" in said
                async with serving(port):
                    pass
                for consumer in consumers:
                    await ready(consumer)
                consumers = []
                demo = stack.enter_context(
                    process("demo", "--server", f"127.0.0.1:{port}", "--kafka", kafka, **environment)
                )
                told, wrong = await asyncio.to_thread(demo.communicate, timeout=60)
                assert demo.returncode == 0, wrong
                assert "1. Search the catalog" in told
                assert "an answer that includes all three" in told
                assert "Removed: 23 ratings, 4 attributes." in told
                assert "popular fallback" in told

    async def test_a_replacing_load_needs_the_consumers_log(self, qdrant_films: Place, ml100k: Path) -> None:
        """Without Kafka a load that would lose what consumers apply is refused, and goes on if there are none."""
        environment = qdrant_films.environment | {"PATH": os.environ["PATH"], "KINDRED_KAFKA_TIMEOUT": "1"}
        arguments = ("load", "--path", ml100k, "--replace", "--kafka", f"127.0.0.1:{free_port()}")
        with process(*arguments, **environment) as refused:
            _, wrong = await asyncio.to_thread(refused.communicate, timeout=BOUND)
        assert refused.returncode == 1
        assert "--without-log" in wrong
        assert "Traceback" not in wrong
        with process(*arguments, "--without-log", **environment) as loaded:
            said, wrong = await asyncio.to_thread(loaded.communicate, timeout=BOUND)
        assert (loaded.returncode, "943 users" in said) == (0, True), wrong

    def test_docker_compose_names_what_there_is(self) -> None:
        """Every command in docker-compose.yml is ours, every variable a setting, and the images are the tests'."""
        compose = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())
        services = compose["services"]
        assert services["qdrant"]["image"] == QDRANT_IMAGE
        assert services["kafka"]["image"] == KAFKA_IMAGE
        commands = {service["command"][0] for service in services.values() if service["image"] == "kindred"}
        assert commands == {"serve", "consume", "load"}
        variables = {name for service in services.values() for name in service.get("environment", {})}
        ours = {name.removeprefix("KINDRED_").lower() for name in variables if name.startswith("KINDRED_")}
        assert ours
        assert ours <= Settings.model_fields.keys()
