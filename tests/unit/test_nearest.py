from itertools import count

import pytest

from kindred.nearest import MAX_COMPARED, nearest


def test_the_nearest_come_first_as_they_are_written() -> None:
    """What is like a name, whatever its case, is found, the most alike first; what is not like it is not."""
    assert nearest("contry", ["County", "age", "COUNTRY", "country"]) == ["COUNTRY", "County"]
    assert nearest("contry", ["age"]) == nearest("contry", []) == []


@pytest.mark.parametrize(("length", "most"), [(100, 41), (40, 251), (10, MAX_COMPARED + 1)])
def test_few_names_are_compared_and_of_long_ones_fewer(length: int, most: int) -> None:
    """However many names there are, no more are looked at than can be compared in some ten milliseconds."""
    numbers = count()
    nearest("a" * length, (f"{number}".rjust(length, "a") for number in numbers))
    assert next(numbers) == most
