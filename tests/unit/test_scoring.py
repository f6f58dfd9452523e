from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.neighborhood import Neighborhood, PackedProfile, Query, packed_numbers
from kindred.packed_ratings import RatingCodes, pack_rows, pack_times
from kindred.rating_period import RatingPeriod
from kindred.ratings import RatingScale
from kindred.recipes import DEFAULT, RIDGE, TUTORIAL_RATINGS, TUTORIAL_SIMILARITY, Recipe
from kindred.scoring import Votes, top_items, votes_of
from kindred.weighting import LikingWeighting, ZScoreWeighting

ROWS = 12
PREFERENCES = st.sampled_from([-0.25, 0.25, 0.625, 1.0])
COSTS = np.maximum(np.arange(ROWS) * 3.0, 1.0) ** -0.15


AS_THEY_ARE = RatingCodes(ZScoreWeighting(0.0, 1.0), RatingScale(0.5, 5))
"""Each rating is its own preference."""


def packed(
    user_id: str, preferences: dict[int, float], norm: float = 1.0, rated_at: dict[int, int] | None = None
) -> PackedProfile:
    """A profile with these preferences by row."""
    times = np.array([(rated_at or {}).get(row, 0) for row in preferences], np.int64)
    return PackedProfile(
        1,
        user_id,
        pack_rows(np.array([*preferences], np.int32)),
        AS_THEY_ARE.pack(np.array([*preferences.values()], np.float32)),
        pack_times(times),
        packed_numbers(times.size, norm, 4.0, 0.0, -1),
    )


def asked(values: dict[int, float], rows: int = ROWS) -> Query:
    """A query with these values by row."""
    numbers = np.array([*values.values()], np.float64)
    return Query(np.array([*values], np.int32), numbers, numbers, rows)


def hood(profiles: list[PackedProfile], query: dict[int, float], k: int = 200, overlap: int = 1) -> Neighborhood:
    """The neighborhood of a query."""
    return Neighborhood(profiles, asked(query), AS_THEY_ARE, k=k, min_overlap=overlap)


def votes(  # noqa: PLR0917  # what a recipe is made of
    profiles: list[PackedProfile],
    query: dict[int, float],
    recipe: Recipe = DEFAULT,
    k: int = 200,
    sharpness: float = 1,
    period: RatingPeriod | None = None,
) -> Votes:
    """What the neighbors of a query say."""
    return votes_of(hood(profiles, query, k), recipe, sharpness=sharpness, costs=COSTS, period=period, now=1_000)


def supported(found: Votes, items: list[int]) -> list[int]:
    """How many neighbors have rated each item."""
    return found.support(found.raters(np.array(items))).tolist()


def ranked(found: Neighborhood) -> list[str]:
    """The neighbors' ids, the most similar first."""
    return [profile.user_id for profile in found.profiles]


