import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "kindred" / "v1"
PROTOS = ROOT / "protos" / "kindred" / "v1"

SERVICE = re.compile(r"^service (\w+) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
RPC = re.compile(r"^ *rpc (\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\)", re.MULTILINE)


def calls() -> list[tuple[str, str, str, bool, str, bool, str]]:
    """(file, service, call, streams requests, request, streams responses, response) of every call in the contract."""
    return [
        (path.stem, service[1], rpc[1], bool(rpc[2]), rpc[3], bool(rpc[4]), rpc[5])
        for path in sorted(PROTOS.glob("*.proto"))
        for service in SERVICE.finditer(path.read_text())
        for rpc in RPC.finditer(service[2])
    ]


def test_the_stubs_are_fresh(tmp_path: Path) -> None:
    """Generating the stubs again gives the committed files byte for byte, none missing and none extra."""
    subprocess.run(  # noqa: S603  # our own script
        [sys.executable, str(ROOT / "protos" / "generate.py"), str(tmp_path)], check=True, timeout=120
    )
    fresh = {path.name: path.read_bytes() for path in (tmp_path / "kindred" / "v1").iterdir()}
    committed = {path.name: path.read_bytes() for path in STUBS.iterdir() if path.is_file()}
    del committed["__init__.py"]
    assert sorted(committed) == sorted(fresh)
    assert [name for name in fresh if fresh[name] != committed[name]] == []
    assert [path.name for path in tmp_path.iterdir()] == ["kindred"]


def test_every_proto_has_its_stubs() -> None:
    """Every .proto file has messages and types, and services where it declares one."""
    for path in PROTOS.glob("*.proto"):
        suffixes = ["_pb2.py", "_pb2.pyi"]
        if SERVICE.search(path.read_text()):
            suffixes += ["_pb2_grpc.py", "_pb2_grpc.pyi"]
        assert [suffix for suffix in suffixes if not (STUBS / f"{path.stem}{suffix}").is_file()] == []


def test_every_call_is_read() -> None:
    """These tests see as many calls as the contract has lines with `rpc`, in its three services."""
    lines = [line for path in PROTOS.glob("*.proto") for line in path.read_text().splitlines()]
    assert len(calls()) == sum(line.lstrip().startswith("rpc ") for line in lines) > 0
    assert {service for _, service, *_ in calls()} == {"CatalogService", "RatingService", "RecommendationService"}


@pytest.mark.parametrize("call", calls(), ids=lambda call: f"{call[1]}.{call[2]}")
def test_every_call_is_in_the_stubs(call: tuple[str, str, str, bool, str, bool, str]) -> None:
    """Each call of the contract can be made and served, with its messages, in both the code and the types."""
    file, service, name, streams_requests, request, streams_responses, response = call
    messages = importlib.import_module(f"kindred.v1.{file}_pb2")
    services = importlib.import_module(f"kindred.v1.{file}_pb2_grpc")
    method = messages.DESCRIPTOR.services_by_name[service].methods_by_name[name]
    assert (method.input_type.name, method.output_type.name) == (request, response)
    assert (method.client_streaming, method.server_streaming) == (streams_requests, streams_responses)
    assert callable(getattr(getattr(services, f"{service}Servicer"), name))
    assert f'"/kindred.v1.{service}/{name}"' in (STUBS / f"{file}_pb2_grpc.py").read_text().replace("'", '"')
    assert re.search(rf"\b(def )?{name}\b", (STUBS / f"{file}_pb2_grpc.pyi").read_text())
