"""The readers of MovieLens's forms, on small files written here."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from kindred.items import MAX_TAGS, Item
from loader.bad_rows import BadRows
from loader.errors import DataError
from loader.readers.movielens import open_movielens

CSV = {
    "ratings.csv": b"userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,3,0.5,964981247\n22,1,5,964981247\n",
    "movies.csv": (
        "movieId,title,genres\r\n"
        "1,Toy Story (1995),Adventure|Animation\r\n"
        '3,"Misérables, Les (1995)",Drama\r\n'
        '5,"""Great Performances"" Cats (1998)",(no genres listed)\r\n'
        "7,Death Note (2006\u20132007) ,Drama|Drama\r\n"
        "8,Babylon 5,\r\n"
    ).encode(),
    "links.csv": b"movieId,imdbId,tmdbId\n1,0114709,862\n3,114709,\n5,,\n",
    "tags.csv": b'userId,movieId,tag,timestamp\n1,1,fun,1\n2,1,"pixar, 3d",1\n3,1,fun,2\n4,1, fun ,2\n4,3,  ,2\n',
}
MILLION = {
    "ratings.dat": b"1::1193::5::978300760\n1::661::3::978302109\n2::1193::1::978298413\n",
    "movies.dat": "661::Misérables, Les (1995)::Drama|Musical\n1193::One Flew Over (1975)::Drama\n".encode("latin-1"),
    "users.dat": b"1::F::1::10::48067\n2::M::56::16::70072\n3::M::25::99::55117-1234\n",
}
TEN_MILLION = {
    "ratings.dat": b"1::122::5::838985046\n1::185::0.5::838983525\n",
    "movies.dat": "122::Amélie (2001)::Comedy\n185::Net, The (1995)::Action\n".encode(),
    "tags.dat": "1::122::café::1215184630\n2::122::paris::1\n3::122::café::1\n".encode(),
}
ONE_AND_NO_GENRE = b"|0" * 5 + b"|1" + b"|0" * 13
HUNDRED_THOUSAND = {
    "u.data": b"196\t242\t3\t881250949\n186\t302\t5\t891717742\n",
    "u.item": (
        "242|Cérémonie, La (1995)|01-Jan-1995||http://x".encode("latin-1") + ONE_AND_NO_GENRE + b"\n"
        b"302|L.A. Confidential|24-Jan-1997||http://y" + b"|0" * 19 + b"\n"
        b"267|unknown||||1" + b"|0" * 18 + b"\n"
    ),
    "u.user": b"196|49|M|writer|55105\n186|39|F|executive|00000\n",
}
RECBOLE = {
    "ml-100k.inter": b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n",
    "ml-100k.item": (
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "242\tCérémonie, La\t1995\tCrime Sci-Fi\n267\tunkonwn\tunkonwn\tunknown\n"
        "1412\tLand Before Time III (1995)\tV\tAnimation Children's\n"
    ).encode(),
    "ml-100k.user": (
        b"user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n196\t49\tM\twriter\t55105\n"
    ),
}


def folder_of(path: Path, files: Mapping[str, bytes]) -> Path:
    """A folder with these files."""
    path.mkdir(exist_ok=True)
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def by_id(items: list[Item] | None) -> dict[str, Item]:
    """Items by their ids."""
    assert items is not None
    return {item.item_id: item for item in items}


def test_csv_ratings_are_read_with_times_in_milliseconds(tmp_path: Path, ratings_of: Callable) -> None:
    """Ratings keep their order, half stars are allowed, and seconds become milliseconds."""
    source = open_movielens(folder_of(tmp_path, CSV))
    assert ratings_of(source) == [
        ("1", "1", 4.0, 964_982_703_000),
        ("1", "3", 0.5, 964_981_247_000),
        ("22", "1", 5.0, 964_981_247_000),
    ]
    assert (source.scale.minimum, source.scale.maximum) == (0.5, 5.0)


def test_csv_catalog_has_titles_years_genres_tags_and_external_ids(tmp_path: Path) -> None:
    """The year leaves the title, IMDb ids have seven digits at least, and the most used tag is the first."""
    items = by_id(open_movielens(folder_of(tmp_path, CSV)).items(BadRows()))
    assert items["1"] == Item(
        "1",
        "Toy Story",
        1995,
        ("Adventure", "Animation"),
        ("fun", "pixar, 3d"),
        external_ids={"imdb": "tt0114709", "tmdb": "862"},
    )
    assert items["3"] == Item("3", "Misérables, Les", 1995, ("Drama",), external_ids={"imdb": "tt0114709"})
    assert items["5"] == Item("5", '"Great Performances" Cats', 1998)
    assert items["7"] == Item("7", "Death Note", 2006, ("Drama",))
    assert items["8"] == Item("8", "Babylon 5")


def test_csv_without_links_and_tags_is_complete(tmp_path: Path) -> None:
    """links.csv and tags.csv may be missing."""
    files = {name: CSV[name] for name in ("ratings.csv", "movies.csv")}
    items = by_id(open_movielens(folder_of(tmp_path, files)).items(BadRows()))
    assert items["1"] == Item("1", "Toy Story", 1995, ("Adventure", "Animation"))


@pytest.mark.parametrize("change", [lambda data: b"\xef\xbb\xbf" + data, lambda data: data.replace(b"\n", b"\r\n")])
def test_byte_order_marks_and_windows_line_ends_do_not_matter(
    tmp_path: Path, ratings_of: Callable, change: Callable[[bytes], bytes]
) -> None:
    """A file from another system reads the same."""
    plain = open_movielens(folder_of(tmp_path / "plain", CSV))
    changed = open_movielens(folder_of(tmp_path / "changed", CSV | {"ratings.csv": change(CSV["ratings.csv"])}))
    assert ratings_of(changed) == ratings_of(plain)