class TestNeighborhood:
    def test_similarities_are_dot_products_with_the_stored_vectors(self) -> None:
        """A similarity is the query times the preferences over their norm, summed over what both rate."""
        users = [packed("a", {0: 1.0, 1: -0.25, 5: 1.0}, 2.0), packed("b", {2: 0.5}, 4.0)]
        found = hood(users, {0: 0.5, 1: 1.0, 2: 3})
        assert dict(zip(ranked(found), found.similarities.tolist(), strict=True)) == pytest.approx(
            {"a": (0.5 - 0.25) / 2, "b": 1.5 / 4}
        )

    def test_the_most_similar_are_neighbors(self) -> None:
        """Of the users found, the k most similar are neighbors, the most similar first."""
        users = [packed(str(user), {0: weight}) for user, weight in enumerate([0.3, 0.9, 0.1, 0.5])]
        assert ranked(hood(users, {0: 1.0}, k=3)) == ["1", "3", "0"]
        assert ranked(hood(users, {0: 1.0}, k=9)) == ["1", "3", "0", "2"]

    def test_ties_of_similarity_go_by_user_id(self) -> None:
        """Users as similar as each other but for rounding are neighbors in the order of their ids."""
        parts = (0.1, 0.2, 0.3)
        sums = [dict(enumerate(order)) for order in permutations(parts)]
        assert len({sum(preferences.values()) for preferences in sums}) > 1, "rounding makes no difference"
        users = [packed(f"{user}", preferences) for user, preferences in enumerate(sums)]
        found = hood(users, {0: 1.0, 1: 1.0, 2: 1.0}, k=4)
        assert ranked(found) == ["0", "1", "2", "3"]

    def test_a_difference_is_no_tie(self) -> None:
        """A user more similar by a billionth goes before one with a smaller id."""
        users = [packed("a", {0: 1.0}), packed("b", {0: 1.0}, norm=1.0 - 1e-9)]
        assert ranked(hood(users, {0: 1.0}, k=1)) == ["b"]

    @pytest.mark.parametrize("weights", [[-1.0], [0.0], [-0.25, 0.0, -1.0]])
    def test_nobody_unlike_the_query_is_a_neighbor(self, weights: list[float]) -> None:
        """Users without a positive similarity are no neighbors."""
        users = [packed(str(user), {0: weight, 1: 1.0}) for user, weight in enumerate(weights)]
        assert len(hood(users, {0: 1.0})) == 0

    def test_a_similarity_that_cancels_out_is_none(self) -> None:
        """Who agrees as much as they disagree is no neighbor, in whatever order this is summed up."""
        terms = [(-0.25, 0.625), (-0.25, 0.625), (1.0, 0.25), (0.25, 0.25)]
        for raters, order in product(range(2, 12), permutations(terms)):
            query = {row: preference / raters**0.3 for row, (preference, _) in enumerate(order)}
            balanced = packed("a", {row: preference for row, (_, preference) in enumerate(order)}, 2.5)
            found = hood([balanced, packed("b", {4: 1.0}, 2.5)], query | {4: 1.0})
            assert ranked(found) == ["b"]

    def test_only_the_similar_of_the_found_are_neighbors(self) -> None:
        """Where k is not reached, users of no or negative similarity do not fill up the neighbors."""
        users = [packed(str(user), {0: weight}) for user, weight in enumerate([-0.25, 1.0, 0.0, 0.25])]
        assert ranked(hood(users, {0: 1.0})) == ["1", "3"]

    def test_the_columns_stand_in_the_order_of_similarity(self) -> None:
        """In whatever order the users were found, ratings stand, and are summed up, by their users' similarity."""
        users = [packed("a", {0: 0.25, 3: 1.0}), packed("b", {0: -1.0}), packed("c", {0: 1.0})]
        for order in permutations(users):
            found = hood([*order], {0: 1.0})
            assert ranked(found) == ["c", "a"]
            assert (found.rows.tolist(), found.preferences.tolist()) == ([0, 0, 3], [1.0, 0.25, 1.0])
            assert (found.starts.tolist(), found.lengths.tolist()) == ([0, 1], [1, 2])
            assert found.owners_of(np.arange(3)).tolist() == [0, 1, 1]

    @pytest.mark.parametrize(("overlap", "expected"), [(1, ["a", "b", "c"]), (2, ["b", "c"]), (3, ["c"]), (4, [])])
    def test_neighbors_share_enough_with_the_query(self, overlap: int, expected: list[str]) -> None:
        """Who has rated fewer of the query's items than asked for is no neighbor, however similar."""
        users = [
            packed("a", {0: 1.0}),
            packed("b", {0: 0.25, 1: 0.25, 7: 1.0}),
            packed("c", {0: 0.25, 1: 0.25, 2: -0.25}),
        ]
        assert sorted(ranked(hood(users, {0: 1.0, 1: 1.0, 2: 0.5}, overlap=overlap))) == expected

    def test_shared_items_count_whatever_they_weigh(self) -> None:
        """An item that weighs nothing in the query is shared all the same."""
        assert len(hood([packed("a", {0: 1.0, 1: 1.0})], {0: 1.0, 1: 0.0}, overlap=2)) == 1

    def test_sums_of_terms_follow_the_counts(self) -> None:
        """The terms of what each neighbor has rated are summed up once for each version of the counts."""
        users = [packed("a", {0: 1.0, 3: 1.0}), packed("b", {0: 0.5, 1: 1.0, 2: 1.0})]
        terms = np.arange(ROWS) / 8
        assert hood(users, {0: 1.0}).term_sums(terms, 1).tolist() == [0.375, 0.375]
        assert hood(users, {0: 1.0}).term_sums(terms * 2, 1).tolist() == [0.375, 0.375]
        assert hood(users[1:], {0: 1.0}).term_sums(terms * 2, 2).tolist() == [0.75]
        assert hood(users, {0: 1.0}).term_sums(terms * 4, 3).tolist() == [1.5, 1.5]


