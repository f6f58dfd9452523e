"""`kindred demo`: the whole system on MovieLens 100K, told as a story."""

import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import misused
from kindred.errors import UnavailableError

if TYPE_CHECKING:
    from rich.console import Console

    from kindred.settings import Settings


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Stay up after the story, until Ctrl-C.")] = False,
    data_dir: Annotated[Path, typer.Option(help="Where to load the data set; an earlier demo's is replaced.")] = Path(
        "data/demo"
    ),
    server: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Tell it against a server that runs, with MovieLens 100K loaded."),
    ] = None,
    kafka: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="With --server: the Kafka of its consumers.")
    ] = None,
) -> None:
    """Loads MovieLens 100K, starts broker, consumer and server, and tells what they do.

    [bold]Examples[/bold]

      kindred demo
      kindred demo --keep
      kindred demo --server localhost:50051 --kafka localhost:9092
    """
    if (server is None) != (kafka is None) or (server is not None and keep):
        raise misused("give --server and --kafka together, and then no --keep: that system stays up anyway")
    from rich.console import Console

    from cli.local_broker import LOCAL_SETTINGS, local_broker
    from kindred.settings import load_settings
    from kindred.telemetry import configure_logging

    configure_logging("warning", "console")
    console = Console(highlight=False, markup=False)
    if server is not None and kafka is not None:
        asyncio.run(_tell(console, server, load_settings(kafka=kafka)))
        return
    _load(console, data_dir)
    with local_broker(_free(9092)) as broker:
        settings = load_settings(data_dir=data_dir, kafka=broker, host="127.0.0.1", port=_free(50051), **LOCAL_SETTINGS)
        asyncio.run(_run(console, settings, keep=keep))


def _load(console: "Console", data_dir: Path) -> None:
    from cli.progress import ProgressBars
    from kindred.errors import StoreLoadedError
    from kindred.stores.data_dir import DataDir
    from kindred.stores.edge import EdgeBuilder
    from loader.datasets import fetch_dataset
    from loader.load import load
    from loader.readers.movielens import open_movielens

    if DataDir.is_loaded(data_dir) and asyncio.run(_name_of(data_dir)) != "ml-100k":
        raise StoreLoadedError(str(data_dir))  # somebody's own data are not a demo's to replace
    console.print("Load MovieLens 100K", style="bold")
    with ProgressBars(quiet=False) as progress:
        source = open_movielens(fetch_dataset("ml-100k", progress=progress), "ml-100k")
        with EdgeBuilder(data_dir, replace=True) as builder:
            report = load(source, builder, progress=progress)
    console.print(
        f"   {report.ratings:,} ratings of {report.items:,} films by {report.users:,} users in {report.seconds:.2f} s, "
        f"{report.engine_seconds:.2f} s of it in the engine",
        style="dim",
        soft_wrap=True,
    )


async def _name_of(data_dir: Path) -> str:
    from kindred.stores.edge import EdgeStore

    store = EdgeStore.open(data_dir)
    await store.close()
    return store.metadata.name


async def _tell(console: "Console", address: str, settings: "Settings") -> None:
    """Tells the story against a server that runs."""
    import grpc

    from cli.demo_story import Story
    from kindred.eventlog.producer import EventProducer

    producer = EventProducer(settings.broker())
    try:
        await producer.connect()
        async with grpc.aio.insecure_channel(address) as channel:
            await Story(console, channel, producer, settings).tell()
    except grpc.aio.AioRpcError as error:
        raise UnavailableError("server", f"the server at {address} failed: {error.details()}") from error
    finally:
        await producer.close()


async def _run(console: "Console", settings: "Settings", *, keep: bool) -> None:
    from cli.runtime import running, stop_on_signals

    console.print("\nStart broker, consumer and server", style="bold")
    async with running(settings, serve=True, consume=True, drain=True) as parts:
        console.print(
            f"   gRPC {parts.address}   Kafka {settings.kafka}   waiting for the group to form …", style="dim"
        )
        await parts.joined.wait()
        await _tell(console, parts.address, settings)
        _say_next(console, parts.address, settings, keep=keep)
        if keep:
            await parts.until(stop_on_signals())


def _say_next(console: "Console", address: str, settings: "Settings", *, keep: bool) -> None:
    port = address.rpartition(":")[2]
    server = "" if port == "50051" else f" --server {address}"
    if keep:
        console.print(f"\nUp until Ctrl-C: gRPC {address}, Kafka {settings.kafka}. In another terminal:", style="bold")
    else:
        console.print("\nNext", style="bold")
        again = f"   .venv/bin/kindred up --data-dir {settings.data_dir}   # the same system again, until Ctrl-C"
        console.print(again, soft_wrap=True)
    recommend = f"{address} kindred.v1.RecommendationService/Recommend"
    event = '{"userId":"7","rated":{"itemId":"50","value":5}}'
    for command in (
        f".venv/bin/kindred search star wars{server}",
        f".venv/bin/kindred recommend --like 'toy story' --like 'fargo (1996)'{server}",
        f".venv/bin/kindred rate --user me 50=5 100=4{server}",
        f'grpcurl -plaintext -d \'{{"userId": "7"}}\' {recommend}',
        f"echo '{event}' | kcat -P -b {settings.kafka} -t {settings.topic} -k 7",
    ):
        console.print(f"   {command}", soft_wrap=True)


def _free(preferred: int) -> int:
    """The usual port, or 0 for any free one if somebody has it: the demo is not to fail for that."""
    with socket.socket() as probe:
        return preferred if probe.connect_ex(("127.0.0.1", preferred)) else 0
