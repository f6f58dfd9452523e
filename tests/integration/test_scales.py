"""Catalogs that are not rated in stars: plays, thumbs, and marks of one's own, from the file to the answer."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
import typer
from typer.testing import CliRunner

from cli.load import load as load_command
from cli.runtime import running
from kindred.ratings import RatingScale, Reaction
from kindred.recommendation import InlineRating, RecommendationRequest, Strategy
from kindred.scales import PRESETS
from kindred.stores.port import CollectionMetadata, StoredUser, point_id_of
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as recommendation
from kindred.v1.reaction_pb2 import REACTION_DISLIKE, REACTION_LIKE
from loader.reindex import reindex
from loader.replay import ReplayOptions, replay
from tests.support.community import ids_of, opened
from tests.support.music import (
    JAZZ,
    LISTENERS,
    METAL,
    Plays,
    listening,
    write_counts,
    write_log,
    write_marks,
)
from tests.support.place import Place, data_dir
from tests.support.replaying import log_for, rated
from tests.support.system import BOUND, Client, connected, failure_of

pytestmark = pytest.mark.timeout(60)

Load = Callable[..., dict[str, object]]

OWN = {"jazz": JAZZ, "metal": METAL}
MARKS = ("--columns", "user=listener,item=artist,rating=mark")
THUMBS = (*MARKS, "--scale", "thumbs")
COUNTS = ("--columns", "user=listener,item=artist,rating=plays,time=month", "--scale", "plays")


@pytest.fixture
def plays() -> Plays:
    """Who plays what."""
    return listening()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where the command loads to."""
    return data_dir(tmp_path / "data")


@pytest.fixture
def kindred_load(place: Place) -> Load:
    """`kindred load --ratings …`; its report."""
    app = typer.Typer()
    app.command()(load_command)

    def run(ratings: Path, *options: str) -> dict[str, object]:
        arguments = ["--ratings", str(ratings), *options, "--data-dir", str(place.options["data_dir"]), "--json"]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        report: dict[str, object] = json.loads(result.output)
        return report

    return run


async def metadata_of(place: Place) -> CollectionMetadata:
    """What the collection says of itself."""
    store = await place.open()
    await store.close()
    return store.metadata


async def user_in(place: Place, name: str) -> StoredUser:
    """A user as stored."""
    store = await place.open()
    [user] = await store.users([point_id_of(name)])
    await store.close()
    assert user is not None
    return user


async def assert_own_taste_comes_first(place: Place, plays: Plays) -> None:
    """Everybody is recommended the artists of their taste whom they do not know yet, before any of the other taste."""
    async with opened(place.options["data_dir"]) as backend:
        for taste, listeners in LISTENERS.items():
            for listener in listeners[:5]:
                request = RecommendationRequest(user_id=listener, limit=5)
                answer = await backend.recommender.recommend(request)
                assert answer.strategy is Strategy.PERSONALIZED
                assert set(ids_of(backend.catalog, answer.items)) == set(OWN[taste]) - plays[listener].keys()