class TestVotes:
    def test_sums_are_weighed(self) -> None:
        """The neighbors' preferences are summed up, each weighed by (g / max g)^p."""
        users = [packed("a", {0: 1.0, 5: 1.0}), packed("b", {0: 0.5, 5: -0.25, 6: 1.0}), packed("c", {7: 1.0})]
        sums = votes(users, {0: 2.0}, sharpness=3).sums()
        assert sums[5:8] == pytest.approx([1 - 0.25 / 8, 1 / 8, 0], abs=1e-12)

    def test_users_beyond_k_have_no_say(self) -> None:
        """A user who was found but is no neighbor adds nothing to scores and support."""
        users = [packed("a", {0: 1.0, 5: 1.0}), packed("b", {0: 0.5, 5: 1.0, 6: 1.0})]
        found = votes(users, {0: 1.0}, k=1)
        assert found.sums()[5:7].tolist() == [1.0, 0.0]
        assert supported(found, [5, 6, 0]) == [1, 0, 1]

    def test_similarity_recipe_counts_similarities(self) -> None:
        """The tutorial's first form adds up similarities, whatever the neighbors' ratings."""
        users = [packed("a", {0: 1.0, 5: -2.0}), packed("b", {0: 0.5, 5: 3.0})]
        sums = votes(users, {0: 2.0}, TUTORIAL_SIMILARITY).sums()
        assert sums[5] == pytest.approx(2.0 + 1.0)

    def test_rating_recipe_counts_ratings(self) -> None:
        """The tutorial's second form adds up the neighbors' z-scores, whatever their similarity."""
        users = [packed("a", {0: 1.0, 5: -2.0}), packed("b", {0: 0.5, 5: 3.0})]
        sums = votes(users, {0: 2.0}, TUTORIAL_RATINGS, sharpness=0).sums()
        assert sums[5] == pytest.approx(-2.0 + 3.0)

    def test_support_counts_neighbors_who_rate(self) -> None:
        """Support counts the neighbors who rate an item, like or dislike, in the order asked for."""
        users = [packed("a", {0: 1.0, 5: -0.25}), packed("b", {0: 0.5, 5: 1.0, 6: 1.0}), packed("c", {5: 1.0})]
        assert supported(votes(users, {0: 1.0}), [6, 5, 7]) == [1, 2, 0]

    def test_ratings_outside_the_period_say_nothing(self) -> None:
        """Only ratings within the period are summed up and supported; who the neighbors are stays as it is."""
        users = [packed("a", {0: 1.0, 5: 1.0, 6: 1.0}, rated_at={5: 100, 6: 300}), packed("b", {0: 1.0, 5: 1.0})]
        found = votes(users, {0: 1.0}, period=RatingPeriod(since=100, until=300))
        assert len(found.hood) == 2
        assert found.sums()[[0, 5, 6]].tolist() == [0.0, 1.0, 0.0]
        assert supported(found, [0, 5, 6]) == [0, 1, 0]

    def test_ratings_fade(self) -> None:
        """With a half-life a rating counts half for each such span before the period's end, or before now."""
        users = [packed("a", {0: 1.0, 5: 1.0, 6: 1.0}, rated_at={0: 1_000, 5: 900, 6: 700})]
        fading = votes(users, {0: 1.0}, period=RatingPeriod(half_life=100))
        assert fading.sums()[[0, 5, 6]].tolist() == [1.0, 0.5, 0.125]
        ended = votes(users, {0: 1.0}, period=RatingPeriod(until=901, half_life=1))
        assert ended.sums()[[0, 5]].tolist() == [0.0, 0.5]


def shares_of(found: Votes, items: list[int]) -> list[list[float]]:
    """What part of each item's score came through each item of the query."""
    terms = found.dense(found.raters(np.array(items))).T @ found.parts()
    return (terms / terms.sum(axis=1, keepdims=True)).tolist()  # type: ignore[no-any-return]


