import numpy as np
import pytest

from kindred.catalog import Catalog
from kindred.errors import InvalidArgumentError, ItemNotFoundError
from kindred.items import CatalogEntry, Item
from kindred.opinions import OpinionReader
from kindred.ratings import EMPTY_PROFILE, Rated, RatingScale, Reaction, Retracted, UserProfile, merge
from kindred.recipes import DEFAULT, RIDGE, Recipe
from kindred.recommendation import InlineRating
from kindred.weighting import LikingWeighting

SCALE = RatingScale(0.5, 5.0)


@pytest.fixture
def catalog() -> Catalog:
    """Six items, 0 to 5; item n was rated by 2^n users."""
    return Catalog(CatalogEntry(index, Item(str(index)), 2**index, 1) for index in range(6))


@pytest.fixture
def reader(catalog: Catalog) -> OpinionReader:
    """Reads by the default weighting."""
    return OpinionReader(catalog, LikingWeighting(SCALE), SCALE)


def profile(**times: int) -> UserProfile:
    """Five stars for each item, at these times."""
    return merge(EMPTY_PROFILE, [Rated(int(name[1:]), 5.0, at) for name, at in times.items()])


def test_stored_ratings_are_opinions(reader: OpinionReader) -> None:
    """Ratings are opinions in stars and as preferences; what was taken back is none."""
    stored = merge(EMPTY_PROFILE, [Rated(1, 5.0, 1), Rated(2, 3.0, 2), Rated(3, 1.0, 3), Retracted(1, 4)])
    opinions = reader.read(stored, [])
    assert (opinions.rows.tolist(), opinions.stars.tolist()) == ([2, 3], [3.0, 1.0])
    assert (opinions.preferences.tolist(), opinions.rated_at.tolist()) == ([0.25, -0.25], [2, 3])
    assert opinions.likes == 0


def test_the_request_overlays_what_is_stored(reader: OpinionReader) -> None:
    """A rating in the request counts instead of the stored one of the same item; the others stay."""
    given = [InlineRating("2", 5.0), InlineRating("4", Reaction.LIKE), InlineRating("5", Reaction.DISLIKE)]
    opinions = reader.read(merge(EMPTY_PROFILE, [Rated(1, 4.0, 1), Rated(2, 1.0, 2)]), given)
    assert opinions.rows.tolist() == [1, 2, 4, 5]
    assert opinions.preferences.tolist() == [1.0, 1.0, 1.0, 0.0]
    assert opinions.stars[:3].tolist() == [4.0, 5.0, 5.0]
    assert np.isnan(opinions.stars[3])
    assert opinions.likes == 3


def test_opinions_can_be_left_out(reader: OpinionReader) -> None:
    """Without some items, everything else is as it was."""
    opinions = reader.read(profile(i1=1, i2=2, i3=3), []).without({1, 3, 5})
    assert (opinions.rows.tolist(), opinions.rated_at.tolist()) == ([2], [2])


def test_the_query_damps_what_many_have_rated(reader: OpinionReader, catalog: Catalog) -> None:
    """A query's value is the preference over d^a; a fit takes the affinities, which are not damped here."""
    query = reader.read(profile(i2=1, i4=1), []).query(RIDGE, catalog)
    assert query.values == pytest.approx([4**-0.3, 16**-0.3])
    assert query.affinities.tolist() == [1.2, 1.2]
    assert query.dense() == pytest.approx([0, 0, 4**-0.3, 0, 16**-0.3, 0])


def test_a_dislike_without_a_number_weighs_nothing(reader: OpinionReader, catalog: Catalog) -> None:
    """DISLIKE has a value of 0 in the query, and in a fit."""
    query = reader.read(EMPTY_PROFILE, [InlineRating("2", Reaction.DISLIKE)]).query(RIDGE, catalog)
    assert (query.values.tolist(), query.affinities.tolist()) == ([0.0], [0.0])


