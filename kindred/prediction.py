"""What a user may be expected to rate an item, from what their neighbors have rated it. Pure numpy.

The neighbors' deviations from what they usually give are averaged and added to what the user usually gives (Resnick et
al., "GroupLens: an open architecture for collaborative filtering of netnews", CSCW 1994), with baselines for users and
items, and shrinkage of everything that rests on few ratings (Bell and Koren, "Scalable collaborative filtering with
jointly derived neighborhood interpolation weights", ICDM 2007). All in stars:

    B_i  = 2.5 ((L_i + 5 s) / (d_i + 5) - s)          the item: d_i have rated it, L_i like it, s = sum L / sum d
    mu   = the mean of r_vi - B_i over all ratings of the neighbors
    b_v  = (sum_i (r_vi - B_i) + 5 mu) / (n_v + 5)     what v usually gives, of n_v ratings; b_u likewise
    p_ui = b_u + B_i + sum_v w_v (r_vi - b_v - B_i) / (sum_v w_v + 1.5)      over the neighbors v who have rated i

The share of likes stands in for the item's mean, which is not stored. The weights w_v are those of the default recipe:
(similarity / the highest similarity)^p. The constants were chosen on validation slices of MovieLens and are flat there:
5 for users could be 2 to 10, and 1.5 could be 1 to 2, without a change of 0.001 in the root mean squared error.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kindred.scoring import Raters

_STARS_PER_SHARE = 2.5
"""How many stars an item that everybody likes is above one that nobody likes."""
_ITEM_SHRINKAGE = 5.0
_USER_SHRINKAGE = 5.0
_WEIGHT_SHRINKAGE = 1.5


class NeighborRatings(Protocol):
    """The neighbors' ratings as ragged columns: see `kindred.neighborhood.Neighborhood`."""

    def stars_at(self, places: NDArray[np.intp]) -> NDArray[np.float32]:
        """The ratings at some places of the columns, in stars."""

    @property
    def lengths(self) -> NDArray[np.intp]:
        """How many ratings each neighbor has. Shape (k,)."""

    @property
    def star_sums(self) -> NDArray[np.float64]:
        """The sum of each neighbor's ratings in stars. Shape (k,)."""


def item_terms(rated: NDArray[np.floating], liked: NDArray[np.floating]) -> NDArray[np.float64]:
    """B: how many stars the items are above or below the usual, as far as the counts tell.

    Args:
        rated: d, how many users have rated each item. Shape (rows,).
        liked: L, how many of them like it (four stars or more). Shape (rows,).

    Returns:
        Shape (rows,).
    """
    ratings = rated.sum()
    usual = liked.sum() / ratings if ratings > 0 else 0.0
    share = (liked + _ITEM_SHRINKAGE * usual) / (rated + _ITEM_SHRINKAGE)
    terms: NDArray[np.float64] = _STARS_PER_SHARE * (share - usual)
    return terms


def predict(
    wanted: NDArray[np.integer],
    raters: Raters,
    hood: NeighborRatings,
    *,
    weights: NDArray[np.floating],
    user_rows: NDArray[np.integer],
    user_stars: NDArray[np.floating],
    terms: NDArray[np.floating],
    term_sums: NDArray[np.floating],
    ages: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Predicts ratings in stars; whoever shows them keeps them within the catalog's scale.

    Args:
        wanted: Rows to predict for. Shape (n,).
        raters: The neighbors' ratings of these.
        hood: The neighbors' ratings, of one neighbor at least.
        weights: w, each neighbor's weight, above 0. Shape (k,).
        user_rows: Rows that the user has rated. Shape (q,).
        user_stars: Their ratings, in stars. Shape (q,).
        terms: B, from `item_terms`. Shape (rows,).
        term_sums: The sum of B over all items that each neighbor has rated. Shape (k,).
        ages: How much each of the neighbors' ratings counts by its age; None if all count alike. What a neighbor
            usually gives is of all their ratings. Shape (m,).

    Returns:
        Stars, NaN where no neighbor has rated the item. Shape (n,).
    """
    sums = hood.star_sums - term_sums
    mean = sums.sum() / hood.lengths.sum()
    usual = (sums + _USER_SHRINKAGE * mean) / (hood.lengths + _USER_SHRINKAGE)
    own = ((user_stars - terms.take(user_rows)).sum() + _USER_SHRINKAGE * mean) / (user_rows.size + _USER_SHRINKAGE)

    places, of, columns, items = raters
    each = weights.take(of) if ages is None else weights.take(of) * ages.take(places)
    weight = np.bincount(columns, each, items)
    each = each * (hood.stars_at(places) - usual.take(of))
    item = terms.take(wanted)
    above = np.bincount(columns, each, items) - weight * item
    return np.where(weight > 0, own + item + above / (weight + _WEIGHT_SHRINKAGE), np.nan)