class TestParts:
    def test_parts_are_terms_of_the_score(self) -> None:
        """An item's part is the sum over neighbors of w_v phi(r_vi) q_j s_vj / g_v."""
        users = [
            packed("a", {0: 1.0, 1: 0.25, 5: 1.0}, 2.0),
            packed("b", {0: 0.25, 5: 0.625}, 1.5),
            packed("c", {1: 1.0, 6: 1.0}, 3.0),
        ]
        query = {3: 0.7, 1: 0.5, 0: 1.0}
        similar = [1.125 / 2, 0.25 / 1.5, 0.5 / 3]
        weights = [1.0, similar[1] / similar[0], similar[2] / similar[0]]
        score = weights[0] + weights[1] * 0.625
        through_0 = weights[0] * (0.5 / similar[0]) + weights[1] * 0.625
        through_1 = weights[0] * (0.0625 / similar[0])
        shares = shares_of(votes(users, query), [6, 5])
        assert shares[1] == pytest.approx([0.0, through_1 / score, through_0 / score])
        assert shares[0] == pytest.approx([0.0, 1.0, 0.0])

    @pytest.mark.parametrize("recipe", [DEFAULT, RIDGE])
    def test_users_beyond_k_change_no_bit(self, recipe: Recipe) -> None:
        """Whoever else a search has found, scores and their parts are the same to the last bit."""
        random = np.random.default_rng(3)
        rows = 2_000
        codes = RatingCodes(LikingWeighting(RatingScale(0.5, 5)), RatingScale(0.5, 5))
        users = [
            PackedProfile(
                1,
                f"{user:04}",
                pack_rows(random.choice(rows, size, replace=False).astype(np.int32)),
                codes.pack(random.choice([1.0, 3.0, 3.5, 4.0, 4.5], size).astype(np.float32)),
                pack_times(np.zeros(size, np.int64)),
                packed_numbers(size, np.sqrt(5 + size), 3.0, 0.0, -1),
            )
            for user, size in enumerate(random.integers(20, 200, 600).tolist())
        ]
        query_rows = random.choice(rows, 60, replace=False).tolist()
        query = asked(dict(zip(query_rows, random.choice([0.25, 1.0], 60).tolist(), strict=True)), rows)

        def say(found: list[PackedProfile]) -> Votes:
            return votes_of(Neighborhood(found, query, codes, k=100), recipe, sharpness=2.5, costs=np.ones(rows))

        everyone = say(users)
        chosen = {profile.user_id for profile in everyone.hood.profiles}
        others = [user for user, profile in enumerate(users) if profile.user_id not in chosen]
        sums, parts = everyone.sums().tolist(), everyone.parts().tolist()
        for left_out in (len(others), 400, 250, 100, 3):
            gone = set(random.choice(others, left_out, replace=False).tolist())
            fewer = say([each for user, each in enumerate(users) if user not in gone])
            assert fewer.sums().tolist() == sums
            assert fewer.parts().tolist() == parts

    @settings(deadline=None)
    @given(
        users=st.lists(
            st.dictionaries(st.integers(0, ROWS - 1), PREFERENCES, min_size=1, max_size=ROWS), min_size=1, max_size=8
        ),
        query=st.dictionaries(st.integers(0, ROWS - 1), st.sampled_from([0.0, -0.25, 0.25, 1.0]), min_size=1),
        recipe=st.sampled_from([DEFAULT, RIDGE, TUTORIAL_SIMILARITY, TUTORIAL_RATINGS]),
        k=st.integers(1, 8),
    )
    def test_parts_add_up_to_the_weights(
        self, users: list[dict[int, float]], query: dict[int, float], recipe: Recipe, k: int
    ) -> None:
        """Each neighbor's weight is the sum of what came through each item of the query, by every recipe."""
        profiles = [packed(str(user), preferences, 1.0 + user / 8) for user, preferences in enumerate(users)]
        found = hood(profiles, query, k)
        if len(found):
            say = votes_of(found, recipe, sharpness=recipe.sharpness, costs=COSTS)
            parts = say.parts()
            assert parts.shape == (len(found), len(query))
            assert parts.sum(axis=1) == pytest.approx(say.weights, abs=1e-9)