class TestPlays:
    async def test_counts_of_plays_are_added_up_and_find_ones_taste(
        self, kindred_load: Load, place: Place, plays: Plays, tmp_path: Path
    ) -> None:
        """Rows of one listener and artist are summed; who plays jazz is recommended jazz, though most play metal."""
        report = kindred_load(write_counts(tmp_path / "listening.csv", plays), *COUNTS)
        pairs = sum(len(counts) for counts in plays.values())
        assert (report["users"], report["items"], report["ratings"]) == (len(plays), len(JAZZ) + len(METAL), pairs)
        assert (report["bad_rows"], report["capped_ratings"]) == (0, 0)
        assert (await metadata_of(place)).scale == PRESETS["plays"]
        user = await user_in(place, "j0")
        assert sorted(user.profile.values.tolist()) == sorted(plays["j0"].values())
        assert set(user.profile.rated_at.tolist()) == {2_000_000}
        store = await place.open()
        liked = {entry.item.item_id: entry.liked_count for entry in await store.items()}
        await store.close()
        assert liked == {
            artist: sum(counts.get(artist, 0) >= 3 for counts in plays.values()) for artist in (*JAZZ, *METAL)
        }
        await assert_own_taste_comes_first(place, plays)

    async def test_a_row_may_be_a_play(self, kindred_load: Load, place: Place, plays: Plays, tmp_path: Path) -> None:
        """A log of plays needs no column of numbers: its rows are counted."""
        log = write_log(tmp_path / "listens.csv", plays)
        kindred_load(log, "--columns", "user=listener,item=artist,time=at", "--scale", "plays")
        counted = sorted(min(count, 20) for count in plays["m3"].values())
        assert sorted((await user_in(place, "m3")).profile.values.tolist()) == counted
        await assert_own_taste_comes_first(place, plays)

    async def test_plays_in_the_request_are_enough(
        self, kindred_load: Load, place: Place, plays: Plays, tmp_path: Path
    ) -> None:
        """Without an account, two counts and a like lead to artists of the same taste."""
        kindred_load(write_counts(tmp_path / "listening.csv", plays), *COUNTS)
        opinions = {"jazz-00": 40.0, "jazz-01": 3.0, "jazz-02": Reaction.LIKE, "metal-00": Reaction.DISLIKE}
        ratings = [InlineRating(artist, opinion) for artist, opinion in opinions.items()]
        async with opened(place.options["data_dir"]) as backend:
            answer = await backend.recommender.recommend(RecommendationRequest(ratings=ratings, limit=9))
            assert set(ids_of(backend.catalog, answer.items)) == set(JAZZ) - opinions.keys()

    async def test_what_counts_as_much_is_ones_own_choice(
        self, kindred_load: Load, place: Place, plays: Plays, tmp_path: Path
    ) -> None:
        """With --liking four plays are no like yet, and the knots stand in the metadata."""
        kindred_load(write_counts(tmp_path / "listening.csv", plays), *COUNTS, "--liking", "1=3,5=4,20=5")
        assert (await metadata_of(place)).scale == RatingScale(1, 1e6, ((1, 3), (5, 4), (20, 5)))
        store = await place.open()
        liked = sum(entry.liked_count for entry in await store.items())
        await store.close()
        assert liked == sum(count >= 5 for counts in plays.values() for count in counts.values())

    async def test_a_row_that_is_no_count_is_a_bad_row(self, kindred_load: Load, place: Place, tmp_path: Path) -> None:
        """No plays, and half a million too many, are listed with the scale; a sum beyond it is kept as its maximum."""
        rows = ["listener,artist,plays,month", "a,x,0,1", "a,x,1500000,1", "a,y,600000,1", "a,y,600000,2", "a,z,2,1"]
        path = tmp_path / "odd.csv"
        path.write_text("\n".join(rows))
        report = kindred_load(path, *COUNTS, "--skip-bad-rows")
        assert (report["ratings"], report["bad_rows"], report["capped_ratings"]) == (2, 2, 1)
        listed = (place.options["data_dir"] / "bad-rows.txt").read_text().splitlines()
        scale = "off the scale of 1 to 1000000 (1=3.2, 3=4, 10=5 stars)"
        assert listed == [f"{path}:2: rating 0 is {scale}", f"{path}:3: rating 1500000 is {scale}"]
        assert sorted((await user_in(place, "a")).profile.values.tolist()) == [2, 1_000_000]


@pytest.mark.parametrize(
    ("scale", "marks"),
    [
        ("stars", (1, 5)),
        ("ten", (2, 9)),
        ("hundred", (15, 90)),
        ("0-20", (4, 16)),
        ("1:10", (2, 8)),
        ("thumbs", (0, 1)),
    ],
)
async def test_marks_on_any_scale_find_ones_taste(
    kindred_load: Load, place: Place, plays: Plays, tmp_path: Path, *, scale: str, marks: tuple[int, int]
) -> None:
    """Marks out of five, ten, twenty or a hundred, and thumbs, all become stars, and lead to the same artists."""
    path = write_marks(tmp_path / "marks.csv", plays, marks)
    kindred_load(path, *MARKS, "--scale", scale)
    await assert_own_taste_comes_first(place, plays)


@asynccontextmanager
async def served(place: Place, kafka: str) -> AsyncIterator[Client]:
    """A server and a consumer over a collection, joined."""
    log = await log_for(place, kafka)
    async with running(log.settings, serve=True, consume=True) as parts, connected(parts.address) as client:
        await parts.joined.wait()
        yield client


def new(artist: str, opinion: float, *, reaction: bool = False) -> rating.NewRating:
    """A rating to record."""
    return rating.NewRating(item_id=artist, **{"reaction" if reaction else "value": opinion})


