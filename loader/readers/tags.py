"""Tags that users gave to items: each item's distinct tags, most used first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from kindred.items import MAX_TAGS
from loader.bad_rows import BadRows
from loader.files import DataFile
from loader.readers.blocks import read_block
from loader.readers.catalog import clean_tag
from loader.readers.rating_rows import IDS, id_reason, ids_from, ids_of, texts_of
from loader.readers.text import TextFormat, text_blocks
from loader.source import Ids


@dataclass(frozen=True, slots=True)
class TagRows:
    """Rows of an item id and a tag. See `loader.readers.blocks.Rows`."""

    def from_table(self, table: pa.Table) -> tuple[Ids, Ids] | None:
        """See `Rows.from_table`."""
        items = ids_of(table["item"])
        return None if items is None else (items, texts_of(table["tag"]))

    def reason(self, fields: list[str]) -> str | None:
        """See `Rows.reason`."""
        return id_reason(fields[0], "item id")

    def from_fields(self, rows: list[list[str]]) -> tuple[Ids, Ids]:
        """See `Rows.from_fields`."""
        return ids_from([item for item, _ in rows]), ids_from([tag for _, tag in rows])


def read_tags(
    file: DataFile, text: TextFormat, asked: Sequence[str], bad_rows: BadRows
) -> Mapping[str, tuple[str, ...]]:
    """Reads a table of tags.

    Args:
        file: The file.
        text: How it is written.
        asked: Its columns for item and tag.
        bad_rows: Takes the rows that cannot be read.

    Returns:
        By item id its distinct tags, the most used first, at most as many as an item may have.
    """
    rows, types = TagRows(), {"item": IDS, "tag": IDS}
    frames = [
        pd.DataFrame({"item": np.array(items.distinct, object)[items.places], "tag": tag_texts[tags.places]})
        for block in text_blocks(file, text, asked, types)
        for items, tags in read_block(str(file), block, rows, bad_rows)
        for tag_texts in [np.array([clean_tag(tag) for tag in tags.distinct], object)]
    ]
    if not frames:
        return {}
    uses = pd.concat(frames).query("tag != ''").groupby(["item", "tag"], sort=False).size().reset_index(name="uses")
    best = uses.sort_values(["uses", "tag"], ascending=[False, True]).groupby("item", sort=False).head(MAX_TAGS)
    return {str(item): tuple(tags) for item, tags in best.groupby("item", sort=False)["tag"]}
