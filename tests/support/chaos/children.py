"""Kindred's processes as a chaos run has them: killed, stopped, frozen and started again under the same name."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.processes import KINDRED

ROOT = Path(__file__).resolve().parents[3]
_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 40.0


def die_with_parent() -> None:
    """Makes a child end with the thread that starts it: see prctl(2). Not even a kill -9 of ours leaves it behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A `kindred` process.

    Args:
        name: Its name in the report.
        arguments: The command.
        options: Its settings, by name.
        folder: Where its output goes, all its lives in one file.
    """

    def __init__(self, name: str, arguments: tuple[str, ...], options: Mapping[str, object], folder: Path) -> None:
        self.name = name
        self.arguments = arguments
        self.output, self.errors = folder / f"{name}.out", folder / f"{name}.err"
        ours = {f"KINDRED_{option.upper()}": str(value) for option, value in options.items()}
        others = {key: value for key, value in os.environ.items() if not key.startswith("KINDRED_")}
        self._environment = others | {"PYTHONPATH": str(ROOT)} | ours  # this tree's Kindred, wherever it is installed
        self._process: subprocess.Popen[bytes] | None = None
        self.wanted = False
        """Whether it is to be alive."""
        self._said_before = self._complained_before = 0

    def set(self, option: str, value: str) -> None:
        """Changes one of its settings, from its next start on."""
        self._environment[f"KINDRED_{option.upper()}"] = value

    def start(self) -> None:
        """Starts it."""
        self._said_before, self._complained_before = len(self.said()), len(self.complained())
        with self.output.open("ab") as output, self.errors.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603  # our own command
                [KINDRED, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=self._environment,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # one prctl call
                start_new_session=True,  # Ctrl-C is for the run, which ends it
            )
        self.wanted = True

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it at once: SIGKILL. Idempotent."""
        self.wanted = False
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int | None:
        """Ends it in good order: SIGTERM. Blocks.

        Returns:
            Its exit code; None if it had to be killed.
        """
        self.wanted = False
        self.signal(signal.SIGTERM)
        return self.wait(_STOP_SECONDS)

    def wait(self, seconds: float) -> int | None:
        """Waits for its end, and kills it if it does not come. Blocks.

        Returns:
            Its exit code; None if it had to be killed.
        """
        self.wanted = False
        deadline = time.monotonic() + seconds
        while self._process is not None and time.monotonic() < deadline:
            if (code := self._process.poll()) is not None:
                return code
            time.sleep(0.02)
        self.kill()
        return None

    @property
    def ready(self) -> bool:
        """Whether a consumer has joined the group since it was last started."""
        return self.wanted and "ready" in self.said()[self._said_before :]

    @property
    def spoke(self) -> bool:
        """Whether it has put out or logged anything since it was last started."""
        return len(self.said()) > self._said_before or len(self.complained()) > self._complained_before

    def died(self) -> int | None:
        """The exit code of a process that ended although nobody ended it; None if it lives or was ended."""
        return self._process.poll() if self._process is not None and self.wanted else None

    def said(self) -> str:
        """What it has put out in all its lives."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def complained(self) -> str:
        """What it has logged in all its lives."""
        return self.errors.read_text(errors="replace") if self.errors.exists() else ""
