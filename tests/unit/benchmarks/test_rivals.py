from collections.abc import Iterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from benchmarks.rivals.contest import Contest
from benchmarks.rivals.product import EMBEDDED, ON_QDRANT
from benchmarks.rivals.published import IN_MEMORY, NOTEBOOK, TUTORIAL
from benchmarks.rivals.rows import Row, rows_table
from benchmarks.rivals.run import target_figures
from benchmarks.rivals.tutorial import Form, Tutorial

FILMS = {1: "Alien", 2: "Brazil", 3: "Clue", 4: "Dune", 5: "Emma"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Users 1 and 2 like films 1, 2 and 3; users 3 and 4 like 4 and 5 and cannot stand 1."""
    ratings = [(user, film, 5) for user in (1, 2) for film in (1, 2, 3)]
    ratings += [(user, film, stars) for user in (3, 4) for film, stars in ((1, 1), (4, 5), (5, 5))]
    rows = "".join(f"{user},{film},{stars},{number}\n" for number, (user, film, stars) in enumerate(ratings))
    (tmp_path / "ratings.csv").write_text(f"userId,movieId,rating,timestamp\n{rows}")
    titles = "".join(f"{film},{title} (1980),Drama\n" for film, title in FILMS.items())
    (tmp_path / "movies.csv").write_text(f"movieId,title,genres\n{titles}")
    (tmp_path / "links.csv").write_text("movieId,imdbId,tmdbId\n" + "".join(f"{film},10{film},\n" for film in FILMS))
    return tmp_path


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    """The client's own memory."""
    client = QdrantClient(":memory:")
    yield client
    client.close()


def test_the_published_notebook_adds_up_ratings(folder: Path, client: QdrantClient) -> None:
    """Who likes film 1 is shown the titles of what others who like it rate highest, without film 1."""
    notebook = Tutorial(client, "ratings")
    notebook.load(folder)
    assert {title for title, score in notebook.recommend({1: 1}) if score > 0} >= {"Brazil (1980)", "Clue (1980)"}
    assert 1 not in dict(notebook.scores({1: 1}))


def test_the_published_tutorial_adds_up_similarities(folder: Path, client: QdrantClient) -> None:
    """Every film in a similar user's list counts with the user's similarity, and the question's own films stay in."""
    tutorial = Tutorial(client, "similarity")
    tutorial.load(folder)
    scores = dict(tutorial.scores({4: 1}))
    assert scores[4] == scores[5] == scores[1] > 0
    assert {imdb for imdb, _ in tutorial.recommend({4: 1})} >= {101, 104, 105}


@pytest.mark.parametrize("form", ["similarity", "ratings"])
def test_a_new_rating_counts_once_the_users_point_is_written(folder: Path, client: QdrantClient, form: Form) -> None:
    """The upsert that the published code lacks lets a new rating of somebody else into the next answer."""
    tutorial = Tutorial(client, form)
    tutorial.load(folder)
    before = dict(tutorial.scores({2: 1})).get(4, 0.0)
    tutorial.upsert(1, 4, 1.0)
    assert dict(tutorial.scores({2: 1}))[4] > before


def test_everybody_is_given_the_same_split(folder: Path, tmp_path: Path) -> None:
    """The CSV files of a contest hold the stored part alone, and a list of what was held out is a perfect one."""
    with (folder / "ratings.csv").open("a") as file:
        file.writelines(f"{user},{film},5,99\n" for user in (1, 2) for film in (4, 5))
    contest = Contest.prepare(folder, tmp_path / "contest")
    written = (contest.folder / "ratings.csv").read_text().splitlines()
    assert len(written) == 1 + contest.train.users.size < 1 + contest.table.users.size
    held = contest.table.profiles(contest.task.users, contest.task.held_out & contest.table.liked)
    lists = [
        [contest.table.items[code].item_id for code in held.part(place, place + 1).items]
        for place in range(len(contest.asking))
    ]
    assert contest.ndcg(lists) == pytest.approx(1.0)
    assert contest.ndcg([[] for _ in lists]) == 0.0
    seen, said = contest.rated(), contest.opinions()
    assert all(said[user_id].keys() <= seen[user_id] for user_id in contest.asking)


def test_times_stand_beside_multiples_of_the_first_rows() -> None:
    """The table gives each time and how many times the first row's it is; what was not measured is left empty."""
    rows = [Row("Kindred", 0.364, 1.5, 15.0, "gRPC"), Row("Other", 0.35, 0.25, 2_400.0), Row("Missing", note="no")]
    assert rows_table(rows).splitlines()[2:] == [
        "| Kindred | 0.364 | 1.5 ms | 1x | 15.0 ms | 1x | gRPC |",
        "| Other | 0.350 | 0.25 ms | 0.17x | 2.4 s | 160x |  |",
        "| Missing |  |  |  |  |  | no |",
    ]


def test_the_figures_say_how_many_times_as_long_the_tutorial_takes() -> None:
    """Each published form is held against Kindred on what it runs on, each time against its target."""
    rows = [
        Row(EMBEDDED, 0.36, 1.0, 10.0),
        Row(ON_QDRANT, 0.36, 2.0, 20.0),
        Row(TUTORIAL, 0.2, 50.0, 100.0),
        Row(NOTEBOOK, 0.2, 20.0, 100.0),
        Row(IN_MEMORY, 0.2, 15.0, 100.0),
    ]
    answer, in_memory, fresh = target_figures(rows)
    assert (answer.value, answer.met) == ("25.0x", True)
    assert (in_memory.value, in_memory.met) == ("15.0x", False)
    assert (fresh.value, fresh.met) == ("5x", False)
