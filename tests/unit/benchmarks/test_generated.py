from pathlib import Path

import numpy as np
import pytest

from benchmarks.generated.compare import distance, figures_of
from benchmarks.generated.curves import activity, popularity
from benchmarks.generated.files import write_movielens
from benchmarks.generated.ratings import Community, RatingRows
from benchmarks.generated.shape import ML_25M, ML_100K, ML_LATEST_SMALL, Shape, shape_of
from loader.bad_rows import BadRows
from loader.readers.movielens import open_movielens

SMALL = Shape(300, 800, 20_000)


@pytest.fixture(scope="module")
def rows() -> RatingRows:
    """All ratings of a small data set."""
    parts = list(Community.of(SMALL, seed=3).ratings())
    columns = ("users", "items", "values", "times")
    return RatingRows(*(np.concatenate([getattr(part, column) for part in parts]) for column in columns))


def test_a_data_set_has_the_size_that_was_asked_for(rows: RatingRows) -> None:
    """There are as many ratings as asked for, of every user, each of another pair, by user and item."""
    pairs = rows.users * (SMALL.items + 1) + rows.items
    assert pairs.size == SMALL.ratings
    assert (np.diff(pairs) > 0).all()
    assert np.unique(rows.users).tolist() == list(range(1, SMALL.users + 1))
    assert rows.items.min() >= 1
    assert rows.items.max() <= SMALL.items


def test_everybody_has_rated_twenty_items(rows: RatingRows) -> None:
    """As in MovieLens nobody has fewer than twenty ratings, and some have many times more."""
    counts = np.bincount(rows.users)[1:]
    assert counts.min() == 20
    assert counts.max() > 5 * np.median(counts)


def test_ratings_are_half_stars_with_times_of_this_age(rows: RatingRows) -> None:
    """Values are 0.5 to 5 in steps of a half, and times seconds in the years from 1997 on."""
    assert set(rows.values.tolist()) == {half / 2 for half in range(1, 11)}
    assert rows.times.min() >= 852_076_800


def test_small_sets_have_whole_stars() -> None:
    """Up to the size of MovieLens 1M ratings are 1 to 5, as there."""
    [part] = Community.of(Shape(100, 300, 4_000, whole_stars=True)).ratings()
    assert set(part.values.tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0}


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    """Two runs with one seed write the same files, and another seed writes others."""
    texts = [
        [
            (write_movielens(tmp_path / f"{run}", SMALL, seed) / name).read_bytes()
            for name in ("ratings.csv", "movies.csv")
        ]
        for run, seed in enumerate((1, 1, 2))
    ]
    assert texts[0] == texts[1]
    assert texts[0][0] != texts[2][0]


def test_the_loader_reads_what_was_written(tmp_path: Path) -> None:
    """The files are a MovieLens set of the newer form without bad rows, and every rated item is in the catalog."""
    source = open_movielens(write_movielens(tmp_path, SMALL))
    bad_rows = BadRows()
    items = source.items(bad_rows)
    chunks = [part.chunk for part in source.ratings(bad_rows) if part.chunk is not None]
    assert items is not None
    assert len(items) == SMALL.items
    assert all(item.genres and item.year for item in items)
    assert sum(chunk.values.size for chunk in chunks) == SMALL.ratings
    assert {id_ for chunk in chunks for id_ in chunk.items.distinct} <= {item.item_id for item in items}


def test_chunks_of_users_are_as_large_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set is made some users at a time, and still everybody is there once."""
    monkeypatch.setattr("benchmarks.generated.ratings._DRAWS_AT_ONCE", 5_000)
    parts = list(Community.of(SMALL).ratings())
    users = [np.unique(part.users) for part in parts]
    assert len(parts) > 5
    assert np.concatenate(users).tolist() == list(range(1, SMALL.users + 1))
    assert sum(part.values.size for part in parts) == SMALL.ratings


@pytest.mark.parametrize("shape", [ML_100K, ML_LATEST_SMALL, ML_25M, Shape(300, 800, 20_000)])
def test_activity_adds_up_and_popularity_falls(shape: Shape) -> None:
    """Users' counts add up to the ratings, and so do the items' shares, which fall until about one rating."""
    counts, shares = activity(shape), popularity(shape)
    assert counts.sum() == shape.ratings
    assert counts.min() >= 20
    assert counts.max() <= shape.items / 2
    assert (np.diff(shares) < 0).all()
    assert shares.sum() * shape.users == pytest.approx(shape.ratings, rel=1e-3)
    assert shares[-1] * shape.users == pytest.approx(1, rel=0.2)


def test_popularity_is_what_was_aimed_at(rows: RatingRows) -> None:
    """Although a user rates an item once, the popular items have about the share of users that the curve gives them."""
    found = np.sort(np.bincount(rows.items))[::-1]
    aimed = popularity(SMALL) * SMALL.users
    for rank in (10, 50, 100, 200):
        assert found[:rank].sum() == pytest.approx(aimed[:rank].sum(), rel=0.1)


def test_users_have_tastes(rows: RatingRows) -> None:
    """The nearest of each user have much more in common with them than others have."""
    figures = figures_of(rows.users - 1, rows.items - 1, rows.values, rows.times)
    assert figures.near > 1.5 * figures.cosine


def test_figures_of_a_tiny_table() -> None:
    """Activity, popularity, overlap and days are those that one counts by hand."""
    users, items = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 2])
    found = figures_of(users, items, np.array([4.0, 5.0, 4.0, 4.0, 1.0]), np.array([0, 86_400, 5, 5, 5]))
    assert found.activity.tolist() == [2, 3]
    assert found.popularity.tolist() == [2, 2, 1]
    assert found.values == {1.0: 1, 4.0: 3, 5.0: 1}
    assert found.overlap == 2
    assert found.density == pytest.approx(5 / 6)
    assert found.days.tolist() == [0, 1]


def test_distance_of_two_samples() -> None:
    """Equal samples have the distance 0, separate ones 1, and half shared ones a half."""
    one = np.array([1, 2, 3, 4])
    assert distance(one, one) == 0
    assert distance(one, one + 10) == 1
    assert distance(one, np.array([1, 2, 11, 12])) == 0.5


def test_sizes_have_names_or_numbers() -> None:
    """A size is one of MovieLens's own, or a number of ratings with users and items in between."""
    assert shape_of("25M") == ML_25M
    between = shape_of("2M")
    assert between.ratings == shape_of("2000K").ratings == shape_of("2000000").ratings == 2_000_000
    assert 6_040 < between.users < 162_541
    assert 3_706 < between.items < 62_423
    assert shape_of("10K").users <= 250


@pytest.mark.parametrize("name", ["", "big", "M", "100", "-5M", "1G", "nan"])
def test_a_size_that_is_none_is_refused(name: str) -> None:
    """Whatever is no size is an error that names those that are known."""
    with pytest.raises(ValueError, match="known: 100K"):
        shape_of(name)
