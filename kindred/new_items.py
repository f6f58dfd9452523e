"""Finds items that hardly anybody has rated yet, for users who like items of their kind. Pure numpy.

Neighbors cannot recommend what they have not rated (the cold-start problem: Schein, Popescul, Ungar and Pennock,
"Methods and metrics for cold-start recommendations", SIGIR 2002). What an item says of itself can: new items are put in
the order of their likeness with what the user likes, which kindred/content.py defines.
"""

import numpy as np
from numpy.typing import NDArray

from kindred.content import ContentIndex

NEW_BELOW = 5
"""An item is new while fewer users than this have rated it."""
_MOST_LIKED = 300
"""Liked items that count: each adds its words to the sum, and 300 say all that genres and tags can say of a taste."""
_TIE_DIGITS = 10
"""Likenesses that agree to this many digits are ties: sums in another order differ by less."""


def places_of(share: float, limit: int) -> int:
    """How many items of an answer a share of it is, rounded down.

    Args:
        share: The share, 0 to 1.
        limit: How many items the answer has.
    """
    return int(round(share * limit, _TIE_DIGITS))  # 0.29 of 100 is 28.999999999999996 to a computer


def pick_new(
    content: ContentIndex,
    liked_rows: NDArray[np.integer],
    weights: NDArray[np.floating],
    *,
    allowed: NDArray[np.bool_],
    rated_counts: NDArray[np.floating],
    rank: NDArray[np.integer],
    count: int,
    below: int = NEW_BELOW,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Picks the new items that are most like what a user likes.

    Args:
        content: What the items share.
        liked_rows: Rows of the items that the user likes. Shape (n,).
        weights: How much, above 0. Shape (n,). Of more than 300 only the largest count, the first of equal ones: the
            time for a request is to be bounded, however long a profile is.
        allowed: Which rows may be picked. Shape (rows,).
        rated_counts: How many users have rated each item. Shape (rows,).
        rank: Each row's place by popularity, then item id: which of two comes first that are alike. Shape (rows,).
        count: How many to pick.
        below: An item is new while fewer users than this have rated it.

    Returns:
        Rows, the most alike first, and their likeness, above 0. Fewer than `count` if no more have any.
    """
    if count <= 0 or not liked_rows.size:
        return np.empty(0, np.intp), np.empty(0)
    if liked_rows.size > _MOST_LIKED:
        strongest = np.argsort(-weights, kind="stable")[:_MOST_LIKED]
        liked_rows, weights = liked_rows[strongest], weights[strongest]
    likeness = content.likeness(liked_rows, weights).round(_TIE_DIGITS)
    rows = np.flatnonzero(allowed & (rated_counts < below) & (likeness > 0))
    if rows.size > count:  # everything that ties with the last place stays for the exact sort
        rows = rows[likeness[rows] >= np.partition(likeness[rows], rows.size - count)[rows.size - count]]
    order = rows[np.lexsort((rank[rows], -likeness[rows]))][:count]
    return order, likeness[order]