class TestRecording:
    async def test_thumbs_are_recorded_and_change_the_answer(
        self, kindred_load: Load, place: Place, plays: Plays, tmp_path: Path, kafka: str
    ) -> None:
        """1 and LIKE are thumbs up, 0 and DISLIKE thumbs down; what was given is read back, and leads to jazz."""
        kindred_load(write_marks(tmp_path / "votes.csv", plays, (0, 1)), *THUMBS)
        given = [
            new("jazz-00", 1),
            new("jazz-01", REACTION_LIKE, reaction=True),
            new("metal-00", 0),
            new("metal-01", REACTION_DISLIKE, reaction=True),
        ]
        async with served(place, kafka) as client:
            request = rating.RecordRatingsRequest(user_id="me", ratings=given)
            token = (await client.ratings.RecordRatings(request, timeout=BOUND)).freshness_token
            listed = await client.ratings.ListRatings(
                rating.ListRatingsRequest(user_id="me", at_least_as_fresh=token), timeout=BOUND
            )
            votes = {each.item.item_id: each.value for each in listed.ratings}
            assert votes == {"jazz-00": 1, "jazz-01": 1, "metal-00": 0, "metal-01": 0}
            answer = await client.recommendations.Recommend(
                recommendation.RecommendRequest(user_id="me", limit=10), timeout=BOUND
            )
            assert {each.item.item_id for each in answer.recommendations} == set(JAZZ) - votes.keys()
            assert answer.strategy == recommendation.STRATEGY_PERSONALIZED

    async def test_what_is_off_the_scale_is_refused_with_what_the_scale_means(
        self, kindred_load: Load, place: Place, plays: Plays, tmp_path: Path, kafka: str
    ) -> None:
        """Two thumbs are refused, with the field and what the values of the scale are worth; in a request alike."""
        kindred_load(write_marks(tmp_path / "votes.csv", plays, (0, 1)), *THUMBS)
        async with served(place, kafka) as client:
            request = rating.RecordRatingsRequest(user_id="me", ratings=[new("jazz-00", 1), new("jazz-01", 2)])
            failure = await failure_of(client.ratings.RecordRatings(request, timeout=BOUND))
            assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
            assert failure.fields == [("ratings[1].value", "must be 0 to 1 (0=1, 1=5 stars)")]
            inline = [recommendation.InlineRating(item_id="jazz-00", value=5)]
            failure = await failure_of(
                client.recommendations.Recommend(recommendation.RecommendRequest(ratings=inline), timeout=BOUND)
            )
            assert failure.fields == [("ratings[0].value", "must be 0 to 1 (0=1, 1=5 stars)")]

    async def test_plays_take_no_dislike(
        self, kindred_load: Load, place: Place, plays: Plays, tmp_path: Path, kafka: str
    ) -> None:
        """No count of plays speaks against an artist, so a dislike is not recorded as if it did the contrary."""
        kindred_load(write_counts(tmp_path / "listening.csv", plays), *COUNTS)
        async with served(place, kafka) as client:
            disliked = [new("jazz-00", 12), new("jazz-01", REACTION_DISLIKE, reaction=True)]
            request = rating.RecordRatingsRequest(user_id="me", ratings=disliked)
            failure = await failure_of(client.ratings.RecordRatings(request, timeout=BOUND))
            assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
            scale = "1 to 1000000 (1=3.2, 3=4, 10=5 stars)"
            assert failure.fields == [
                ("ratings[1].reaction", f"must not be a dislike: no rating on the scale, {scale}, stands for one")
            ]
            request = rating.RecordRatingsRequest(
                user_id="me", ratings=[new("jazz-00", REACTION_LIKE, reaction=True), new("jazz-01", 123_456)]
            )
            token = (await client.ratings.RecordRatings(request, timeout=BOUND)).freshness_token
            listed = await client.ratings.ListRatings(
                rating.ListRatingsRequest(user_id="me", at_least_as_fresh=token), timeout=BOUND
            )
            assert {each.item.item_id: each.value for each in listed.ratings} == {"jazz-00": 10, "jazz-01": 123_456}


async def test_a_collection_that_is_written_anew_keeps_what_its_values_mean(
    kindred_load: Load, place: Place, plays: Plays, tmp_path: Path, kafka: str
) -> None:
    """Reindexing, and replaying the log, keep the scale with its curve, and the likes are counted by it."""
    kindred_load(write_marks(tmp_path / "votes.csv", plays, (0, 1)), *THUMBS)
    before = await metadata_of(place)
    await reindex(place.settings(), "default", 10.0)
    reindexed = await metadata_of(place)
    assert (reindexed.scale, reindexed.weighting.parameters()) == (before.scale, {"shrinkage": 10.0})
    await assert_own_taste_comes_first(place, plays)
    log = await log_for(place, kafka)
    await log.write(*(rated(user, "jazz-00", float(user != "d")) for user in "abcd"))
    options = ReplayOptions(start="earliest", onto="nothing", drop_other_users=True, another_log=True)
    assert (await replay(log.settings, options)).applied == 4
    store = await place.open()
    entries = {entry.item.item_id: (entry.rated_count, entry.liked_count) for entry in await store.items()}
    await store.close()
    assert (store.metadata.scale, entries["jazz-00"]) == (PRESETS["thumbs"], (4, 3))
