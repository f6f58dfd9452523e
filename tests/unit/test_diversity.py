import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kindred.diversity import diversify, likeness, pool_size

GENRES = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0]], np.float64)
RATINGS = np.array([[1, 1, 1, 0, 1], [1, 0, 1, 0, 1], [0, -0.25, 1, 0, 0]], np.float64)
PARTS = st.floats(0, 1, width=16)


@st.composite
def pools(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Relevance, the highest first, and a likeness that is symmetric."""
    size = draw(st.integers(1, 8))
    relevance = np.array(sorted(draw(st.lists(PARTS, min_size=size, max_size=size)), reverse=True))
    half = np.array(draw(st.lists(PARTS, min_size=size * size, max_size=size * size))).reshape(size, size)
    return relevance, np.maximum(half, half.T)


class TestLikeness:
    def test_it_is_the_mean_of_genres_and_raters(self) -> None:
        """Items that have both are as alike as the mean of the two cosines."""
        found = likeness(GENRES, RATINGS)
        assert found[0, 1] == pytest.approx((1 + 1 / np.sqrt(2 * 1.0625)) / 2)
        assert found[0, 2] == pytest.approx((0 + 2 / np.sqrt(2 * 3)) / 2)
        assert found == pytest.approx(found.T)

    def test_an_item_without_genres_goes_by_its_raters(self) -> None:
        """Where one of two items has no genres, the cosine of the raters counts whole."""
        assert likeness(GENRES, RATINGS)[4, :3] == pytest.approx([1.0, 1 / np.sqrt(2 * 1.0625), 2 / np.sqrt(6)])

    def test_an_item_without_raters_goes_by_its_genres(self) -> None:
        """Where no neighbor has rated one of two items, the cosine of the genres counts whole."""
        assert likeness(GENRES, RATINGS)[3, :3] == pytest.approx([1 / np.sqrt(2), 1 / np.sqrt(2), 0.0])

    def test_items_that_cannot_be_compared_are_not_alike(self) -> None:
        """One without genres and one without raters are not alike."""
        assert likeness(GENRES, RATINGS)[3, 4] == 0
        assert likeness(np.zeros((2, 0)), np.zeros((3, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]
        assert likeness(np.zeros((0, 3)), np.zeros((3, 0))).shape == (0, 0)

    def test_opposite_raters_do_not_make_less_than_unlike(self) -> None:
        """Neighbors who like one and dislike the other: 0, as if they had rated one of them only."""
        assert likeness(np.zeros((2, 1)), np.array([[1.0, -0.25]]))[0, 1] == 0


class TestDiversify:
    def test_strength_0_keeps_the_order(self) -> None:
        """Without diversity the first ones are picked, whatever their likeness."""
        assert diversify(np.array([3.0, 2.0, 1.0]), np.ones((3, 3)), 0.0, 2).tolist() == [0, 1]

    def test_what_is_like_a_picked_item_waits(self) -> None:
        """The twin of the best item comes after another kind of item that is nearly as relevant."""
        alike = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        assert diversify(np.array([10.0, 9.0, 6.0]), alike, 0.5, 3).tolist() == [0, 2, 1]
        assert diversify(np.array([10.0, 9.0, 6.0]), alike, 0.2, 3).tolist() == [0, 1, 2]

    def test_the_worst_likeness_counts_not_the_mean(self) -> None:
        """An item is held back by the one picked item that it is most like, however unlike the others it is."""
        alike = np.eye(4)
        alike[0, 2] = alike[2, 0] = 0.9
        alike[[0, 0, 3, 3], [1, 3, 1, 0]] = alike[1, 3] = 0.4
        assert diversify(np.ones(4), alike, 1.0, 4).tolist() == [0, 1, 3, 2]

    def test_ties_go_to_the_first(self) -> None:
        """Items with the same value, but for rounding, are picked in the given order."""
        third = np.full((3, 3), 1 / 3) + np.array([0, 1e-9, -1e-9])
        assert diversify(np.array([1.0, 1.0 - 1e-9, 1.0]), third, 0.3, 3).tolist() == [0, 1, 2]

    def test_without_relevance_likeness_decides(self) -> None:
        """Scores of 0 are no division by 0: what differs most comes next."""
        alike = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        assert diversify(np.zeros(3), alike, 0.5, 3).tolist() == [0, 2, 1]
        assert diversify(np.zeros(0), np.zeros((0, 0)), 0.5, 3).tolist() == []

    @given(pools(), st.floats(0.01, 1), st.integers(1, 9))
    def test_every_pick_is_the_best_left(
        self, pool: tuple[NDArray[np.float64], NDArray[np.float64]], strength: float, limit: int
    ) -> None:
        """Any pool: each item is picked once, and none that is left had a higher value at that moment."""
        relevance, alike = pool
        order = diversify(relevance, alike, strength, limit).tolist()
        assert len(order) == len(set(order)) == min(limit, relevance.size)
        top = relevance.max() or 1.0
        for place, pick in enumerate(order):
            picked = order[:place]
            values = {
                each: (1 - strength) * relevance[each] / top - strength * max(alike[each, picked], default=0.0)
                for each in range(relevance.size)
                if each not in picked
            }
            assert values[pick] >= max(values.values()) - 2e-6


@pytest.mark.parametrize(("limit", "size"), [(1, 50), (10, 50), (20, 100), (100, 500), (500, 500), (501, 501)])
def test_the_pool_is_bounded(limit: int, size: int) -> None:
    """The pool is five times the limit, 50 to 500, and never smaller than the limit."""
    assert pool_size(limit) == size
