"""User-user neighbors, from the library LensKit: implicit feedback ranks, explicit feedback predicts ratings.

Herlocker, Konstan, Borchers and Riedl, An Algorithmic Framework for Performing Collaborative Filtering, SIGIR 1999;
Ekstrand, LensKit for Python, CIKM 2020.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loader.evaluation.extra import needed
from loader.evaluation.options import PeerName
from loader.evaluation.peers.base import preferences_of
from loader.evaluation.table import Profiles, RatingTable


@dataclass(slots=True)
class UserKnn:
    """See `loader.evaluation.peers.base.RatingPeer`. It ranks by what users like, and knows no degrees of it.

    Args:
        k: How many neighbors score an item, at most.
    """

    k: int = 30
    name: PeerName = "userknn"
    _scorer: Any = None
    _predictor: Any = None
    _items: Any = None
    _data: Any = None

    def fit(self, train: RatingTable, seed: int) -> None:  # noqa: ARG002 - nothing is random here
        """See `Peer.fit`."""
        knn, self._data = needed("lenskit.knn", self.name), needed("lenskit.data", self.name)
        training = needed("lenskit.training", self.name)
        likes = preferences_of(train.scale, train.values) >= 1.0
        frame = pd.DataFrame({"user_id": train.users[likes], "item_id": train.codes[likes]})
        self._scorer = knn.UserKNNScorer(k=self.k, feedback="implicit")
        self._scorer.train(self._data.from_interactions_df(frame), training.TrainingOptions())
        columns = {"user_id": train.users, "item_id": train.codes, "rating": train.values}  # noqa: PD011 - a RatingTable's
        rated = pd.DataFrame(columns)
        self._predictor = knn.UserKNNScorer(k=self.k, feedback="explicit")
        self._predictor.train(self._data.from_interactions_df(rated), training.TrainingOptions())
        self._items = self._data.ItemList(item_ids=np.arange(len(train.items)))

    def scores(self, users: NDArray[np.int32], profiles: Profiles) -> NDArray[np.floating]:
        """See `Peer.scores`."""
        found = np.full((users.size, len(self._items)), np.nan)
        for place, user in enumerate(users.tolist()):
            _, items, preferences = profiles.part(place, place + 1)
            likes = self._data.ItemList(item_ids=items[preferences >= 1.0])
            query = self._data.RecQuery(user_id=user, history_items=likes)
            found[place] = self._scorer(query, self._items).scores()
        return found

    def ratings(self, users: NDArray[np.int32], profiles: Profiles) -> NDArray[np.floating]:
        """See `RatingPeer.ratings`."""
        found = np.full((users.size, len(self._items)), np.nan)
        for place, user in enumerate(users.tolist()):
            _, items, values = profiles.part(place, place + 1)
            history = self._data.ItemList(item_ids=items, rating=values)
            found[place] = self._predictor(
                self._data.RecQuery(user_id=user, history_items=history), self._items
            ).scores()
        return found
