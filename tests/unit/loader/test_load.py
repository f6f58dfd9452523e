"""The load itself: merging, counting, weighing, and the same result from memory and from files."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from kindred.items import Item
from kindred.ratings import Attributes, RatingScale
from kindred.scales import PRESETS
from kindred.weighting import LikingWeighting, ZScoreWeighting, stored_vector
from loader.bad_rows import BadRows
from loader.errors import DataError
from loader.load import LoadOptions, LoadReport, load
from loader.options import Duplicates
from loader.profiles import profiles_of
from loader.rating_buffer import ROW
from loader.readers.rating_rows import ids_from
from loader.source import HALF_STARS, RatingChunk, RatingPart
from tests.support.keeping_builder import KeepingBuilder

Row = tuple[str, str, float, int]


@dataclass(frozen=True, slots=True)
class Source:
    """See `loader.source.DataSource`."""

    chunks: Sequence[Sequence[Row]]
    catalog: Sequence[str] | None = None
    attributes: Mapping[str, Attributes] = field(default_factory=dict)
    scale: RatingScale = HALF_STARS
    name: str = "test"
    size: int = 0

    def items(self, bad_rows: BadRows) -> list[Item] | None:
        """See `DataSource.items`."""
        return None if self.catalog is None else [Item(item_id, f"Title {item_id}") for item_id in self.catalog]

    def user_attributes(self, bad_rows: BadRows) -> Mapping[str, Attributes]:
        """See `DataSource.user_attributes`."""
        return self.attributes

    def ratings(self, bad_rows: BadRows) -> Iterator[RatingPart]:
        """See `DataSource.ratings`."""
        for rows in self.chunks:
            users, items, values, times = ([*column] for column in zip(*rows, strict=True))
            chunk = RatingChunk(ids_from(users), ids_from(items), np.array(values, float), np.array(times, np.int64))
            yield RatingPart(chunk, len(rows))


@pytest.fixture
def builder() -> KeepingBuilder:
    """An empty builder."""
    return KeepingBuilder()


def random_rows(count: int, users: int, items: int) -> list[Row]:
    """Ratings with repeated pairs and times, of numbered and named items."""
    rng = np.random.default_rng(7)
    columns = (rng.integers(0, users, count), rng.integers(0, items, count), rng.integers(1, 11, count) / 2)
    times = rng.integers(0, 5, count)
    return [
        (f"u{user}", str(item) if item % 2 else f"i{item}", value, at)
        for user, item, value, at in zip(*(column.tolist() for column in columns), times.tolist(), strict=True)
    ]


def test_every_user_gets_a_profile_and_a_vector(builder: KeepingBuilder) -> None:
    """Profiles are sorted by item index, at revision 1, and the vector is what the weighting makes of them."""
    report = load(Source([[("b", "9", 4, 1), ("b", "3", 2, 2)], [("a", "9", 5, 3), ("b", "x", 1, 4)]]), builder)
    assert builder.ratings_of("b") == {"9": (4.0, 1), "3": (2.0, 2), "x": (1.0, 4)}
    assert builder.ratings_of("a") == {"9": (5.0, 3)}
    for write in builder.users.values():
        expected = stored_vector(LikingWeighting(HALF_STARS, 5.0), write.user.profile)
        assert np.array_equal(write.vector.indices, expected.indices)
        assert np.allclose(write.vector.values, expected.values)
        assert (write.user.revision, write.user.source) == (1, None)
    assert (report.users, report.items, report.ratings) == (2, 3, 4)
    assert builder.metadata is not None
    assert builder.metadata.name == "test"
    assert builder.metadata.weighting == LikingWeighting(HALF_STARS, 5.0)


def test_items_are_made_from_the_ratings_if_there_is_no_catalog(builder: KeepingBuilder) -> None:
    """Such an item's title is its id."""
    load(Source([[("a", "x", 5, 0), ("a", "7", 5, 0)]]), builder)
    assert builder.items["x"].item == Item("x", "x")
    assert builder.items["x"].index >= 2**31
    assert builder.items["7"].index == 7


def test_ratings_of_unknown_items_are_dropped_and_counted(builder: KeepingBuilder) -> None:
    """A catalog decides what is rated; a user whose every rating is dropped is not stored."""
    rows = [("a", "1", 5, 0), ("a", "2", 5, 0), ("b", "2", 5, 0)]
    report = load(Source([rows], catalog=["1", "3"]), builder)
    assert builder.users.keys() == {"a"}
    assert builder.ratings_of("a") == {"1": (5.0, 0)}
    assert (report.unknown_item_ratings, report.ratings, report.users, report.items) == (2, 1, 1, 2)


