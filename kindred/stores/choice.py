"""Which store the settings name: a Qdrant server if there is a URL, else the embedded one.

An engine is imported only where it is used: each takes a noticeable part of a command's start.
"""

from typing import TYPE_CHECKING

from kindred.settings import Settings
from kindred.stores.port import SCHEMA_VERSION, SharedBuilder, Store

if TYPE_CHECKING:
    from kindred.stores.qdrant.builder import QdrantBuilder
    from kindred.stores.qdrant.server import QdrantServer


async def open_store(settings: Settings, oldest: int = SCHEMA_VERSION) -> Store:
    """Opens the current collection.

    Args:
        settings: The settings.
        oldest: The oldest schema version that will do: only writing it anew may read others.

    Raises:
        PreconditionError: It is in use, not loaded or of another form; or the server is too old or refuses us.
        UnavailableError: The engine cannot read it, or the server does not answer.
    """
    if settings.qdrant_url:
        from kindred.stores.qdrant.store import QdrantStore

        return await QdrantStore.open(_server(settings), settings.collection, oldest=oldest, indexed=settings.indexed())
    from kindred.stores.edge import EdgeStore

    return EdgeStore.open(settings.data_dir, oldest, settings.indexed())


def new_builder(settings: Settings, *, replace: bool = False) -> SharedBuilder:
    """Begins a new collection aside.

    Args:
        settings: The settings.
        replace: Whether a collection that is there may be replaced.

    Raises:
        PreconditionError: There is a collection, and `replace` is false; or as `open_store`.
        UnavailableError: The server does not answer.
    """
    if settings.qdrant_url:
        return _qdrant_builder(settings, replace=replace)
    from kindred.stores.edge import EdgeBuilder

    return EdgeBuilder(settings.data_dir, replace=replace, indexed=settings.indexed())


def shared_builder(settings: Settings) -> SharedBuilder:
    """Begins the collection that is to replace the current one of a Qdrant server, which is used meanwhile.

    Raises:
        PreconditionError: As `open_store`.
        UnavailableError: The server does not answer.
    """
    return _qdrant_builder(settings, replace=True)


def successor(settings: Settings, store: Store) -> SharedBuilder:
    """Begins the collection that is to replace an open one.

    Args:
        settings: The settings that `store` was opened with.
        store: The current collection, which stays open meanwhile.

    Raises:
        PreconditionError: As `open_store`.
        UnavailableError: The server does not answer.
    """
    if store.shared:
        return shared_builder(settings)
    from kindred.stores.edge import EdgeStore

    if not isinstance(store, EdgeStore):
        raise TypeError(f"{type(store).__name__} is no embedded store")
    return store.successor()


def _qdrant_builder(settings: Settings, *, replace: bool) -> "QdrantBuilder":
    from kindred.stores.qdrant.builder import QdrantBuilder
    from kindred.stores.qdrant.collections import Layout

    layout = Layout(
        shards=settings.qdrant_shards,
        replicas=settings.qdrant_replicas,
        write_consistency=settings.qdrant_write_consistency,
        payload_on_disk=settings.qdrant_payload_on_disk,
        index_on_disk=settings.qdrant_index_on_disk,
        indexed=settings.indexed(),
    )
    return QdrantBuilder(_server(settings), settings.collection, layout, replace=replace, grace=settings.swap_grace)


def where(settings: Settings) -> str:
    """What the settings name, for people."""
    if settings.qdrant_url:
        return f"{settings.qdrant_url}  collection {settings.collection}"
    return str(settings.data_dir)


def _server(settings: Settings) -> "QdrantServer":
    from kindred.stores.qdrant.server import QdrantServer

    return QdrantServer(
        url=settings.qdrant_url,
        api_key=settings.qdrant_api_key.get_secret_value(),
        ca_file=settings.qdrant_ca,
        timeout=settings.qdrant_timeout,
    )
