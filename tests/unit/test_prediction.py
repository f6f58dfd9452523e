import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kindred.prediction import item_terms, predict
from kindred.scoring import Raters

ROWS = 6
NO_TERMS = np.zeros(ROWS)
STARS = st.sampled_from([0.5, 1.0, 3.0, 4.5, 5.0])
RATINGS = st.dictionaries(st.integers(0, ROWS - 1), STARS, max_size=ROWS)
OF_NEIGHBORS = st.dictionaries(st.integers(0, ROWS - 1), STARS, min_size=1, max_size=ROWS)
HOODS = st.lists(st.tuples(OF_NEIGHBORS, st.sampled_from([0.1, 0.5, 1.0])), min_size=1, max_size=6)

Hood = list[tuple[dict[int, float], float]]


class Columns:
    """Neighbors' ratings by row, as columns."""

    def __init__(self, hood: Hood) -> None:
        self.rows = np.array([row for ratings, _ in hood for row in ratings], np.intp)
        self._stars = np.array([stars for ratings, _ in hood for stars in ratings.values()], np.float32)
        self.lengths = np.array([len(ratings) for ratings, _ in hood], np.intp)
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.owners = np.repeat(np.arange(len(hood)), self.lengths)
        self.star_sums = np.array([sum(ratings.values()) for ratings, _ in hood])

    def stars_at(self, places: NDArray[np.intp]) -> NDArray[np.float32]:
        """Some of the ratings."""
        return self._stars[places]

    def raters(self, wanted: NDArray[np.intp]) -> Raters:
        """The ratings of some rows."""
        places = np.flatnonzero(np.isin(self.rows, wanted))
        columns = [wanted.tolist().index(row) for row in self.rows[places].tolist()]
        return Raters(places, self.owners[places], np.array(columns, np.intp), wanted.size)


def predicted(
    hood: Hood,
    user: dict[int, float],
    terms: NDArray[np.float64] = NO_TERMS,
    wanted: range | list[int] = range(ROWS),
    ages: list[float] | None = None,
) -> NDArray[np.float64]:
    """Predictions from neighbors' ratings by row with their weights, and the user's ratings by row."""
    columns, rows = Columns(hood), np.array([*wanted], np.intp)
    return predict(
        rows,
        columns.raters(rows),
        columns,
        weights=np.array([weight for _, weight in hood], np.float64),
        user_rows=np.array([*user], np.intp),
        user_stars=np.array([*user.values()], np.float64),
        terms=terms,
        term_sums=np.add.reduceat(terms[columns.rows], columns.starts),
        ages=None if ages is None else np.array(ages),
    )


def by_the_formula(hood: Hood, user: dict[int, float], terms: NDArray[np.float64], row: int) -> float:
    """One prediction, in loops; NaN if nobody rated it."""
    hood = [(ratings, weight) for ratings, weight in hood if weight > 0]
    every = [stars - terms[each] for ratings, _ in hood for each, stars in ratings.items()]
    mu = sum(every) / len(every) if every else 0.0

    def usual(ratings: dict[int, float]) -> float:
        return (sum(stars - terms[each] for each, stars in ratings.items()) + 5 * mu) / (len(ratings) + 5)

    raters = [(ratings, weight) for ratings, weight in hood if row in ratings]
    if not raters:
        return float("nan")
    above = sum(weight * (ratings[row] - usual(ratings) - terms[row]) for ratings, weight in raters)
    return float(usual(user) + terms[row] + above / (sum(weight for _, weight in raters) + 1.5))


