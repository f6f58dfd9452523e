"""Small tables of ratings for tests of the evaluation."""

from collections.abc import Iterable

import numpy as np

from kindred.items import Item
from kindred.ratings import RatingScale
from loader.evaluation.reading import make_table
from loader.evaluation.table import RatingTable
from loader.rating_buffer import ROW

SCALE = RatingScale(0.5, 5.0)


def table_of(ratings: Iterable[tuple[str, str, float, int]], items: Iterable[str] = ()) -> RatingTable:
    """A table of ratings.

    Args:
        ratings: User id, item id, stars and time.
        items: Ids of items that may have none.
    """
    rows = list(ratings)
    user_ids = list(dict.fromkeys(user for user, *_ in rows))
    item_ids = list(dict.fromkeys([item for _, item, *_ in rows] + list(items)))
    coded = [(user_ids.index(user), item_ids.index(item), stars, at) for user, item, stars, at in rows]
    return make_table("small", SCALE, user_ids, [Item(each, each) for each in item_ids], [np.array(coded, ROW)])


def random_table(users: int = 60, items: int = 80, seed: int = 0) -> RatingTable:
    """A table in which users of two tastes like the items of theirs, with 44 to 56 ratings each."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        rated = random.choice(items, random.integers(44, 57), replace=False)
        for place, item in enumerate(rated.tolist()):
            same = user % 2 == item % 2
            stars = random.choice([4.0, 4.5, 5.0] if same else [1.0, 2.0, 3.0])
            rows.append((f"u{user}", f"i{item}", float(stars), 1_000 + place))
    return table_of(rows, [f"i{item}" for item in range(items)])
