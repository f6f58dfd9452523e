"""What the peers share: what they learn from, and how their scores become lists."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kindred.ratings import RatingScale, Reaction
from loader.evaluation.extra import needed
from loader.evaluation.metrics import NOTHING
from loader.evaluation.options import PeerName
from loader.evaluation.splits import Task
from loader.evaluation.table import Profiles, RatingTable
from loader.progress import Progress

_BATCH = 256


class Peer(Protocol):
    """A method that scores items. The order is all that counts of its scores."""

    @property
    def name(self) -> PeerName:
        """Its name."""

    def fit(self, train: RatingTable, seed: int) -> None:
        """Learns.

        Args:
            train: The stored ratings.
            seed: Of what is random in it.

        Raises:
            PreconditionError: What it needs is not installed, or the data set is too large for it.
        """

    def scores(self, users: NDArray[np.int32], profiles: Profiles) -> NDArray[np.floating]:
        """Scores all items for some users, each from their own ratings.

        Args:
            users: User codes; those of users that were learned from have the same ratings as then. Shape (n,).
            profiles: Their ratings, as preferences: `preferences_of`.

        Returns:
            NaN where it has no opinion. Shape (n, n_items).
        """


@runtime_checkable
class RatingPeer(Peer, Protocol):
    """A peer that predicts ratings, too."""

    def ratings(self, users: NDArray[np.int32], profiles: Profiles) -> NDArray[np.floating]:
        """Predicts what users rate all items.

        Args:
            users: User codes, as for `scores`. Shape (n,).
            profiles: Their ratings, on the catalog's scale.

        Returns:
            On the catalog's scale, NaN where it has no prediction. Shape (n, n_items).
        """


def preferences_of(scale: RatingScale, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the peers learn from: piecewise linear through (2, 0), (3, 1/2), (4, 1) in stars, flat outside.

    Args:
        scale: The ratings' scale.
        values: Ratings on it. Shape (n,).

    Returns:
        Shape (n,), 0 to 1.
    """
    stars = scale.stars(values)
    return (0.5 * np.clip(stars - 2.0, 0.0, 1.0) + 0.5 * np.clip(stars - 3.0, 0.0, 1.0)).astype(np.float32)


class PeerContestant:
    """A peer that has learned. See `loader.evaluation.contestants.Contestant`.

    Args:
        peer: The peer, after `fit`.
        table: All ratings.
        train: Which of them are stored. Shape (n,).
        seconds: How long it learned.
    """

    def __init__(self, peer: Peer, table: RatingTable, train: NDArray[np.bool_], seconds: float) -> None:
        self.prepare_seconds = seconds
        self._peer = peer
        self._table = table
        self._train = train
        # Ties go to what most users like, then by id: as in the product.
        self._order = np.argsort(-table.where(train).liked_counts, kind="stable")

    @property
    def name(self) -> str:
        """See `Contestant.name`."""
        return self._peer.name

    async def rank(self, task: Task, depth: int, progress: Progress) -> NDArray[np.int32]:
        """See `Contestant.rank`."""
        table = self._table
        like = table.scale.value_of(Reaction.LIKE)
        asked = table.profiles(task.users, self._train if task.given is None else task.given)
        if task.given is not None:
            asked = asked._replace(values=np.full(asked.items.size, like, np.float32))
        preferences = asked._replace(values=preferences_of(table.scale, asked.values))
        kept_back = table.profiles(task.users, task.kept_back)
        lists = np.full((task.users.size, depth), NOTHING, np.int32)
        for first in range(0, task.users.size, _BATCH):
            after = min(first + _BATCH, task.users.size)
            scores = np.asarray(self._peer.scores(task.users[first:after], preferences.part(first, after)), np.float64)
            scores = np.where(np.isnan(scores), -np.inf, scores)
            for hidden in (asked.part(first, after), kept_back.part(first, after)):
                scores[hidden.owners, hidden.items] = np.nan
            for place, row in enumerate(scores[:, self._order]):
                top = top_places(row, depth)
                lists[first + place, : top.size] = self._order[top]
            progress.advance(after - first)
        return lists

    async def predict(self, task: Task, progress: Progress) -> NDArray[np.float64] | None:
        """See `Contestant.predict`: most peers rank and predict nothing."""
        peer, table = self._peer, self._table
        if not isinstance(peer, RatingPeer):
            return None
        asked = table.profiles(task.users, self._train if task.given is None else task.given)
        if task.given is not None:
            asked = asked._replace(values=np.full(asked.items.size, table.scale.value_of(Reaction.LIKE), np.float32))
        held_out = table.profiles(task.users, task.held_out)
        found = []
        for first in range(0, task.users.size, _BATCH):
            after = min(first + _BATCH, task.users.size)
            ratings = np.asarray(peer.ratings(task.users[first:after], asked.part(first, after)), np.float64)
            wanted = held_out.part(first, after)
            found.append(ratings[wanted.owners, wanted.items])
            progress.advance(after - first)
        return np.clip(np.concatenate(found), table.scale.minimum, table.scale.maximum)


def top_places(scores: NDArray[np.float64], depth: int) -> NDArray[np.intp]:
    """The places of the highest scores, best first; ties by place.

    Args:
        scores: The scores; NaN is never among them. Shape (n,).
        depth: How many, at most.
    """
    allowed = np.flatnonzero(~np.isnan(scores))
    found = scores[allowed]
    if found.size > depth:
        last = np.partition(found, found.size - depth)[found.size - depth]
        allowed = allowed[found >= last]
        found = scores[allowed]
    return allowed[np.argsort(-found, kind="stable")][:depth]


def rows_of(profiles: Profiles, n_items: int, peer: PeerName) -> Any:
    """A sparse matrix of scipy's, one row a user, without explicit zeros.

    Args:
        profiles: The users' preferences.
        n_items: How many columns there are.
        peer: Who needs it.

    Raises:
        PreconditionError: scipy is not installed.
    """
    columns = (profiles.values, profiles.items, profiles.starts)
    # A copy: dropping zeros moves the columns' entries, which are the caller's.
    matrix = needed("scipy.sparse", peer).csr_matrix(columns, shape=(profiles.starts.size - 1, n_items), copy=True)
    matrix.eliminate_zeros()
    return matrix


def rows_of_table(train: RatingTable, peer: PeerName) -> Any:
    """The same of all stored users.

    Args:
        train: The stored ratings.
        peer: Who needs it.

    Raises:
        PreconditionError: scipy is not installed.
    """
    users = np.unique(train.users).astype(np.int32)
    profiles = train.profiles(users, np.ones(train.users.size, np.bool_))
    return rows_of(profiles._replace(values=preferences_of(train.scale, profiles.values)), len(train.items), peer)
