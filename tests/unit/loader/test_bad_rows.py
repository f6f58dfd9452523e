"""Rows that cannot be read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loader.bad_rows import BadRows
from loader.errors import DataError
from loader.readers import text
from loader.readers.movielens import open_movielens

GOOD = b"1,1,4.0,964982703"
MOVIES = b"movieId,title,genres\n1,Toy Story (1995),Comedy\n"


def folder_of(path: Path, ratings: bytes, movies: bytes = MOVIES, **others: bytes) -> Path:
    """A data set with these ratings."""
    (path / "ratings.csv").write_bytes(b"userId,movieId,rating,timestamp\n" + ratings)
    (path / "movies.csv").write_bytes(movies)
    for name, data in others.items():
        (path / f"{name}.csv").write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1,1,four,5", "rating 'four' is no number"),
        (b"1,1,,5", "rating '' is no number"),
        (b"1,1,NaN,5", "rating 'NaN' is no number"),
        (b"1,1,1e999,5", "rating '1e999' is no number"),
        (b"1,1,5.5,5", "rating 5.5 is off the scale of 0.5 to 5"),
        (b"1,1,0,5", "rating 0 is off the scale of 0.5 to 5"),
        (b"1,1,-1,5", "rating -1 is off the scale of 0.5 to 5"),
        (b"1,1,4", "has 3 columns, 4 are expected"),
        (b"1", "has 1 column, 4 are expected"),
        (b"1,1,4,5,6", "has 5 columns, 4 are expected"),
        (b",1,4,5", "user id must not be empty"),
        (b"1,,4,5", "item id must not be empty"),
        (b"1," + b"9" * 257 + b",4,5", "item id has 257 characters, at most 256 are allowed"),
        (b"1\x07,1,4,5", "user id must not contain control characters"),
        (b"\xff,1,4,5", "is not UTF-8"),
        (b"1,1,4,soon", "time 'soon' is no number"),
        (b"1,1,4,", "time '' is no number"),
        (b"1,1,4,nan", "time 'nan' is no number"),
        (b"1,1,4,-5", "time -5 is not in the years 1970 to 9999"),
        (b"1,1,4,1e15", "time 1e15 is not in the years 1970 to 9999"),
        (b'1,"1,4,5', "has quotes that do not match (unexpected end of data)"),
    ],
)
def test_a_bad_row_stops_with_file_line_and_reason(
    tmp_path: Path, ratings_of: Callable, row: bytes, reason: str
) -> None:
    """The message names the file, the line and what is wrong with it."""
    path = folder_of(tmp_path, b"\n".join([GOOD, GOOD, row, GOOD, GOOD]) + b"\n")
    with pytest.raises(DataError) as caught:
        ratings_of(open_movielens(path))
    assert str(caught.value) == f"{tmp_path}/ratings.csv:4: {reason}"
    assert (caught.value.file, caught.value.line, caught.value.reason) == (f"{tmp_path}/ratings.csv", 4, reason)


def test_bad_rows_are_counted_and_listed_in_a_report(tmp_path: Path, ratings_of: Callable) -> None:
    """With a report the good rows of a file are read and the bad ones listed, one a line."""
    path = folder_of(tmp_path, b"1,1,4,5\n\nx,1\n2,1,9,5\r\n3,1,5,6")
    with BadRows(tmp_path / "report.txt") as bad_rows:
        found = ratings_of(open_movielens(path), bad_rows)
    assert found == [("1", "1", 4.0, 5_000), ("3", "1", 5.0, 6_000)]
    assert bad_rows.count == 2
    assert bad_rows.report == tmp_path / "report.txt"
    assert (tmp_path / "report.txt").read_text().splitlines() == [
        f"{tmp_path}/ratings.csv:4: has 2 columns, 4 are expected",
        f"{tmp_path}/ratings.csv:5: rating 9 is off the scale of 0.5 to 5",
    ]


def test_without_bad_rows_there_is_no_report(tmp_path: Path, ratings_of: Callable) -> None:
    """A report of an earlier load is removed and none is made if every row is good."""
    path, report = folder_of(tmp_path, GOOD), tmp_path / "report.txt"
    report.write_text("old")
    with BadRows(report) as bad_rows:
        assert len(ratings_of(open_movielens(path), bad_rows)) == 1
    assert bad_rows.report is None
    assert not report.exists()


def test_bad_rows_are_found_in_any_block(tmp_path: Path, ratings_of: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a large file is cut into blocks, every row is read once and bad ones have the right line."""
    rows = [b"%d,1,4,5" % number for number in range(20_000)]
    rows[7_000] = b"7000,1,bad,5"
    rows[19_999] = b"19999"
    path = folder_of(tmp_path, b"\n".join(rows))
    monkeypatch.setattr(text, "BLOCK_BYTES", 60_000)
    with BadRows(tmp_path / "report.txt") as bad_rows:
        found = ratings_of(open_movielens(path), bad_rows)
    assert [int(user) for user, *_ in found] == [number for number in range(19_999) if number != 7_000]
    assert [line.split(":")[1] for line in (tmp_path / "report.txt").read_text().splitlines()] == ["7002", "20001"]


