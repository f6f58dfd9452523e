"""Item-item neighbors with BM25 weights, from the library implicit.

The weights are those of Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), with
items as documents; the library is Ben Frederickson's implicit.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loader.evaluation.extra import needed
from loader.evaluation.options import PeerName
from loader.evaluation.peers.base import rows_of, rows_of_table
from loader.evaluation.table import Profiles, RatingTable


@dataclass(slots=True)
class Bm25:
    """See `loader.evaluation.peers.base.Peer`.

    Args:
        k: How many similar items each item has.
        k1: How fast repeated weight saturates.
        b: How much long documents are damped.
    """

    k: int = 500
    k1: float = 1.2
    b: float = 0.5
    name: PeerName = "bm25"
    _similarity: Any = None

    def fit(self, train: RatingTable, seed: int) -> None:  # noqa: ARG002 - nothing is random here
        """See `Peer.fit`."""
        neighbors = needed("implicit.nearest_neighbours", self.name)
        model = neighbors.BM25Recommender(K=self.k, K1=self.k1, B=self.b)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Method expects CSR input")  # its own, of what it made itself
            model.fit(rows_of_table(train, self.name), show_progress=False)
        self._similarity = model.similarity

    def scores(self, users: NDArray[np.int32], profiles: Profiles) -> NDArray[np.floating]:  # noqa: ARG002 - the ratings say all
        """See `Peer.scores`."""
        scores: NDArray[np.floating] = (
            rows_of(profiles, self._similarity.shape[0], self.name) @ self._similarity
        ).toarray()
        return scores
