import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.packed_ratings import (
    BYTE_CODES,
    MOST_CODES,
    RatingCodes,
    pack_rows,
    pack_times,
    unpack_rows,
    unpack_times,
)
from kindred.ratings import RatingScale
from kindred.ridge import affinity
from kindred.weighting import LikingWeighting, Weighting, ZScoreWeighting

SCALE = RatingScale(0.5, 5)
WEIGHTINGS: list[Weighting] = [LikingWeighting(SCALE), ZScoreWeighting(3.1, 1.3)]
HALF_STARS = st.integers(1, 10).map(lambda halves: halves / 2)
ANY_STARS = st.floats(0.5, 5, width=32)
FEW = st.lists(st.lists(HALF_STARS, min_size=1, max_size=20), min_size=1, max_size=8)
MANY = st.lists(st.lists(ANY_STARS, min_size=1, max_size=20), min_size=1, max_size=8)
SECONDS = st.integers(0, 2**32 - 1).map(lambda seconds: 1_000 * seconds)
SHORT_ROWS, ANY_ROW = st.integers(0, 2**16 - 1), st.integers(0, 2**31 - 1)
ANY_TIME = st.integers(-(2**62), 2**62)


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=lambda each: each.name)
@given(first=MANY | FEW, users=FEW | MANY, there=st.sampled_from([0, BYTE_CODES - 3, BYTE_CODES, MOST_CODES - 3]))
def test_packed_ratings_mean_the_same(
    weighting: Weighting, first: list[list[float]], users: list[list[float]], there: int
) -> None:
    """Whatever came before, packed ratings mean to the last bit what the weighting and the scale say of them."""
    codes = RatingCodes(weighting, SCALE)
    if there:
        codes.pack(np.linspace(0.5, 5, there, dtype=np.float32))
    for earlier in first:
        codes.pack(np.array(earlier, np.float32))
    rows = [np.array(user, np.float32) for user in users]
    packed = [codes.pack(row) for row in rows]
    codes.pack(np.array([0.7, 0.9], np.float32))
    places, meanings = codes.unpack(packed, np.array([row.size for row in rows], np.intp), sum(map(len, rows)))
    values = np.concatenate(rows)
    assert meanings.preferences[places].tolist() == weighting.preferences(values).tolist()
    assert meanings.affinities[places].tolist() == affinity(SCALE.stars(values)).tolist()
    assert meanings.stars[places].tolist() == SCALE.stars(values).astype(np.float32).tolist()


def test_a_rating_takes_a_byte() -> None:
    """The first different ratings take a byte each, more of them two; where these are used up, profiles hold values."""
    codes = RatingCodes(WEIGHTINGS[0], SCALE)
    values = np.linspace(0.5, 5, MOST_CODES, dtype=np.float32)
    assert np.unique(values).size == MOST_CODES
    for first, last, size in ((0, 100, 1), (50, 256, 1), (0, 256, 1), (200, 300, 2), (0, 256, 1), (0, MOST_CODES, 2)):
        assert len(codes.pack(values[first:last])) == size * (last - first)
    assert len(codes.pack(np.array([0.5, 0.50001, 5.0], np.float32))) == 3 * 4
    assert len(codes.pack(values[:9])) == 9


def test_codes_are_not_used_up_in_part() -> None:
    """A profile with more new ratings than there are codes left gets none, and no other new ones do from then on."""
    codes = RatingCodes(WEIGHTINGS[0], SCALE)
    values = np.linspace(0.5, 5, MOST_CODES, dtype=np.float32)
    codes.pack(values[:-2])
    assert len(codes.pack(np.append(values[-2:], np.float32(0.50001)))) == 3 * 4
    assert len(codes.pack(values[-1:])) == 4
    assert len(codes.pack(values[-3:-2])) == 2


@given(st.lists(st.lists(SHORT_ROWS, min_size=1) | st.lists(ANY_ROW, min_size=1), min_size=1, max_size=8))
def test_packed_rows_are_the_same(users: list[list[int]]) -> None:
    """Rows come back as they were, whether all of them, some or none are short."""
    packed = [pack_rows(np.array(user, np.int32)) for user in users]
    assert [len(each) for each in packed] == [len(user) * (2 if max(user) < 2**16 else 4) for user in users]
    lengths = np.array([len(user) for user in users], np.intp)
    rows = unpack_rows(packed, lengths, sum(map(len, users)))
    assert rows.tolist() == [row for user in users for row in user]
    assert rows.dtype == np.intp


@given(st.lists(st.lists(SECONDS, min_size=1) | st.lists(ANY_TIME, min_size=1), min_size=1, max_size=8))
def test_packed_times_are_the_same(users: list[list[int]]) -> None:
    """Times come back to the millisecond, whether all of them, some or none are whole seconds."""
    packed = [pack_times(np.array(user, np.int64)) for user in users]
    lengths = np.array([len(user) for user in users], np.intp)
    assert unpack_times(packed, lengths).tolist() == [time for user in users for time in user]


@pytest.mark.parametrize(
    ("times", "size"),
    [([0, 1_000, 4_294_967_295_000], 4), ([0, 1_001], 8), ([4_294_967_296_000], 8), ([-1_000], 8)],
)
def test_whole_seconds_take_four_bytes(times: list[int], size: int) -> None:
    """A time takes four bytes if all times of a profile are whole seconds that four bytes can tell, else eight."""
    assert len(pack_times(np.array(times, np.int64))) == size * len(times)
