"""LensKit and implicit as rivals: in this process, with no wire. They come with the extra `evaluation`."""

import asyncio
from collections.abc import Iterator
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals.contest import DEPTH, Contest
from benchmarks.rivals.rival import Rival
from kindred.errors import PreconditionError
from loader.evaluation.extra import EXTRA
from loader.evaluation.metrics import NOTHING
from loader.evaluation.options import PeerName
from loader.evaluation.peers import PEERS
from loader.evaluation.peers.base import Peer, PeerContestant, preferences_of, top_places
from loader.progress import NoProgress

_LIBRARIES: tuple[tuple[str, PeerName], ...] = (
    ("LensKit UserKNN", "userknn"),
    ("implicit item-item, BM25", "bm25"),
    ("implicit ALS, 64 factors", "als"),
)


def library_rivals(contest: Contest) -> Iterator[Rival]:
    """Trains them, each as it takes part in `kindred evaluate`.

    Args:
        contest: The ratings.
    """
    for who, name in _LIBRARIES:
        peer = PEERS[name]()
        try:
            peer.fit(contest.train, 0)
        except PreconditionError:
            missing = f"not installed: {EXTRA}"
            yield Rival(who, note=lambda missing=missing: missing)  # type: ignore[misc]  # bound now
            continue
        yield _rival(who, peer, contest)


def _rival(who: str, peer: Peer, contest: Contest) -> Rival:
    table = contest.train
    codes = dict(zip(contest.asking, contest.task.users.tolist(), strict=True))
    profiles = table.profiles(contest.task.users, np.ones(table.users.size, np.bool_))
    profiles = profiles._replace(values=preferences_of(table.scale, profiles.values))
    places = {user_id: place for place, user_id in enumerate(contest.asking)}

    def answer(user_id: str) -> NDArray[np.intp]:
        part = profiles.part(places[user_id], places[user_id] + 1)
        [scores] = peer.scores(np.array([codes[user_id]], np.int32), part)
        scores = np.where(np.isnan(scores), -np.inf, scores).astype(np.float64)
        scores[part.items] = np.nan
        return top_places(scores, DEPTH)

    def retrain() -> float:
        start = perf_counter()
        peer.fit(table, 0)
        answer(contest.asking[0])
        return (perf_counter() - start) * 1_000

    judged = PeerContestant(peer, contest.table, contest.stored, 0.0)
    lists = asyncio.run(judged.rank(contest.task, DEPTH, NoProgress()))
    ids = [item.item_id for item in contest.table.items]

    def ranked(user_id: str) -> list[str]:
        return [ids[code] for code in lists[places[user_id]].tolist() if code != NOTHING]

    note = "in process, ten item numbers; trained anew (their own next answer has it at once, nobody else's)"
    return Rival(who, answer, ranked, fresh_ms=retrain, note=lambda: note)
