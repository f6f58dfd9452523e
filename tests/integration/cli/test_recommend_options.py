"""The options of `kindred recommend`, against a real server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from server.app import serve_in_background
from tests.support.films import ROMANCE, SPACE

Run = Callable[..., Result]
pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def address(films_dir: Path) -> Iterator[str]:
    """A server of the films."""
    with serve_in_background(films_dir) as served:
        yield served


@pytest.fixture
def run(address: str) -> Run:
    """Runs `kindred recommend` against it."""
    environment = {"FORCE_COLOR": None, "TTY_COMPATIBLE": None, "COLUMNS": "80", "KINDRED_SERVER": address}

    def recommend(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["recommend", *arguments], env=environment, catch_exceptions=False)

    return recommend


def lines_of(result: Result) -> list[str]:
    """What a command that succeeded has printed."""
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.splitlines()


def answer_of(result: Result) -> dict[str, Any]:
    """The JSON document that a command that succeeded has printed."""
    assert (result.exit_code, result.stderr) == (0, "")
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def ids_of(result: Result) -> list[str]:
    """The ids of the recommended items."""
    return [each["item"]["itemId"] for each in answer_of(result)["recommendations"]]


def test_item_filters(run: Run) -> None:
    """Genres, tags, years, attributes and candidates each let only their items in."""
    popular = ["--recipe", "popular", "--json"]
    assert set(ids_of(run(*popular, "--genre", "sci-fi"))) == set(SPACE)
    assert ids_of(run(*popular, "--all-genres", "horror", "--all-genres", "sci-fi")) == ["alien-1979"]
    assert ids_of(run(*popular, "--tag", "SPACE", "--not-tag", "classic")) == ["alien-1979"]
    assert set(ids_of(run(*popular, "--from-year", "1991", "--to-year", "1994"))) == {"96", "14"}
    assert ids_of(run(*popular, "--item", "minutes=100..130", "--item", "color=true")) == ["50"]
    assert set(ids_of(run(*popular, "--only", "amélie", "--only", "room with a view"))) == {"amélie", "213"}


def test_filters_that_leave_too_few(run: Run) -> None:
    """If filters leave fewer items than were asked for the table is followed by what each refuses."""
    lines = lines_of(run("--like", "50", "--genre", "horror"))
    assert lines[1].startswith("alien-1979  Alien (1979)")
    assert lines[2] == "items.genres leaves out 12 of 13 items"


def test_unknown_names(run: Run) -> None:
    """Names that nothing has are said of the options that they were typed for, with what is near, all at once."""
    result = run("--like", "50", "--genre", "Komedy", "--not-tag", "spaze", "--neighbor", "countri=NL")
    assert (result.exit_code, result.stdout) == (1, "")
    genre, tag, *rest = result.stderr.splitlines()
    assert genre.startswith("kindred: --genre Komedy: ")
    assert "Comedy" in genre
    assert tag.startswith("kindred: --not-tag spaze: ")
    assert "space" in tag
    assert all(line.startswith("kindred: --neighbor countri=NL: ") for line in rest)


def test_unknown_attribute_of_users(run: Run) -> None:
    """An attribute that no user has is said of the condition that names it."""
    result = run("--like", "50", "--neighbor", "countri=NL")
    assert result.exit_code == 1
    assert result.stderr.startswith("kindred: --neighbor countri=NL: name: ")
    assert "country" in result.stderr


def test_neighbor_filters(run: Run) -> None:
    """Conditions on neighbors decide who is one; without any there are popular items, and what the filter refuses."""
    like = ["--like", "50", "--explain", "none"]
    everyone = answer_of(run(*like, "--json"))["neighborsUsed"]
    assert everyone > 0
    assert answer_of(run(*like, "--json", "--neighbor", "country=NL,BE"))["neighborsUsed"] == everyone
    assert answer_of(run(*like, "--json", "--neighbor", "country!=NL"))["neighborsUsed"] == 0
    assert answer_of(run(*like, "--json", "--min-ratings", "1000"))["neighborsUsed"] == 0
    assert answer_of(run(*like, "--json", "--active-since", "2020-01-01"))["neighborsUsed"] == everyone
    assert answer_of(run(*like, "--json", "--active-since", "2021-01-01"))["neighborsUsed"] == 0
    assert answer_of(run(*like, "--json", "--min-overlap", "2"))["neighborsUsed"] == 0


def test_period(run: Run) -> None:
    """Ratings from before the period count nothing; a half-life makes all that are old count less."""
    every = answer_of(run("--like", "50", "--json", "--limit", "5"))["recommendations"]
    assert answer_of(run("--like", "50", "--json", "--since", "2021-01-01"))["personalizedCount"] == 0
    half = ["--until", "2021-01-01", "--half-life", "90d"]
    halved = answer_of(run("--like", "50", "--json", "--limit", "5", *half))["recommendations"]
    assert {each["item"]["itemId"] for each in halved} == {each["item"]["itemId"] for each in every}
    assert max(each["score"] for each in halved) < min(each["score"] for each in every)


def test_recipes(run: Run) -> None:
    """A recipe and its numbers are used; one that it has not is said of the option that set it."""
    assert "recipe ridge" in lines_of(run("--like", "50", "--recipe", "ridge", "--set", "fit-penalty=2"))[-1]
    sharp, flat = (
        answer_of(run("--like", "50", "--like", "172", "--json", "--set", f"score-damping={beta}"))["recommendations"]
        for beta in (0, 1)
    )
    assert sharp[0]["score"] > flat[0]["score"]
    result = run("--like", "50", "--recipe", "default", "--set", "fit-penalty=2")
    assert result.exit_code == 1
    assert result.stderr.startswith("kindred: --set fit-penalty=2: ")
    result = run("--like", "50", "--recipe", "ridgy")
    assert result.exit_code == 1
    assert result.stderr.startswith("kindred: --recipe ridgy: ")
    assert "ridge" in result.stderr


def test_boosts(run: Run) -> None:
    """A boosted item comes first, one that is multiplied by nothing is not there."""
    every = ids_of(run("--like", "50", "--json"))
    assert every[0] != "alien-1979"
    assert ids_of(run("--like", "50", "--json", "--boost", "genre:horror=3"))[0] == "alien-1979"
    assert "alien-1979" not in ids_of(run("--like", "50", "--json", "--boost", "tag:space=0"))
    recent = ids_of(run("--like", "50", "--json", "--boost", "from-year:1990=50"))
    assert recent[0] == "96"
    result = run("--like", "50", "--boost", "genre:komedy=2")
    assert result.exit_code == 1
    assert result.stderr.startswith("kindred: --boost genre:komedy=2: ")


def test_terms_add_up(run: Run) -> None:
    """With full explanations the parts of each score in the table add up to the score below them."""
    lines = lines_of(run("--like", "star wars", "--like", "172", "--limit", "1", "--explain", "full"))
    start = next(place for place, line in enumerate(lines) if line.startswith("term "))
    end = next(place for place, line in enumerate(lines) if line.startswith("score "))
    edge = lines[start].index("part of score") + len("part of score")
    parts = [float(line[:edge].split()[-1]) for line in lines[start + 1 : end]]
    assert len(parts) > 1
    assert sum(parts) == pytest.approx(float(lines[end].split()[-1]), abs=0.0005 * (len(parts) + 1))
    assert any("Star Wars (1977) +" in line for line in lines[start + 1 : end])


def test_answer_without_a_rating(run: Run) -> None:
    """The answer without a rating stands below the answer, with what it would lose and gain."""
    lines = lines_of(run("--like", "50", "--like", ROMANCE[0], "--limit", "3", "--without", "star wars"))
    start = lines.index("without the rating of Star Wars (1977):")
    assert {line.split()[0] for line in lines[1:4]} & set(SPACE)
    assert not any(line.split("  ")[0] in SPACE for line in lines[start + 2 : start + 5])
    assert lines[-1].startswith("lost: ")
    assert " · gained: " in lines[-1]


def test_rating_that_is_not_there(run: Run) -> None:
    """An answer without a rating that the user has not given is refused, and said of the option."""
    result = run("--like", "50", "--without", ROMANCE[0])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"kindred: --without {ROMANCE[0]}: ")


def test_new_items_and_diversity(run: Run) -> None:
    """New items are marked, and what is asked for together is answered together."""
    like = [part for film in ROMANCE[:4] for part in ("--like", film)]
    lines = lines_of(run(*like, "--limit", "4", "--new-share", "0.5", "--diversity", "0.3", "--explain", "none"))
    assert any(line.startswith("unrated ") and line.endswith(" new") for line in lines)
    assert "new)" in lines[-1]
