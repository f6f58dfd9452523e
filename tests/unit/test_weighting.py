import math
from typing import Any

import numpy as np
import pytest

from kindred.ratings import EMPTY_PROFILE, Rated, RatingScale, Reaction, Retracted, merge
from kindred.weighting import (
    LikingWeighting,
    Weighting,
    ZScoreWeighting,
    liking,
    make_weighting,
    stored_values,
    stored_vector,
    stored_vectors,
)

STARS = RatingScale(0.5, 5.0)
WEIGHTINGS = [LikingWeighting(STARS), LikingWeighting(RatingScale(0.0, 10.0), 0.5), ZScoreWeighting(3.5, 1.125)]

# Worked by hand from the definition: phi goes through (2, -1/4), (3, 1/4), (4, 1) and is flat outside.
PHI = {
    0.0: -0.25,
    0.5: -0.25,
    1.0: -0.25,
    1.5: -0.25,
    2.0: -0.25,
    2.25: -0.125,
    2.5: 0.0,
    2.75: 0.125,
    3.0: 0.25,
    3.25: 0.4375,
    3.5: 0.625,
    3.75: 0.8125,
    4.0: 1.0,
    4.5: 1.0,
    5.0: 1.0,
}


class TestLiking:
    @pytest.mark.parametrize(("stars", "phi"), PHI.items())
    def test_liking_goes_through_its_points(self, stars: float, phi: float) -> None:
        """Phi has the values that the definition gives by hand, at its corners, between them and outside."""
        assert liking(np.array([stars])).tolist() == [phi]

    @pytest.mark.parametrize(
        ("scale", "per_star"),
        [(RatingScale(0.5, 5), 1), (RatingScale(1, 5), 1), (RatingScale(0, 10), 2), (RatingScale(0, 100), 20)],
    )
    def test_every_scale_is_weighed_in_stars(self, scale: RatingScale, per_star: float) -> None:
        """Ratings at the same share of the maximum weigh the same on every scale."""
        stars = [each for each in PHI if scale.contains(each * per_star)]
        ratings = np.array([each * per_star for each in stars], np.float32)
        preferences = LikingWeighting(scale).preferences(ratings)
        assert preferences == pytest.approx([PHI[each] for each in stars], abs=1e-12)
        assert stars[-1] == 5.0


class TestLikingWeighting:
    def test_three_ratings_by_hand(self) -> None:
        """Of 5, 3 and 1 stars phi is 1, 1/4, -1/4, the squares add up to 9/8, and the norm is the root of 5 + 9/8."""
        values = stored_values(LikingWeighting(STARS), np.array([5.0, 3.0, 1.0], np.float32), np.array([0]))
        assert values.dtype == np.float32
        assert values == pytest.approx([0.404061018, 0.101015254, -0.101015254], abs=1e-7)

    def test_a_single_like_by_hand(self) -> None:
        """One like is stored as 1 / sqrt(5 + 1), far below the 1 of an unshrunk norm."""
        values = stored_values(LikingWeighting(STARS), np.array([5.0]), np.array([0]))
        assert values == pytest.approx([0.408248290], abs=1e-7)

    def test_shrinkage_by_hand(self) -> None:
        """With h = 3 one like is 1 / 2, and four likes are 1 / sqrt(7) each."""
        weighting = LikingWeighting(STARS, 3.0)
        values = stored_values(weighting, np.array([5.0, 4.0, 4.5, 5.0, 4.0]), np.array([0, 1]))
        assert values == pytest.approx([0.5, *[0.377964473] * 4], abs=1e-7)

    def test_an_indifferent_rating_keeps_its_place(self) -> None:
        """A rating of two and a half stars is stored as an explicit zero."""
        profile = merge(EMPTY_PROFILE, [Rated(3, 2.5, 1), Rated(8, 5.0, 1)])
        vector = stored_vector(LikingWeighting(STARS), profile)
        assert vector.indices.tolist() == [3, 8]
        assert vector.values.tolist() == [0.0, pytest.approx(1 / math.sqrt(6), abs=1e-7)]

    def test_a_dislike_weighs_nothing_in_a_query(self) -> None:
        """LIKE weighs 1 and DISLIKE 0."""
        weighting = LikingWeighting(STARS)
        assert [weighting.preference_of(reaction) for reaction in (Reaction.LIKE, Reaction.DISLIKE)] == [1.0, 0.0]

    def test_the_default_shrinkage_is_five(self) -> None:
        """The measured h stands in the metadata unless another is asked for."""
        assert LikingWeighting(STARS).parameters() == {"shrinkage": 5.0}


