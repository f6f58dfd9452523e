"""The store that is tormented: Qdrant's API over Edge in a process of its own, which is told its faults.

python -m tests.support.chaos.store FOLDER PORT     serves until it is killed; a line of JSON sets the faults
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import grpc

from tests.support.chaos.children import ROOT, die_with_parent
from tests.support.qdrant_over_edge import Faults, serve


class StoreProcess:
    """The store's process, which can be killed and started again over what it has kept.

    Args:
        folder: Where it keeps its collections.
        port: Its port.
        errors: The file that its standard error is added to.
    """

    def __init__(self, folder: Path, port: int, errors: Path) -> None:
        self._folder = folder
        self._port = port
        self.errors = errors
        self._process: subprocess.Popen[str] | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it, and returns when it serves. Blocks."""
        with self.errors.open("a") as errors:
            self._process = subprocess.Popen(  # noqa: S603  # our own helper
                [sys.executable, "-m", "tests.support.chaos.store", str(self._folder), str(self._port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # one prctl call
            )
        if self._process.stdout is None or not self._process.stdout.readline().strip():
            raise RuntimeError(f"the store did not start; see {self.errors}")

    def tell(self, **faults: Any) -> None:
        """Sets what goes wrong, by the fields of `Faults`; without any, nothing does."""
        if self._process is not None and self._process.stdin is not None:
            print(json.dumps(faults), file=self._process.stdin, flush=True)

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it at once: SIGKILL. Idempotent. Blocks."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def _listen(faults: Faults) -> None:
    """Sets the faults that standard input names, until it ends: then nobody needs this process any more."""
    for line in sys.stdin:
        told = json.loads(line)
        faults.heal()
        for name, value in told.items():
            setattr(faults, name, grpc.StatusCode[value] if name == "code" else value)
    os._exit(0)


def main() -> None:
    """Serves a folder on a port, and says so on standard output."""
    folder, port, faults = Path(sys.argv[1]), int(sys.argv[2]), Faults()
    threading.Thread(target=_listen, args=(faults,), daemon=True).start()
    asyncio.run(serve(folder, port, faults, lambda bound: print(bound, flush=True), asyncio.Event()))


if __name__ == "__main__":
    main()
