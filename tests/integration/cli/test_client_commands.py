import json
import os
import pty
import subprocess
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from kindred.v1.catalog_service_pb2 import SearchItemsRequest
from kindred.v1.item_pb2 import ITEM_VIEW_FULL
from kindred.v1.rating_service_pb2 import ForgetUserRequest, ListRatingsRequest, ListRatingsResponse


def _page(*item_ids: str, next_page: str = "") -> ListRatingsResponse:
    page = ListRatingsResponse(next_page_token=next_page, total_size=4)
    for item_id in item_ids:
        page.ratings.add(
            item={"item_id": item_id, "title": f"Film {item_id}", "year": 1999},
            value=4.5,
            rated_at=Timestamp(seconds=60),
        )
    return page


def test_search_table(kindred: Any) -> None:
    """Search shows ids, titles, years, genres and the ids in other catalogs, and how many more there are."""
    result = kindred.run("search", "star", "wars")
    assert result.stdout.splitlines() == [
        "id  title      year  genres          other ids",
        "50  Star Wars  1977  Action, Sci-Fi  imdb:tt0076759",
    ]
    assert kindred.run("search", "--limit", "2").stdout.splitlines()[-1] == "2 of 8, the most liked first"


def test_search_without_result(kindred: Any) -> None:
    """A search that finds nothing says so and succeeds."""
    result = kindred.run("search", "zardoz")
    assert (result.exit_code, result.stdout) == (0, "nothing found\n")


def test_search_request_and_json(kindred: Any) -> None:
    """Every option of a search arrives, and its JSON is the response."""
    options = ["--genre", "drama", "--genre", "war", "--from-year", "1950", "--to-year", "1999", "--limit", "5"]
    document = json.loads(kindred.run("search", "toy", "story", *options, "--json").stdout)
    assert (document["totalSize"], document["items"][0]["itemId"]) == (2, "1")
    assert kindred.last(SearchItemsRequest) == SearchItemsRequest(
        query="toy story",
        limit=5,
        genres=["drama", "war"],
        min_year=1950,
        max_year=1999,
        item_view=ITEM_VIEW_FULL,
    )


def test_ratings_table(kindred: Any) -> None:
    """The ratings are shown with their times below the user's attributes, and how to see the rest."""
    page = _page("1", "2")
    page.attributes["age"].CopyFrom(Value(number_value=24))
    page.attributes["member"].CopyFrom(Value(bool_value=True))
    page.attributes["country"].CopyFrom(Value(string_value="fr\x1b[2J"))
    kindred.answers["ListRatings"] = [page]
    assert kindred.run("ratings", "--user", "7").stdout.splitlines() == [
        "user 7: age=24, country=fr[2J, member=true",
        "rated at (UTC)       id  title          rating",
        "1970-01-01 00:01:00  1   Film 1 (1999)     4.5",
        "1970-01-01 00:01:00  2   Film 2 (1999)     4.5",
        "2 of 4, the newest first; all: kindred ratings --user 7 --limit 4",
    ]


def test_ratings_pages(kindred: Any) -> None:
    """Pages are fetched until there are as many as asked for, and make one JSON document."""
    kindred.answers["ListRatings"] = [_page("1", "2", next_page="p2"), _page("3", next_page="p3"), _page("4")]
    result = kindred.run("ratings", "--user", "7", "--limit", "3", "--fresh", "token", "--json")
    document = json.loads(result.stdout)
    assert [rating["item"]["itemId"] for rating in document["ratings"]] == ["1", "2", "3"]
    assert document["nextPageToken"] == "p3"
    assert kindred.requests == [
        ListRatingsRequest(user_id="7", page_size=3, at_least_as_fresh="token"),
        ListRatingsRequest(user_id="7", page_size=1, page_token="p2", at_least_as_fresh="token"),  # noqa: S106  # no secret
    ]


def test_ratings_of_nobody(kindred: Any) -> None:
    """A user without ratings is said to have none."""
    assert kindred.run("ratings", "--user", "nobody").stdout == "user nobody has no ratings\n"


def test_forget(kindred: Any) -> None:
    """Forgetting prints the receipt."""
    result = kindred.run("forget", "--user", "7", "--yes")
    assert result.stdout.splitlines() == [
        "user 7 is forgotten: 23 ratings and 2 attributes removed, everything up to 2026-05-01 20:15:55 UTC",
        "freshness token: forgotten-3",
    ]
    document = json.loads(kindred.run("forget", "--user", "7", "--yes", "--json").stdout)
    assert (document["ratingsRemoved"], document["forgottenAt"]) == (23, "2026-05-01T20:15:55Z")


def test_forget_without_a_terminal(kindred: Any) -> None:
    """Without a terminal and without --yes nobody is forgotten."""
    result = kindred.run("forget", "--user", "7")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert kindred.requests == []


@pytest.mark.parametrize(("answer", "forgotten"), [(b"y\n", True), (b"\n", False), (b"no\n", False)])
def test_forget_asks(kindred: Any, command: list[str], answer: bytes, *, forgotten: bool) -> None:
    """On a terminal it asks first, and only a yes forgets."""
    keyboard, terminal = pty.openpty()
    os.write(keyboard, answer)
    done = subprocess.run(  # noqa: S603  # our own command
        [*command, "forget", "--user", "7", "--server", kindred.address, "--json"],
        stdin=terminal,
        capture_output=True,
        check=False,
        timeout=60,
    )
    os.close(keyboard)
    os.close(terminal)
    assert b"Remove all ratings and attributes of user 7 for good? [y/N]" in done.stderr
    assert bool(kindred.requests) is forgotten
    assert done.returncode == (0 if forgotten else 1)
    assert (b"nothing was removed" in done.stderr) is not forgotten
    assert not done.stdout or json.loads(done.stdout)
    assert not forgotten or kindred.last(ForgetUserRequest).user_id == "7"


@pytest.mark.parametrize("name", ["recommend", "rate", "ratings", "search", "forget"])
def test_help(kindred: Any, name: str) -> None:
    """The help of every command has examples, and says where the server is looked for."""
    result = kindred.run(name, "--help", env={"KINDRED_SERVER": None})
    assert result.exit_code == 0
    assert f"kindred {name} " in result.stdout
    assert "[default: localhost:50051]" in result.stdout
    assert "KINDRED_SERVER" in result.stdout


def test_no_control_characters(kindred: Any) -> None:
    """Whatever a title holds, no control character reaches the output."""
    for arguments in (["search"], ["recommend", "--user", "7"], ["rate", "--user", "7", "666=5"], ["search", "--json"]):
        output = kindred.run(*arguments).output
        assert "Ev" in output
        assert all(char.isprintable() or char == "\n" for char in output)
