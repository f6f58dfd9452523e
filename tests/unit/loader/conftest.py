"""Readers' output as plain values."""

from collections.abc import Callable

import numpy as np
import pytest

from loader.bad_rows import BadRows
from loader.source import DataSource

PlainRating = tuple[str, str, float, int]


@pytest.fixture
def ratings_of() -> Callable[..., list[PlainRating]]:
    """Reads all ratings of a source."""

    def read(source: DataSource, bad_rows: BadRows | None = None) -> list[PlainRating]:
        found: list[PlainRating] = []
        for chunk, _ in source.ratings(bad_rows or BadRows()):
            if chunk is not None:
                users = np.array(chunk.users.distinct, object)[chunk.users.places]
                items = np.array(chunk.items.distinct, object)[chunk.items.places]
                found += zip(users, items, chunk.values.tolist(), chunk.times.tolist(), strict=True)
        return found

    return read