class TestItemTerms:
    def test_what_more_people_like_is_above_the_usual(self) -> None:
        """The share of likes moves an item up or down, by 2.5 stars for all against none."""
        terms = item_terms(np.array([1e9, 1e9, 1e9]), np.array([1e9, 5e8, 0]))
        assert terms == pytest.approx([1.25, 0.0, -1.25])

    def test_few_ratings_say_little(self) -> None:
        """One like moves an item less than ninety of a hundred do, and an item without ratings is as usual."""
        terms = item_terms(np.array([1.0, 100.0, 0.0, 100.0]), np.array([1.0, 90.0, 0.0, 10.0]))
        assert terms[1] > terms[0] > 0 == terms[2] > terms[3]

    def test_a_catalog_without_ratings_has_no_terms(self) -> None:
        """No counts at all are no division by 0."""
        assert item_terms(np.zeros(3), np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
        assert item_terms(np.empty(0), np.empty(0)).shape == (0,)


class TestPredict:
    def test_an_item_that_no_neighbor_has_rated_has_no_prediction(self) -> None:
        """NaN says that nothing is known."""
        found = predicted([({0: 4.0}, 1.0)], {1: 3.0})
        assert np.isnan(found).tolist() == [False, True, True, True, True, True]

    def test_a_stricter_user_is_expected_to_rate_lower(self) -> None:
        """Of two users with the same neighbors the one who usually gives less is expected to give less."""
        hood = [({0: 5.0, 1: 3.0}, 1.0), ({0: 4.0, 2: 2.0}, 0.5)]
        strict, generous = predicted(hood, {3: 2.0, 4: 2.5}), predicted(hood, {3: 4.5, 4: 5.0})
        assert (strict[:3] < generous[:3]).all()

    def test_a_generous_neighbor_says_less(self) -> None:
        """Five stars from somebody who gives nothing else raise an item less than from somebody who rarely does."""
        generous = [({0: 5.0, 1: 5.0, 2: 5.0}, 1.0), ({3: 1.0, 4: 1.0, 5: 1.0}, 1.0)]
        picky = [({0: 5.0, 1: 2.0, 2: 2.0}, 1.0), ({3: 4.0, 4: 4.0, 5: 1.0}, 1.0)]
        user = {5: 3.0}
        assert predicted(generous, user)[0] < predicted(picky, user)[0]

    def test_a_neighbor_of_more_weight_counts_more(self) -> None:
        """The prediction is on the side of the more similar neighbor."""
        lover, hater = {0: 5.0, 1: 3.0}, {0: 1.0, 1: 3.0}
        user = {1: 3.0}
        assert predicted([(lover, 1.0), (hater, 0.2)], user)[0] > predicted([(lover, 0.2), (hater, 1.0)], user)[0]

    def test_one_rating_moves_less_than_many(self) -> None:
        """Ten neighbors who say the same move a prediction further from the user's mean than one does."""
        enthusiast = ({0: 5.0, 1: 2.0, 2: 2.0}, 1.0)
        user = {1: 2.5, 2: 2.5}
        assert predicted([enthusiast] * 10, user)[0] > predicted([enthusiast], user)[0] > 2.5

    def test_a_user_without_ratings_is_like_the_neighbors(self) -> None:
        """Who has rated nothing usually gives what the neighbors usually give."""
        assert predicted([({0: 4.0}, 1.0), ({0: 4.0}, 0.5)], {})[0] == pytest.approx(4.0)

    def test_each_row_is_predicted_where_it_stands(self) -> None:
        """Rows may be asked for in any order, and none at all."""
        hood = [({0: 5.0, 1: 3.0, 2: 1.0}, 1.0)]
        every = predicted(hood, {4: 3.0})
        assert predicted(hood, {4: 3.0}, wanted=[2, 0, 5]) == pytest.approx(every[[2, 0, 5]], nan_ok=True)
        assert predicted(hood, {4: 3.0}, wanted=[]).shape == (0,)

    @given(HOODS, RATINGS, st.lists(st.floats(-1.5, 1.5), min_size=ROWS, max_size=ROWS).map(np.array))
    def test_predictions_are_those_of_the_formula(
        self, hood: Hood, user: dict[int, float], terms: NDArray[np.float64]
    ) -> None:
        """Any neighbors: what the formula says, term by term."""
        expected = [by_the_formula(hood, user, terms, row) for row in range(ROWS)]
        assert predicted(hood, user, terms) == pytest.approx(expected, nan_ok=True)


class TestAges:
    def test_a_rating_counts_by_its_age(self) -> None:
        """A neighbor's rating that counts half weighs half; what the neighbor usually gives stays as it is."""
        hood: Hood = [({0: 5.0, 1: 3.0}, 1.0), ({0: 1.0, 2: 3.0}, 0.5)]
        aged = predicted(hood, {1: 4.0}, ages=[0.25, 1.0, 0.5, 1.0])
        alike = predicted([({0: 5.0, 1: 3.0}, 0.25), ({0: 1.0, 2: 3.0}, 0.25)], {1: 4.0})
        assert aged[0] == pytest.approx(alike[0])
        assert aged[1] == pytest.approx(predicted(hood, {1: 4.0})[1])

    def test_ratings_that_do_not_count_predict_nothing(self) -> None:
        """An item whose ratings are all outside the period has no prediction."""
        found = predicted([({0: 5.0, 1: 3.0}, 1.0)], {1: 4.0}, wanted=[0, 1], ages=[0.0, 1.0])
        assert np.isnan(found).tolist() == [True, False]
