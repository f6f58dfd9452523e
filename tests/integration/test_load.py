"""Loads into the embedded store: MovieLens 100K, replacing, being killed, and the command."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from cli.load import load as load_command
from kindred.errors import StoreInUseError, StoreLoadedError
from kindred.stores.edge import EdgeBuilder, EdgeStore
from kindred.stores.port import StoredUser, point_id_of
from kindred.weighting import SparseVector, ZScoreWeighting
from loader.bad_rows import BadRows
from loader.errors import DataError
from loader.load import LoadOptions, load
from loader.readers.movielens import open_movielens

RATINGS = "who,song,stars,at\nann,s1,9,1000\nann,s2,2,1001\nbob,s1,10,1002\nbob,s3,x,1003\n"
COLUMNS = "user=who,item=song,rating=stars,time=at"

HALTING_LOAD = """
import sys
from pathlib import Path
from kindred.stores.edge import EdgeBuilder
from loader.load import LoadOptions, load
from loader.readers.movielens import open_movielens

class HaltingBuilder(EdgeBuilder):
    def {method}(self, what):
        if "{method}" != "commit":
            super().{method}(what)
        print("halted", flush=True)
        sys.stdin.read()

data_dir = Path(sys.argv[2])
with HaltingBuilder(data_dir, replace=True) as builder:
    load(open_movielens(Path(sys.argv[1])), builder, LoadOptions(rows_in_memory=1_000, spill_folder=data_dir))
"""


def load_folder(folder: Path, data_dir: Path, *, replace: bool = False, options: LoadOptions | None = None) -> None:
    """Loads a folder into a data directory."""
    with EdgeBuilder(data_dir, replace=replace) as builder:
        load(open_movielens(folder), builder, options)


async def users_in(data_dir: Path, user_ids: Sequence[str]) -> list[StoredUser | None]:
    """Reads users by id."""
    store = EdgeStore.open(data_dir)
    try:
        return await store.users([point_id_of(user_id) for user_id in user_ids])
    finally:
        await store.close()


async def test_movielens_100k_is_loaded_whole(ml100k: Path, tmp_path: Path) -> None:
    """943 users, 1,682 items and 100,000 ratings are stored, with counts that add up, and every rating can be read."""
    with EdgeBuilder(tmp_path / "data") as builder:
        report = load(open_movielens(ml100k), builder)
        assert builder.engine_seconds >= report.engine_seconds > 0
    assert (report.users, report.items, report.ratings) == (943, 1_682, 100_000)
    assert (report.unknown_item_ratings, report.merged_ratings, report.bad_rows) == (0, 0, 0)

    expected: dict[tuple[str, int], tuple[float, int]] = {}
    for line in (ml100k / "ml-100k.inter").read_text().splitlines()[1:]:
        user, item, value, at = line.split("\t")
        expected[user, int(item)] = (float(value), int(at) * 1_000)
    store = EdgeStore.open(tmp_path / "data")
    stored: dict[tuple[str, int], tuple[float, int]] = {}
    async for page in store.scan_users(200):
        for user in page:
            profile = user.profile
            columns = zip(profile.items.tolist(), profile.values.tolist(), profile.rated_at.tolist(), strict=True)
            stored |= {(user.user_id, item): (value, at) for item, value, at in columns}
    items = await store.items()
    await store.close()
    assert stored == expected
    assert sum(entry.rated_count for entry in items) == 100_000
    assert sum(entry.liked_count for entry in items) == sum(value >= 4 for value, _ in expected.values())
    (toy_story,) = (entry for entry in items if entry.item.item_id == "1")
    assert (toy_story.item.title, toy_story.item.year, toy_story.rated_count) == ("Toy Story", 1995, 452)
    (first,) = await users_in(tmp_path / "data", ["1"])
    assert first is not None
    assert first.profile.attributes == {"age": 24.0, "gender": "M", "occupation": "technician", "zip_code": "85711"}


async def test_movielens_100k_is_found_by_its_vectors(ml100k: Path, tmp_path: Path) -> None:
    """A user's own z-scored ratings find that user with the square of their length."""
    load_folder(ml100k, tmp_path / "data", options=LoadOptions(weighting="zscore"))
    (user,) = await users_in(tmp_path / "data", ["7"])
    store = EdgeStore.open(tmp_path / "data")
    weighting = store.metadata.weighting
    assert isinstance(weighting, ZScoreWeighting)
    assert (weighting.mean, weighting.std) == pytest.approx((3.52986, 1.125674), abs=1e-6)
    assert user is not None
    scores = weighting.preferences(user.profile.values)
    (hits,) = await store.search([SparseVector(user.profile.items, scores.astype(np.float32))], 943)
    await store.close()
    own = dict(zip(hits.point_ids, hits.scores, strict=True))[7]
    assert own == pytest.approx(float(np.square(scores).sum()), rel=1e-4)


