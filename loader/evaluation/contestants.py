"""What takes part in an evaluation."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loader.evaluation.splits import Task
from loader.progress import Progress


class Contestant(Protocol):
    """Ranks items for users."""

    @property
    def name(self) -> str:
        """What it is called in the report."""

    @property
    def prepare_seconds(self) -> float:
        """How long it took to get ready: to load, or to train."""

    async def rank(self, task: Task, depth: int, progress: Progress) -> NDArray[np.int32]:
        """Ranks the items that each user of a task has not rated yet.

        Args:
            task: The users.
            depth: How many items.
            progress: Is told of every user.

        Returns:
            Item codes, best first, -1 behind the last one. Shape (n_queries, depth).
        """

    async def predict(self, task: Task, progress: Progress) -> NDArray[np.float64] | None:
        """Predicts the ratings that are held out.

        Args:
            task: The users.
            progress: Is told of every user.

        Returns:
            Ratings on the catalog's scale, NaN where there is no prediction, in the order of `RatingTable.profiles` of
            the users' held-out ratings, shape (n_held_out,); None if it predicts no ratings at all.
        """
