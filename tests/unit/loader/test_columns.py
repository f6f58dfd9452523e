"""Any CSV or parquet file with a column mapping."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from kindred.items import Item
from kindred.ratings import RatingScale
from kindred.scales import PRESETS
from loader.bad_rows import BadRows
from loader.errors import DataError
from loader.options import TimeUnit
from loader.readers.columns import MappedColumns, Table

COLUMNS = {"user": "who", "item": "song", "rating": "stars", "time": "at"}
SCALE = RatingScale(1, 10)
AT = 1_577_934_245_000  # 2020-01-02 03:04:05 UTC


def text_source(
    path: Path, data: str, columns: Mapping[str, str] = COLUMNS, time_unit: TimeUnit = "s"
) -> MappedColumns:
    """A text file of ratings."""
    path.write_text(data)
    return MappedColumns("plays", Table(path, columns), scale=SCALE, time_unit=time_unit)


def parquet_source(path: Path, columns: Mapping[str, object]) -> MappedColumns:
    """A parquet file of ratings."""
    parquet.write_table(pa.table(columns), path)
    return MappedColumns("plays", Table(path, COLUMNS), scale=SCALE)


def test_columns_are_found_by_name_in_any_order(tmp_path: Path, ratings_of: Callable) -> None:
    """Columns that are not asked for are ignored, and quoted ids may have commas."""
    source = text_source(tmp_path / "plays.csv", 'stars,x,song,who,at\n9.5,?,"a, b",user ü,1.5\n')
    assert ratings_of(source) == [("user ü", "a, b", 9.5, 1_500)]
    assert source.items(BadRows()) is None


def test_a_tsv_has_tabs(tmp_path: Path, ratings_of: Callable) -> None:
    """The file's name says what stands between the fields."""
    assert ratings_of(text_source(tmp_path / "plays.tsv", "who\tsong\tstars\tat\nu\ti,j\t5\t1\n")) == [
        ("u", "i,j", 5.0, 1_000)
    ]


def test_without_times_any_later_event_is_newer(tmp_path: Path, ratings_of: Callable) -> None:
    """A mapping without time gives every rating the time 0."""
    columns = {role: name for role, name in COLUMNS.items() if role != "time"}
    assert ratings_of(text_source(tmp_path / "plays.csv", "who,song,stars\nu,i,5\n", columns)) == [("u", "i", 5.0, 0)]


@pytest.mark.parametrize(
    ("time_unit", "time", "at"),
    [
        ("s", "1577934245.25", AT + 250),
        ("ms", "1577934245250", AT + 250),
        ("iso", "2020-01-02T03:04:05Z", AT),
        ("iso", "2020-01-02 03:04:05.1239", AT + 123),
        ("iso", "2020-01-02T05:04:05+02:00", AT),
    ],
)
@pytest.mark.parametrize("beside", ["", "x,y,bad,row\n"], ids=["all good", "beside a bad row"])
def test_times_are_seconds_milliseconds_or_iso(
    tmp_path: Path, ratings_of: Callable, *, time_unit: TimeUnit, time: str, at: int, beside: str
) -> None:
    """A time means the same whether its block is read at once or row by row."""
    source = text_source(tmp_path / "plays.csv", f"who,song,stars,at\nu,i,5,{time}\n{beside}", time_unit=time_unit)
    with BadRows(tmp_path / "report.txt") as bad_rows:
        assert ratings_of(source, bad_rows) == [("u", "i", 5.0, at)]


@pytest.mark.parametrize("beside", ["", "x,,1\n"], ids=["all good", "beside a bad row"])
@pytest.mark.parametrize("timed", [True, False])
def test_without_ratings_a_row_is_a_one(tmp_path: Path, ratings_of: Callable, *, timed: bool, beside: str) -> None:
    """A log of plays has no numbers: every row is one play, with its time if there is one."""
    columns = {"user": "who", "item": "song"} | ({"time": "at"} if timed else {})
    source = text_source(tmp_path / "plays.csv", f"who,song,at\nu,i,5\nu,i,6\n{beside}v,j,7\n", columns)
    with BadRows(tmp_path / "report.txt") as bad_rows:
        found = ratings_of(source, bad_rows)
    assert [rating[:3] for rating in found] == [("u", "i", 1), ("u", "i", 1), ("v", "j", 1)]
    assert [rating[3] for rating in found] == ([5_000, 6_000, 7_000] if timed else [0, 0, 0])
    assert bad_rows.count == bool(beside)


