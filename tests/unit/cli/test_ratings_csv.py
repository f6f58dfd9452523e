from pathlib import Path

import pytest
import typer

from cli.ratings_csv import MAX_RATINGS, read_ratings


def _written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"item,rating\n50,4.5\nimdb:tt0120338,2\n",
        b"\xef\xbb\xbfitem,rating\r\n50,4.5\r\n\r\nimdb:tt0120338,2\r\n",
        b"userId,movieId,rating,timestamp\n1,50,4.5,881250949\n1,imdb:tt0120338,2,881250949",
        b'rating, item_id \n4.5,"50"\n 2 , imdb:tt0120338 \n',
        b"itemId,comment,rating\n50,caf\xc3\xa9,4.5\nimdb:tt0120338,,2\n",
    ],
    ids=["plain", "excel", "movielens", "quoted and blank", "other columns"],
)
def test_forms(tmp_path: Path, content: bytes) -> None:
    """A file may have a byte order mark, any line ends, any order of columns, and columns of no use here."""
    opinions = read_ratings(_written(tmp_path, content))
    assert [(opinion.item.text, opinion.value) for opinion in opinions] == [("50", 4.5), ("imdb:tt0120338", 2.0)]
    assert all(opinion.item.is_id for opinion in opinions)


def test_lines_are_remembered(tmp_path: Path) -> None:
    """Each rating remembers its line, for what the server may say about it."""
    path = _written(tmp_path, b"item,rating\n\n50,4.5\n60,3\n")
    assert [opinion.item.origin for opinion in read_ratings(path)] == [f"{path}:3", f"{path}:4"]


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (b"", ["1: the header must have one column of item, item_id, itemId, movieId, and one rating; has nothing"]),
        (b"film,stars\n1,2\n", ["1: the header must have"]),
        (b"item,movieId,rating\n1,1,2\n", ["1: the header must have"]),
        (
            b"item,rating\n50,good\n1,2\n,3\n7\n",
            ["2: the rating is no number: good", "4: the item", "5: has 1 columns"],
        ),
        (b"item,rating\n50,nan\n", ["2: the rating is no number: nan"]),
        (b"item,rating\n1,2\ncaf\xe9,3\n", ["3: not UTF-8 (invalid continuation byte at byte 3 of the line)"]),
        (b'item,rating\n1,2\n"3"4,3\n', ["3: "]),
        (b"item,rating\n" + b"x,y\n" * 20, [f"{line}: the rating" for line in range(2, 12)]),
    ],
    ids=["empty", "no such columns", "two item columns", "bad rows", "nan", "latin-1", "bad quotes", "all bad"],
)
def test_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, problems: list[str]) -> None:
    """Each line that cannot be read is named with its number and the reason, ten at most, and nothing is used."""
    path = _written(tmp_path, content)
    with pytest.raises(typer.Exit) as stopped:
        read_ratings(path)
    assert stopped.value.exit_code == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == len(problems)
    for error, problem in zip(errors, problems, strict=True):
        assert error.startswith(f"kindred: {path}:{problem}")


def test_too_many_ratings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """More ratings than a request takes are refused at the first line too many; as many as it takes are read."""
    rows = "".join(f"{item},3\n" for item in range(MAX_RATINGS))
    assert len(read_ratings(_written(tmp_path, f"item,rating\n{rows}".encode()))) == MAX_RATINGS
    path = _written(tmp_path, f"item,rating\n{rows}x,3\ny,bad\n".encode())
    with pytest.raises(typer.Exit):
        read_ratings(path)
    assert capsys.readouterr().err == (
        f"kindred: {path}:1002: more than 1,000 ratings, the most that a request takes\n"
    )
