import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kindred.content import ContentIndex
from kindred.items import Item
from kindred.new_items import pick_new, places_of

FILMS = [
    Item("liked", genres=("Sci-Fi", "War")),
    Item("the same", genres=("Sci-Fi", "War")),
    Item("its twin", genres=("War", "Sci-Fi")),
    Item("alike", genres=("Sci-Fi",)),
    Item("known", genres=("Sci-Fi", "War")),
    Item("other", genres=("Romance",)),
    Item("bare"),
]
RATED = np.array([90, 4, 0, 2, 5, 0, 0])
RANK = np.array([0, 2, 1, 3, 4, 5, 6])
ALLOWED = np.array([False, True, True, True, True, True, True])


def pick(
    liked: list[int], count: int = 10, allowed: NDArray[np.bool_] = ALLOWED, **options: int
) -> tuple[list[int], list[float]]:
    """What is picked of the films, for somebody who likes some of them alike."""
    rows, scores = pick_new(
        ContentIndex(FILMS),
        np.array(liked, np.intp),
        np.ones(len(liked)),
        allowed=allowed,
        rated_counts=RATED,
        rank=RANK,
        count=count,
        **options,
    )
    return rows.tolist(), scores.tolist()


def test_new_items_come_by_likeness() -> None:
    """Items that fewer than five users have rated, the most alike first, with their likeness; ties by rank."""
    rows, scores = pick([0])
    assert rows == [2, 1, 3]
    assert scores[:2] == pytest.approx([1.0, 1.0])
    assert 0 < scores[2] < 1


def test_what_is_not_alike_is_not_picked() -> None:
    """Neither an item of other genres nor one without any is picked, though there is room."""
    assert not {5, 6} & set(pick([0])[0])
    assert pick([6]) == ([], [])


def test_what_is_not_allowed_is_not_picked() -> None:
    """The caller's mask holds."""
    assert pick([0], allowed=ALLOWED & (RANK != 1))[0] == [1, 3]


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [2]), (2, [2, 1]), (3, [2, 1, 3])])
def test_as_many_as_asked_for(count: int, expected: list[int]) -> None:
    """No more than `count` are picked, and a tie for the last place goes by rank."""
    assert pick([0], count)[0] == expected


def test_how_few_ratings_make_an_item_new_can_be_said() -> None:
    """`below` is the number of raters from which an item is no longer new."""
    assert pick([0], below=6)[0] == [2, 1, 4, 3]
    assert pick([0], below=1)[0] == [2]


def test_whoever_likes_nothing_gets_nothing() -> None:
    """Without liked items there is nothing to be like."""
    assert pick([]) == ([], [])


def test_only_the_strongest_likes_count() -> None:
    """Of 400 liked items the 300 that weigh most count, wherever they stand."""
    items = [Item(str(row), genres=("Weak" if row < 100 else "Strong",)) for row in range(400)]
    items += [Item("weak", genres=("Weak",)), Item("strong", genres=("Strong",))]
    weights = np.where(np.arange(400) < 100, 0.5, 1.0)
    rated = np.where(np.arange(402) < 400, 9, 0)
    rows, scores = pick_new(
        ContentIndex(items),
        np.arange(400),
        weights,
        allowed=np.ones(402, np.bool_),
        rated_counts=rated,
        rank=np.arange(402),
        count=10,
    )
    assert rows.tolist() == [401]
    assert scores == pytest.approx([1.0])


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=2).map(tuple), min_size=1, max_size=12), st.data())
def test_the_best_are_those_of_a_full_sort(genres: list[tuple[str, ...]], data: st.DataObject) -> None:
    """Any catalog: what is picked is the beginning of all new items sorted by likeness and rank."""
    size = len(genres)
    index = ContentIndex([Item(str(row), genres=each) for row, each in enumerate(genres)])
    liked = np.array(data.draw(st.lists(st.integers(0, size - 1), max_size=4)), np.intp)
    rated = np.array(data.draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)))
    rank = np.array(data.draw(st.permutations(range(size))))
    count = data.draw(st.integers(0, size))
    likeness = index.likeness(liked, np.ones(liked.size)).round(10)
    expected = sorted(
        (row for row in range(size) if rated[row] < 5 and likeness[row] > 0),
        key=lambda row: (-likeness[row], rank[row]),
    )[:count]
    allowed = np.ones(size, np.bool_)
    rows, scores = pick_new(
        index, liked, np.ones(liked.size), allowed=allowed, rated_counts=rated, rank=rank, count=count
    )
    assert rows.tolist() == expected
    assert scores.tolist() == likeness[expected].tolist()


def test_a_share_is_rounded_down_to_whole_items() -> None:
    """Of every hundredth and every limit: as exact arithmetic has it."""
    for percent in range(51):
        assert [places_of(percent / 100, limit) for limit in range(1, 501)] == [
            percent * limit // 100 for limit in range(1, 501)
        ]
