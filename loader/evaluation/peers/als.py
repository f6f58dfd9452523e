"""Matrix factorization by alternating least squares, from the library implicit.

Hu, Koren and Volinsky, Collaborative Filtering for Implicit Feedback Datasets, ICDM 2008.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loader.evaluation.extra import needed
from loader.evaluation.options import PeerName
from loader.evaluation.peers.base import rows_of, rows_of_table
from loader.evaluation.table import Profiles, RatingTable


@dataclass(slots=True)
class Als:
    """See `loader.evaluation.peers.base.Peer`.

    Args:
        factors: How many numbers describe a user or an item.
        regularization: What keeps them small.
        alpha: How much more a rating counts than none.
        iterations: How often both sides are solved.
    """

    factors: int = 32
    regularization: float = 30.0
    alpha: float = 5.0
    iterations: int = 15
    name: PeerName = "als"
    _model: Any = None
    _n_items: int = 0

    def fit(self, train: RatingTable, seed: int) -> None:
        """See `Peer.fit`."""
        library, threads = needed("implicit.cpu.als", self.name), needed("threadpoolctl", self.name)
        with threads.threadpool_limits(1, "blas"):  # the same sums in the same order each time; and it is faster
            self._model = library.AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.iterations,
                random_state=seed,
                num_threads=1,
            )
            self._n_items = len(train.items)
            self._model.fit(rows_of_table(train, self.name), show_progress=False)

    def scores(self, users: NDArray[np.int32], profiles: Profiles) -> NDArray[np.floating]:
        """See `Peer.scores`: the factors of a user are solved anew from their ratings."""
        rows = rows_of(profiles, self._n_items, self.name)
        factors = self._model.recalculate_user(np.arange(users.size), rows)
        scores: NDArray[np.floating] = factors @ self._model.item_factors.T
        return scores