@pytest.mark.parametrize(("recipe", "floor"), [(DEFAULT, 0.0), (RIDGE, 0.5)])
def test_older_ratings_count_less(reader: OpinionReader, catalog: Catalog, recipe: Recipe, floor: float) -> None:
    """With a half-life of H a rating counts half for each H newer ones, above the floor; the request's are newest."""
    fading = recipe.with_numbers({"recency_half_life": 2.0, "query_damping": 0.0})
    opinions = reader.read(profile(i0=10, i1=30, i2=30, i3=20), [InlineRating("5", Reaction.LIKE)])
    query = opinions.query(fading, catalog)
    assert opinions.rows.tolist() == [0, 1, 2, 3, 5]
    expected = floor + (1 - floor) * np.array([2**-2, 2**-0.5, 2**-0.5, 2**-1.5, 1])
    assert query.values == pytest.approx(expected)
    if fading.fit is not None:
        assert query.affinities == pytest.approx(1.2 * expected)


def test_ridge_trusts_what_was_rated_last(reader: OpinionReader, catalog: Catalog) -> None:
    """RIDGE's own half-life is 10 ratings, and what is older than that keeps half its weight at least."""
    query = reader.read(profile(**{f"i{row}": row for row in range(6)}), []).query(RIDGE, catalog)
    assert query.affinities == pytest.approx(1.2 * (0.5 + 0.5 * 0.5 ** (np.arange(5, -1, -1) / 10)))


def test_what_is_wrong_is_named(reader: OpinionReader) -> None:
    """A rating off the scale and an item named twice are refused together; an unknown item is not found."""
    wrong = [InlineRating("1", 7.0), InlineRating("2", 4.0), InlineRating("2", Reaction.LIKE)]
    with pytest.raises(InvalidArgumentError) as raised:
        reader.read(EMPTY_PROFILE, wrong)
    assert [each.field for each in raised.value.violations] == ["ratings[0].value", "ratings[2].item_id"]
    with pytest.raises(ItemNotFoundError):
        reader.read(EMPTY_PROFILE, [InlineRating("none", 4.0)])


class TestMemory:
    def test_the_same_profile_has_the_same_opinions(self, catalog: Catalog) -> None:
        """Whoever asks again with the profile as it was is not read again; another profile is, also an equal one."""
        reader = OpinionReader(catalog, LikingWeighting(SCALE), SCALE, memory=10_000)
        first = profile(i1=1, i2=2)
        opinions = reader.read(first, [])
        assert reader.read(first, []) is opinions
        assert reader.read(profile(i1=1, i2=2), []) is not opinions
        assert reader.read(merge(first, [Rated(3, 5.0, 3)]), []).rows.tolist() == [1, 2, 3]
        assert reader.read(first, [InlineRating("3", 5.0)]).rows.tolist() == [1, 2, 3]
        assert reader.read(first, []) is opinions

    def test_the_same_query_is_made_once(self, reader: OpinionReader, catalog: Catalog) -> None:
        """A query is remembered for its recipe and counts; with others it is made anew."""
        opinions = reader.read(profile(i1=1, i2=2), [])
        query = opinions.query(DEFAULT, catalog)
        assert opinions.query(DEFAULT, catalog) is query
        assert opinions.query(DEFAULT.with_numbers({"query_damping": 0.0}), catalog).values.tolist() == [1.0, 1.0]
        catalog.counts.put(np.array([1]), np.array([1.0]), np.array([1.0]))
        damped = opinions.query(DEFAULT, catalog)
        assert (damped.values[0], damped.values[1]) == (1.0, query.values[1])
        catalog.rows_of(np.array([77], np.uint32))
        assert opinions.query(DEFAULT, catalog).size == 7

    def test_memory_is_bounded(self, catalog: Catalog) -> None:
        """Those who have not asked for the longest time are read again, and without memory everybody is."""
        reader = OpinionReader(catalog, LikingWeighting(SCALE), SCALE, memory=5_000)
        profiles = [profile(i1=time) for time in range(4)]
        known = [reader.read(each, []) for each in profiles[:3]]
        assert reader.read(profiles[0], []) is known[0]
        reader.read(profiles[3], [])
        assert [reader.read(profiles[place], []) is known[place] for place in (0, 2, 1)] == [True, True, False]
        forgetful = OpinionReader(catalog, LikingWeighting(SCALE), SCALE)
        assert forgetful.read(profiles[0], []) is not forgetful.read(profiles[0], [])
