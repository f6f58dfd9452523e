"""`kindred evaluate`: a small file of ratings, a collection that is there, and what the command refuses."""

import csv
import json
from asyncio import to_thread
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from kindred.errors import KindredError
from kindred.ratings import Reaction
from kindred.recommendation import InlineRating, RecommendationRequest
from kindred.settings import Settings
from kindred.stores.edge import EdgeBuilder
from loader.evaluation.options import ProductSpec, SplitOptions
from loader.evaluation.product import ProductContestant, TableSource, product_store
from loader.evaluation.reading import read_store
from loader.evaluation.splits import split
from loader.evaluation.table import RatingTable
from loader.load import LoadOptions, load
from loader.progress import NoProgress
from tests.support.community import ids_of, opened
from tests.support.rating_tables import random_table


@pytest.fixture(scope="module")
def table() -> RatingTable:
    """Two tastes: whoever is asked for likes what half of the others like."""
    return random_table(users=40)


@pytest.fixture
def file(table: RatingTable, tmp_path: Path) -> Path:
    """The same as a CSV file."""
    path = tmp_path / "plays.csv"
    with path.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["who", "song", "stars", "at"])
        for user, code, value, time in zip(table.users, table.codes, table.values, table.times, strict=True):
            writer.writerow([table.user_ids[user], table.items[code].item_id, value, time // 1_000])
    return path


COLUMNS = ("--columns", "user=who,item=song,rating=stars,time=at")


def kindred(*arguments: object) -> str:
    """Runs the command; gives what it prints."""
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def results(printed: str) -> dict[tuple[str, str, int], dict[str, dict[str, float]]]:
    """The metrics in JSON, by task, contestant and cutoff."""
    return {(each["task"], each["contestant"], each["at"]): each["metrics"] for each in json.loads(printed)["results"]}


def test_the_same_seed_prints_the_same_bytes(file: Path) -> None:
    """Run again it prints the same JSON; another seed splits differently."""
    first, again, other = (
        kindred(file, *COLUMNS, "--json", "--seed", seed, "--at", 5, "--at", 10, "--recipe", "default:k=5")
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    report = json.loads(first)
    assert report["data_set"] == {"name": "plays", "users": 40, "items": 80, "ratings": report["data_set"]["ratings"]}
    assert set(results(first)) == {("random", "default:k=5", 5), ("random", "default:k=5", 10)}


def test_neighbors_beat_popularity_where_tastes_differ(file: Path) -> None:
    """Where half of the users like other things than the other half, neighbors find twice as much as popularity."""
    found = results(kindred(file, *COLUMNS, "--json", "--recipe", "default", "--recipe", "popular"))
    neighbors, popular = found["random", "default", 10], found["random", "popular", 10]
    assert neighbors["ndcg"]["value"] > 1.2 * popular["ndcg"]["value"]
    assert popular["ndcg"]["low"] < popular["ndcg"]["value"] < popular["ndcg"]["high"]
    assert popular["coverage"]["value"] < neighbors["coverage"]["value"]
    assert popular["mean_popularity"]["value"] > neighbors["mean_popularity"]["value"]


def test_every_split_and_recipe_is_there(file: Path) -> None:
    """The tutorial's recipes get a store of z-scores; cold users are a task for each number of likes."""
    printed = kindred(
        file, *COLUMNS, "--json", "--split", "time", "--recipe", "tutorial-ratings", "--recipe", "default"
    )
    assert set(results(printed)) == {("time", "tutorial-ratings", 10), ("time", "default", 10)}
    assert json.loads(printed)["split"] == {"kind": "time", "seed": 0, "n_out": 5, "part": "test"}
    printed = kindred(file, *COLUMNS, "--json", "--split", "cold", "--likes", 1, "--likes", 4, "--validation")
    assert {task for task, *_ in results(printed)} == {"cold, 1 like", "cold, 4 likes"}
    assert json.loads(printed)["split"]["part"] == "validation"


def test_a_curve_has_a_point_for_each_k(file: Path) -> None:
    """With a curve the recipe answers once more with each number of neighbors, as if it were asked for by name."""
    printed = kindred(file, *COLUMNS, "--json", "--k-curve", "3,30", "--recipe", "default", "--recipe", "default:k=7")
    points = [(each["contestant"], each.get("curve"), each.get("k")) for each in json.loads(printed)["results"]]
    assert points == [
        ("default", None, None),
        ("default:k=3", "default", 3),
        ("default:k=30", "default", 30),
        ("default:k=7", None, None),
    ]
    alone = kindred(file, *COLUMNS, "--json", "--recipe", "default:k=3")
    assert results(printed)["random", "default:k=3", 10] == results(alone)["random", "default:k=3", 10]


async def test_a_collection_is_evaluated_like_its_file(table: RatingTable, file: Path, tmp_path: Path) -> None:
    """Over a collection the same comes out as over the file that it was loaded from, and it stays as it is."""
    with EdgeBuilder(tmp_path / "data") as builder:
        load(TableSource(table), builder)
    over_collection = json.loads(await to_thread(kindred, "--data-dir", tmp_path / "data", "--json", "--users", 20))
    over_file = json.loads(await to_thread(kindred, file, *COLUMNS, "--json", "--users", 20))
    assert over_collection["tasks"][0]["users"] == 20
    assert over_collection["results"] == over_file["results"]
    async with opened(tmp_path / "data") as backend:
        again = await read_store(backend.store, NoProgress())
    assert again.items == table.items
    assert np.array_equal(again.values, table.values)


def test_a_collections_own_shrinkage_is_used(table: RatingTable, tmp_path: Path) -> None:
    """The h that a collection was loaded with is that of the evaluation, if none is given."""
    with EdgeBuilder(tmp_path / "data") as builder:
        load(TableSource(table), builder, LoadOptions(shrinkage=2.5))
    assert json.loads(kindred("--data-dir", tmp_path / "data", "--json"))["shrinkage"] == 2.5
    assert json.loads(kindred("--data-dir", tmp_path / "data", "--json", "--shrinkage", 7))["shrinkage"] == 7


def test_numbers_of_recipe_and_request_change_the_lists(file: Path) -> None:
    """What is replaced is what the product then computes with: each of these numbers gives other lists."""
    specs = ["ridge", "ridge:fit_penalty=50", "ridge:min_overlap=20", "ridge:diversity=0.9", "ridge:k=2"]
    arguments = [argument for spec in specs for argument in ("--recipe", spec)]
    found = results(kindred(file, *COLUMNS, "--json", "--at", 5, *arguments))
    assert [contestant for _, contestant, _ in found] == specs
    assert len({json.dumps(metrics) for metrics in found.values()}) == len(specs)


@pytest.mark.parametrize("kind", ["random", "cold"])
async def test_lists_are_what_the_product_answers(table: RatingTable, tmp_path: Path, kind: Any) -> None:
    """A contestant's lists are what the recommender answers over a collection of the train part."""
    found = split(table, SplitOptions(kind, likes=(3,)))
    [task] = found.tasks
    with EdgeBuilder(tmp_path / "data") as builder:
        load(TableSource(table.where(found.train)), builder)
    item_ids = np.array([item.item_id for item in table.items])
    async with (
        product_store(table, found.train, "default", 5.0, Settings()) as store,
        opened(tmp_path / "data") as backend,
    ):
        lists = await ProductContestant(ProductSpec("default", 9), store).rank(task, 12, NoProgress())
        for user, ranked in zip(task.users.tolist(), lists, strict=True):
            request = RecommendationRequest(table.user_ids[user], limit=12, k=9)
            if task.given is not None:
                likes = item_ids[table.codes[task.given & (table.users == user)]].tolist()
                request = RecommendationRequest(
                    ratings=[InlineRating(item_id, Reaction.LIKE) for item_id in likes], limit=12, k=9
                )
            answer = await backend.recommender.recommend(request)
            assert item_ids[ranked].tolist() == ids_of(backend.catalog, answer.items)


async def test_predictions_are_what_the_product_shows(table: RatingTable, tmp_path: Path) -> None:
    """A predicted rating is the one that the recommender's answer carries for that user and item."""
    found = split(table, SplitOptions())
    [task] = found.tasks
    with EdgeBuilder(tmp_path / "data") as builder:
        load(TableSource(table.where(found.train)), builder)
    held_out = table.profiles(task.users, task.held_out)
    shown: list[float] = []
    async with (
        product_store(table, found.train, "default", 5.0, Settings()) as store,
        opened(tmp_path / "data") as backend,
    ):
        predicted = await ProductContestant(ProductSpec("default"), store).predict(task, NoProgress())
        for place, user in enumerate(task.users.tolist()):
            answer = await backend.recommender.recommend(RecommendationRequest(table.user_ids[user], limit=500))
            ratings = dict(zip(ids_of(backend.catalog, answer.items), answer.items, strict=True))
            for code in held_out.part(place, place + 1).items.tolist():
                item = ratings.get(table.items[code].item_id)
                shown.append(np.nan if item is None or item.predicted is None else item.predicted)
    assert predicted is not None
    assert np.array_equal(predicted, np.array(shown), equal_nan=True)
    assert 0.5 < np.mean(~np.isnan(predicted)) < 1


def test_predicted_ratings_have_errors(file: Path) -> None:
    """RMSE and MAE stand beside the metrics if they are asked for, where ratings are predicted at all."""
    arguments = ("--recipe", "default", "--recipe", "tutorial-ratings", "--peer", "popularity", "--k-curve", "9")
    report = json.loads(kindred(file, *COLUMNS, "--json", "--predictions", *arguments))
    errors = {each["contestant"]: each.get("predicted_ratings") for each in report["results"]}
    assert errors["default:k=9"] is errors["popularity"] is None
    assert errors["default"]["mae"]["value"] < errors["default"]["rmse"]["value"] < 1.5
    assert errors["default"]["predicted"]["value"] > 0.5
    assert errors["tutorial-ratings"] == {
        "rmse": {"value": None, "low": None, "high": None},
        "mae": {"value": None, "low": None, "high": None},
        "predicted": {"value": 0.0},
    }
    heading, row = kindred(file, *COLUMNS, "--predictions").splitlines()[2:]
    assert heading.split()[-3:] == ["RMSE", "MAE", "predicted"]
    assert row.split()[-3] == f"{errors['default']['rmse']['value']:.4f}"


def test_a_person_gets_a_table(file: Path) -> None:
    """Without --json it says what was held out, and prints a row for each contestant."""
    lines = kindred(file, *COLUMNS, "--recipe", "default", "--recipe", "popular", "--timing").splitlines()
    assert lines[0].startswith("plays: ")
    assert "ratings held out" in lines[1]
    assert lines[2].split()[:4] == ["split", "contestant", "at", "NDCG"]
    assert lines[2].endswith("ms/user")
    assert [line.split()[:2] for line in lines[3:]] == [["random", "default"], ["popular", "10"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "time", "--columns", "user=who,item=song,rating=stars"], "have no times to split by"),
        ([*COLUMNS, "--recipe", "best"], "is unknown; known: default"),
        ([*COLUMNS, "--split", "time", "--n-out", 1_000], "lower --n-out"),
    ],
)
def test_what_cannot_be_evaluated_is_said(file: Path, arguments: list[object], message: str) -> None:
    """What the data set or the product lacks is an error that says what to do."""
    with pytest.raises(KindredError, match=message):
        kindred(file, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.csv"], "no file or folder nothing.csv, and no data set: ml-100k"),
        (["ml-100k", "--data-dir", "data"], "give a data set or a collection"),
        (["ml-100k", "--k-curve", "1,x"], "--k-curve 1,x: must be whole numbers"),
        (["ml-100k", "--peer", "best"], "--peer best: there are popularity, ease, bm25, als, userknn"),
        (["ml-100k", "--peer", "als", "--peers"], "--peers takes all of them"),
    ],
)
def test_wrong_usage_is_said(arguments: list[str], message: str) -> None:
    """Wrong usage ends with exit code 2 and one line that says what is wrong."""
    done = CliRunner().invoke(app, ["evaluate", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr


def test_peers_stand_beside_the_product(file: Path) -> None:
    """Peers are measured for the same users, and find the tastes that popularity does not."""
    printed = kindred(file, *COLUMNS, "--json", "--peer", "popularity", "--peer", "ease")
    found = results(printed)
    assert set(found) == {("random", name, 10) for name in ("default", "popularity", "ease")}
    ease, popular = found["random", "ease", 10], found["random", "popularity", 10]
    assert ease["ndcg"]["value"] > 1.2 * popular["ndcg"]["value"]
    product = results(kindred(file, *COLUMNS, "--json", "--recipe", "popular"))
    assert popular == product["random", "popular", 10]