def test_parquet_rows_without_ratings_are_ones(tmp_path: Path, ratings_of: Callable) -> None:
    """The same in parquet, where a time may be stored as one; an empty file has none."""
    path, columns = tmp_path / "plays.parquet", {"user": "who", "item": "song", "time": "at"}
    times = pa.array([AT, AT + 1], pa.timestamp("ms", "UTC"))
    parquet.write_table(pa.table({"at": times, "who": ["u", "v"], "song": [1, 2]}), path)
    source = MappedColumns("plays", Table(path, columns), scale=SCALE)
    assert ratings_of(source) == [("u", "1", 1, AT), ("v", "2", 1, AT + 1)]
    parquet.write_table(parquet.read_table(path).slice(0, 0), path)
    assert ratings_of(source) == []


@pytest.mark.parametrize("third", [True, None])
def test_thumbs_may_be_booleans(tmp_path: Path, ratings_of: Callable, *, third: bool | None) -> None:
    """In parquet true is a thumb up and false one down, also beside a row that has none."""
    columns = {"who": ["u", "u", "v"], "song": ["i", "j", "i"], "stars": [True, False, third], "at": [1, 2, 3]}
    parquet.write_table(pa.table(columns), tmp_path / "votes.parquet")
    source = MappedColumns("votes", Table(tmp_path / "votes.parquet", COLUMNS), scale=PRESETS["thumbs"])
    with BadRows(tmp_path / "report.txt") as bad_rows:
        found = ratings_of(source, bad_rows)
    assert found[:2] == [("u", "i", 1, 1_000), ("u", "j", 0, 2_000)]
    assert (len(found[2:]), bad_rows.count) == ((1, 0) if third else (0, 1))


def test_a_bad_row_says_what_the_scale_means(tmp_path: Path, ratings_of: Callable) -> None:
    """A third thumb is refused with the values that there are, and their stars."""
    path = tmp_path / "votes.csv"
    path.write_text("who,song,stars,at\nu,i,1,1\nu,j,3,1\n")
    with pytest.raises(DataError, match=r"votes.csv:3: rating 3 is off the scale of 0 to 1 \(0=1, 1=5 stars\)"):
        ratings_of(MappedColumns("votes", Table(path, COLUMNS), scale=PRESETS["thumbs"]))


def test_a_bad_iso_time_is_named(tmp_path: Path, ratings_of: Callable) -> None:
    """The message says what kind of time is expected."""
    source = text_source(tmp_path / "plays.csv", "who,song,stars,at\nu,i,5,2020-13-01\n", time_unit="iso")
    with pytest.raises(DataError, match=r"plays.csv:2: time '2020-13-01' is no ISO 8601 time"):
        ratings_of(source)


