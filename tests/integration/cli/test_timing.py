"""`kindred recommend --timing`."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(60)


def rows(text: str) -> list[list[str]]:
    """The cells of a table, line by line."""
    return [line.split() for line in text.splitlines()]


def test_table(kindred: Any) -> None:
    """A row for each step with its share, their sum, and how long the call took here; the answer is as ever."""
    kindred.timing = "decode;dur=0.500, search;dur=1.500"
    timed, plain = (kindred.run("recommend", "--user", "7", *options) for options in (["--timing"], []))
    assert timed.exit_code == 0
    assert timed.stdout == plain.stdout
    assert plain.stderr == ""
    *table, last = rows(timed.stderr)
    assert table == [
        ["step", "ms", "share"],
        ["decode", "0.500", "25%"],
        ["search", "1.500", "75%"],
        ["all", "steps", "2.000", "100%"],
    ]
    assert last[:-1] == ["call,", "as", "seen", "here"]
    assert float(last[-1]) > 0


def test_json(kindred: Any) -> None:
    """With --json standard output is the document alone, and the table is on standard error."""
    kindred.timing = "search;dur=1.500"
    timed, plain = (kindred.run("recommend", "--user", "7", "--json", *options) for options in (["--timing"], []))
    assert timed.stdout == plain.stdout
    assert rows(timed.stderr)[1] == ["search", "1.500", "100%"]


def test_a_server_that_does_not_tell(kindred: Any) -> None:
    """Where the server tells no steps, a line says so and how long the call took."""
    result = kindred.run("recommend", "--user", "7", "--timing")
    assert result.exit_code == 0
    [line] = result.stderr.splitlines()
    assert line.endswith("ms; the server does not tell where they went")


def test_steps_without_time(kindred: Any) -> None:
    """Steps of no time at all have no share, and nothing is divided by them."""
    kindred.timing = "decode;dur=0.000"
    assert rows(kindred.run("recommend", "--user", "7", "--timing").stderr)[1] == ["decode", "0.000"]


def test_not_with_watch(kindred: Any) -> None:
    """A list that is watched is many answers: its time cannot be asked for."""
    result = kindred.run("recommend", "--user", "7", "--timing", "--watch")
    assert result.exit_code == 2
    assert "--timing" in result.stderr
    assert kindred.requests == []


def test_a_call_that_fails_has_no_table(kindred: Any) -> None:
    """What went wrong is said as without the option, and nothing else."""
    kindred.refuse("Recommend", ("limit", "must be 1 to 500"))
    result = kindred.run("recommend", "--user", "7", "--timing")
    assert (result.exit_code, result.stderr) == (1, "kindred: --limit 10: must be 1 to 500\n")


def test_without_a_server(kindred: Any, films_dir: Path) -> None:
    """Over a data directory the steps are told, too; a first call has to fetch."""
    result = kindred.run(
        "recommend", "--user", "7", "--timing", "--data-dir", str(films_dir), env={"KINDRED_SERVER": None}
    )
    assert result.exit_code == 0
    assert {"decode", "search", "fetch", "score", "encode"} <= {row[0] for row in rows(result.stderr)}
