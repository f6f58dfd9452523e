"""The published tutorial and notebook as rivals: over Qdrant's API, and in the client's own memory."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from time import perf_counter
from urllib.parse import urlsplit

from qdrant_client import QdrantClient

from benchmarks.rivals.contest import DEPTH, Contest
from benchmarks.rivals.rival import Rival
from benchmarks.rivals.tutorial import Form, Tutorial

TUTORIAL, NOTEBOOK = "Qdrant's tutorial, Qdrant's API", "Qdrant's notebook, Qdrant's API"
IN_MEMORY = "Qdrant's notebook, QdrantClient(':memory:')"
UPSERTS, ALONE = 20, 50
_FORMS: tuple[tuple[str, Form], ...] = ((TUTORIAL, "similarity"), (NOTEBOOK, "ratings"))


def published_rivals(contest: Contest, url: str, stack: ExitStack) -> Iterator[Rival]:
    """Loads what they load.

    Args:
        contest: The ratings.
        url: Of the Qdrant server.
        stack: Closes the clients.
    """
    # As published it is QdrantClient(host), which speaks REST; the stand-in for a server speaks gRPC, which is faster.
    server = QdrantClient(
        host=urlsplit(url).hostname, grpc_port=urlsplit(url).port or 6334, prefer_grpc=True, check_compatibility=False
    )
    stack.callback(server.close)
    for who, form in _FORMS:
        tutorial = Tutorial(server, form)
        yield _rival(who, tutorial, contest, tutorial.query_alone)
    memory = QdrantClient(":memory:")
    stack.callback(memory.close)
    rival = _rival(IN_MEMORY, Tutorial(memory, "ratings"), contest)
    rival.ranked, rival.ndcg_of = None, NOTEBOOK
    yield rival


def _rival(
    who: str, tutorial: Tutorial, contest: Contest, query_alone: Callable[[Mapping[int, int]], None] | None = None
) -> Rival:
    opinions, rated = contest.opinions(), contest.rated()
    notes: list[str] = []

    def ranked(user_id: str) -> list[str]:
        seen = rated[user_id]
        best = (movie_id for movie_id, _ in tutorial.scores(opinions[user_id]) if movie_id not in seen)
        return [str(movie_id) for movie_id, _ in zip(best, range(DEPTH), strict=False)]

    def answer(user_id: str) -> object:
        return tutorial.recommend(opinions[user_id])

    def reload() -> float:
        user_id = contest.asking[0]
        start = perf_counter()
        tutorial.load(contest.folder)
        answer(user_id)
        seconds = perf_counter() - start
        upserts = [
            _timed(partial(tutorial.upsert, int(user), int(user) % 50 + 1, 1.0), partial(answer, user))
            for user in contest.asking[:UPSERTS]
        ]
        if query_alone:
            alone = statistics.median(_timed(partial(query_alone, opinions[user])) for user in contest.asking[:ALONE])
            notes.append(f"{alone * 1_000:.1f} ms of it in the server and on the wire")
        notes.append(
            "then everything again from the CSV files, as published; were it to upsert the user's point instead, "
            f"{statistics.median(upserts) * 1_000:.1f} ms"
        )
        return seconds * 1_000

    tutorial.load(contest.folder)
    return Rival(who, answer, ranked, fresh_ms=reload, note=lambda: f"five films with names; {'; '.join(notes)}")


def _timed(*calls: Callable[[], object]) -> float:
    start = perf_counter()
    for call in calls:
        call()
    return perf_counter() - start