def test_a_line_longer_than_a_block_is_refused(
    tmp_path: Path, ratings_of: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without line ends is not read into memory as a whole."""
    monkeypatch.setattr(text, "BLOCK_BYTES", 1_000)
    with pytest.raises(DataError, match=r"ratings.csv:2: is longer than 1,000 bytes; is this a text file\?"):
        ratings_of(open_movielens(folder_of(tmp_path, b"x" * 10_000)))


def test_a_missing_column_is_named(tmp_path: Path, ratings_of: Callable) -> None:
    """The message lists the columns that are there."""
    path = folder_of(tmp_path, b"")
    (path / "ratings.csv").write_bytes(b"user,movieId,rating,timestamp\n" + GOOD)
    with pytest.raises(DataError, match=r"csv:1: no column 'userId'; there are: user, movieId, rating, timestamp"):
        ratings_of(open_movielens(path))


@pytest.mark.parametrize(
    ("movies", "message"),
    [
        (b"1,A,B\n1,C,D\n", r"movies.csv:3: item '1' is on line 2 already"),
        (b'1,"A\nB",C\n2,"A"\n', r"movies.csv:4: has 2 columns, 3 are expected"),
        (b",A,B\n", r"movies.csv:2: item.item_id must not be empty"),
        (b"1," + b"x" * 2_000 + b",B\n", r"movies.csv:2: item.title has 2,000 characters, at most 1,000 are allowed"),
        (b"1,\xff,B\n", r"movies.csv:2: is not UTF-8"),
        (b'1,"' + b"x" * 200_000, r"movies.csv:2: has quotes that do not match"),
    ],
)
def test_a_bad_catalog_row_stops_with_its_line(tmp_path: Path, movies: bytes, message: str) -> None:
    """Items must be good and new; the line is that on which the row begins."""
    path = folder_of(tmp_path, GOOD, b"movieId,title,genres\n" + movies)
    with pytest.raises(DataError, match=message):
        open_movielens(path).items(BadRows())


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("links", b"movieId,imdbId,tmdbId\n1,tt1,2\n", r"links.csv:2: imdbId 'tt1' and tmdbId '2' must be digits"),
        ("tags", b"userId,movieId,tag,timestamp\n1,1,fun,1\n1,,fun,1\n", r"tags.csv:3: item id must not be empty"),
        ("tags", b"userId,movieId,tag,timestamp\n1,1,fun\n", r"tags.csv:2: has 3 columns, 4 are expected"),
    ],
)
def test_bad_links_and_tags_stop_with_their_line(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    """Every file of the data set is checked."""
    path = folder_of(tmp_path, GOOD, **{name: data})
    with pytest.raises(DataError, match=message):
        open_movielens(path).items(BadRows())


@pytest.mark.parametrize(
    ("users", "message"),
    [
        (b"1::F::1::10\n", r"users.dat:1: has 4 columns, 5 are expected"),
        (b"1::F::1::10::4\n1::F::1::10::4\n", r"users.dat:2: user '1' is there already"),
        (b"::F::1::10::4\n", r"users.dat:1: user id must not be empty"),
        (b"1::F::1::10::" + b"4" * 1_001, r"users.dat:1: attributes\[zip_code\] has 1,001 characters"),
    ],
)
def test_bad_users_stop_with_their_line(tmp_path: Path, users: bytes, message: str) -> None:
    """A user has an id and attributes within the limits, once."""
    for name, data in (("ratings", b"1::1::4::5\n"), ("movies", b"1::A::B\n"), ("users", users)):
        (tmp_path / f"{name}.dat").write_bytes(data)
    with pytest.raises(DataError, match=message):
        open_movielens(tmp_path).user_attributes(BadRows())


def test_a_tab_inside_a_dat_field_is_part_of_the_field(tmp_path: Path, ratings_of: Callable) -> None:
    """Only `::` separates; a row with a tab is judged as it stands."""
    for name, data in (("ratings", b"1::1::4::5\n1\t::1::4::5\n"), ("movies", b"1::A::B\n")):
        (tmp_path / f"{name}.dat").write_bytes(data)
    with pytest.raises(DataError, match=r"ratings.dat:2: user id must not contain control characters"):
        ratings_of(open_movielens(tmp_path))
