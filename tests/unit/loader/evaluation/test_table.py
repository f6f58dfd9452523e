import numpy as np
import pytest

from kindred.items import Item
from loader.errors import DataError
from loader.evaluation.product import TableSource
from loader.evaluation.reading import make_table, read_source
from loader.progress import NoProgress
from tests.support.rating_tables import SCALE, random_table, table_of

ROWS = [("b", "y", 5.0, 3), ("a", "z", 3.0, 1), ("b", "x", 4.0, 2), ("a", "y", 0.5, 4)]


def test_the_order_of_the_input_does_not_matter() -> None:
    """Users, items and ratings are sorted by id, wherever they came from."""
    for rows in (ROWS, ROWS[::-1]):
        table = table_of(rows)
        assert table.user_ids == ["a", "b"]
        assert [item.item_id for item in table.items] == ["x", "y", "z"]
        assert (table.users.tolist(), table.codes.tolist()) == ([0, 0, 1, 1], [1, 2, 0, 1])
        assert (table.values.tolist(), table.times.tolist()) == ([0.5, 3.0, 4.0, 5.0], [4, 1, 2, 3])


def test_likes_are_four_stars_or_more() -> None:
    """Counts are of all ratings and of those with four stars or more."""
    table = table_of(ROWS)
    assert table.liked.tolist() == [False, False, True, True]
    assert (table.rated_counts.tolist(), table.liked_counts.tolist()) == ([1, 2, 1], [1, 1, 0])
    assert table.rating_counts.tolist() == [2, 2]


def test_the_latest_rating_of_an_item_counts() -> None:
    """Of a user's ratings of one item only the latest is there."""
    table = table_of([("a", "x", 1.0, 9), ("a", "x", 5.0, 8)])
    assert table.values.tolist() == [1.0]


def test_profiles_are_of_the_users_asked_for() -> None:
    """Chosen ratings of some users come one user after the other; who has none has an empty part."""
    table = table_of([*ROWS, ("c", "x", 5.0, 1), ("d", "x", 5.0, 1)])
    chosen = np.array([True, False, True, True, False, True])
    profiles = table.profiles(np.array([0, 2, 1], np.int32), chosen)
    assert profiles.starts.tolist() == [0, 1, 1, 3]
    assert profiles.items.tolist() == [1, 0, 1]
    assert profiles.values.tolist() == [0.5, 4.0, 5.0]
    assert profiles.owners.tolist() == [0, 2, 2]
    assert profiles.part(1, 3).starts.tolist() == [0, 0, 2]
    assert profiles.part(1, 3).items.tolist() == [0, 1]


def test_a_table_is_loaded_as_any_other_data_set() -> None:
    """Read as a data set a table is the same again, with items that nobody has rated."""
    table = random_table(users=5, items=100)
    again = read_source(TableSource(table), NoProgress())
    assert (again.user_ids, again.items, again.scale) == (table.user_ids, table.items, table.scale)
    for name in ("users", "codes", "values", "times"):
        assert np.array_equal(getattr(again, name), getattr(table, name))


def test_no_ratings_no_table() -> None:
    """Without a rating there is nothing to evaluate with, and that is said."""
    with pytest.raises(DataError, match="has no ratings to evaluate with"):
        make_table("none", SCALE, [], [Item("x", "x")], [])
