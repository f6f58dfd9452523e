import math

import numpy as np
import pytest

from kindred.ratings import (
    EMPTY_PROFILE,
    AttributesSet,
    Forgotten,
    Rated,
    RatingScale,
    Reaction,
    Retracted,
    UserProfile,
    merge,
)

SCALES = {
    "half stars": RatingScale(0.5, 5.0),
    "stars": RatingScale(1.0, 5.0),
    "ten": RatingScale(0.0, 10.0),
    "percent": RatingScale(0.0, 100.0),
}


def columns(profile: UserProfile) -> list[tuple[int, float | None, int]]:
    """(item, value, time) of each entry; None for a value that was taken back."""
    rows = zip(profile.items.tolist(), profile.values.tolist(), profile.rated_at.tolist(), strict=True)
    return [(item, None if math.isnan(value) else value, at) for item, value, at in rows]


class TestRatingScale:
    @pytest.mark.parametrize(
        ("minimum", "maximum"),
        [(1, 1), (5, 1), (-1, 5), (-0.5, 0), (0, 0), (0, math.inf), (math.nan, 5), (0, math.nan), (-math.inf, 5)],
    )
    def test_impossible_bounds_are_refused(self, minimum: float, maximum: float) -> None:
        """Bounds that are negative, not finite, equal or out of order make no scale, and the error shows them."""
        with pytest.raises(ValueError, match=f"{minimum:g} to {maximum:g}"):
            RatingScale(minimum, maximum)

    @pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
    def test_a_scale_contains_its_bounds_and_what_is_between(self, scale: RatingScale) -> None:
        """The minimum, the maximum and everything between are ratings."""
        assert scale.contains(scale.minimum)
        assert scale.contains(scale.maximum)
        assert scale.contains((scale.minimum + scale.maximum) / 2)

    @pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
    def test_a_scale_contains_nothing_else(self, scale: RatingScale) -> None:
        """Numbers just outside, NaN and infinities are no ratings."""
        outside = [math.nextafter(scale.minimum, -1), math.nextafter(scale.maximum, 1e9), -1, math.nan]
        assert not any(scale.contains(value) for value in [*outside, math.inf, -math.inf])

    def test_a_scale_reads_as_its_bounds(self) -> None:
        """A scale in a message is its bounds without superfluous digits."""
        assert [str(scale) for scale in SCALES.values()] == ["0.5 to 5", "1 to 5", "0 to 10", "0 to 100"]

    @pytest.mark.parametrize(
        ("scale", "values", "stars"),
        [
            ("half stars", [0.5, 2.5, 5.0], [0.5, 2.5, 5.0]),
            ("stars", [1.0, 3.0, 5.0], [1.0, 3.0, 5.0]),
            ("ten", [0.0, 1.0, 7.0, 10.0], [0.0, 0.5, 3.5, 5.0]),
            ("percent", [0.0, 50.0, 75.0, 100.0], [0.0, 2.5, 3.75, 5.0]),
        ],
    )
    def test_stars_put_the_maximum_at_five(self, scale: str, values: list[float], stars: list[float]) -> None:
        """The maximum is five stars and zero is none; MovieLens scales stay as they are."""
        mapped = SCALES[scale].stars(np.array(values, np.float32))
        assert mapped.dtype == np.float64
        assert mapped.tolist() == stars

    def test_stars_keep_the_shape(self) -> None:
        """Ratings of any shape become stars of that shape."""
        assert SCALES["ten"].stars(np.full((2, 3), 4.0)).tolist() == [[2.0] * 3] * 2
        assert SCALES["ten"].stars(np.empty(0)).shape == (0,)

    @pytest.mark.parametrize(
        ("scale", "like", "dislike"),
        [("half stars", 5.0, 1.0), ("stars", 5.0, 1.0), ("ten", 10.0, 2.0), ("percent", 100.0, 20.0)],
    )
    def test_reactions_are_five_stars_and_one(self, scale: str, like: float, dislike: float) -> None:
        """LIKE is worth five stars and DISLIKE one, on every scale."""
        assert SCALES[scale].value_of(Reaction.LIKE) == like
        assert SCALES[scale].value_of(Reaction.DISLIKE) == dislike

    def test_a_dislike_stays_on_the_scale(self) -> None:
        """On a scale that starts above one star DISLIKE is the minimum."""
        assert RatingScale(4.0, 10.0).value_of(Reaction.DISLIKE) == 4.0


