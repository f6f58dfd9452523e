"""What the store holds, read through Qdrant's own API and unpacked by hand."""

import base64
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import grpc
from qdrant_client import grpc as q

from kindred.stores.port import USER_NAMESPACE
from kindred.v1.stored_profile_pb2 import StoredProfile

_PAGE = 500
_MOST_NUMBER = 2**64
_FIRST_COUNTS_POINT = 2**32


@dataclass(frozen=True, slots=True)
class Point:
    """A user's point.

    Args:
        payload: Its payload.
        items: The profile's item indexes.
        values: Their values' 32 bits.
        times: Their times.
        profile: The rest of the profile.
        vector: Its vector, by dimension.
    """

    payload: Mapping[str, Any]
    items: tuple[int, ...]
    values: tuple[int, ...]
    times: tuple[int, ...]
    profile: StoredProfile
    vector: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Contents:
    """What is stored.

    Args:
        generation: Which of the collection's lives it is.
        metadata: The collection's metadata.
        items: Item ids by index.
        points: Users' points by id.
    """

    generation: str
    metadata: Mapping[str, Any]
    items: Mapping[int, str]
    points: Mapping[int | str, Point]


def point_id(user: str) -> int | str:
    """Where a user is stored: under the number that the id is, or a hash of it."""
    if user.isascii() and user.isdigit() and str(int(user)) == user and int(user) < _MOST_NUMBER:
        return int(user)
    return str(uuid5(USER_NAMESPACE, user))


def read_contents(address: str, collection: str) -> Contents:
    """Reads everything. Blocks.

    Args:
        address: The store's.
        collection: The collection's name.
    """
    with grpc.insecure_channel(address) as channel:
        collections, points = q.CollectionsStub(channel), q.PointsStub(channel)
        aliases = collections.ListAliases(q.ListAliasesRequest()).aliases
        [users] = [each.collection_name for each in aliases if each.alias_name == collection]
        info = collections.Get(q.GetCollectionInfoRequest(collection_name=users)).result
        items = _scroll(points, users.replace(f"{collection}_users_", f"{collection}_items_"))
        return Contents(
            generation=users.rpartition("_")[2],
            metadata={name: _plain(value) for name, value in info.config.metadata.items()},
            items={each.id.num: each.payload["item_id"].string_value for each in items if "item_id" in each.payload},
            points={_id(each): _point(each) for each in _scroll(points, users)},
        )


def _scroll(points: q.PointsStub, collection: str) -> Iterator[q.RetrievedPoint]:
    request = q.ScrollPoints(collection_name=collection, limit=_PAGE)
    request.with_payload.enable = request.with_vectors.enable = True
    while True:
        page = points.Scroll(request)
        yield from page.result
        if not page.HasField("next_page_offset"):
            return
        request.offset.CopyFrom(page.next_page_offset)


def _id(point: q.RetrievedPoint) -> int | str:
    return str(UUID(point.id.uuid)) if point.id.HasField("uuid") else point.id.num


def _point(point: q.RetrievedPoint) -> Point:
    payload = {name: _plain(value) for name, value in point.payload.items()}
    profile = StoredProfile.FromString(base64.b64decode(payload["profile"]))
    length = len(profile.items) // 4
    vectors = point.vectors.vectors.vectors
    [sparse] = [each.sparse for each in vectors.values()] or [q.SparseVector()]
    return Point(
        payload=payload,
        items=struct.unpack(f"<{length}I", profile.items),
        values=struct.unpack(f"<{length}I", profile.values),
        times=struct.unpack(f"<{length}q", profile.rated_at),
        profile=profile,
        vector=dict(zip(sparse.indices, sparse.values, strict=True)),
    )


def _plain(value: q.Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return {name: _plain(each) for name, each in value.struct_value.fields.items()}
        case "list_value":
            return [_plain(each) for each in value.list_value.values]
        case "null_value" | None:
            return None
        case kind:
            return getattr(value, kind)
