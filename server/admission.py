"""Whose turn it is on the event loop, and who is refused because too many wait: overload is told early.

gRPC gives a server process one call in every other pass of its event loop, and keeps the rest in a queue that nobody
can look into. So while the process works on one call after the other, few calls are ever "in progress", however many
wait. Therefore the work is begun call by call, from a queue of ours, and every now and then the loop does nothing but
take what gRPC has. Then the length of our queue is what there is to wait for. How long that takes is known from how
fast the queue went lately: that counts whatever holds up the loop, and not what calls wait for elsewhere (the store,
the log).

gRPC has no more calls if none came within a few passes after the last one that it gave was read (or refused): the next
call is asked for before that one is read, and gRPC answers in that order, however late its thread gets to it.
"""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from time import perf_counter

from kindred.errors import ResourceExhaustedError

OVERLOADED = "OVERLOADED"
"""The reason of a refusal, for programs."""
_WORK_SECONDS = 0.05
"""So much work may be begun before gRPC's queue is looked into again, at most."""
_WORK_SHARE = 0.2
"""The same, as a part of the wait that is allowed."""
_READ_SECONDS = 0.005
"""So long it may take until a call that gRPC gave is read. Longer than that its caller is slow to send it."""
_LOOK_SECONDS = 0.05
"""So long at most it is looked into: however many calls are refused, half of the time is for the others."""
_PASSES = 10
"""Passes of the loop from when a call is there until we hear of it, at most; grpcio 1.85 needs five or six."""
_APART = 5
"""Passes of the loop between two calls of the queue: as gRPC gives them. Begun faster, they pile up in the store."""
_FIRST_GUESS = 0.002
"""Seconds that a call takes, before any has shown it."""
_LATEST_SHARE = 0.1
"""The weight of the latest in a mean."""
_MOST_TIMES = 8.0
"""So many times the mean at most counts what a call took: a hitch of the machine must not have calls refused."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    turn: asyncio.Future[None]
    method: str
    units: int


class Admission:
    """The queue of a server process.

    Args:
        most: Seconds that a call may have to wait; one that would wait longer is refused.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._look_after = min(_WORK_SECONDS, _WORK_SHARE * most)
        self._queue: deque[_Waiting] = deque()
        self._queued_units: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self._begun = 0.0
        self._arrivals = 0
        self._unread = 0
        self._read = asyncio.Event()
        self._moving: asyncio.Task[None] | None = None

    @property
    def wait(self) -> float:
        """Seconds that a call would wait which came now."""
        return sum(self._work(method, units) for method, units in self._queued_units.items())

    def arrive(self) -> None:
        """Takes note of a call that gRPC gave; `read` is to follow, whether it is refused or not.

        Raises:
            ResourceExhaustedError: It would wait too long.
        """
        self._arrivals += 1
        self._unread += 1
        self._refuse_after(self._most)

    def read(self) -> None:
        """Takes note that a call has been read, or refused."""
        self._unread = max(0, self._unread - 1)
        self._read.set()

    async def turn(self, method: str, units: int, remaining: float | None) -> bool:
        """Waits until a call may begin.

        Args:
            method: The method.
            units: How many times the work of one: the requests of a batch.
            remaining: Seconds until the caller gives up; None for never.

        Returns:
            Whether it had to wait.

        Raises:
            ResourceExhaustedError: It would wait too long, or get its turn too late for an answer in time.
        """
        work = self._work(method, units)
        self._refuse_after(self._most if remaining is None else min(self._most, remaining - work))
        if not self._queue and self._begun < self._look_after:
            self._begun += work
            return False
        waiting = _Waiting(asyncio.get_running_loop().create_future(), method, units)
        self._queue.append(waiting)
        self._queued_units[method] += units
        if self._moving is None or self._moving.done():
            self._moving = asyncio.create_task(self._move())
        await waiting.turn
        return True

    def _refuse_after(self, most: float) -> None:
        if self._queue and (wait := self.wait) > most:
            raise ResourceExhaustedError(
                f"the server has calls for the next {wait:.2f} seconds; try again later, or another server",
                OVERLOADED,
                retry_after=wait,
            )

    async def _move(self) -> None:
        """Gives one call after the other its turn until none waits."""
        last, since = None, 0.0
        while self._queue:
            if self._begun >= self._look_after:
                # What refusing takes is not the calls' own: if it counted, a server whose refused callers call again at
                # once would refuse more for it, and never come to rest.
                begin = perf_counter()
                await self._look()
                since += perf_counter() - begin
                self._begun = 0.0
            waiting = self._queue.popleft()
            self._leave(waiting)
            if waiting.turn.done():  # its caller gave up
                continue
            now = perf_counter()
            if last is not None:
                self._learn(last, now - since)
            last, since = waiting, now
            self._begun += self._work(waiting.method, waiting.units)
            waiting.turn.set_result(None)
            for _ in range(_APART):
                await asyncio.sleep(0)  # it works, and earlier ones go on with what the store has answered

    def _work(self, method: str, units: int) -> float:
        """Seconds for which the loop is busy with units of a method."""
        return self._seconds.get(method, _FIRST_GUESS) * units

    def _learn(self, done: _Waiting, seconds: float) -> None:
        mean = self._work(done.method, 1)
        latest = min(seconds / done.units, _MOST_TIMES * mean)
        self._seconds[done.method] = mean + (latest - mean) * _LATEST_SHARE

    def _leave(self, waiting: _Waiting) -> None:
        self._queued_units[waiting.method] -= waiting.units
        if not self._queued_units[waiting.method]:
            del self._queued_units[waiting.method]

    async def _look(self) -> None:
        """Lets gRPC give the calls that it has."""
        end = perf_counter() + _LOOK_SECONDS
        before = -1
        while self._arrivals != before and perf_counter() < end:
            before = self._arrivals
            while self._unread:
                self._read.clear()
                try:
                    async with asyncio.timeout(_READ_SECONDS):
                        await self._read.wait()
                except TimeoutError:
                    self._unread = 0  # or calls whose callers are gone would be waited for again and again
            for _ in range(_PASSES):
                await asyncio.sleep(0)
                if self._unread:
                    break
