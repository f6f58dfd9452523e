"""`kindred similar-items`, `similar-users` and `popular` against a server that keeps what it is asked."""

import json

import pytest
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status

from kindred.v1 import filter_pb2
from kindred.v1 import recommendation_service_pb2 as pb
from kindred.v1.filter_pb2 import ItemFilter, UserFilter, WordFilter
from kindred.v1.item_pb2 import ITEM_VIEW_BASIC, ITEM_VIEW_ID
from tests.integration.cli.conftest import FakeKindred

pytestmark = pytest.mark.timeout(60)


class TestSimilarItems:
    def test_a_table_says_what_each_item_shares(self, kindred: FakeKindred) -> None:
        """Each item has its score, its support if people share it, and what it shares."""
        result = kindred.run("similar-items", "toy story (1995)")
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "like Toy Story (1995):",
            "id  title             score  support  shares",
            "50  Star Wars (1977)  9.404    1,356  raters",
            "7   Solaris (1972)    0.500           genres, tags",
            "1,000 people who like it were asked",
        ]

    def test_everything_can_be_said(self, kindred: FakeKindred) -> None:
        """The item is found by title; filters, the limit and the view reach the server."""
        result = kindred.run(
            *("similar-items", "fargo", "--genre", "drama", "--not-tag", "slow", "--from-year", "1990"),
            *("--only", "50", "--limit", "3", "--item-view", "id"),
        )
        assert result.exit_code == 0
        assert kindred.last(pb.ListSimilarItemsRequest) == pb.ListSimilarItemsRequest(
            item_id="100",
            limit=3,
            items=ItemFilter(
                genres=WordFilter(any_of=["drama"]),
                tags=WordFilter(none_of=["slow"]),
                min_year=1990,
                candidate_item_ids=["50"],
            ),
            item_view=ITEM_VIEW_ID,
        )

    def test_nothing_alike_is_said(self, kindred: FakeKindred) -> None:
        """With nothing to list it says so, how many people were asked, and what filters left out."""
        effects = [pb.FilterEffect(field="items.genres", removed=1_600, total=1_682)]
        kindred.answers["ListSimilarItems"] = [pb.ListSimilarItemsResponse(raters_used=1, filter_effects=effects)]
        result = kindred.run("similar-items", "50")
        assert result.stdout.splitlines()[1:] == [
            "nothing is like it",
            "1 person who likes it was asked",
            "items.genres leaves out 1,600 of 1,682 items",
        ]

    def test_a_title_that_nothing_has_is_named(self, kindred: FakeKindred) -> None:
        """A title that is not there fails before anything is asked."""
        result = kindred.run("similar-items", "nonsense")
        assert result.exit_code == 1
        assert "no such title" in result.stderr

    def test_what_the_server_refuses_is_said_of_what_was_typed(self, kindred: FakeKindred) -> None:
        """A violation names the option."""
        kindred.refuse("ListSimilarItems", ("items.genres.any_of[0]", "no item has the genre 'dramma'"))
        result = kindred.run("similar-items", "50", "--genre", "dramma")
        assert (result.exit_code, result.stderr) == (1, "kindred: --genre dramma: no item has the genre 'dramma'\n")