class TestZScoreWeighting:
    def test_scores_by_hand(self) -> None:
        """Of 5, 3 and 1 with mean 3 and standard deviation 2 the scores are 1, 0, -1, stored as they are."""
        weighting = ZScoreWeighting(3.0, 2.0)
        assert weighting.preferences(np.array([5.0, 3.0, 1.0], np.float32)).tolist() == [1.0, 0.0, -1.0]
        assert stored_values(weighting, np.array([5.0, 3.0, 1.0]), np.array([0, 1])).tolist() == [1.0, 0.0, -1.0]

    def test_reactions_are_one_and_minus_one(self) -> None:
        """LIKE weighs 1 and DISLIKE -1, as in the tutorial."""
        weighting = ZScoreWeighting(3.0, 2.0)
        assert [weighting.preference_of(reaction) for reaction in (Reaction.LIKE, Reaction.DISLIKE)] == [1.0, -1.0]


class TestMakeWeighting:
    @pytest.mark.parametrize("weighting", [LikingWeighting(STARS, 0.1), ZScoreWeighting(3.52835, 1.12567)])
    def test_metadata_makes_the_weighting_again(self, weighting: Weighting) -> None:
        """The name and the parameters of a weighting make an equal one."""
        assert make_weighting(weighting.name, STARS, weighting.parameters()) == weighting

    def test_names_are_as_recorded(self) -> None:
        """The names stand in the metadata of collections and do not change."""
        assert [weighting.name for weighting in WEIGHTINGS] == ["default", "default", "zscore"]

    @pytest.mark.parametrize(
        ("name", "parameters"),
        [
            ("tutorial", {"shrinkage": 5}),
            ("", {}),
            ("default", {}),
            ("default", {"h": 5}),
            ("default", {"shrinkage": 5, "power": 2}),
            ("default", {"shrinkage": 0}),
            ("default", {"shrinkage": -1}),
            ("default", {"shrinkage": math.nan}),
            ("default", {"shrinkage": math.inf}),
            ("default", {"shrinkage": "five"}),
            ("default", {"shrinkage": None}),
            ("zscore", {"mean": 3}),
            ("zscore", {"std": 1}),
            ("zscore", {"shrinkage": 5}),
            ("zscore", {"mean": 3, "std": 0}),
            ("zscore", {"mean": 3, "std": -1}),
            ("zscore", {"mean": 3, "std": math.nan}),
            ("zscore", {"mean": 3, "std": math.inf}),
            ("zscore", {"mean": math.nan, "std": 1}),
            ("zscore", {"mean": math.inf, "std": 1}),
            ("zscore", {"mean": [3], "std": 1}),
        ],
    )
    def test_impossible_parameters_are_refused(self, name: str, parameters: dict[str, Any]) -> None:
        """An unknown name and missing, superfluous or impossible parameters are an error that names the weighting."""
        with pytest.raises(ValueError, match=f"weighting {name!r}"):
            make_weighting(name, STARS, parameters)


