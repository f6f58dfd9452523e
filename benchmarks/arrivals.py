"""Calls of Recommend that arrive whether or not earlier ones were answered: `python -m benchmarks.arrivals ADDRESS …`.

A process of its own, so that it takes no time from what it measures. Every call has a time at which it is due, drawn
before the first one is made (exponential gaps: Poisson arrivals), and its latency is counted from then on. A generator
that waits for answers before it asks again would ask less just when the server is slow, and not see it.
"""

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from kindred.v1.recommendation_service_pb2 import RecommendRequest

DEADLINE = 10.0
"""Seconds that a call waits for its answer."""
_METHOD = "/kindred.v1.RecommendationService/Recommend"
_SEED = 7
_SPIN = 0.0005


@dataclass(frozen=True, slots=True)
class Answers:
    """What became of calls, in the order in which they were due.

    Args:
        codes: The status of each.
        seconds: (n_calls,) from when it was due to its answer.
        late: (n_calls,) from when it was due to when it was made: the generator's own fault.
        duration: Seconds from the first to the last answer.
    """

    codes: NDArray[np.str_]
    seconds: NDArray[np.float64]
    late: NDArray[np.float64]
    duration: float

    def of(self, code: str) -> NDArray[np.float64]:
        """The seconds of the calls that ended with a status."""
        return self.seconds[self.codes == code]


def offer(address: str, user_ids: Sequence[str], rate: float, seconds: float, channels: int = 4) -> Answers:
    """Has a process of its own make calls at a rate, for so many seconds.

    Args:
        address: The server.
        user_ids: Whom to recommend to, in turn.
        rate: Calls a second.
        seconds: For how long calls arrive; their answers are waited for.
        channels: Connections that the calls are spread over.
    """
    return _run(address, user_ids, "--rate", rate, "--seconds", seconds, "--channels", channels)


def saturate(address: str, user_ids: Sequence[str], callers: int, seconds: float, channels: int = 4) -> Answers:
    """Has a process of its own make calls one after the other, by several callers at a time.

    Args:
        address: The server.
        user_ids: Whom to recommend to, in turn.
        callers: Calls under way at any time.
        seconds: For how long.
        channels: Connections that the calls are spread over.
    """
    return _run(address, user_ids, "--callers", callers, "--seconds", seconds, "--channels", channels)


def _run(address: str, user_ids: Sequence[str], *options: object) -> Answers:
    command = [sys.executable, "-m", "benchmarks.arrivals", address, *map(str, options)]
    users = json.dumps(list(user_ids)).encode()
    made = subprocess.run(command, input=users, stdout=subprocess.PIPE, check=True)  # noqa: S603  # our own command
    answers = json.loads(made.stdout)
    return Answers(
        np.array(answers["codes"], str), np.array(answers["seconds"]), np.array(answers["late"]), answers["duration"]
    )


async def _calls(options: argparse.Namespace, requests: Sequence[bytes]) -> dict[str, Any]:
    channels = [
        # Channels to one address share a connection unless they are told not to.
        grpc.aio.insecure_channel(options.address, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(options.channels)
    ]
    methods = [channel.unary_unary(_METHOD) for channel in channels]
    for method in methods:
        await method(requests[0], timeout=DEADLINE, wait_for_ready=True)
    rng = np.random.default_rng(_SEED)
    results: list[tuple[int, str, float, float]] = []

    async def call(number: int, due: float) -> None:
        made = perf_counter()
        under_way = methods[number % len(methods)](requests[number % len(requests)], timeout=DEADLINE)
        code = (await under_way.code()).name
        results.append((number, code, perf_counter() - due, made - due))

    start = perf_counter()
    if options.callers:
        numbers = count()

        async def caller() -> None:
            while (now := perf_counter()) < start + options.seconds:
                await call(next(numbers), now)

        await asyncio.gather(*(caller() for _ in range(options.callers)))
    else:
        gaps = rng.exponential(1 / options.rate, int(options.rate * options.seconds))
        tasks = []
        for number, due in enumerate((start + np.cumsum(gaps)).tolist()):
            # The last half millisecond is spun away: a timer of the loop may be late by more than a call takes.
            while (ahead := due - perf_counter()) > 0:  # noqa: ASYNC110  # what it waits for is a time
                await asyncio.sleep(ahead - _SPIN if ahead > _SPIN else 0)
            tasks.append(asyncio.create_task(call(number, due)))
        await asyncio.gather(*tasks)
    duration = perf_counter() - start
    await asyncio.gather(*(channel.close() for channel in channels))
    _, codes, seconds, late = zip(*sorted(results), strict=True)
    return {"codes": codes, "seconds": seconds, "late": late, "duration": duration}


def main() -> None:
    """Makes the calls that the arguments say, for the user ids on standard input; writes what became of them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("address")
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--callers", type=int, default=0)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--channels", type=int, default=4)
    options = parser.parse_args()
    requests = [RecommendRequest(user_id=user_id).SerializeToString() for user_id in json.load(sys.stdin)]
    json.dump(asyncio.run(_calls(options, requests)), sys.stdout)


if __name__ == "__main__":
    main()
