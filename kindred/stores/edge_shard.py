"""How the embedded engine is called: its failures, its points, its pages and its indexes."""

import ctypes
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

import qdrant_edge as qe

from kindred.errors import UnavailableError
from kindred.items import CatalogEntry
from kindred.stores.indexes import IndexKind, plain_path
from kindred.stores.payload import counts_payloads, item_payload, user_payload
from kindred.stores.port import PointId, RatingCounts, UserWrite

VECTOR = "ratings"

Payload = dict[str, Any]
T = TypeVar("T")

_SCHEMA_TYPES = {
    IndexKind.NUMBER: qe.PayloadSchemaType.Float,
    IndexKind.KEYWORD: qe.PayloadSchemaType.Keyword,
    IndexKind.BOOL: qe.PayloadSchemaType.Bool,
    IndexKind.COUNT: qe.PayloadSchemaType.Integer,
    IndexKind.TIME: qe.PayloadSchemaType.Datetime,
}


def engine(call: Callable[[], T]) -> T:
    """Calls the engine. It raises plain `Exception` for what goes wrong inside it: a full disk, a damaged file.

    Raises:
        UnavailableError: It failed.
    """
    try:
        return call()
    except Exception as error:
        if type(error) is not Exception:
            raise  # a wrong argument: our defect, not the engine's state
        raise UnavailableError("store", "the embedded store failed; its log has the reason") from error


def give_memory_back() -> None:
    """Gives memory that was freed back to the system, where the C library can: glibc keeps it, hundreds of MB."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def config(segments: int | None = None, largest: int | None = None) -> qe.EdgeConfig:
    """What a shard is.

    Args:
        segments: Up to how many segments optimizing leaves, the one that is written to among them; None leaves that to
            the engine.
        largest: How large a segment may be that it makes of several, in KB of vectors; None leaves that to the engine.
    """
    return qe.EdgeConfig(
        sparse_vectors={VECTOR: qe.EdgeSparseVectorParams()},
        optimizers=qe.EdgeOptimizersConfig(  # given, it replaces what is on disk
            default_segment_number=segments, max_segment_size=largest
        ),
    )


def records(found: Iterable[qe.Record]) -> list[tuple[PointId, Payload]]:
    """Points that were read with their payloads."""
    # The engine's ids come back as int or UUID, and a payload that was asked for is there.
    return [(cast("PointId", record.id), cast("Payload", record.payload)) for record in found]


def pages(shard: qe.EdgeShard, size: int, allowed: qe.Filter | None = None) -> Iterator[list[tuple[PointId, Payload]]]:
    """All points of a shard with their payloads, a page at a time.

    Args:
        shard: The shard.
        size: Points a page.
        allowed: Which points; None for all.
    """
    offset: qe.PointId | None = None
    while True:
        request = qe.ScrollRequest(offset=offset, limit=size, filter=allowed, with_payload=True, with_vector=False)
        found, offset = engine(partial(shard.scroll, request))
        yield records(found)
        if offset is None:
            return


def make_indexes(shard: qe.EdgeShard, indexes: Mapping[str, IndexKind]) -> None:
    """Makes the indexes that a shard lacks: at once if it lacks none.

    Args:
        shard: The shard.
        indexes: Those that are wanted, by the path of the field.
    """
    schema = engine(shard.info).payload_schema
    there = {plain_path(path): info.data_type for path, info in schema.items()}
    for path, kind in indexes.items():
        if there.get(plain_path(path)) != _SCHEMA_TYPES[kind]:
            operation = qe.UpdateOperation.create_field_index(path, _SCHEMA_TYPES[kind])
            engine(partial(shard.update, operation))


class PointParts(NamedTuple):
    """What a point is made of, before the engine's own conversion. Without dimensions it is in no posting list."""

    point_id: PointId
    indices: list[int]
    values: list[float]
    payload: Payload

    def point(self) -> qe.Point:
        """The engine's object."""
        vector: dict[str, qe.NamedVector] = {VECTOR: qe.SparseVector(self.indices, self.values)} if self.indices else {}
        return qe.Point(self.point_id, vector, self.payload)


def user_parts(write: UserWrite) -> PointParts:
    """A user's point."""
    indices, values = write.vector
    return PointParts(write.user.point_id, indices.tolist(), values.tolist(), user_payload(write.user))


def item_parts(entry: CatalogEntry, changed_at: int | None = None) -> PointParts:
    """An item's point, and when it was written; None in a load."""
    return PointParts(entry.index, [], [], item_payload(entry.item, changed_at))


def counts_points(counts: RatingCounts) -> list[qe.Point]:
    """The points that hold the counts."""
    return [PointParts(point_id, [], [], payload).point() for point_id, payload in counts_payloads(counts)]
