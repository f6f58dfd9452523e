"""Asks the product in this process with many settings in turn, and takes the time of each answer and of its search.

It is processor time: other work on the machine, which has its share of the clock's, adds next to nothing to it.
"""

from collections.abc import Awaitable, Callable, Sequence
from time import process_time

import numpy as np
from numpy.typing import NDArray

from benchmarks.tradeoff.answered import Answered
from benchmarks.tradeoff.settings import WHOLE, Cut, Setting, turns
from kindred.stores.edge import EdgeStore
from kindred.stores.port import Hits
from kindred.user_filter import UserFilter
from kindred.weighting import SparseVector


class CuttingStore(EdgeStore):
    """The embedded store, which hands the engine a part of each query."""

    cut: Cut = WHOLE
    """Which part."""
    was_cut: bool = False
    """Whether the last query lost anything."""
    search_seconds: float = 0.0
    """Processor time of all searches."""

    async def search(
        self, queries: Sequence[SparseVector], limit: int, filters: Sequence[UserFilter | None] = ()
    ) -> list[Hits]:
        """See `Store.search`."""
        cut = [self.cut.of(query) for query in queries]
        self.was_cut = any(
            part is not query and part.values.size - self.cut.unprunable < query.values.size
            for part, query in zip(cut, queries, strict=True)
        )
        start = process_time()
        hits = await super().search(cut, limit, filters)
        self.search_seconds += process_time() - start
        return hits


async def ask_all(
    store: CuttingStore,
    settings: Sequence[Setting],
    users: int,
    ask: Callable[[Setting, int], Awaitable[NDArray[np.int32]]],
    *,
    first: Sequence[Setting] = (),
    rounds: int = 1,
) -> list[Answered]:
    """Asks for every user with every setting.

    Args:
        store: What is asked.
        settings: The settings.
        users: How many users.
        ask: Asks for the user in a place; the answer is a list of items.
        first: With which settings to ask before, so that the profiles are in the cache.
        rounds: How often to ask; the shortest time counts.
    """
    lists = [[np.empty(0, np.int32)] * users for _ in settings]
    seconds = np.full((2, len(settings), users), np.inf)
    was_cut = np.zeros((len(settings), users), np.bool_)
    for setting in first:
        store.cut = setting.cut
        for user in range(users):
            await ask(setting, user)
    for _ in range(rounds):
        for user, place in turns(users, len(settings)):
            store.cut = settings[place].cut
            store.search_seconds, start = 0.0, process_time()
            lists[place][user] = await ask(settings[place], user)
            taken = process_time() - start, store.search_seconds
            seconds[:, place, user] = np.minimum(seconds[:, place, user], taken)
            was_cut[place, user] = store.was_cut
    return [
        Answered(setting, np.stack(lists[place]), seconds[0, place], seconds[1, place], was_cut[place])
        for place, setting in enumerate(settings)
    ]
