"""Generates the stubs in kindred/v1 from the .proto files: `make protos`."""

import importlib.resources
import os
import sys
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent


def generate(out: Path) -> None:
    """Writes the message and service stubs, with their .pyi files, below a folder.

    Args:
        out: The folder that is to hold `kindred/v1/*_pb2.py` and so on.

    Raises:
        RuntimeError: The compiler refused a file; it has said why on standard error.
    """
    files = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    services = [name for name in files if name.endswith("_service.proto")]
    includes = [PROTOS, PROTOS.parent / "third_party/googleapis", importlib.resources.files("grpc_tools") / "_proto"]
    # The mypy plugins are scripts beside the interpreter, which need not be on the PATH.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for names, plugins in ((files, ("python", "mypy")), (services, ("grpc_python", "mypy_grpc"))):
        outputs = [f"--{plugin}_out={'quiet:' if 'mypy' in plugin else ''}{out}" for plugin in plugins]
        if protoc.main(["protoc", *(f"-I{path}" for path in includes), *outputs, *names]) != 0:
            raise RuntimeError("protoc failed")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTOS.parent)
