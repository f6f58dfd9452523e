import weakref

import numpy as np
import pytest

from kindred.popularity import ItemCounts, count_ratings
from kindred.ratings import EMPTY_PROFILE, Rated, RatingScale, Retracted, UserProfile, merge


def counts_of(item_ids: list[str], liked: list[float]) -> ItemCounts:
    """Counts of these items, each rated twice as often as liked."""
    counts = ItemCounts()
    counts.grow(item_ids)
    likes = np.array(liked, np.float64)
    counts.put(np.arange(len(item_ids)), 2 * likes, likes)
    return counts


class TestItemCounts:
    def test_the_most_liked_come_first(self) -> None:
        """The order is by likes, descending; the rank is each row's place in it."""
        counts = counts_of(["a", "b", "c"], [1, 3, 2])
        assert counts.order.tolist() == [1, 2, 0]
        assert counts.rank.tolist() == [2, 0, 1]

    def test_ties_go_by_item_id(self) -> None:
        """Equally liked items come in the order of their ids as text: 10 before 9."""
        counts = counts_of(["9", "b", "10", "a", "B"], [1, 1, 1, 1, 1])
        assert [["9", "b", "10", "a", "B"][row] for row in counts.order] == ["10", "9", "B", "a", "b"]

    def test_new_rows_count_nothing(self) -> None:
        """Growing keeps the old counts and adds zeros, and ids that come later take their place among the ties."""
        counts = counts_of(["b", "d"], [0, 7])
        assert counts.order.tolist() == [1, 0]
        counts.grow(["c", "a"])
        assert counts.liked.tolist() == [0, 7, 0, 0]
        assert counts.rated.tolist() == [0, 14, 0, 0]
        assert counts.order.tolist() == [1, 3, 0, 2]

    def test_another_id_takes_another_place(self) -> None:
        """A row that gets another id moves among the ties, and counts what it did."""
        counts = counts_of(["a", "b", "c"], [2, 2, 2])
        assert counts.order.tolist() == [0, 1, 2]
        counts.rename({0: "bb"})
        assert (counts.order.tolist(), counts.id_rank.tolist()) == ([1, 0, 2], [1, 0, 2])
        assert counts.liked.tolist() == [2, 2, 2]

    def test_more_likes_of_as_many_raters_are_seen(self) -> None:
        """When likes change and raters do not, order and terms do, and what did not change is not made again."""
        counts = counts_of(["a", "b"], [2, 2])
        order, terms = counts.order, counts.terms
        counts.put(np.array([1]), np.array([4.0]), np.array([2.0]))
        assert counts.order is order
        counts.put(np.array([1]), np.array([4.0]), np.array([3.0]))
        assert counts.order.tolist() == [1, 0]
        assert counts.terms[1] > terms[1]

    def test_few_dampings_are_kept(self) -> None:
        """However many exponents requests name, the arrays of a few are kept, and each one is right."""
        counts = counts_of(["a", "b"], [4, 0])
        first = weakref.ref(counts.damping(0.5))
        for exponent in np.linspace(0.6, 2, 100).tolist():
            assert counts.damping(exponent) == pytest.approx([9.0**exponent, 1.0])
        assert first() is None
        assert counts.damping(0.5).tolist() == [3.0, 1.0]

    def test_changes_are_seen_at_once(self) -> None:
        """After new counts the order, the rank and the damping are new, too."""
        counts = counts_of(["a", "b"], [4, 0])
        assert (counts.order.tolist(), counts.rank.tolist()) == ([0, 1], [0, 1])
        assert counts.damping(0.5).tolist() == [3.0, 1.0]
        counts.put(np.array([1]), np.array([15.0]), np.array([9.0]))
        assert (counts.order.tolist(), counts.rank.tolist()) == ([1, 0], [1, 0])
        assert counts.damping(0.5).tolist() == [3.0, 4.0]

    def test_damping_grows_with_the_raters(self) -> None:
        """The damping is (d + 1)^beta: 1 without raters, 1 for everyone without an exponent."""
        counts = counts_of(["a", "b"], [0, 12])
        assert counts.damping(0.2) == pytest.approx([1.0, 25**0.2])
        assert counts.damping(0.1) == pytest.approx([1.0, 25**0.1])
        assert counts.damping(0.0).tolist() == [1.0, 1.0]


def profile(ratings: dict[int, float], retracted: tuple[int, ...] = ()) -> UserProfile:
    """A profile with ratings and with some that were taken back."""
    events = [Rated(item, value, 1) for item, value in ratings.items()]
    return merge(EMPTY_PROFILE, [*events, *(Retracted(item, 2) for item in retracted)])


class TestCountRatings:
    def test_raters_and_likers_are_counted(self) -> None:
        """A rating of four stars or more is a like, every rating counts, one taken back does not."""
        profiles = [
            profile({1: 4.0, 2: 3.5, 2**32 - 1: 5.0}),
            profile({1: 3.9375, 2: 5.0}, retracted=(2,)),
            profile({}, retracted=(1,)),
            EMPTY_PROFILE,
        ]
        rated, liked = count_ratings(profiles, np.array([1, 2, 3, 2**32 - 1], np.uint32), RatingScale(0.5, 5))
        assert rated.tolist() == [2, 1, 0, 1]
        assert liked.tolist() == [1, 0, 0, 1]

    @pytest.mark.parametrize("indexes", [[], [2], [0, 2, 9]])
    def test_other_items_are_left_out(self, indexes: list[int]) -> None:
        """Ratings of items that are not counted change nothing."""
        rated, liked = count_ratings(
            [profile({1: 5.0, 2: 5.0, 7: 5.0, 10: 5.0})], np.array(indexes, np.uint32), RatingScale(0.5, 5)
        )
        assert rated.tolist() == liked.tolist() == [int(index == 2) for index in indexes]

    def test_likes_follow_the_scale(self) -> None:
        """On a scale of ten a like is an eight."""
        _, liked = count_ratings([profile({1: 8.0, 2: 7.5})], np.array([1, 2], np.uint32), RatingScale(1, 10))
        assert liked.tolist() == [1, 0]

    def test_nobody_counts_nothing(self) -> None:
        """Without profiles every count is 0."""
        rated, liked = count_ratings([], np.array([1, 2], np.uint32), RatingScale(0.5, 5))
        assert (rated.tolist(), liked.tolist()) == ([0, 0], [0, 0])
