"""Carries out a plan of faults, each in its time, and undoes it."""

import asyncio
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from tests.support.chaos.children import Child
from tests.support.chaos.deployment import Deployment
from tests.support.chaos.plan import CONSUMERS, MEMBERS, Fault
from tests.support.tcp_proxy import Wire

_REINDEX_SECONDS = 120.0
_WATCH_SECONDS = 0.2
_JOIN_SECONDS = 8.0
_LATE_SECONDS = 2.0


class Tormentor:
    """Does harm to a deployment.

    Args:
        deployment: To whom.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.faults: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.problems: list[str] = []
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # one thing at a time to the same target
        self.shrinkages: list[float] = [5.0]
        """Those of which one must be the collection's now: the last known one, and those of unsure attempts since."""

    async def torment(self, faults: Sequence[Fault], started: float) -> None:
        """Carries the plan out; when it returns every fault is undone.

        Args:
            faults: The plan.
            started: When it starts, by the monotonic clock.
        """
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(max(0.0, started + fault.at - time.monotonic()))
                group.create_task(self._in_turn(fault, started + fault.at + _LATE_SECONDS))

    async def watch(self) -> None:
        """Looks for processes that die of themselves, until it is cancelled."""
        told = set()
        while True:
            for child in self._deployment.everybody:
                if (code := child.died()) is not None and child not in told:
                    told.add(child)
                    self.problems.append(f"{child.name} ended by itself with {code}: …{child.complained()[-1500:]}")
            await asyncio.sleep(_WATCH_SECONDS)

    async def _in_turn(self, fault: Fault, latest: float) -> None:
        async with self._turns[fault.target]:
            if time.monotonic() > latest:  # the one before took longer to come back than the plan has thought
                self.faults["left out"] += 1
                return
            print(fault, flush=True)
            self.faults[fault.kind] += 1
            await self._inflict(fault)

    async def _inflict(self, fault: Fault) -> None:
        deployment = self._deployment
        match fault.kind.split(" ", 1):
            case ["kill", "in a batch"]:
                await self._kill_in_a_batch(fault)
            case ["kill", "consumer" | "server"]:
                await self._kill(deployment.children[fault.target], fault.seconds)
            case ["stop", _]:
                await self._stop(deployment.children[fault.target], fault.seconds)
            case ["freeze", "consumer" | "server"]:
                await _freeze(deployment.children[fault.target], fault.seconds)
            case ["guest"]:
                await self._invite(deployment.children[fault.target], fault)
            case ["cut", "off"]:
                await _cut(deployment.wires[fault.target], fault)
            case ["reindex"]:
                await self._reindex(fault)
            case [_, "log"] | ["cut", "off log"]:
                await self._harm_log(fault)
            case _:
                await self._harm_store(fault)

    async def _kill(self, child: Child, seconds: float) -> None:
        child.kill()
        self.kills[f"kill -9 {child.name}"] += 1
        await asyncio.sleep(seconds)
        child.start()

    async def _kill_in_a_batch(self, fault: Fault) -> None:
        name = fault.details["consumer"]
        child = self._deployment.children[name]
        async with self._turns[name], self._turns["log"]:
            await self._joined(child)
            self._deployment.store.tell(hanging=True, methods=["UpdateBatch"])
            await asyncio.sleep(fault.seconds)  # there is always something to read
            child.kill()
            self.kills[f"kill -9 {name}"] += 1
            self._deployment.store.tell()
            child.start()

    async def _write_late(self, fault: Fault) -> None:
        async with self._turns["log"]:  # or there would be nothing to write
            await self._joined(*(self._deployment.children[name] for name in CONSUMERS))
            self._deployment.store.tell(delay=fault.details["delay"], late=True, methods=["UpdateBatch"])
            await asyncio.sleep(fault.seconds)
            self._deployment.store.tell()

    @staticmethod
    async def _joined(*consumers: Child) -> None:
        """Waits until one of some consumers has joined the group, but not for ever: others torment it."""
        deadline = time.monotonic() + _JOIN_SECONDS
        while not any(each.ready for each in consumers) and time.monotonic() < deadline:  # noqa: ASYNC110  # processes do it
            await asyncio.sleep(_WATCH_SECONDS)

    async def _stop(self, child: Child, seconds: float) -> None:
        await self.end(child)
        await asyncio.sleep(seconds)
        child.start()

    async def end(self, child: Child) -> None:
        """Ends a process with SIGTERM; it has to end well."""
        deadline = time.monotonic() + _JOIN_SECONDS
        while not child.spoke and time.monotonic() < deadline:  # noqa: ASYNC110  # another process does it
            await asyncio.sleep(_WATCH_SECONDS)  # before, nobody has told Python what to do with the signal
        code = await self._deployment.by_hand(child.stop)
        self.kills[f"SIGTERM {child.name}"] += 1
        if code != 0:
            how = "did not end" if code is None else f"ended with {code}"
            self.problems.append(f"{child.name} {how} after SIGTERM: …{child.complained()[-1500:]}")

    async def _invite(self, guest: Child, fault: Fault) -> None:
        guest.start()
        await asyncio.sleep(fault.seconds)
        if fault.details["killed"]:
            guest.kill()
            self.kills["kill -9 guest"] += 1
        else:
            await self.end(guest)

    async def _reindex(self, fault: Fault) -> None:
        child = self._deployment.reindexing(fault.details["shrinkage"])
        async with self._turns["store"], self._turns["log"]:  # without them it just gives up
            child.start()
            code = await self._deployment.by_hand(child.wait, _REINDEX_SECONDS)
        if code == 0:
            self.shrinkages = [fault.details["shrinkage"]]
            self.faults["reindex, done"] += 1
        else:  # the store or the log was away: it says so, and nothing has changed, or all of it
            self.shrinkages.append(fault.details["shrinkage"])
            if code is None:
                self.problems.append(f"{child.name} did not end")

    async def _harm_log(self, fault: Fault) -> None:
        log, by_hand = self._deployment.log, self._deployment.by_hand
        if log.broker is None or log.wire is None:
            raise RuntimeError("this broker is not to be harmed")
        match fault.kind:
            case "restart log" | "kill log":
                await by_hand(log.broker.stop if fault.kind == "restart log" else log.broker.kill)
                self.kills["SIGTERM log" if fault.kind == "restart log" else "kill -9 log"] += 1
                await asyncio.sleep(fault.seconds)
                await by_hand(log.broker.start)
            case "freeze log":
                await _freeze(log, fault.seconds)
            case _:
                await _cut(log.wire, fault)

    async def _harm_store(self, fault: Fault) -> None:
        store, by_hand = self._deployment.store, self._deployment.by_hand
        if fault.kind == "kill store":
            await by_hand(store.kill)
            self.kills["kill -9 store"] += 1
            await asyncio.sleep(fault.seconds)
            await by_hand(store.start)
            return
        if fault.kind == "store writes late":
            await self._write_late(fault)
            return
        if fault.kind == "freeze store":
            await _freeze(store, fault.seconds)
            return
        details = fault.details
        match fault.kind:
            case "store unavailable":
                store.tell(code="UNAVAILABLE")
            case "store fails":
                store.tell(code=details["code"])
            case "store fails after writing":
                store.tell(code=details["code"], after=True, methods=["UpdateBatch"])
            case "store fails reading":
                store.tell(code="UNAVAILABLE", methods=["Get"])
            case "store slow":
                store.tell(delay=details["delay"])
            case "store hangs":
                store.tell(hanging=True)
        await asyncio.sleep(fault.seconds)
        store.tell()

    async def heal(self) -> None:
        """Sees that everybody is there and ready."""
        for wire in self._deployment.wires.values():
            wire.heal()
        self._deployment.store.tell()
        for name in MEMBERS:
            if not self._deployment.children[name].wanted:
                self._deployment.children[name].start()
        await self._deployment.ready()


async def _freeze(whom: object, seconds: float) -> None:
    whom.signal(signal.SIGSTOP)  # type: ignore[attr-defined]  # a child, the store or the log
    await asyncio.sleep(seconds)
    whom.signal(signal.SIGCONT)  # type: ignore[attr-defined]


async def _cut(wire: Wire, fault: Fault) -> None:
    match fault.details["how"]:
        case "refuse":
            wire.refuse()
        case "silent":
            wire.silent = True
        case _:
            wire.cut_after = fault.details["bytes"]
    await asyncio.sleep(fault.seconds)
    wire.heal()