@pytest.mark.parametrize(
    ("duplicates", "expected"),
    [
        ("latest", {"1": (2.0, 9), "2": (3.0, 0), "3": (1.0, 4)}),
        ("mean", {"1": (4.0, 9), "2": (3.0, 0), "3": (1.5, 4)}),
        ("sum", {"1": (5.0, 9), "2": (3.0, 0), "3": (3.0, 4)}),
    ],
)
def test_repeated_pairs_are_merged(
    builder: KeepingBuilder, duplicates: Duplicates, expected: dict[str, tuple[float, int]]
) -> None:
    """The latest by time wins, at one time the later row; or the mean or the sum of all, with the latest time."""
    rows = [("a", "1", 5, 1), ("a", "1", 2, 9), ("a", "2", 3, 0), ("a", "3", 2, 4), ("a", "3", 1, 4), ("a", "1", 5, 2)]
    report = load(Source([rows[:3], rows[3:]]), builder, LoadOptions(duplicates=duplicates))
    assert builder.ratings_of("a") == expected
    assert (report.merged_ratings, report.ratings) == (3, 3)
    assert report.capped_ratings == (duplicates == "sum")  # 5 + 2 + 5 stars are five


def test_sums_have_no_z_scores() -> None:
    """A mean of single rows says nothing about sums; the error names the way to z-scores."""
    with pytest.raises(ValueError, match="kindred reindex --weighting zscore"):
        LoadOptions(duplicates="sum", weighting="zscore")


def test_likes_are_counted_by_the_curve_of_the_scale(builder: KeepingBuilder) -> None:
    """Who has played something three times likes it, by however many rows, and the vector says so."""
    rows = [("a", "1", 2, 1), ("a", "1", 1, 2), ("b", "1", 2, 1), ("c", "2", 900, 1)]
    load(Source([rows], scale=PRESETS["plays"]), builder, LoadOptions(duplicates="sum"))
    counts = {key: (entry.rated_count, entry.liked_count) for key, entry in builder.items.items()}
    assert counts == {"1": (2, 1), "2": (1, 1)}
    assert builder.metadata is not None
    assert builder.metadata.scale == PRESETS["plays"]
    weights = {user: write.vector.values.tolist() for user, write in builder.users.items()}
    assert weights["a"] == weights["c"] == pytest.approx([1 / 6**0.5])
    assert weights["b"] == pytest.approx([0.7 / (5 + 0.7**2) ** 0.5])


def test_counts_are_of_users_after_merging(builder: KeepingBuilder) -> None:
    """An item's counts are the users who rated it and those who gave it four stars or more, on its scale."""
    rows = [("a", "1", 8, 1), ("a", "1", 7.9, 2), ("b", "1", 8, 1), ("c", "1", 10, 1), ("c", "2", 1, 1)]
    load(Source([rows], catalog=["2", "1", "3"], scale=RatingScale(1, 10)), builder)
    counts = {key: (entry.rated_count, entry.liked_count) for key, entry in builder.items.items()}
    assert counts == {"1": (3, 2), "2": (1, 0), "3": (0, 0)}


def test_users_with_attributes_alone_are_stored(builder: KeepingBuilder) -> None:
    """Attributes are stored with the ratings, without a time, or alone if there are none."""
    attributes: dict[str, Attributes] = {"a": {"age": 3.0}, "b": {"age": 4.0}, "c": {"age": 5.0}}
    rows = [("a", "1", 5, 0), ("b", "2", 5, 0)]
    report = load(Source([rows], catalog=["1"], attributes=attributes), builder)
    assert {key: write.user.profile.attributes for key, write in builder.users.items()} == attributes
    assert builder.users["a"].user.profile.attributes_at is None
    assert builder.ratings_of("b") == {}
    assert builder.users["c"].vector.indices.size == 0
    assert report.users == 3


def test_z_scores_are_of_all_ratings_that_were_read(builder: KeepingBuilder) -> None:
    """Mean and sample deviation count dropped and repeated ratings too; a merged value is scored like any other."""
    rows = [("a", "1", 5.0, 0), ("a", "1", 3.0, 1), ("b", "1", 0.5, 0), ("b", "9", 4.0, 0)]
    options = LoadOptions(weighting="zscore", duplicates="mean")
    load(Source([rows[:3], rows[3:]], catalog=["1"]), builder, options)
    values = [row[2] for row in rows]
    mean, std = statistics.mean(values), statistics.stdev(values)
    assert builder.metadata is not None
    weighting = builder.metadata.weighting
    assert isinstance(weighting, ZScoreWeighting)
    assert (weighting.mean, weighting.std) == pytest.approx((mean, std), rel=1e-14)
    assert builder.users["a"].vector.values.tolist() == pytest.approx([(4.0 - mean) / std], rel=1e-6)
    assert builder.users["b"].vector.values.tolist() == pytest.approx([(0.5 - mean) / std], rel=1e-6)


