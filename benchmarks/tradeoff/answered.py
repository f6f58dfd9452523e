"""What a setting made of every user. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.tradeoff.settings import Setting


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The answers of one setting.

    Args:
        setting: The setting.
        lists: What was answered: items, best first, -1 behind the last one. Shape (n_users, depth).
        seconds: Processor time of each answer. Shape (n_users,).
        search_seconds: Of its search. Shape (n_users,).
        was_cut: Whose query lost anything. Shape (n_users,).
    """

    setting: Setting
    lists: NDArray[np.int32]
    seconds: NDArray[np.float64]
    search_seconds: NDArray[np.float64]
    was_cut: NDArray[np.bool_]
