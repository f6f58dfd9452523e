"""Rows of ratings: what a good one is, at once for columns and one by one for texts."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kindred.items import MAX_ID_LENGTH, check_id
from kindred.ratings import RatingScale
from loader.bad_rows import BadRows
from loader.files import DataFile
from loader.options import TimeUnit
from loader.readers.blocks import read_block
from loader.readers.text import TextFormat, text_blocks
from loader.source import Ids, RatingChunk, RatingPart

IDS = pa.dictionary(pa.int32(), pa.string())
_GOOD_ID = rf"\A[^\x00-\x1f\x7f-\x9f]{{1,{MAX_ID_LENGTH}}}\z"
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_TIME = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def texts_of(column: "pa.ChunkedArray[Any]") -> Ids:
    """The texts of a dictionary-encoded column without nulls."""
    combined: Any = column.unify_dictionaries().combine_chunks()
    return Ids(combined.dictionary.to_pylist(), combined.indices.to_numpy())


def ids_of(column: "pa.ChunkedArray[Any]") -> Ids | None:
    """The ids of a dictionary-encoded column; None if any is bad. The rules are those of `kindred.items.check_id`."""
    unified = column.unify_dictionaries()
    first: Any = unified.chunk(0) if unified.num_chunks else None
    if first is None or unified.null_count:
        return None
    good = pc.all(pc.match_substring_regex(first.dictionary, _GOOD_ID), min_count=0).as_py()
    return texts_of(unified) if good else None


def ids_from(column: list[str]) -> Ids:
    """The same for texts that are good ids."""
    distinct: dict[str, int] = {}
    places = np.array([distinct.setdefault(value, len(distinct)) for value in column], np.int32)
    return Ids(list(distinct), places)


def id_reason(value: str, name: str) -> str | None:
    """Why a text is no id; None if it is one."""
    violations = check_id(value, name)
    return f"{violations[0].field} {violations[0].description}" if violations else None


def number_of(text: str) -> float | None:
    """The finite number that a text is in decimal digits; None if it is none."""
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None


def text_ratings(
    file: DataFile, text: TextFormat, asked: Sequence[str], rows: "RatingRows", bad_rows: BadRows
) -> Iterator[RatingPart]:
    """Reads a text table of ratings; a part's size is in bytes.

    Args:
        file: The file.
        text: How it is written.
        asked: Its columns for user, item, rating and, if `rows` is timed, time.
        rows: What a good row is.
        bad_rows: Takes the others.
    """
    for block in text_blocks(file, text, asked, rows.types):
        for chunk in read_block(str(file), block, rows, bad_rows):
            yield RatingPart(chunk, 0)
        yield RatingPart(None, len(block.data))


@dataclass(frozen=True, slots=True)
class RatingRows:
    """Rows of ratings. See `loader.readers.blocks.Rows`.

    Args:
        scale: Ratings off it are bad.
        time_unit: How times are written.
        timed: Whether there are times; if not, each is 0, so that any later event counts as newer.
        rated: Whether there are ratings; if not, each is 1: a row is one play.
    """

    scale: RatingScale
    time_unit: TimeUnit = "s"
    timed: bool = True
    rated: bool = True

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """The columns and their types."""
        types: dict[str, pa.DataType] = {"user": IDS, "item": IDS}
        if self.rated:
            types["rating"] = pa.float64()
        if self.timed:
            types["time"] = pa.string() if self.time_unit == "iso" else pa.float64()
        return types

    def from_table(self, table: pa.Table) -> RatingChunk | None:
        """See `Rows.from_table`."""
        users, items = ids_of(table["user"]), ids_of(table["item"])
        values, times = self._values(table), self._times(table)
        if users is None or items is None or values is None or times is None:
            return None
        return RatingChunk(users, items, values, times)

    def reason(self, fields: list[str]) -> str | None:
        """See `Rows.reason`."""
        user, item, *rest = fields
        if found := id_reason(user, "user id") or id_reason(item, "item id"):
            return found
        if self.rated:
            rating = rest[0]
            value = number_of(rating)
            if value is None:
                return f"rating {rating!r} is no number"
            if not self.scale.contains(value):
                return f"rating {rating} is off the scale of {self.scale}"
        if time := rest[self.rated :]:
            try:
                at = self._time(time[0])
            except ValueError:
                kind = "ISO 8601 time" if self.time_unit == "iso" else "number"
                return f"time {time[0]!r} is no {kind}"
            if not 0 <= at <= _LAST_TIME:
                return f"time {time[0]} is not in the years 1970 to 9999"
        return None

    def from_fields(self, rows: list[list[str]]) -> RatingChunk:
        """See `Rows.from_fields`."""
        users, items, *rest = ([*column] for column in zip(*rows, strict=True))
        values = np.array([float(value) for value in rest[0]]) if self.rated else np.ones(len(rows))
        times = [self._time(time) for time in rest[-1]] if self.timed else [0] * len(rows)
        return RatingChunk(ids_from(users), ids_from(items), values, np.array(times, np.int64))

    def _values(self, table: pa.Table) -> NDArray[np.float64] | None:
        if not self.rated:
            return np.ones(table.num_rows) if table.num_rows else None
        if table["rating"].null_count:
            return None
        values = table["rating"].to_numpy()
        good = values.size and self.scale.contains(values.min()) and self.scale.contains(values.max())
        return values if good else None

    def _times(self, table: pa.Table) -> NDArray[np.int64] | None:
        if not self.timed:
            return np.zeros(table.num_rows, np.int64)
        column = table["time"]
        if column.null_count:
            return None
        times: NDArray[np.floating | np.integer]
        if pa.types.is_timestamp(column.type):
            times = column.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64()).to_numpy()
        elif self.time_unit == "iso":
            parsed = pd.to_datetime(column.to_pandas(), format="ISO8601", utc=True, errors="coerce")
            if parsed.isna().any():
                return None
            times = parsed.to_numpy("datetime64[ms]").astype(np.int64)
        else:
            times = column.to_numpy() * (1_000 if self.time_unit == "s" else 1)
        good = times.size and times.min() >= 0 and times.max() <= _LAST_TIME  # NaN is neither
        return np.rint(times).astype(np.int64) if good else None

    def _time(self, text: str) -> int:
        if self.time_unit == "iso":
            time = datetime.fromisoformat(text)
            return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
        number = number_of(text)
        if number is None:
            raise ValueError(text)
        return round(number * 1_000 if self.time_unit == "s" else number)
