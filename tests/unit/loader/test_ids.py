"""Item indexes and codes of ids."""

import numpy as np
import pytest

from kindred.item_index import UPPER_HALF, first_probe, natural_index, next_probe
from loader.ids import UNKNOWN, Codes, allocate_indexes
from loader.source import Ids


@pytest.mark.parametrize(
    ("item_id", "index"),
    [
        ("0", 0),
        ("603", 603),
        ("2147483647", 2**31 - 1),
        ("2147483648", None),
        ("9" * 200, None),
        ("", None),
        ("007", None),
        ("-1", None),
        ("1.0", None),
        (" 1", None),
        ("٣", None),
        ("²", None),
        ("tt0133093", None),
    ],
)
def test_a_short_decimal_is_its_own_index(item_id: str, index: int | None) -> None:
    """Only the shortest decimal form below 2^31 counts as a number."""
    assert natural_index(item_id) == index


def test_probes_stay_in_the_upper_half_and_are_the_same_everywhere() -> None:
    """The first probe is a fixed hash of the id, and after the last index comes the first of the upper half."""
    assert first_probe("tt0133093") == first_probe("tt0133093") == 3_888_207_542
    assert all(UPPER_HALF <= first_probe(f"item {number}") < 2**32 for number in range(1_000))
    assert next_probe(UPPER_HALF) == UPPER_HALF + 1
    assert next_probe(2**32 - 1) == UPPER_HALF


def test_ids_with_the_same_hash_get_the_next_free_index() -> None:
    """Every item has an index of its own, and those before others are not moved."""
    indexes = allocate_indexes(["a", "5", "b", "c", "d"], lambda item_id: 2**32 - 2 if item_id != "d" else UPPER_HALF)
    assert indexes.tolist() == [2**32 - 2, 5, 2**32 - 1, UPPER_HALF, UPPER_HALF + 1]


def test_codes_are_given_in_the_order_of_appearance() -> None:
    """An open set of ids grows; a closed one knows no other."""
    column = Ids(["b", "a"], np.array([1, 0, 1]))
    codes = Codes(["a"])
    assert codes.encode(column).tolist() == [0, 1, 0]
    assert codes.ids == ["a", "b"]
    closed = Codes(["a"], closed=True)
    assert closed.encode(column).tolist() == [0, UNKNOWN, 0]
    assert (closed.get("a"), closed.get("b")) == (0, UNKNOWN)
