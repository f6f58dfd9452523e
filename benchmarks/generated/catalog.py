"""The items of a generated data set: how popular and how good they are, and to whose taste."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.generated.curves import popularity
from benchmarks.generated.shape import Shape
from benchmarks.generated.tastes import CELLS, TASTES, TIERS, draw_weights

GENRES = (
    *("Action", "Adventure", "Animation", "Comedy", "Crime", "Documentary"),
    *("Drama", "Fantasy", "Horror", "Romance", "Sci-Fi", "Thriller"),
)
"""One for each taste."""

_QUALITY_OF_POPULAR = 0.35
"""How much of an item's quality goes with its popularity."""
_OLDEST, _NEWEST = 1930, 2020


@dataclass(frozen=True, slots=True)
class Catalog:
    """The items, from the first to the last cell, the popular ones of each first.

    Args:
        ids: Their numbers, from 1 on, which say nothing about them. Shape (n_items,).
        cells: Their cells, see `benchmarks.generated.tastes`, ascending. Shape (n_items,).
        weights: The chances with which they are drawn; they add up to 1. Shape (n_items,).
        quality: How much better or worse than others they are, with mean 0 and deviation 1 over all ratings. Shape
            (n_items,).
        shares: The share of all draws that goes to each cell. Shape (CELLS,).
        starts: Where each cell begins; one more entry for the end. Shape (CELLS + 1,).
        years: When they came out. Shape (n_items,).
        more_genres: A second genre for some; -1 for none. Shape (n_items,).
    """

    ids: NDArray[np.int64]
    cells: NDArray[np.int64]
    weights: NDArray[np.float64]
    quality: NDArray[np.float64]
    shares: NDArray[np.float64]
    starts: NDArray[np.int64]
    years: NDArray[np.int64]
    more_genres: NDArray[np.int64]

    def title(self, place: int) -> str:
        """What an item is called."""
        return f"Film {self.ids[place]} ({self.years[place]})"

    def genres(self, place: int) -> str:
        """Its genres as MovieLens writes them: that of its taste, and perhaps another."""
        first, second = int(self.cells[place]) // TIERS, int(self.more_genres[place])
        return GENRES[first] if second in {-1, first} else "|".join(sorted((GENRES[first], GENRES[second])))


def make_catalog(
    shape: Shape, counts: NDArray[np.int64], random: np.random.Generator
) -> tuple[Catalog, NDArray[np.float64]]:
    """Makes the items.

    Args:
        shape: The sizes.
        counts: How many ratings users have, see `benchmarks.generated.curves.activity`.
        random: The source of chance.

    Returns:
        The items, and for each of `counts` how many draws it takes on average. Shape (n_users,).
    """
    shares = popularity(shape)
    # Dealt out like cards by popularity, so that every taste has its popular items, as every genre has.
    tastes = np.concatenate([random.permutation(TASTES) for _ in range(-(-shape.items // TASTES))])[: shape.items]
    tiers = np.minimum(TIERS * (np.cumsum(shares) - shares / 2) / shares.sum(), TIERS - 1).astype(np.int64)
    cells = tastes * TIERS + tiers
    weights, expected = draw_weights(shares, cells, counts, random)
    fame = np.log(shares) - np.average(np.log(shares), weights=shares)
    fame /= np.sqrt(np.average(fame * fame, weights=shares))
    rest = (1 - _QUALITY_OF_POPULAR**2) ** 0.5
    quality = _QUALITY_OF_POPULAR * fame + rest * random.standard_normal(shape.items)
    quality -= np.average(quality, weights=shares)
    quality /= np.sqrt(np.average(quality * quality, weights=shares))
    ids = random.permutation(shape.items) + 1
    years = _NEWEST - np.floor((_NEWEST - _OLDEST) * random.random(shape.items) ** 2).astype(np.int64)
    more_genres = random.integers(-len(GENRES), len(GENRES), shape.items).clip(-1)
    order = np.argsort(cells, kind="stable")
    ends = np.cumsum(np.bincount(cells, minlength=CELLS))
    catalog = Catalog(
        ids=ids[order],
        cells=cells[order],
        weights=weights[order],
        quality=quality[order],
        shares=np.bincount(cells, weights, minlength=CELLS),
        starts=np.concatenate([[0], ends]),
        years=years[order],
        more_genres=more_genres[order],
    )
    return catalog, expected
