"""The same items for everybody: those that most users like."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loader.evaluation.options import PeerName
from loader.evaluation.table import Profiles, RatingTable


@dataclass(slots=True)
class Popularity:
    """See `loader.evaluation.peers.base.Peer`."""

    name: PeerName = "popularity"
    _likes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def fit(self, train: RatingTable, seed: int) -> None:  # noqa: ARG002 - nothing is random here
        """See `Peer.fit`."""
        self._likes = train.liked_counts

    def scores(self, users: NDArray[np.int32], profiles: Profiles) -> NDArray[np.floating]:  # noqa: ARG002 - nobody differs
        """See `Peer.scores`."""
        return np.tile(self._likes.astype(np.float64), (users.size, 1))