def test_z_scores_need_ratings_that_differ(builder: KeepingBuilder) -> None:
    """Without deviation there is no score, and nothing is committed."""
    with pytest.raises(DataError, match="z-scores need ratings that differ"):
        load(Source([[("a", "1", 5, 0), ("b", "1", 5, 0)]]), builder, LoadOptions(weighting="zscore"))
    assert builder.metadata is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Source([]), "test: has no ratings"),
        (Source([[("a", "1", 5, 0)]], catalog=["2"]), "test: none of the 1 ratings is of an item in the catalog"),
    ],
)
def test_a_load_without_a_single_rating_is_refused(builder: KeepingBuilder, source: Source, message: str) -> None:
    """An empty collection is a mistake in the input."""
    with pytest.raises(DataError, match=message):
        load(source, builder)
    assert builder.metadata is None


@pytest.mark.parametrize("duplicates", ["latest", "mean", "sum"])
def test_files_give_the_same_collection_as_memory(tmp_path: Path, duplicates: Duplicates) -> None:
    """A load that holds only 2,000 ratings in memory stores the same, and leaves no file."""
    rows = random_rows(9_000, users=200, items=10)
    source = Source([rows[first : first + 17] for first in range(0, len(rows), 17)])
    in_memory, by_files = KeepingBuilder(), KeepingBuilder()
    options = LoadOptions(duplicates=duplicates)
    expected = load(source, in_memory, options)
    report = load(source, by_files, replace(options, rows_in_memory=2_000, spill_folder=tmp_path))
    assert without_seconds(report) == without_seconds(expected)
    assert report.merged_ratings > 0
    assert by_files.items == in_memory.items
    assert by_files.users.keys() == in_memory.users.keys()
    for user_id, write in by_files.users.items():
        assert write.user == in_memory.users[user_id].user
        assert np.array_equal(write.vector.values, in_memory.users[user_id].vector.values)
    assert not [*tmp_path.iterdir()]


def test_memory_gives_what_a_plain_loop_gives(builder: KeepingBuilder) -> None:
    """For random ratings the stored profiles are those of a dictionary that is filled row by row."""
    rows = random_rows(3_000, users=50, items=60)
    load(Source([rows[:1_000], rows[1_000:]]), builder)
    expected: dict[str, dict[str, tuple[float, int]]] = {}
    for user, item, value, at in rows:
        rated = expected.setdefault(user, {})
        if item not in rated or at >= rated[item][1]:
            rated[item] = (value, at)
    assert {user: builder.ratings_of(user) for user in builder.users} == expected


@pytest.mark.parametrize("wide", [0, 2**17])
def test_among_equal_times_the_later_row_wins(wide: int) -> None:
    """The order of the input decides, also where codes need more than 16 bits."""
    rng = np.random.default_rng(3)
    ratings = np.zeros(20_000, ROW)
    ratings["user"] = rng.integers(0, 20, ratings.size) + wide
    ratings["item"] = rng.integers(0, 20, ratings.size)
    ratings["value"] = np.arange(ratings.size)
    profiles = profiles_of(ratings, np.arange(20, dtype=np.uint32), "latest")
    latest = {(user, item): value for user, item, value, _ in ratings.tolist()}
    users = np.repeat(profiles.users, np.diff(profiles.starts))
    columns = zip(users.tolist(), profiles.items.tolist(), profiles.values.tolist(), strict=True)
    assert [((user, item), value) for user, item, value in columns] == sorted(latest.items())
    assert profiles.merged == ratings.size - len(latest)


def test_progress_is_told_to_the_end(builder: KeepingBuilder) -> None:
    """Every stage with a known total reaches it."""
    stages: list[tuple[str, int | None]] = []
    done: dict[str, int] = {}

    class Told:
        def stage(self, name: str, total: int | None) -> None:
            stages.append((name, total))

        def advance(self, amount: int) -> None:
            name, _ = stages[-1]
            done[name] = done.get(name, 0) + amount

    rows = random_rows(500, users=9, items=9)
    load(Source([rows[:200], rows[200:]], size=500), builder, progress=Told())
    assert [name for name, _ in stages] == [
        "Reading the catalog",
        "Reading ratings",
        "Writing users",
        "Writing items",
        "Optimizing",
    ]
    assert {name: total for name, total in stages if total is not None} == done


def without_seconds(report: LoadReport) -> LoadReport:
    """What is the same in every run."""
    return replace(report, seconds=0.0, engine_seconds=0.0)