class TestUserProfile:
    def test_an_empty_profile_says_nothing(self) -> None:
        """A new profile has no entries, no attributes and no times, in the right types."""
        assert (EMPTY_PROFILE.items.dtype, EMPTY_PROFILE.values.dtype) == (np.uint32, np.float32)
        assert EMPTY_PROFILE.rated_at.dtype == np.int64
        assert EMPTY_PROFILE.rating_count == 0
        assert UserProfile() == EMPTY_PROFILE

    def test_retractions_do_not_count(self) -> None:
        """The count is that of the ratings; a retraction is none."""
        profile = merge(EMPTY_PROFILE, [Rated(1, 3.0, 10), Rated(2, 0.0, 20), Rated(3, 5.0, 15), Retracted(9, 99)])
        assert profile.current.tolist() == [True, True, True, False]
        assert profile.rating_count == 3

    @pytest.mark.parametrize(
        "other",
        [
            [Rated(1, 3.0, 10)],
            [Rated(1, 3.0, 10), Rated(3, 4.0, 20)],
            [Rated(1, 3.0, 10), Rated(2, 4.5, 20)],
            [Rated(1, 3.0, 10), Rated(2, 4.0, 21)],
            [Rated(1, 3.0, 10), Retracted(2, 20)],
            [Rated(1, 3.0, 10), Rated(2, 4.0, 20), Rated(5, 1.0, 1)],
            [Rated(1, 3.0, 10), Rated(2, 4.0, 20), Forgotten(0)],
            [Rated(1, 3.0, 10), Rated(2, 4.0, 20), AttributesSet({}, 5)],
            [Rated(1, 3.0, 10), Rated(2, 4.0, 20), AttributesSet({"a": 1.0}, 5)],
        ],
    )
    def test_any_difference_makes_profiles_unequal(self, other: list[Rated]) -> None:
        """Profiles that differ in an item, a value, a time, a retraction or an attribute are not equal."""
        profile = merge(EMPTY_PROFILE, [Rated(1, 3.0, 10), Rated(2, 4.0, 20)])
        assert profile != merge(EMPTY_PROFILE, other)
        assert profile != "profile"

    def test_equal_profiles_are_equal(self) -> None:
        """The same events make equal profiles, with retractions too, whatever arrays hold them."""
        events = [Rated(1, 3.0, 10), Retracted(2, 20), Forgotten(3), AttributesSet({"a": True}, 4)]
        assert merge(EMPTY_PROFILE, events) == merge(EMPTY_PROFILE, events)

    def test_attributes_of_another_type_are_not_equal(self) -> None:
        """A true attribute is not the number one: equality is bit for bit."""
        assert UserProfile(attributes={"a": True}, attributes_at=1) != UserProfile(
            attributes={"a": 1.0}, attributes_at=1
        )

    def test_a_profile_does_not_hash(self) -> None:
        """A profile in a set or as a key is an error, not a surprise."""
        with pytest.raises(TypeError, match="unhashable"):
            hash(EMPTY_PROFILE)


