"""Picks items that differ from one another out of the best ones: maximal marginal relevance. Pure numpy.

Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing summaries",
SIGIR 1998. With strength s, relevance F_i and the items S that are picked already, the next one is

    argmax_i  (1 - s) F_i / max F  -  s max_{j in S} likeness_ij

Two items are alike if they share genres and if the same neighbors like them: likeness_ij is the mean of the cosine of
their genres and the cosine of the neighbors' preferences for them, each at least 0. Where one of the two items has no
genres, the raters alone tell; where one has no raters, the genres alone; where neither can be told, it is 0.
"""

import numpy as np
from numpy.typing import NDArray

_TIE_DIGITS = 6
"""Values that agree to this many digits are ties: single-precision likeness differs by less in another order."""


def pool_size(limit: int) -> int:
    """How many of the best items to pick from: five for each that is wanted, 50 to 500, and all that are wanted.

    Args:
        limit: How many items are wanted.
    """
    return max(limit, min(500, max(50, 5 * limit)))


def likeness(genres: NDArray[np.floating], ratings: NDArray[np.floating]) -> NDArray[np.float32]:
    """How much items are alike, by their genres and by who rates them.

    Args:
        genres: What each item has of each genre, for instance 1 or 0. Shape (n, n_genres).
        ratings: The K neighbors' preferences for the items, 0 where they have not rated one. Shape (K, n).

    Returns:
        0 to 1, symmetric. Shape (n, n).
    """
    by_genres, with_genres = _cosines(genres)
    by_raters, with_raters = _cosines(ratings.T)
    # A cosine with an item that has nothing is 0: the other cosine is then the sum, and is not to be halved.
    both = (with_genres & with_raters).astype(np.float32)
    total: NDArray[np.float32] = by_genres + by_raters
    total *= np.float32(1.0) - np.float32(0.5) * np.outer(both, both)
    return total


def diversify(
    relevance: NDArray[np.floating], likeness: NDArray[np.floating], strength: float, limit: int
) -> NDArray[np.intp]:
    """Picks items by maximal marginal relevance; ties go to what comes first in the given order.

    Args:
        relevance: F, the items in the order that they would have otherwise. Shape (n,), at most `pool_size(limit)`.
        likeness: How much they are alike. Shape (n, n).
        strength: s, 0 (the given order) to 1 (likeness alone, after the first).
        limit: How many to pick.

    Returns:
        Places in `relevance`, the one picked first at the front. Shape (at most limit,).
    """
    size = relevance.size
    limit = min(limit, size)
    if strength == 0 or limit == 0:
        return np.arange(limit)
    top = relevance.max()
    gain = (1.0 - strength) * relevance / top if top > 0 else np.zeros(size)
    nearest = np.zeros(size)
    order = np.empty(limit, np.intp)
    for place in range(limit):
        pick = int(np.argmax(np.round(gain - strength * nearest, _TIE_DIGITS)))
        order[place] = pick
        np.maximum(nearest, likeness[pick], out=nearest)
        gain[pick] = -np.inf
    return order


def _cosines(rows: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The rows' cosines, at least 0, and which rows have anything: the others' are 0.

    Single precision halves the time of the product, and is far finer than likeness needs to be.
    """
    lengths = np.sqrt(np.square(rows).sum(axis=1))
    anything = lengths > 0
    unit = (rows / np.where(anything, lengths, 1.0)[:, None]).astype(np.float32)
    return np.clip(unit @ unit.T, 0.0, 1.0), anything
