"""EASE^R: the item-item matrix that rebuilds everybody's ratings best, in closed form.

Harald Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kindred.errors import PreconditionError
from loader.evaluation.options import PeerName
from loader.evaluation.peers.base import preferences_of
from loader.evaluation.table import Profiles, RatingTable

MAX_ITEMS = 20_000
"""Its matrix is dense and has to be inverted: twice 3 GB at this many."""
_BATCH = 1_000


@dataclass(slots=True)
class Ease:
    """See `loader.evaluation.peers.base.Peer`.

    Args:
        l2: The regularization, lambda.
    """

    l2: float = 200.0
    name: PeerName = "ease"
    _weights: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))

    def fit(self, train: RatingTable, seed: int) -> None:  # noqa: ARG002 - nothing is random here
        """See `Peer.fit`."""
        n_items = len(train.items)
        if n_items > MAX_ITEMS:
            message = (
                f"{self.name} inverts a dense matrix of all items and takes {MAX_ITEMS:,} of them at most, "
                f"{train.name} has {n_items:,}; leave it out: name the others with --peer"
            )
            raise PreconditionError("TOO_MANY_ITEMS", train.name, message)
        users = np.unique(train.users).astype(np.int32)
        profiles = train.profiles(users, np.ones(train.users.size, np.bool_))
        profiles = profiles._replace(values=preferences_of(train.scale, profiles.values))
        gram = np.zeros((n_items, n_items))
        for first in range(0, users.size, _BATCH):
            rows = _dense(profiles.part(first, min(first + _BATCH, users.size)), n_items)
            gram += rows.T @ rows
        gram[np.diag_indices(n_items)] += self.l2
        self._weights = np.asarray(np.linalg.inv(gram), np.float64)
        self._weights /= -np.diag(self._weights).copy()
        np.fill_diagonal(self._weights, 0.0)

    def scores(self, users: NDArray[np.int32], profiles: Profiles) -> NDArray[np.floating]:  # noqa: ARG002 - the ratings say all
        """See `Peer.scores`."""
        return _dense(profiles, self._weights.shape[0]) @ self._weights


def _dense(profiles: Profiles, n_items: int) -> NDArray[np.float64]:
    rows = np.zeros((profiles.starts.size - 1, n_items))
    rows[profiles.owners, profiles.items] = profiles.values
    return rows