def test_parquet_numbers_become_ids_and_times(tmp_path: Path, ratings_of: Callable) -> None:
    """Ids may be stored as numbers, ratings as whole ones, and times as seconds."""
    columns = {"at": [1, 2], "who": [7, 8], "song": ["a", "b"], "stars": pa.array([5, 10], pa.int8())}
    source = parquet_source(tmp_path / "plays.parquet", columns)
    assert ratings_of(source) == [("7", "a", 5.0, 1_000), ("8", "b", 10.0, 2_000)]
    assert source.size == 2


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_timestamps_need_no_unit(tmp_path: Path, ratings_of: Callable, zone: str | None, unit: str) -> None:
    """A column of timestamps is read as what it is."""
    times = pa.array([datetime.fromtimestamp(AT / 1_000, UTC)]).cast(pa.timestamp(unit, "UTC")).cast(pa.int64())
    columns = {"who": ["u"], "song": ["i"], "stars": [5.0], "at": times.cast(pa.timestamp(unit, zone))}
    assert ratings_of(parquet_source(tmp_path / "plays.parquet", columns)) == [("u", "i", 5.0, AT)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stars": np.nan}, "rating 'nan' is no number"),
        ({"stars": None}, "rating '' is no number"),
        ({"stars": 11.0}, "rating 11 is off the scale of 1 to 10"),
        ({"who": None}, "user id must not be empty"),
        ({"song": "\x00"}, "item id must not contain control characters"),
        ({"at": None}, "time '' is no number"),
    ],
)
def test_a_bad_parquet_row_stops_with_its_row(
    tmp_path: Path, ratings_of: Callable, change: dict[str, object], reason: str
) -> None:
    """Rows are counted from 1."""
    rows = 3_000 * [{"who": "u", "song": "i", "stars": 5.0, "at": 1}]
    rows[2_500] = rows[2_500] | change
    source = parquet_source(tmp_path / "plays.parquet", pa.Table.from_pylist(rows).to_pydict())
    with pytest.raises(DataError) as caught:
        ratings_of(source)
    assert str(caught.value) == f"{tmp_path}/plays.parquet:2501: {reason}"


def test_a_parquet_file_without_a_column_or_none_at_all_is_refused(tmp_path: Path, ratings_of: Callable) -> None:
    """The message names the file and the column."""
    with pytest.raises(DataError, match="no column 'song'; there are: who, stars, at"):
        ratings_of(parquet_source(tmp_path / "plays.parquet", {"who": ["u"], "stars": [5], "at": [1]}))
    (tmp_path / "plays.parquet").write_text("who,song\n")
    with pytest.raises(DataError, match="is no parquet file"):
        ratings_of(MappedColumns("plays", Table(tmp_path / "plays.parquet", COLUMNS)))


ITEM_COLUMNS = {"id": "key", "title": "name", "year": "y", "genres": "g", "tags": "t"}
ITEMS = [Item("a", "Alpha", 1999, ("Pop", "Rock"), ("new", "old")), Item("b", "b", 2001), Item("c", "Gamma", None)]


def test_items_come_from_a_table_of_their_own(tmp_path: Path) -> None:
    """A title's year counts where there is no other, and an item without title is called by its id."""
    path = tmp_path / "songs.csv"
    path.write_text("key,name,y,g,t\na,Alpha (1998),1999,Pop|Rock,new|| old|new\nb,,2001.0,,\nc,Gamma,,,\n")
    source = MappedColumns("plays", Table(path, COLUMNS), Table(path, ITEM_COLUMNS))
    assert source.items(BadRows()) == ITEMS


def test_items_come_from_parquet_with_lists(tmp_path: Path) -> None:
    """Genres and tags may be lists, years numbers or missing."""
    path = tmp_path / "songs.parquet"
    columns = {
        "key": ["a", "b", "c"],
        "name": ["Alpha", None, "Gamma"],
        "y": [1999, 2001, None],
        "g": [["Pop", "Rock"], [], None],
        "t": [["new", "old"], None, None],
    }
    parquet.write_table(pa.table(columns), path)
    assert MappedColumns("plays", Table(path, COLUMNS), Table(path, ITEM_COLUMNS)).items(BadRows()) == ITEMS


def test_a_year_that_is_no_number_is_a_bad_row(tmp_path: Path) -> None:
    """The message has the line of the item."""
    path = tmp_path / "songs.csv"
    path.write_text("key,name,y,g,t\na,Alpha,soon,,\n")
    source = MappedColumns("plays", Table(path, COLUMNS), Table(path, ITEM_COLUMNS))
    with pytest.raises(DataError, match=r"songs.csv:2: year 'soon' is no number"):
        source.items(BadRows())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A mistyped name is said before anything else."""
    with pytest.raises(DataError, match=r"nowhere.csv: no such file"):
        _ = MappedColumns("plays", Table(tmp_path / "nowhere.csv", COLUMNS)).size
