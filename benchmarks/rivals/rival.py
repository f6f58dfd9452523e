"""What every rival can do, and how long it takes: all of them are asked the same, in turn."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from benchmarks.rivals.contest import Contest
from benchmarks.rivals.rows import Row

TIMED, BLOCK = 100, 20
"""Users who are asked for with a watch, at most, and how many of them one after the other: who is asked once a second
finds cold caches and a sleeping server. The lists of all users are judged."""


@dataclass(slots=True)
class Rival:
    """One way to recommend, ready to be asked.

    Args:
        who: The way, and what it runs on.
        answer: Answers for a user, as it is published; what it gives is not looked at.
        ranked: Gives a user's ten item ids for the judgement; None if it is not judged.
        ndcg_of: Whose lists it gives, too, if it is too slow to be asked for all of them.
        fresh_ms: Measures how long a new rating takes to count; None if that is no question.
        note: What is to be said of it; without an answer, why there is none.
        seconds: How long each of its answers took, round after round.
    """

    who: str
    answer: Callable[[str], object] | None = None
    ranked: Callable[[str], Sequence[str]] | None = None
    ndcg_of: str = ""
    fresh_ms: Callable[[], float] | None = None
    note: Callable[[], str] = lambda: ""
    seconds: list[float] = field(default_factory=list)


def compete(contest: Contest, rivals: Sequence[Rival]) -> list[Row]:
    """Judges everybody's lists, then asks everybody in turn, then gives everybody new ratings.

    Args:
        contest: Who asks, and how lists are judged.
        rivals: Who is asked.
    """
    ndcg = {each.who: contest.ndcg(map(each.ranked, contest.asking)) for each in rivals if each.ranked}
    step = max(1, len(contest.asking) // TIMED)
    chosen = contest.asking[::step][:TIMED]
    for first in range(0, len(chosen), BLOCK):
        for each in rivals:
            each.seconds += _timed(each, chosen[first : first + BLOCK])
    return [
        Row(
            each.who,
            ndcg.get(each.ndcg_of or each.who),
            statistics.median(each.seconds) * 1_000 if each.seconds else None,
            each.fresh_ms() if each.fresh_ms else None,
            each.note(),
        )
        for each in rivals
    ]


def _timed(rival: Rival, user_ids: Sequence[str]) -> list[float]:
    """Seconds of each answer; the first one wakes everybody up and does not count."""
    if not rival.answer:
        return []
    rival.answer(user_ids[-1])
    seconds = []
    for user_id in user_ids:
        start = perf_counter()
        rival.answer(user_id)
        seconds.append(perf_counter() - start)
    return seconds
