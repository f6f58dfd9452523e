"""A wire that can be cut: a TCP proxy in front of any service, told to refuse, to swallow and to break off."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class Wire:
    """What becomes of the bytes.

    Args:
        port: Where the proxy listens.
        upstream: The service's host and port.
    """

    port: int
    upstream: tuple[str, int]
    refusing: bool = False
    """New connections are closed at once, and there are no old ones."""
    silent: bool = False
    """Nothing comes through in either direction, and nobody is told."""
    cut_after: int | None = None
    """How many bytes of answers come through until every connection breaks off; None for all."""
    connections: set[asyncio.Task[None]] = field(default_factory=set)
    loop: asyncio.AbstractEventLoop | None = None

    def break_off(self) -> None:
        """Ends all connections."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._cancel_all)

    def refuse(self) -> None:
        """Ends all connections and takes no new ones, until `heal`."""
        self.refusing = True
        self.break_off()

    def heal(self) -> None:
        """Lets everything through again; what was swallowed is gone with its connection."""
        was_silent = self.silent
        self.refusing = self.silent = False
        self.cut_after = None
        if was_silent:  # only now: who connects anew at once is not to be swallowed again
            self.break_off()

    def _cancel_all(self) -> None:
        for task in self.connections:
            task.cancel()


@contextmanager
def wire_to(address: str, port: int = 0) -> Iterator[Wire]:
    """A proxy on a free port of this machine, on a thread of its own.

    Args:
        address: `host:port` of the service.
        port: The proxy's port; 0 takes a free one.
    """
    host, _, number = address.rpartition(":")
    wire = Wire(port, (host, int(number)))
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(lambda *streams: _connect(wire, *streams), "127.0.0.1", port)
        wire.port, wire.loop = server.sockets[0].getsockname()[1], loop
        ready.set()
        await stop.wait()
        server.close()
        wire._cancel_all()  # this is its own loop
        await asyncio.gather(*wire.connections, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="wire")
    thread.start()
    ready.wait(10)
    try:
        yield wire
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


async def _connect(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    task = asyncio.current_task()
    if task is None or wire.refusing:
        writer.transport.abort()
        return
    wire.connections.add(task)
    upstream: asyncio.StreamWriter | None = None
    try:
        answers, upstream = await asyncio.open_connection(*wire.upstream)
        pumps = {
            asyncio.create_task(_pump(wire, reader, upstream, answering=False)),
            asyncio.create_task(_pump(wire, answers, writer, answering=True)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
    except (OSError, asyncio.CancelledError):
        pass  # the service is away, or the wire is cut
    finally:
        wire.connections.discard(task)
        for each in (writer, upstream):
            if each is not None:
                each.transport.abort()


async def _pump(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answering: bool) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            if wire.silent:
                continue
            if answering and wire.cut_after is not None:
                data, wire.cut_after = data[: wire.cut_after], max(0, wire.cut_after - len(data))
                writer.write(data)
                await writer.drain()
                if not wire.cut_after:
                    return
                continue
            writer.write(data)
            await writer.drain()