class TestSimilarUsers:
    def test_a_table_names_the_users(self, kindred: FakeKindred) -> None:
        """Each user has the similarity and what they share."""
        result = kindred.run("similar-users", "--user", "7")
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "user  similarity  shared items  rated items",
            "94         1.822           218        1,400",
        ]

    def test_everything_can_be_said(self, kindred: FakeKindred) -> None:
        """Opinions, the overlap and conditions reach the server."""
        result = kindred.run(
            *("similar-users", "--user", "7", "--like", "fargo", "--rating", "50=4.5", "--min-overlap", "2"),
            *("--among", "country=NL", "--min-ratings", "20", "--limit", "3", "--fresh", "token"),
        )
        assert result.exit_code == 0
        dutch = filter_pb2.AttributeCondition(name="country", equals=Value(string_value="NL"))
        assert kindred.last(pb.ListSimilarUsersRequest) == pb.ListSimilarUsersRequest(
            user_id="7",
            ratings=[pb.InlineRating(item_id="100", reaction=1), pb.InlineRating(item_id="50", value=4.5)],
            limit=3,
            min_overlap=2,
            filter=UserFilter(attributes=filter_pb2.AttributeFilter(all_of=[dutch]), min_ratings=20),
            at_least_as_fresh="token",
        )

    def test_nobody_is_misuse(self, kindred: FakeKindred) -> None:
        """Without a user and without opinions it says what to give."""
        result = kindred.run("similar-users")
        assert result.exit_code == 2
        assert "similar to whom? Give --user" in result.stderr

    def test_a_server_that_does_not_allow_it_says_so(self, kindred: FakeKindred) -> None:
        """The server's reason is one line."""
        kindred.failures["ListSimilarUsers"] = Status(code=9, message="this server does not tell who its users are")
        result = kindred.run("similar-users", "--user", "7")
        assert (result.exit_code, result.stderr) == (1, "kindred: this server does not tell who its users are\n")

    def test_nobody_alike_is_said(self, kindred: FakeKindred) -> None:
        """With nobody to list it says so, and what the filter left out."""
        effects = [pb.FilterEffect(field="filter", removed=900, total=943)]
        kindred.answers["ListSimilarUsers"] = [pb.ListSimilarUsersResponse(filter_effects=effects)]
        result = kindred.run("similar-users", "--user", "7")
        assert result.stdout.splitlines() == ["nobody rates like this", "filter leaves out 900 of 943 users"]


class TestPopular:
    def test_a_table_counts(self, kindred: FakeKindred) -> None:
        """Each item has its likes and ratings; below it says whose ratings were counted, and when."""
        result = kindred.run("popular")
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "id   title         likes  ratings",
            "100  Fargo (1996)  1,035    1,041",
            "the ratings of 1,115 users were counted, 2026-05-01 20:15:55 UTC",
        ]
        assert kindred.last(pb.ListPopularItemsRequest) == pb.ListPopularItemsRequest(
            limit=10, window=pb.WINDOW_ALL, item_view=ITEM_VIEW_BASIC
        )

    @pytest.mark.parametrize(
        ("name", "window"),
        [("day", pb.WINDOW_DAY), ("week", pb.WINDOW_WEEK), ("month", pb.WINDOW_MONTH), ("year", pb.WINDOW_YEAR)],
    )
    def test_a_window_has_a_name_and_an_end(self, kindred: FakeKindred, name: str, window: int) -> None:
        """The window and its end reach the server."""
        result = kindred.run("popular", "--window", name, "--until", "1998-04-01")
        assert result.exit_code == 0
        request = kindred.last(pb.ListPopularItemsRequest)
        assert (request.window, request.until) == (window, Timestamp(seconds=891_388_800))

    def test_items_and_users_can_be_filtered(self, kindred: FakeKindred) -> None:
        """Both filters reach the server."""
        result = kindred.run("popular", "--genre", "drama", "--only", "fargo", "--among", "age=20..30", "--limit", "2")
        assert result.exit_code == 0
        young = filter_pb2.AttributeCondition(name="age", range=filter_pb2.NumberRange(at_least=20, at_most=30))
        request = kindred.last(pb.ListPopularItemsRequest)
        assert request.items == ItemFilter(genres=WordFilter(any_of=["drama"]), candidate_item_ids=["100"])
        assert request.users == UserFilter(attributes=filter_pb2.AttributeFilter(all_of=[young]))

    def test_a_time_that_is_none_is_misuse(self, kindred: FakeKindred) -> None:
        """What is no time is named, with what would be one."""
        result = kindred.run("popular", "--until", "soon")
        assert result.exit_code == 2
        assert result.stderr.startswith("kindred: --until soon: must be a time")

    def test_json_has_every_field(self, kindred: FakeKindred) -> None:
        """With --json the response comes as it is."""
        kindred.answers["ListPopularItems"] = [pb.ListPopularItemsResponse()]
        result = kindred.run("popular", "--json")
        assert json.loads(result.stdout) == {"items": [], "usersCounted": "0", "filterEffects": []}

    def test_nothing_popular_is_said(self, kindred: FakeKindred) -> None:
        """With nothing to list it says so."""
        kindred.answers["ListPopularItems"] = [pb.ListPopularItemsResponse()]
        assert kindred.run("popular").stdout.splitlines() == [
            "nobody liked anything",
            "the ratings of 0 users were counted",
        ]