class TestMerge:
    def test_the_latest_rating_wins(self) -> None:
        """Per item the rating with the greatest time stays, wherever it stands in the log."""
        profile = merge(EMPTY_PROFILE, [Rated(5, 2.0, 30), Rated(5, 4.0, 10), Rated(1, 3.0, 20)])
        assert columns(profile) == [(1, 3.0, 20), (5, 2.0, 30)]
        assert columns(merge(profile, [Rated(5, 1.0, 29), Rated(1, 5.0, 21)])) == [(1, 5.0, 21), (5, 2.0, 30)]

    def test_at_one_time_the_later_in_the_log_wins(self) -> None:
        """Of ratings at the same millisecond the last in the log stays, in one batch and across two."""
        together = merge(EMPTY_PROFILE, [Rated(5, 2.0, 30), Rated(5, 4.0, 30)])
        apart = merge(merge(EMPTY_PROFILE, [Rated(5, 2.0, 30)]), [Rated(5, 4.0, 30)])
        assert columns(together) == columns(apart) == [(5, 4.0, 30)]

    def test_a_retraction_is_an_event_like_any_other(self) -> None:
        """A retraction beats older ratings, leaves its mark, and loses to newer ones."""
        profile = merge(EMPTY_PROFILE, [Rated(5, 2.0, 10), Retracted(5, 20)])
        assert columns(profile) == [(5, None, 20)]
        assert columns(merge(profile, [Rated(5, 3.0, 19)])) == [(5, None, 20)]
        assert columns(merge(profile, [Rated(5, 3.0, 20)])) == [(5, 3.0, 20)]

    def test_a_retraction_may_come_first(self) -> None:
        """A retraction that overtook its rating still takes it back."""
        assert columns(merge(EMPTY_PROFILE, [Retracted(5, 20), Rated(5, 2.0, 10)])) == [(5, None, 20)]

    def test_forgetting_includes_its_own_time(self) -> None:
        """What comes after the forgetting counts from one millisecond after its time on; what came before is gone."""
        events = [Rated(1, 3.0, 9), Rated(2, 3.0, 10), Rated(3, 3.0, 11), Retracted(4, 10), Retracted(5, 11)]
        profile = merge(merge(EMPTY_PROFILE, [Rated(6, 3.0, 99)]), [Forgotten(10), *events])
        assert columns(profile) == [(3, 3.0, 11), (5, None, 11)]
        assert profile.forgotten_at == 10

    def test_an_earlier_forgetting_adds_nothing(self) -> None:
        """Forgetting keeps its greatest time, in one batch and across two."""
        assert merge(EMPTY_PROFILE, [Forgotten(10), Forgotten(4)]).forgotten_at == 10
        assert merge(merge(EMPTY_PROFILE, [Forgotten(10)]), [Forgotten(4)]).forgotten_at == 10

    def test_attributes_are_replaced_whole(self) -> None:
        """The latest attributes stand alone: names that they lack are gone, and none at all is an answer too."""
        profile = merge(
            EMPTY_PROFILE, [AttributesSet({"age": 31.0, "gender": "f"}, 10), AttributesSet({"age": 32.0}, 10)]
        )
        assert (profile.attributes, profile.attributes_at) == ({"age": 32.0}, 10)
        assert merge(profile, [AttributesSet({"age": 1.0}, 9)]).attributes == {"age": 32.0}
        emptied = merge(profile, [AttributesSet({}, 11)])
        assert (emptied.attributes, emptied.attributes_at) == ({}, 11)

    def test_forgetting_takes_attributes_too(self) -> None:
        """Attributes set up to the time of forgetting are gone, with their time; later ones stay."""
        profile = merge(EMPTY_PROFILE, [AttributesSet({"age": 31.0}, 10)])
        gone = merge(profile, [Forgotten(10)])
        assert (gone.attributes, gone.attributes_at) == ({}, None)
        assert merge(gone, [AttributesSet({"age": 31.0}, 10)]).attributes == {}
        assert merge(gone, [AttributesSet({"age": 31.0}, 11)]).attributes == {"age": 31.0}

    def test_no_events_change_nothing(self) -> None:
        """Merging nothing gives an equal profile."""
        profile = merge(EMPTY_PROFILE, [Rated(1, 3.0, 9), Forgotten(2), AttributesSet({"a": 1.0}, 5)])
        assert merge(profile, []) == profile

    def test_items_are_ascending_wherever_they_come_in(self) -> None:
        """New items before, between and after the known ones find their places."""
        profile = merge(EMPTY_PROFILE, [Rated(item, 1.0, item) for item in (40, 20)])
        profile = merge(profile, [Rated(item, 2.0, item) for item in (2**32 - 1, 30, 0, 41, 20)])
        assert columns(profile) == [
            (0, 2.0, 0),
            (20, 2.0, 20),
            (30, 2.0, 30),
            (40, 1.0, 40),
            (41, 2.0, 41),
            (2**32 - 1, 2.0, 2**32 - 1),
        ]

    @pytest.mark.parametrize("event", [Rated(2**32, 1.0, 1), Rated(-1, 1.0, 1), Rated(1, 1.0, 2**63)])
    def test_what_does_not_fit_is_an_error(self, event: Rated) -> None:
        """An index or a time that its column cannot hold raises instead of wrapping around."""
        with pytest.raises(OverflowError):
            merge(EMPTY_PROFILE, [event])
