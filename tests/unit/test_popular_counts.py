import numpy as np
import pytest

from kindred.popular_counts import PopularCounts, Span, Tally, most_liked
from kindred.ratings import EMPTY_PROFILE, Rated, RatingScale, Retracted, UserProfile, merge

SCALE = RatingScale(0.5, 5.0)


def profile(*events: Rated | Retracted) -> UserProfile:
    """What events make of a user."""
    return merge(EMPTY_PROFILE, events)


def counts_of(span: Span, *pages: list[UserProfile], rows: int = 4) -> PopularCounts:
    """Counts pages of users; an item's row is its index."""
    tally = Tally(SCALE, span, lambda indexes: indexes.astype(np.int32))
    for page in pages:
        tally.add(page)
    return tally.counts(rows, counted_at=9)


ANN = profile(Rated(0, 4.0, 100), Rated(1, 3.5, 200), Rated(2, 5.0, 300))
BOB = profile(Rated(2, 4.5, 100), Rated(3, 1.0, 300))


def test_likes_and_ratings_are_counted_over_pages() -> None:
    """Every user's ratings count once, four stars and more are likes, and items that nobody has rated have none."""
    counts = counts_of(Span(), [ANN], [], [BOB, EMPTY_PROFILE], rows=5)
    assert counts.rated.tolist() == [1, 1, 2, 1, 0]
    assert counts.liked.tolist() == [1, 0, 2, 0, 0]
    assert (counts.users, counts.counted_at) == (2, 9)


@pytest.mark.parametrize(
    ("span", "rated", "users"),
    [
        (Span(since=200), [0, 1, 1, 1], 2),
        (Span(until=200), [1, 0, 1, 0], 2),
        (Span(101, 300), [0, 1, 0, 0], 1),
        (Span(301), [0, 0, 0, 0], 0),
        (Span(200, 201), [0, 1, 0, 0], 1),
    ],
)
def test_a_span_has_its_beginning_and_not_its_end(span: Span, rated: list[int], users: int) -> None:
    """A rating given at the beginning counts, one at the end does not; users without one are not counted."""
    counts = counts_of(span, [ANN, BOB])
    assert counts.rated.tolist() == rated
    assert counts.users == users


def test_what_was_taken_back_does_not_count() -> None:
    """A retraction is no rating, nor is its user one who has rated."""
    counts = counts_of(Span(), [profile(Rated(1, 5.0, 100), Retracted(1, 200))])
    assert counts.rated.tolist() == [0, 0, 0, 0]
    assert counts.users == 0


def test_nobody_is_counted_as_nothing() -> None:
    """Without users every count is 0."""
    counts = counts_of(Span())
    assert counts.liked.tolist() == [0, 0, 0, 0]


def test_counts_have_room_for_new_rows() -> None:
    """Rows that came after the counting have counts of 0; without any the counts are the same."""
    counts = counts_of(Span(), [ANN], rows=3)
    assert counts.over(3) is counts
    assert counts.over(5).rated.tolist() == [1, 1, 1, 0, 0]
    assert counts.over(5).liked.tolist() == [1, 0, 1, 0, 0]


def test_the_most_liked_come_first() -> None:
    """Rows come by likes, then by item id; those that nobody likes or that are not allowed do not come."""
    counts = PopularCounts(np.array([5, 5, 9, 5, 5]), np.array([2, 2, 0, 3, 4]), 9, None)
    allowed = np.array([True, True, True, True, False])
    ids = np.array([1, 0, 2, 3, 4])
    assert most_liked(counts, allowed, ids, 10).tolist() == [3, 1, 0]
    assert most_liked(counts, allowed, ids, 2).tolist() == [3, 1]
