import json
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from kindred.v1.rating_service_pb2 import NewRating, RecordRatingsRequest, RetractRatingsRequest
from kindred.v1.reaction_pb2 import REACTION_DISLIKE, REACTION_LIKE


def test_table(kindred: Any) -> None:
    """What was recorded and taken back is shown, then the token that covers both."""
    result = kindred.run("rate", "--user", "7", "50=5", "toy story=4.5", "--like", "fargo", "--retract", "star trek")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "recorded for user 7:",
        "id   title             rating",
        "50   Star Wars (1977)       5",
        "1    Toy Story (1995)     4.5",
        "100  Fargo (1996)        like",
        "taken back for user 7:",
        "id   title",
        "222  Star Trek: First Contact (1996)",
        "freshness token: retracted-2",
        "next: kindred recommend --user 7 --fresh retracted-2",
    ]


def test_requests(kindred: Any) -> None:
    """Values and reactions arrive with the catalog's ids, without a time unless one is given."""
    kindred.run("rate", "--user", "7", "50=5", "--like", "fargo", "--dislike", "imdb:tt0114709", "--retract", "222")
    assert kindred.last(RecordRatingsRequest) == RecordRatingsRequest(
        user_id="7",
        ratings=[
            NewRating(item_id="50", value=5),
            NewRating(item_id="100", reaction=REACTION_LIKE),
            NewRating(item_id="1", reaction=REACTION_DISLIKE),
        ],
    )
    assert kindred.last(RetractRatingsRequest) == RetractRatingsRequest(user_id="7", item_ids=["222"])


@pytest.mark.parametrize("at", ["1970-01-02T00:00:01", "1970-01-02T01:00:01+01:00", "1970-01-02T00:00:01Z"])
def test_time(kindred: Any, at: str) -> None:
    """A time without a zone is UTC."""
    kindred.run("rate", "--user", "7", "50=5", "--at", at)
    assert kindred.last(RecordRatingsRequest).ratings[0].rated_at == Timestamp(seconds=86_401)


@pytest.mark.parametrize(
    ("arguments", "token"),
    [(["50=5"], "recorded-1"), (["--retract", "50"], "retracted-2"), (["1=5", "--retract", "50"], "retracted-2")],
)
def test_json(kindred: Any, arguments: list[str], token: str) -> None:
    """With --json standard output is the last response alone."""
    result = kindred.run("rate", "--user", "7", *arguments, "--json")
    assert json.loads(result.stdout) == {"freshnessToken": token}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "nothing to record"),
        (["50"], "50: must be ITEM=VALUE"),
        (["50=5", "--at", "yesterday"], "--at yesterday: must be a time in ISO 8601"),
        (["--retract", "50", "--at", "2026-01-01"], "--at is the time of a rating"),
        (["50=5", "--retract", "star wars"], "--retract 'star wars': the same item as 50=5"),
    ],
    ids=["nothing", "no value", "no time", "time of nothing", "given and taken"],
)
def test_wrong_usage(kindred: Any, arguments: list[str], reason: str) -> None:
    """A command line that makes no sense is refused, and nothing is recorded."""
    result = kindred.run("rate", "--user", "7", *arguments)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert not [each for each in kindred.requests if isinstance(each, RecordRatingsRequest | RetractRatingsRequest)]


def test_violations_are_said_of_what_was_typed(kindred: Any) -> None:
    """What the server refuses is said of what was typed."""
    kindred.refuse("RecordRatings", ("ratings[0].value", "must be 1 to 5"))
    kindred.refuse("RetractRatings", ("item_ids[0]", "no such rating"))
    result = kindred.run("rate", "--user", "7", "toy story=9")
    assert (result.exit_code, result.stderr) == (1, "kindred: 'toy story=9': value: must be 1 to 5\n")
    result = kindred.run("rate", "--user", "7", "--retract", "50")
    assert (result.exit_code, result.stderr) == (1, "kindred: --retract 50: no such rating\n")
