from itertools import chain
from math import log2

import numpy as np
import pytest

from loader.evaluation.metrics import Judged, coverage, judge, popularity_of, user_metrics

POPULARITY = np.array([1.0, 0.5, 0.25, 0.125, 0.5])


def judged(lists: list[list[int]], relevant: list[list[int]]) -> Judged:
    """Lists, held against what is relevant to each user."""
    starts = np.cumsum([0, *map(len, relevant)])
    return judge(np.array(lists, np.int32), starts, np.array([*chain(*relevant)], np.int32))


def metrics(lists: list[list[int]], relevant: list[list[int]], k: int) -> dict[str, list[float]]:
    """The users' metrics as plain numbers."""
    return {name: values.tolist() for name, values in user_metrics(judged(lists, relevant), k, POPULARITY).items()}


def test_a_perfect_list_has_ones() -> None:
    """Everything relevant at the top gives 1 everywhere."""
    found = metrics([[3, 1, 0]], [[1, 3]], 3)
    assert (found["ndcg"], found["recall"], found["hit_rate"], found["mrr"]) == ([1.0], [1.0], [1.0], [1.0])


def test_an_empty_or_wrong_list_has_zeros() -> None:
    """Nothing relevant gives 0; an empty list has no popularity and no novelty."""
    found = metrics([[0, 2, 4], [-1, -1, -1]], [[1, 3], [0]], 3)
    for name in ("ndcg", "recall", "hit_rate", "mrr"):
        assert found[name] == [0.0, 0.0]
    assert found["mean_popularity"] == [pytest.approx((1 + 0.25 + 0.5) / 3), pytest.approx(np.nan, nan_ok=True)]
    assert found["novelty"] == [pytest.approx((0 + 2 + 1) / 3), pytest.approx(np.nan, nan_ok=True)]


def test_places_are_discounted() -> None:
    """NDCG adds 1 / log2(place + 1) for each hit, over what the best list of that length would have."""
    [ndcg] = metrics([[0, 1, 2, 3]], [[1, 3, 4]], 4)["ndcg"]
    ideal = 1 + 1 / log2(3) + 1 / log2(4)
    assert ndcg == pytest.approx((1 / log2(3) + 1 / log2(5)) / ideal)


def test_the_ideal_list_is_no_longer_than_k() -> None:
    """Two hits of two places are perfect, however many items are relevant; recall is of all that are."""
    found = metrics([[0, 1, 2]], [[0, 1, 2, 3]], 2)
    assert found["ndcg"] == [1.0]
    assert found["recall"] == [0.5]


def test_only_the_first_k_places_count() -> None:
    """A hit behind place k is none."""
    found = metrics([[0, 1, 2]], [[2]], 2)
    assert [found[name] for name in ("ndcg", "recall", "hit_rate", "mrr")] == [[0.0]] * 4
    assert metrics([[0, 1, 2]], [[2]], 3)["mrr"] == [pytest.approx(1 / 3)]


def test_lists_may_be_shorter_than_k() -> None:
    """What a list lacks is no hit and no item; its popularity is the mean over what is there."""
    found = metrics([[2, 3, -1, -1]], [[3]], 4)
    assert found["mrr"] == [0.5]
    assert found["mean_popularity"] == [pytest.approx((0.25 + 0.125) / 2)]
    assert found["novelty"] == [pytest.approx((2 + 3) / 2)]


def test_hits_are_of_ones_own_items() -> None:
    """What is relevant to one user is no hit in another one's list."""
    hits = judged([[0, 1], [1, 0], [4, -1]], [[0], [0], [4]]).hits
    assert hits.tolist() == [[True, False], [False, True], [True, False]]


def test_coverage_counts_every_item_once() -> None:
    """Coverage is the share of the catalog in the first k places of any list."""
    lists = judged([[0, 1, 2], [1, 0, -1]], [[0], [0]])
    assert coverage(lists, 2, 5) == 2 / 5
    assert coverage(lists, 3, 5) == 3 / 5


def test_nobodys_item_counts_as_one_persons() -> None:
    """An item without a rating has a finite novelty: that of an item with one."""
    assert popularity_of(np.array([0, 1, 4]), 4).tolist() == [0.25, 0.25, 1.0]