def test_an_item_has_at_most_so_many_tags(tmp_path: Path) -> None:
    """Of too many tags the least used go, and a long one is cut."""
    tags = b"userId,movieId,tag,timestamp\n" + b"".join(b"1,1,tag %d,1\n" % number for number in range(MAX_TAGS + 5))
    tags += b"2,1,tag 260,1\n3,1," + b"x" * 300 + b",1\n4,1," + b"x" * 300 + b",1\n4,1," + b"x" * 300 + b",1\n"
    item = by_id(open_movielens(folder_of(tmp_path, CSV | {"tags.csv": tags})).items(BadRows()))["1"]
    assert len(item.tags) == MAX_TAGS
    assert item.tags[:2] == ("x" * 100, "tag 260")


def test_a_zip_archive_reads_like_its_folder(tmp_path: Path, ratings_of: Callable) -> None:
    """An archive with the files in a folder of its own needs no unpacking; junk beside them is ignored."""
    with zipfile.ZipFile(tmp_path / "ml-latest.zip", "w") as archive:
        for name, data in CSV.items():
            archive.writestr(f"__MACOSX/deep/ml/{name}", b"junk")
            archive.writestr(f"ml-latest/{name}", data)
    folder, archived = open_movielens(folder_of(tmp_path / "x", CSV)), open_movielens(tmp_path / "ml-latest.zip")
    assert ratings_of(archived) == ratings_of(folder)
    assert archived.items(BadRows()) == folder.items(BadRows())
    assert archived.name == "ml-latest"
    assert archived.size == len(CSV["ratings.csv"])


def test_one_million_has_demographics(tmp_path: Path, ratings_of: Callable) -> None:
    """users.dat becomes attributes with the occupation's name, Latin-1 is decoded, and the scale is 1 to 5."""
    source = open_movielens(folder_of(tmp_path, MILLION))
    assert ratings_of(source)[1] == ("1", "661", 3.0, 978_302_109_000)
    assert by_id(source.items(BadRows()))["661"] == Item("661", "Misérables, Les", 1995, ("Drama", "Musical"))
    assert source.user_attributes(BadRows()) == {
        "1": {"gender": "F", "age": 1.0, "occupation": "K-12 student", "zip_code": "48067"},
        "2": {"gender": "M", "age": 56.0, "occupation": "self-employed", "zip_code": "70072"},
        "3": {"gender": "M", "age": 25.0, "occupation": "99", "zip_code": "55117-1234"},
    }
    assert str(source.scale) == "1 to 5"


def test_ten_million_has_tags_and_half_stars(tmp_path: Path, ratings_of: Callable) -> None:
    """Without users.dat it is the 10M form: UTF-8, tags, and a scale from 0.5."""
    source = open_movielens(folder_of(tmp_path, TEN_MILLION))
    assert ratings_of(source)[1] == ("1", "185", 0.5, 838_983_525_000)
    assert by_id(source.items(BadRows()))["122"] == Item("122", "Amélie", 2001, ("Comedy",), ("café", "paris"))
    assert source.user_attributes(BadRows()) == {}


def test_hundred_thousand_has_genre_flags_and_users(tmp_path: Path, ratings_of: Callable) -> None:
    """u.item's flags become genres, a missing year is the release's, and u.user becomes attributes."""
    source = open_movielens(folder_of(tmp_path, HUNDRED_THOUSAND))
    assert ratings_of(source) == [("196", "242", 3.0, 881_250_949_000), ("186", "302", 5.0, 891_717_742_000)]
    assert source.items(BadRows()) == [
        Item("242", "Cérémonie, La", 1995, ("Comedy",)),
        Item("302", "L.A. Confidential", 1997),
        Item("267", "unknown"),
    ]
    assert source.user_attributes(BadRows())["186"] == {
        "age": 39.0,
        "gender": "F",
        "occupation": "executive",
        "zip_code": "00000",
    }


def test_recboles_atomic_files_read_like_the_original(tmp_path: Path, ratings_of: Callable) -> None:
    """The types in the first line are ignored, and a year that is none is looked for in the title."""
    source = open_movielens(folder_of(tmp_path, RECBOLE))
    assert ratings_of(source) == [("196", "242", 3.0, 881_250_949_000)]
    assert source.items(BadRows()) == [
        Item("242", "Cérémonie, La", 1995, ("Crime", "Sci-Fi")),
        Item("267", "unkonwn"),
        Item("1412", "Land Before Time III", 1995, ("Animation", "Children's")),
    ]
    assert source.user_attributes(BadRows())["196"]["age"] == 49.0


def test_an_unknown_folder_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    """The message lists every form's files and what is there instead."""
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match=r"looked for: ratings.csv and movies.csv .*; found: notes.txt; .*--ratings"):
        open_movielens(tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [("x.zip", None, "no such file or folder"), ("x.txt", b"hello", "neither a folder nor a zip archive")],
)
def test_a_path_that_is_no_data_set_is_refused(tmp_path: Path, name: str, data: bytes | None, reason: str) -> None:
    """A missing path and a single file are told apart."""
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=reason):
        open_movielens(tmp_path / name)


def test_a_damaged_archive_is_refused(tmp_path: Path, ratings_of: Callable) -> None:
    """A flipped byte in the archive is found by its check sum and named."""
    path = tmp_path / "ml.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in CSV.items():
            archive.writestr(name, data)
    path.write_bytes(path.read_bytes().replace(b"964982703", b"964982704", 1))
    with pytest.raises(DataError, match=r"ml\.zip/ratings\.csv: the archive is damaged .*download it again"):
        ratings_of(open_movielens(path))