class TestTopItems:
    def test_the_highest_scores_come_first(self) -> None:
        """Rows come by score, the highest first, as many as asked for."""
        scores = np.array([0.1, 0.4, 0.2, 0.3])
        assert top_items(scores, np.ones(4, np.bool_), np.arange(4), 2).tolist() == [1, 3]
        assert top_items(scores, np.ones(4, np.bool_), np.arange(4), 9).tolist() == [1, 3, 2, 0]

    def test_only_allowed_items_with_positive_scores_come(self) -> None:
        """What is not allowed, has no score or a negative one is left out."""
        scores = np.array([0.9, 0.0, -0.5, 0.3])
        assert top_items(scores, np.array([False, True, True, True]), np.arange(4), 4).tolist() == [3]
        assert top_items(-scores, np.array([True, True, False, True]), np.arange(4), 4).tolist() == []

    def test_what_rounding_leaves_is_no_score(self) -> None:
        """A score that is 0 but for rounding is none."""
        scores = np.array([0.3, 0.1 + 0.2 - 0.3])
        assert scores[1] > 0
        assert top_items(scores, np.ones(2, np.bool_), np.arange(2), 2).tolist() == [0]

    def test_factors_change_the_order_alone(self) -> None:
        """However large a factor is, whatever has a positive score still comes, in the order of the products."""
        scores = np.array([0.3, 0.29, 0.28, 0.27, -0.1])
        rank, allowed = np.array([4, 3, 2, 1, 0]), np.ones(5, np.bool_)
        for factor in (2.0, 1e6, 1e64):
            factors = np.array([1.0, 1.0, 1.0, factor, factor])
            for limit in range(1, 6):
                assert top_items(scores, allowed, rank, limit, factors).tolist() == [3, 0, 1, 2][:limit]

    def test_ties_go_by_rank(self) -> None:
        """Equal scores come in the order of popularity, also at the last place."""
        scores = np.array([0.5, 0.5, 0.9, 0.5, 0.5])
        rank = np.array([3, 0, 4, 2, 1])
        for limit in range(1, 6):
            assert top_items(scores, np.ones(5, np.bool_), rank, limit).tolist() == [2, 1, 4, 3, 0][:limit]

    def test_scores_that_differ_by_rounding_are_ties(self) -> None:
        """Scores that are the same but for the order of summing are ties, also at the last place."""
        sums = [0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1]
        assert sums[0] > sums[1]
        scores = np.array([sums[0], sums[1], 0.1])
        for limit in (1, 2, 3):
            found = top_items(scores, np.ones(3, np.bool_), np.array([1, 0, 2]), limit)
            assert found.tolist() == [1, 0, 2][:limit]

    def test_a_difference_is_no_tie(self) -> None:
        """A score that is higher by a billionth goes before a more popular item."""
        scores = np.array([1.0, 1.0 + 1e-9])
        assert top_items(scores, np.ones(2, np.bool_), np.array([0, 1]), 1).tolist() == [1]

    @settings(deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 0.5 + 1e-13, 1.0]), st.booleans()), max_size=40),
        st.randoms(use_true_random=False),
        st.integers(1, 45),
    )
    def test_partial_selection_equals_a_full_sort(
        self, given_rows: list[tuple[float, bool]], random: object, limit: int
    ) -> None:
        """Whatever ties cross the last place, the answer is the beginning of everything sorted."""
        scores = np.array([score for score, _ in given_rows])
        allowed = np.array([each for _, each in given_rows], np.bool_)
        rank = [*range(len(given_rows))]
        random.shuffle(rank)  # type: ignore[attr-defined]  # a Random
        eligible = [row for row in range(len(given_rows)) if allowed[row] and scores[row] > 0]
        full = sorted(eligible, key=lambda row: (-round(float(scores[row]), 9), rank[row]))
        assert top_items(scores, allowed, np.array(rank, np.int64), limit).tolist() == full[:limit]


class TestShortProfiles:
    @pytest.mark.parametrize(
        ("likes", "exponents"),
        [(0, (1.0, 0.0)), (2, (1.0, 0.0)), (3, (1.5, 0.2)), (9, (1.5, 0.2)), (10, (2.5, 0.2)), (500, (2.5, 0.2))],
    )
    def test_exponents_follow_the_likes(self, likes: int, exponents: tuple[float, float]) -> None:
        """Sharpness and damping are those of below 3, 3 to 9 and from 10 likes."""
        assert DEFAULT.exponents(likes) == exponents

    def test_settings_do_not_change_short_profiles(self) -> None:
        """The recipe's own exponents are for users with likes enough."""
        changed = replace(DEFAULT, sharpness=4.0, score_damping=0.4)
        assert (changed.exponents(9), changed.exponents(10)) == ((1.5, 0.2), (4.0, 0.4))
