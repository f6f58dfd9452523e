"""Builds new collections aside, with several uploads under way at once, and swaps them in."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from time import perf_counter
from typing import Any, Self

import structlog
from qdrant_client.grpc import PointsStub, PointStruct, UpsertPoints

from kindred.errors import KindredError, StoreLoadedError
from kindred.items import CatalogEntry
from kindred.stores.payload import counts_of, counts_payloads, item_payload, user_payload
from kindred.stores.port import CollectionMetadata, UserWrite
from kindred.stores.qdrant.collections import Collections, Layout, items_collection, users_collection
from kindred.stores.qdrant.messages import check_done, point
from kindred.stores.qdrant.server import QdrantServer, answering
from kindred.stores.qdrant.store import QdrantStore

log = structlog.get_logger(__name__)

_UNDER_WAY = 4
"""Uploads that the server works on while the next one is being made."""
_UPLOAD_SECONDS = 120.0
_BEAT_SECONDS = 60.0


class QdrantBuilder:
    """Builds a new generation aside. See `kindred.stores.port.CollectionBuilder`.

    Args:
        server: Where.
        name: The collection's name.
        layout: How the new collections are laid out.
        replace: Whether a collection that is there may be replaced.
        grace: Seconds for which a replaced collection stays, for the processes that still read it.

    Raises:
        StoreLoadedError: There is a collection of this name, and `replace` is false.
        PreconditionError: The server is too old, refuses the key, or is none.
        UnavailableError: It does not answer.
    """

    def __init__(
        self, server: QdrantServer, name: str, layout: Layout, *, replace: bool = False, grace: float = 0.0
    ) -> None:
        self._server = server
        self._name = name
        self._grace = grace
        self._client = server.client()
        self._channel = server.blocking_channel()  # the client's own calls cannot be under way side by side
        self._upsert = PointsStub(self._channel).Upsert
        self._committed = False
        self._engine_seconds = 0.0
        self._under_way: deque[Any] = deque()
        self._counted: list[CatalogEntry] = []
        self._collections = Collections(self._client, server, name)
        self._ended = threading.Event()
        with ExitStack() as stack:
            stack.callback(self._close)
            self._collections.check_name()
            self.replaced = self._collections.current()
            """The generation that is to be replaced; None if there is none."""
            if self.replaced is not None and not replace:
                raise StoreLoadedError(f"{name!r} at {server.target}")
            self._collections.drop_leftovers()
            self.generation = self._collections.create(layout)
            """The new generation."""
            threading.Thread(target=self._beat, name="kindred-build", daemon=True).start()
            stack.pop_all()

    def __enter__(self) -> Self:
        """Begins."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Closes, and drops what was not committed."""
        try:
            for upload in self._under_way:
                upload.cancel()
            if not self._committed:
                with suppress(KindredError):  # what stays is dropped by a later build
                    self._collections.drop(self.generation)
        finally:
            self._close()

    def add_items(self, entries: Iterable[CatalogEntry]) -> None:
        """See `CollectionBuilder.add_items`."""
        entries = list(entries)
        self._counted += [entry for entry in entries if entry.rated_count]
        points = [point(entry.index, None, item_payload(entry.item)) for entry in entries]
        self._upload(items_collection(self._name, self.generation), points)

    def add_users(self, users: Iterable[UserWrite]) -> None:
        """See `CollectionBuilder.add_users`."""
        points = [point(write.user.point_id, write.vector, user_payload(write.user)) for write in users]
        self._upload(users_collection(self._name, self.generation), points)

    @property
    def replaces(self) -> bool:
        """See `SharedBuilder.replaces`."""
        return self.replaced is not None

    def seal(self, metadata: CollectionMetadata) -> None:
        """See `SharedBuilder.seal`: waits until the server has optimized it all.

        Raises:
            UnavailableError: The server failed.
        """
        points = [point(point_id, None, payload) for point_id, payload in counts_payloads(counts_of(self._counted))]
        self._upload(items_collection(self._name, self.generation), points)
        start = perf_counter()
        self._finish(0)
        self._collections.settle(self.generation)
        self.describe(metadata)
        self._engine_seconds += perf_counter() - start

    async def open(self) -> QdrantStore:
        """See `SharedBuilder.open`."""
        return await QdrantStore.open(self._server, self._name, self.generation)

    def describe(self, metadata: CollectionMetadata) -> None:
        """See `SharedBuilder.describe`."""
        self._collections.describe(self.generation, metadata.to_json())

    def swap(self) -> None:
        """See `SharedBuilder.swap`."""
        self._collections.prepare_swap(self.replaced)
        # From here on nothing is dropped: an answer that is lost may have been a yes.
        self._committed = True
        self._collections.make_current(self.generation)

    def drop_replaced(self) -> None:
        """See `SharedBuilder.drop_replaced`: if the server does not answer a later build does it."""
        if self.replaced is not None:
            try:
                self._collections.drop(self.replaced)
            except KindredError as error:
                log.warning("the replaced collection is left for a later build", error=str(error))

    def commit(self, metadata: CollectionMetadata) -> None:
        """See `CollectionBuilder.commit`."""
        self.seal(metadata)
        self.swap()
        if self.replaced is not None:
            time.sleep(self._grace)
        self.drop_replaced()

    @property
    def engine_seconds(self) -> float:
        """See `CollectionBuilder.engine_seconds`: the time that this process has waited for the server."""
        return self._engine_seconds

    def _upload(self, collection: str, points: Sequence[PointStruct]) -> None:
        if not points:
            return
        start = perf_counter()
        self._finish(_UNDER_WAY - 1)
        request = UpsertPoints(collection_name=collection, points=points, wait=True)
        self._under_way.append(self._upsert.future(request, timeout=_UPLOAD_SECONDS, metadata=self._server.metadata))
        self._engine_seconds += perf_counter() - start

    def _finish(self, most: int) -> None:
        """Waits until at most so many uploads are under way, and for an upload that failed raises why."""
        while len(self._under_way) > most:
            with answering(self._server):
                check_done(self._under_way.popleft().result())

    def _beat(self) -> None:
        """Shows that the build lives until it ends, whatever takes so long: the data set may have to be read first."""
        while not self._ended.wait(_BEAT_SECONDS):
            with suppress(KindredError):
                self._collections.beat(self.generation)

    def _close(self) -> None:
        self._ended.set()
        self._channel.close()
        self._client.close()
