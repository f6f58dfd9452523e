"""What is tormented: two servers, two consumers and a guest over one store and one log, every one a process."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cli.local_broker import LOCAL_SETTINGS, local_broker
from kindred.items import CatalogEntry, Item
from tests.support.apache_kafka.broker import ApacheKafka, _free_ports
from tests.support.chaos.children import Child
from tests.support.chaos.plan import CONSUMERS, GUEST, MEMBERS, SERVERS, SESSION_TIMEOUT
from tests.support.chaos.steps import GENERATED
from tests.support.chaos.store import StoreProcess
from tests.support.films import fill_with_films
from tests.support.place import Place
from tests.support.processes import serving
from tests.support.system import fresh_names
from tests.support.tcp_proxy import Wire, wire_to

T = TypeVar("T")

COLLECTION = "chaos"
_BOUND = 60.0
_SETTINGS: dict[str, Any] = {
    **LOCAL_SETTINGS,
    "session_timeout": SESSION_TIMEOUT,
    "batch_size": 20,  # many batches, and so many places to fail between two
    "qdrant_timeout": 2.0,
    "kafka_timeout": 4.0,
    "swap_interval": 0.3,
    "swap_grace": 3.0,
    "recount_interval": 2.0,
    "drain_grace": 5.0,
}


@dataclass(slots=True)
class Log:
    """The broker.

    Args:
        address: Where clients find it.
        broker: Apache Kafka, which keeps its log when it is killed; None for a broker that is left alone.
        wire: The way to it; None if there is none that can be cut.
    """

    address: str
    broker: ApacheKafka | None = None
    wire: Wire | None = None

    @property
    def can_fail(self) -> bool:
        """Whether faults may hit it."""
        return self.broker is not None

    def signal(self, number: signal.Signals) -> None:
        """Sends the broker's process a signal."""
        if self.broker is not None and self.broker._process is not None:
            self.broker._process.send_signal(number)


class Deployment:
    """Everything that runs.

    Args:
        folder: Where it all keeps its files.
        log: The broker.
        stack: Is told what to end.
    """

    def __init__(self, folder: Path, log: Log, stack: ExitStack) -> None:
        self.log = log
        self.hands = stack.enter_context(ThreadPoolExecutor(16, thread_name_prefix="chaos"))
        """For what blocks; children end with the thread that starts them, and these stay."""
        self.names = fresh_names()
        # Ports that the system gives to no connection while their owners are down.
        store_port, *server_ports = _free_ports(1 + len(SERVERS))
        self.store_address = f"127.0.0.1:{store_port}"
        self.store = StoreProcess(folder / "store", store_port, folder / "store.err")
        stack.callback(self.store.kill)
        self.ports = dict(zip(SERVERS, server_ports, strict=True))
        self.wires: dict[str, Wire] = {}
        self.children: dict[str, Child] = {}
        self._folder = folder
        for name in (*MEMBERS, GUEST):
            self.wires[name] = stack.enter_context(wire_to(self.store_address))
            command = ("serve",) if name in SERVERS else ("consume",)
            options = self.options(f"127.0.0.1:{self.wires[name].port}") | {"port": self.ports.get(name, 0)}
            self.children[name] = Child(name, command, options, folder)
            stack.callback(self.children[name].kill)
        self.reindexings: list[Child] = []
        self._stack = stack

    def options(self, store: str = "") -> dict[str, Any]:
        """The settings of a process that reaches the store at an address; its own if left out."""
        url = f"http://{store or self.store_address}"
        return {**_SETTINGS, **self.names, "qdrant_url": url, "collection": COLLECTION, "kafka": self.log.address}

    def reindexing(self, shrinkage: float) -> Child:
        """A `kindred reindex` that was not started yet."""
        number = len(self.reindexings) + 1
        command = ("reindex", "--shrinkage", str(shrinkage))
        child = Child(f"reindex-{number}", command, self.options(), self._folder)
        self.reindexings.append(child)
        self._stack.callback(child.kill)
        return child

    async def by_hand(self, function: Callable[..., T], *arguments: Any) -> T:
        """Makes a call that blocks."""
        return await asyncio.get_running_loop().run_in_executor(self.hands, function, *arguments)

    async def start(self) -> None:
        """Loads the films and starts everybody but the guest; returns when they are ready."""
        await self.by_hand(self.store.start)
        place = Place(self.options())
        await self.by_hand(fill_with_films, place.builder())
        store = await place.open()
        await store.insert_items([CatalogEntry(int(item), Item(item, f"Item {item}")) for item in GENERATED])
        await store.close()
        for name in MEMBERS:
            self.children[name].start()
        await self.ready()
        for name in CONSUMERS:
            await self._says(name, "ready")

    async def ready(self) -> None:
        """Waits until every server serves."""
        async with asyncio.timeout(_BOUND):
            for name in SERVERS:
                async with serving(self.ports[name]):
                    pass

    async def _says(self, name: str, text: str) -> None:
        async with asyncio.timeout(_BOUND):
            while text not in self.children[name].said():
                if (code := self.children[name].died()) is not None:
                    raise RuntimeError(f"{name} ended with {code}:\n{self.children[name].complained()[-2000:]}")
                await asyncio.sleep(0.05)

    @property
    def everybody(self) -> list[Child]:
        """All of Kindred's processes, also those of the past."""
        return [*self.children.values(), *self.reindexings]


@contextmanager
def _log(folder: Path, services: str, stack: ExitStack) -> Any:
    if services != "kafka":
        yield Log(stack.enter_context(local_broker(0)))
        return
    [port] = _free_ports(1)
    # It tells clients the wire's address as its own: all that they say to it goes that way.
    settings = {"group.min.session.timeout.ms": "1000", "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"}
    broker = ApacheKafka(folder, settings=settings)
    wire = stack.enter_context(wire_to(broker.address, port))
    yield Log(f"127.0.0.1:{port}", broker, wire)


@asynccontextmanager
async def deployed(folder: Path, services: str) -> AsyncIterator[Deployment]:
    """A deployment that runs; everything ends with it.

    Args:
        folder: An empty folder.
        services: `kafka` for Apache Kafka, `embedded` for the local broker.
    """
    with ExitStack() as stack:
        (folder / "kafka").mkdir(parents=True)
        log = stack.enter_context(_log(folder / "kafka", services, stack))
        deployment = Deployment(folder, log, stack)
        if log.broker is not None:
            stack.callback(log.broker.kill)
            await deployment.by_hand(log.broker.start)
        await deployment.start()
        yield deployment