async def test_a_loaded_folder_is_kept_unless_it_is_replaced(ml100k: Path, tmp_path: Path) -> None:
    """A second load is refused; with replace it is swapped in; one that fails leaves the first."""
    load_folder(ml100k, tmp_path / "data")
    with pytest.raises(StoreLoadedError, match="--replace"):
        load_folder(ml100k, tmp_path / "data")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4,5\n1,1,x,5\n")
    (tmp_path / "broken" / "movies.csv").write_text("movieId,title,genres\n1,A,B\n")
    with pytest.raises(DataError, match=r"ratings.csv:3: rating 'x' is no number"):
        load_folder(tmp_path / "broken", tmp_path / "data", replace=True)
    assert await users_in(tmp_path / "data", ["943"]) != [None]
    (tmp_path / "broken" / "ratings.csv").write_text("userId,movieId,rating,timestamp\nnew,1,4,5\n")
    load_folder(tmp_path / "broken", tmp_path / "data", replace=True)
    old, new = await users_in(tmp_path / "data", ["943", "new"])
    assert old is None
    assert new is not None


def kill_when_halted(code: str, folder: Path, data_dir: Path) -> None:
    """Runs the code until it halts, finds the folder locked, and kills it."""
    command = [sys.executable, "-c", code, str(folder), str(data_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # our own code
        assert process.stdout is not None
        assert process.stdout.readline() == "halted\n"
        with pytest.raises(StoreInUseError):
            EdgeBuilder(data_dir, replace=True)
        process.kill()


@pytest.mark.parametrize("method", ["add_users", "add_items", "commit"])
async def test_a_killed_load_leaves_the_old_collection(ml100k: Path, tmp_path: Path, method: str) -> None:
    """After kill -9 in mid-load the folder opens with what it held before, and nothing else is left in it."""
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "ratings.csv").write_text("userId,movieId,rating,timestamp\nold,1,4,5\n")
    (tmp_path / "small" / "movies.csv").write_text("movieId,title,genres\n1,A,B\n")
    data_dir = tmp_path / "data"
    load_folder(tmp_path / "small", data_dir)
    kill_when_halted(HALTING_LOAD.format(method=method), ml100k, data_dir)
    old, new = await users_in(data_dir, ["old", "943"])
    assert old is not None
    assert new is None
    assert len([*(data_dir / "generations").iterdir()]) == 1
    assert {path.name for path in data_dir.iterdir()} == {"lock", "current.json", "generations"}


def test_both_forms_of_movielens_100k_give_the_same_ratings(ml100k: Path, tmp_path: Path) -> None:
    """The original's u.data, written from the atomic file, reads to the same columns."""
    lines = (ml100k / "ml-100k.inter").read_text().splitlines()[1:]
    (tmp_path / "u.data").write_text("\n".join(lines) + "\n")
    (tmp_path / "u.item").write_text("1|Toy Story (1995)|01-Jan-1995||x" + "|0" * 19)
    (tmp_path / "u.user").write_text("1|24|M|technician|85711")
    (original,), (atomic,) = (
        [chunk for chunk, _ in open_movielens(folder).ratings(BadRows()) if chunk is not None]
        for folder in (tmp_path, ml100k)
    )
    assert np.array_equal(original.values, atomic.values)
    assert np.array_equal(original.times, atomic.times)
    assert (original.users.distinct, original.items.distinct) == (atomic.users.distinct, atomic.items.distinct)


class Kindred:
    """Runs the command in this process."""

    def __init__(self, folder: Path) -> None:
        self._app = typer.Typer()
        self._app.command()(load_command)
        self._data_dir = folder / "data"

    def load(self, *arguments: str | Path, exit_code: int = 0) -> str:
        """Runs it with options; gives what it prints."""
        options = [*map(str, arguments), "--data-dir", str(self._data_dir)]
        result = CliRunner().invoke(self._app, options)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == exit_code, result.output
        return result.output


@pytest.fixture
def kindred(tmp_path: Path) -> Kindred:
    """The command on an empty data directory."""
    return Kindred(tmp_path)


def test_the_command_says_what_it_loaded_and_what_comes_next(ml100k: Path, kindred: Kindred, tmp_path: Path) -> None:
    """The summary counts users, items and ratings, and names the next command with the folder."""
    output = kindred.load("--path", ml100k)
    assert "943 users, 1,682 items, 100,000 ratings" in output
    assert f"kindred up --data-dir {tmp_path}/data" in output


def test_the_command_reports_bad_rows(kindred: Kindred, tmp_path: Path) -> None:
    """With --skip-bad-rows they are counted, in JSON too, and listed in the named report."""
    (tmp_path / "plays.csv").write_text(RATINGS)
    arguments = ("--ratings", tmp_path / "plays.csv", "--columns", COLUMNS, "--scale", "1:10", "--skip-bad-rows")
    report = json.loads(kindred.load(*arguments, "--json"))
    listed = tmp_path / "data" / "bad-rows.txt"
    assert {key: report[key] for key in ("name", "users", "items", "ratings", "bad_rows", "bad_rows_report")} == {
        "name": "plays",
        "users": 2,
        "items": 2,
        "ratings": 3,
        "bad_rows": 1,
        "bad_rows_report": str(listed),
    }
    assert listed.read_text() == f"{tmp_path}/plays.csv:5: rating 'x' is no number\n"
    assert f"Skipped 1 row that cannot be read; {listed} lists them" in kindred.load(*arguments, "--replace")


async def test_the_command_takes_items_weighting_and_duplicates(kindred: Kindred, tmp_path: Path) -> None:
    """A table of items is the catalog, repeated ratings are averaged, and what is dropped is said."""
    (tmp_path / "plays.csv").write_text("user,item,rating\nann,s1,5\nann,s1,2\nbob,s9,4\n")
    (tmp_path / "songs.csv").write_text("key,name\ns1,One (1999)\n")
    output = kindred.load(
        *("--ratings", tmp_path / "plays.csv", "--columns", "user=user,item=item,rating=rating"),
        *("--items", tmp_path / "songs.csv", "--item-columns", "id=key,title=name"),
        *("--duplicates", "mean", "--weighting", "zscore"),
    )
    assert "Dropped 1 rating of items that the catalog lacks" in output
    assert "Merged 1 repeated rating" in output
    (ann,) = await users_in(tmp_path / "data", ["ann"])
    assert ann is not None
    assert ann.profile.values.tolist() == [3.5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of --dataset, --path and --ratings"),
        (["--path", "x", "--ratings", "y"], "give one of --dataset, --path and --ratings"),
        (
            ["--ratings", "x.csv", "--scale", "five"],
            "--scale five: must be MIN-MAX, for instance 1-10, or",
        ),
        (["--ratings", "x.csv", "--scale", "5:1"], "--scale 5:1: a rating scale needs"),
        (["--ratings", "x.csv", "--scale", "1-9", "--liking", "9"], "--scale 1-9 --liking 9: must be VALUE=STARS,"),
        (
            ["--ratings", "x.csv", "--liking", "1=1,9=5"],
            "9=5: the value is off the scale of 0.5 to 5",
        ),
        (["--path", "x", "--scale", "ten"], "--scale and --liking are for --ratings"),
        (["--dataset", "ml-100k", "--liking", "1=1,5=5"], "--scale and --liking are for --ratings"),
        (["--ratings", "x.csv", "--scale", "plays", "--columns", "user=a"], "which column is the item: item=NAME"),
        (["--ratings", "x.csv", "--scale", "plays", "--weighting", "zscore"], "from the rows, not from their sums"),
        (["--ratings", "x.csv", "--duplicates", "sum", "--weighting", "zscore"], "kindred reindex --weighting zscore"),
        (["--ratings", "x.csv", "--columns", "user=a,item=b"], "says not which column is the rating: rating=NAME"),
        (["--ratings", "x.csv", "--columns", "user=a,user=b"], "each role once"),
        (["--ratings", "x.csv", "--columns", "user"], "must be like user=NAME,item=NAME,rating=NAME"),
        (
            ["--ratings", "x.csv", "--columns", "user=a,item=b,rating=c,place=d"],
            "no role 'place'; there are user, item",
        ),
        (
            ["--ratings", "x.csv", "--items", "y", "--item-columns", "title=a"],
            "says not which column is the id: id=NAME",
        ),
    ],
)
def test_a_wrong_command_line_is_explained(kindred: Kindred, arguments: list[str], message: str) -> None:
    """Wrong usage exits with 2 and one line that says what would be right."""
    output = kindred.load(*arguments, exit_code=2)
    assert message in output
    assert len(output.splitlines()) == 1
