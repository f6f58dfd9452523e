import asyncio
from itertools import count, pairwise

import pytest

import server.admission
from kindred.errors import ResourceExhaustedError
from server.admission import OVERLOADED, Admission

MANY = 30
"""Units of the first call: so much work that the next one waits in the queue."""


async def passes(number: int = 100) -> None:
    """Lets the event loop run."""
    for _ in range(number):
        await asyncio.sleep(0)


class Calls:
    """Calls that queue up.

    Args:
        most: Seconds that a call may wait.
    """

    def __init__(self, most: float) -> None:
        self.admission = Admission(most)
        self.begun: list[int] = []
        self._numbers = count()
        self._tasks: set[asyncio.Task[None]] = set()

    def make(self, units: int = 1, remaining: float | None = None) -> asyncio.Task[None]:
        """A call that arrives, is read and waits for its turn."""
        number = next(self._numbers)

        async def call() -> None:
            self.admission.arrive()
            self.admission.read()
            await self.admission.turn("Recommend", units, remaining)
            self.begun.append(number)

        task = asyncio.create_task(call())
        self._tasks.add(task)
        return task


async def refusal_of(call: asyncio.Task[None]) -> ResourceExhaustedError:
    """Why a call is refused."""
    with pytest.raises(ResourceExhaustedError) as refused:
        await call
    return refused.value


class TestTurns:
    async def test_a_call_begins_at_once_where_nobody_waits(self) -> None:
        """A call alone has its turn without a pass of the event loop."""
        turn = Admission(0.25).turn("Recommend", 1, None)
        with pytest.raises(StopIteration) as ended:
            turn.send(None)
        assert ended.value.value is False

    async def test_calls_begin_in_their_order(self) -> None:
        """Calls that queue up begin one after the other, as they came."""
        calls = Calls(10)
        await asyncio.gather(*(calls.make() for _ in range(100)))
        assert calls.begun == [*range(100)]

    async def test_no_two_calls_begin_in_one_pass(self) -> None:
        """Between two calls of the queue the event loop makes a pass, in which new ones arrive."""
        calls = Calls(10)
        calls.make(MANY)
        waiting = [calls.make() for _ in range(20)]
        seen = []
        while not all(call.done() for call in waiting):
            await asyncio.sleep(0)
            seen.append(len(calls.begun))
        assert max(after - before for before, after in pairwise(seen)) == 1

    async def test_the_queue_waits_for_calls_that_are_being_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """While gRPC is giving calls the queue stands still, so that their number is known."""
        monkeypatch.setattr(server.admission, "_READ_SECONDS", 60.0)
        monkeypatch.setattr(server.admission, "_LOOK_SECONDS", 60.0)
        calls = Calls(10)
        await calls.make(MANY)
        calls.admission.arrive()
        waiting = calls.make()
        await passes()
        assert not waiting.done()
        calls.admission.read()
        await waiting

    async def test_a_call_that_is_never_read_holds_up_nobody_for_long(self) -> None:
        """A call whose caller went away before it was read is given up."""
        calls = Calls(10)
        await calls.make(MANY)
        calls.admission.arrive()
        async with asyncio.timeout(5):
            await calls.make()

    async def test_a_caller_that_gives_up_leaves_the_queue(self) -> None:
        """A cancelled call does not count when its turn comes, and the next one has it."""
        calls = Calls(10)
        await calls.make(MANY)
        waiting = [calls.make() for _ in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert calls.begun == [0, 1, 3]
        assert calls.admission.wait == 0


class TestRefusals:
    async def test_a_call_that_would_wait_too_long_is_refused(self) -> None:
        """Of a burst of a thousand, as many as fit into the allowed wait are taken and the others refused at once."""
        calls = Calls(0.1)
        results = await asyncio.gather(*(calls.make() for _ in range(1_000)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, ResourceExhaustedError)]
        assert len(refused) + len(calls.begun) == 1_000
        assert 0.1 / 0.002 <= len(calls.begun) <= 0.1 / 0.002 + 11  # some begin before anybody waits
        assert all(each.reason == OVERLOADED for each in refused)
        assert all(each.retry_after is not None and 0.1 < each.retry_after < 0.2 for each in refused)

    async def test_a_call_that_waits_longer_than_its_caller_is_refused(self) -> None:
        """A call that could not be answered before its deadline is refused, one with more time is not."""
        calls = Calls(10)
        await calls.make(MANY)
        waiting = [calls.make() for _ in range(50)]  # a tenth of a second
        late, patient = calls.make(remaining=0.05), calls.make(remaining=0.5)
        assert (await refusal_of(late)).reason == OVERLOADED
        await asyncio.gather(*waiting, patient)

    async def test_a_short_deadline_alone_refuses_nothing(self) -> None:
        """Where nobody waits a call begins, however little time it has."""
        await Calls(0.1).make(remaining=0.0001)

    async def test_a_batch_counts_by_its_requests(self) -> None:
        """A batch of a hundred in the queue is a hundred calls to wait for."""
        calls = Calls(0.1)
        await calls.make(MANY)
        batch = calls.make(100)
        await asyncio.sleep(0)
        await refusal_of(calls.make())
        await batch

    async def test_calls_that_wait_elsewhere_do_not_count(self) -> None:
        """A thousand calls that have begun, and wait for the log or the store, have nobody refused."""
        calls = Calls(0.1)
        for _ in range(1_000):
            await calls.make()
        assert len(calls.begun) == 1_000
        assert calls.admission.wait == 0

    async def test_afterwards_calls_are_taken_again(self) -> None:
        """When the queue has emptied the next call begins."""
        calls = Calls(0.1)
        await asyncio.gather(*(calls.make() for _ in range(1_000)), return_exceptions=True)
        await calls.make()


class TestPace:
    @pytest.mark.parametrize("seconds", [0.0005, 0.01])
    async def test_what_calls_take_is_learned(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        """After a while the queue takes as many calls as the loop can do in the allowed wait."""
        clock = [0.0]
        monkeypatch.setattr(server.admission, "perf_counter", lambda: clock[0])
        admission = Admission(0.2)
        begun = 0

        async def call() -> None:
            nonlocal begun
            admission.arrive()
            admission.read()
            await admission.turn("Recommend", 1, None)
            begun += 1
            clock[0] += seconds

        for _ in range(10):
            begun = 0
            await asyncio.gather(*(call() for _ in range(1_000)), return_exceptions=True)
        most = 0.2 / seconds
        assert 0.8 * most <= begun <= 1.2 * most + 0.05 / seconds

    async def test_a_hitch_of_the_machine_has_nobody_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One call that held up the loop for a second does not make the next ones look slow."""
        clock = [0.0]
        monkeypatch.setattr(server.admission, "perf_counter", lambda: clock[0])
        calls = Calls(0.25)
        await calls.make(MANY)
        waiting = [calls.make() for _ in range(20)]
        await waiting[5]
        clock[0] += 1.0
        await asyncio.gather(*waiting)
        await calls.make(MANY)
        await asyncio.gather(*(calls.make() for _ in range(20)))