class TestStoredValues:
    @pytest.mark.parametrize("weighting", WEIGHTINGS, ids=["default", "ten", "zscore"])
    def test_many_users_at_once_are_like_one_at_a_time(self, weighting: Weighting) -> None:
        """Users of ragged lengths get, bit for bit, the values that each gets alone."""
        random = np.random.default_rng(11)
        lengths = [1, 2, 1, 737, 3, 8, 1, 129, 16, 1]
        users = [random.integers(1, 11, length).astype(np.float32) / np.float32(2) for length in lengths]
        starts = np.cumsum([0, *lengths[:-1]])
        together = stored_values(weighting, np.concatenate(users), starts)
        alone = np.concatenate([stored_values(weighting, user, np.array([0])) for user in users])
        assert together.tobytes() == alone.tobytes()

    def test_values_are_the_formula(self) -> None:
        """Each user's values are their likings divided by the root of h plus the sum of their squares."""
        random = np.random.default_rng(12)
        users = [(random.integers(1, 11, length) / 2).tolist() for length in (1, 5, 60)]
        expected = []
        for user in users:
            likings = [PHI[value] for value in user]
            norm = math.sqrt(5.0 + math.fsum(value**2 for value in likings))
            expected += [value / norm for value in likings]
        values = stored_values(LikingWeighting(STARS), np.concatenate(users), np.array([0, 1, 6]))
        assert values == pytest.approx(expected, abs=1e-7)

    def test_nobody_has_no_values(self) -> None:
        """No users give no values, of the same type."""
        values = stored_values(LikingWeighting(STARS), np.empty(0, np.float32), np.empty(0, np.int64))
        assert (values.shape, values.dtype) == ((0,), np.float32)


class TestStoredVector:
    def test_a_vector_is_made_of_the_current_ratings(self) -> None:
        """A vector has a dimension for each rating, ascending; retractions have none and do not weigh in the norm."""
        profile = merge(EMPTY_PROFILE, [Rated(9, 5.0, 1), Rated(2, 1.0, 2), Retracted(5, 3), Rated(2**32 - 1, 3.0, 4)])
        vector = stored_vector(LikingWeighting(STARS), profile)
        assert (vector.indices.dtype, vector.values.dtype) == (np.uint32, np.float32)
        assert vector.indices.tolist() == [2, 9, 2**32 - 1]
        assert vector.values == pytest.approx([-0.101015254, 0.404061018, 0.101015254], abs=1e-7)

    @pytest.mark.parametrize("events", [[], [Retracted(5, 3)]])
    @pytest.mark.parametrize("weighting", WEIGHTINGS, ids=["default", "ten", "zscore"])
    def test_nobody_finds_a_user_without_ratings(self, weighting: Weighting, events: list[Retracted]) -> None:
        """Without ratings there are no dimensions."""
        vector = stored_vector(weighting, merge(EMPTY_PROFILE, events))
        assert (vector.indices.shape, vector.values.shape) == ((0,), (0,))
        assert (vector.indices.dtype, vector.values.dtype) == (np.uint32, np.float32)

    @pytest.mark.parametrize("weighting", WEIGHTINGS, ids=["default", "ten", "zscore"])
    def test_many_at_once_are_like_one_at_a_time(self, weighting: Weighting) -> None:
        """Users with and without ratings and with retractions get, bit for bit, the vectors that each gets alone."""
        profiles = [
            EMPTY_PROFILE,
            merge(EMPTY_PROFILE, [Rated(3, 4.5, 1)]),
            merge(EMPTY_PROFILE, [Retracted(7, 1)]),
            merge(EMPTY_PROFILE, [Rated(9, 5.0, 1), Rated(2, 1.0, 2), Retracted(5, 3), Rated(2**32 - 1, 3.0, 4)]),
            EMPTY_PROFILE,
            merge(EMPTY_PROFILE, [Rated(item, 1 + item % 5, 1) for item in range(150)]),
            EMPTY_PROFILE,
        ]
        together = stored_vectors(weighting, profiles)
        alone = [stored_vector(weighting, profile) for profile in profiles]
        assert [(each.indices.tobytes(), each.values.tobytes()) for each in together] == [
            (each.indices.tobytes(), each.values.tobytes()) for each in alone
        ]
        assert [each.indices.size for each in together] == [0, 1, 0, 3, 0, 150, 0]
        assert stored_vectors(weighting, []) == []
