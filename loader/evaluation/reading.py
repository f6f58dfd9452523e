"""Reads all ratings of a data set, or of a collection that is in use, into a table."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kindred.items import Item
from kindred.ratings import RatingScale
from kindred.stores.port import Store
from loader.bad_rows import BadRows
from loader.errors import DataError
from loader.evaluation.table import RatingTable
from loader.ids import UNKNOWN, Codes
from loader.options import Duplicates
from loader.profiles import profiles_of
from loader.progress import Progress
from loader.rating_buffer import ROW, Ratings
from loader.source import DataSource

_PAGE = 1_000


def read_source(source: DataSource, progress: Progress, duplicates: Duplicates = "latest") -> RatingTable:
    """Reads a data set.

    Args:
        source: The data set.
        progress: Is told how far it is.
        duplicates: What becomes of repeated pairs of user and item.

    Raises:
        DataError: It cannot be read, or has no ratings of items that it knows.
    """
    progress.stage("Reading ratings", source.size)
    with BadRows() as bad_rows:
        items = source.items(bad_rows)
        user_codes = Codes()
        item_codes = Codes() if items is None else Codes((item.item_id for item in items), closed=True)
        parts: list[Ratings] = []
        for chunk, size in source.ratings(bad_rows):
            if chunk is not None:
                rows = np.empty(chunk.values.size, ROW)
                codes = item_codes.encode(chunk.items)
                rows["user"], rows["item"] = user_codes.encode(chunk.users), codes
                rows["value"], rows["time"] = chunk.values, chunk.times
                parts.append(rows[codes != UNKNOWN])
            progress.advance(size)
    if items is None:
        items = [Item(item_id, item_id) for item_id in item_codes.ids]
    return make_table(source.name, source.scale, user_codes.ids, items, parts, duplicates=duplicates)


async def read_store(store: Store, progress: Progress) -> RatingTable:
    """Reads a collection; nothing is written to it.

    Args:
        store: The open collection.
        progress: Is told how far it is.

    Raises:
        DataError: It has no ratings.
        UnavailableError: The store is away.
    """
    progress.stage("Reading users", None)
    entries = await store.items()
    order = np.argsort(np.array([entry.index for entry in entries], np.uint32))
    indexes = np.array([entries[place].index for place in order.tolist()], np.uint32)
    items = [entries[place].item for place in order.tolist()]
    user_ids: list[str] = []
    parts: list[Ratings] = []
    async for page in store.scan_users(_PAGE):
        for user in page:
            profile = user.profile
            places = np.minimum(np.searchsorted(indexes, profile.items), max(indexes.size - 1, 0))
            known = profile.current & (indexes[places] == profile.items if indexes.size else False)
            if known.any():
                rows = np.empty(np.count_nonzero(known), ROW)
                rows["user"], rows["item"] = len(user_ids), places[known]
                rows["value"], rows["time"] = profile.values[known], profile.rated_at[known]
                parts.append(rows)
                user_ids.append(user.user_id)
        progress.advance(len(page))
    return make_table(store.metadata.name, store.metadata.scale, user_ids, items, parts)


def make_table(
    name: str,
    scale: RatingScale,
    user_ids: Sequence[str],
    items: Sequence[Item],
    parts: Sequence[Ratings],
    *,
    duplicates: Duplicates = "latest",
) -> RatingTable:
    """Brings ratings into the table's order.

    Args:
        name: Where they come from.
        scale: Their scale.
        user_ids: The users' ids, each once.
        items: The catalog, each id once.
        parts: Ratings, with places in these as codes.
        duplicates: What becomes of repeated pairs of user and item.

    Raises:
        DataError: There are none.
    """
    rows = np.concatenate(parts) if parts else np.empty(0, ROW)
    if not rows.size:
        raise DataError(name, None, "has no ratings to evaluate with")
    user_order = sorted(range(len(user_ids)), key=user_ids.__getitem__)
    item_order = sorted(range(len(items)), key=lambda place: items[place].item_id)
    rows["user"] = _inverse(user_order)[rows["user"]]
    columns = profiles_of(rows, _inverse(item_order), duplicates, scale.maximum)
    return RatingTable(
        name=name,
        scale=scale,
        user_ids=[user_ids[place] for place in user_order],
        items=[items[place] for place in item_order],
        users=np.repeat(columns.users, np.diff(columns.starts)).astype(np.int32),
        codes=columns.items.astype(np.int32),
        values=columns.values,
        times=columns.times,
    )


def _inverse(order: Sequence[int]) -> NDArray[np.uint32]:
    ranks = np.empty(len(order), np.uint32)
    ranks[order] = np.arange(len(order))
    return ranks
