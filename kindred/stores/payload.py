"""Users and items as the payloads of points, the same in every adapter."""

import sys
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kindred.items import CatalogEntry, Item
from kindred.ratings import UserProfile
from kindred.stores.port import LogPosition, PointId, RatingCounts, Removal, StoredUser
from kindred.v1.stored_profile_pb2 import StoredProfile

T = TypeVar("T")

FIRST_COUNTS_POINT = 2**32
"""The counts stand among the items, behind the highest index: a point for so many items each."""
_COUNTS_PER_POINT = 65_536
_NOTHING: Mapping[str, Any] = {}


def user_payload(user: StoredUser) -> dict[str, Any]:
    """The payload of a user's point.

    A forgotten user leaves a tombstone: no id, no attributes, no ratings, just when, where in the log, and how much.
    """
    profile = user.profile
    rated_at = profile.rated_at[profile.current]
    payload: dict[str, Any] = {
        "revision": user.revision,
        "rating_count": rated_at.size,
        "profile": b2a_base64(_encode_profile(profile), newline=False).decode("ascii"),
    }
    if profile.items.size or profile.attributes or profile.forgotten_at is None:
        payload["user_id"] = user.user_id
    if profile.attributes:
        payload["attributes"] = dict(profile.attributes)
    if rated_at.size:
        payload["last_rated_at"] = f"{np.datetime64(int(rated_at.max()), 'ms')}Z"  # RFC 3339
    if user.source is not None:
        payload["source"] = {
            "topic_id": user.source.topic_id,
            "partition": user.source.partition,
            "offset": user.source.offset,
        }
    if user.removal is not None:
        payload["removal"] = {"ratings": user.removal.ratings, "attributes": user.removal.attributes}
    return payload


def read_user(point_id: PointId, payload: Mapping[str, Any]) -> StoredUser:
    """The user in a payload that `user_payload` made.

    Args:
        point_id: The point's id: the user's own id where that is a number.
        payload: The payload.
    """
    source = payload.get("source")
    removal = payload.get("removal")
    return StoredUser(
        user_id=payload.get("user_id") or (str(point_id) if isinstance(point_id, int) else ""),
        profile=_decode_profile(a2b_base64(payload["profile"]), payload.get("attributes", {})),
        revision=payload["revision"],
        source=LogPosition(source["topic_id"], source["partition"], source["offset"]) if source else None,
        removal=Removal(removal["ratings"], removal["attributes"]) if removal else None,
        known_point=point_id,
    )


def item_payload(item: Item, changed_at: int | None = None) -> dict[str, Any]:
    """The payload of an item's point.

    Args:
        item: The item.
        changed_at: When it is written, in milliseconds since 1970; None in a load.
    """
    payload: dict[str, Any] = {"item_id": item.item_id, "title": item.title}
    if changed_at is not None:
        payload["changed_at"] = changed_at
    if item.year is not None:
        payload["year"] = item.year
    for name in ("genres", "tags"):
        if words := getattr(item, name):
            payload[name] = list(words)
    for name in ("external_ids", "attributes"):
        if pairs := getattr(item, name):
            payload[name] = dict(pairs)
    return payload


def read_item(payload: Mapping[str, Any]) -> Item:
    """The item in a payload that `item_payload` made. Words and names that many items have are one string in memory."""
    return Item(
        item_id=payload["item_id"],
        title=payload["title"],
        year=payload.get("year"),
        genres=_shared(tuple(payload.get("genres", ()))),
        tags=_shared(tuple(payload.get("tags", ()))),
        external_ids=_with_interned_names(payload.get("external_ids", {})),
        attributes=_with_interned_names(payload.get("attributes", {})),
    )


@lru_cache(maxsize=4_096)
def _shared(words: tuple[str, ...]) -> tuple[str, ...]:
    """Words that are the same as those of other items: as one object, if not too many others came in between."""
    return tuple(map(sys.intern, words))


def _with_interned_names(pairs: Mapping[str, T]) -> Mapping[str, T]:
    return {sys.intern(name): value for name, value in pairs.items()} if pairs else _NOTHING


def counts_payloads(counts: RatingCounts) -> list[tuple[int, dict[str, Any]]]:
    """The points that hold the counts: their ids and payloads, one point at least.

    The first says how many points there are, so that those of an earlier, larger catalog are not read.
    """
    starts = range(0, max(counts.indexes.size, 1), _COUNTS_PER_POINT)
    points: list[tuple[int, dict[str, Any]]] = []
    for place, start in enumerate(starts):
        columns = (column[start : start + _COUNTS_PER_POINT].astype(np.uint32) for column in counts)
        packed = b"".join(_little_endian(column) for column in columns)
        points.append((FIRST_COUNTS_POINT + place, {"counts": b2a_base64(packed, newline=False).decode("ascii")}))
    points[0][1]["points"] = len(points)
    return points


def read_counts(payloads: Iterable[Mapping[str, Any]]) -> RatingCounts:
    """The counts in payloads that `counts_payloads` made, in their order."""
    columns = [np.frombuffer(a2b_base64(payload["counts"]), "<u4").reshape(3, -1) for payload in payloads]
    return RatingCounts(*(np.concatenate(columns, axis=1) if columns else np.empty((3, 0), np.uint32)))


def with_counts(items: Iterable[tuple[int, Item]], counts: RatingCounts) -> Iterator[CatalogEntry]:
    """Items by index, with what the counts say of them."""
    rated = dict(zip(counts.indexes.tolist(), counts.rated.tolist(), strict=True))
    liked = dict(zip(counts.indexes.tolist(), counts.liked.tolist(), strict=True))
    for index, item in items:
        yield CatalogEntry(index, item, rated.get(index, 0), liked.get(index, 0))


def counts_of(entries: Iterable[CatalogEntry]) -> RatingCounts:
    """The counts that stand in entries; items without any are left out."""
    rows = sorted((each.index, each.rated_count, each.liked_count) for each in entries if each.rated_count)
    return RatingCounts(*np.array(rows, np.uint32).reshape(-1, 3).T)


def _encode_profile(profile: UserProfile) -> bytes:
    return StoredProfile(
        items=_little_endian(profile.items),
        values=_little_endian(profile.values),
        rated_at=_little_endian(profile.rated_at),
        forgotten_at=profile.forgotten_at,
        attributes_at=profile.attributes_at,
    ).SerializeToString()


def _little_endian(column: NDArray[np.generic]) -> bytes:
    if sys.byteorder == "little" and column.dtype.isnative:
        return column.tobytes()
    return column.astype(column.dtype.newbyteorder("<")).tobytes()


def _decode_profile(data: bytes, attributes: Mapping[str, Any]) -> UserProfile:
    stored = StoredProfile.FromString(data)
    return UserProfile(
        items=np.frombuffer(stored.items, "<u4"),
        values=np.frombuffer(stored.values, "<f4"),
        rated_at=np.frombuffer(stored.rated_at, "<i8"),
        forgotten_at=stored.forgotten_at if stored.HasField("forgotten_at") else None,
        attributes=attributes,
        attributes_at=stored.attributes_at if stored.HasField("attributes_at") else None,
    )
