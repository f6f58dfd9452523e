"""The `kindred` command in a process of its own, for tests that look at what it says and sends."""

import asyncio
import os
import subprocess
from dataclasses import dataclass

from kindred.settings import Settings
from tests.support.processes import KINDRED
from tests.support.system import BOUND

_NAMES = ("kafka", "topic", "dead_letter_topic", "group", "kafka_timeout")


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


async def run_kindred(settings: Settings, *arguments: object, terminal: str | None = None) -> Done:
    """Runs the command against a broker.

    Args:
        settings: Which broker, topics and group.
        arguments: What stands on the command line.
        terminal: What a person types at a terminal; None for no terminal.
    """
    return await asyncio.to_thread(_run, settings, [str(each) for each in arguments], terminal)


def _run(settings: Settings, arguments: list[str], terminal: str | None) -> Done:
    environment = os.environ | {f"KINDRED_{name.upper()}": str(getattr(settings, name)) for name in _NAMES}
    ours, theirs = os.openpty()
    try:
        if terminal is not None:
            os.write(ours, f"{terminal}\n".encode())
        done = subprocess.run(  # noqa: S603  # our own command
            [KINDRED, *arguments],
            stdin=subprocess.DEVNULL if terminal is None else theirs,
            capture_output=True,
            text=True,
            env=environment,
            timeout=BOUND,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return Done(done.returncode, done.stdout, done.stderr)
