"""The physical limit: the bare search in the engine, and its posting lists read once at the memory's speed."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

import numpy as np
import qdrant_edge as qe

from benchmarks.recommend import edge_query, query_vectors
from benchmarks.rivals.contest import Contest
from benchmarks.rivals.rival import Rival
from benchmarks.rivals.rows import Row

SEARCH, MEMORY = "Bare search in the engine", "Its posting lists, read once"
ENTRY_BYTES = {"MutableRam": 12}
"""What an entry of a posting list takes, by the kind of index: record id (u32), weight and the highest weight to come
(f32 each) in the one that can be written to. The others pack ids, and have the highest weight once for 128 entries."""
_PACKED_BYTES = 8
_COPIED = 256 * 2**20


def limit_rivals(data_dir: Path, workspace: Path, stack: ExitStack) -> Iterator[Rival]:
    """The same search as Kindred's, without Kindred.

    Args:
        data_dir: The embedded store; nobody may have it open.
        workspace: A folder.
        stack: Closes the engine.
    """
    copy = workspace / "bare"
    shutil.copytree(data_dir, copy)
    queries = {user_id: edge_query(vector) for user_id, vector in asyncio.run(query_vectors(copy)).items()}
    [users] = (copy / "generations").glob("*/users")
    shard = qe.EdgeShard.load(str(users))
    stack.callback(shard.close)

    def search(user_id: str) -> object:
        return [(hit.id, hit.score) for hit in shard.query(queries[user_id])]

    yield Rival(SEARCH, search, note=lambda: "in process, K = 200, ids and similarities: no list of items yet")


def memory_limit(contest: Contest, data_dir: Path) -> Row:
    """Bytes of the posting lists that a query touches, by the bandwidth of this machine's memory.

    Args:
        contest: The ratings; who asks, asks with all of theirs.
        data_dir: The embedded store.
    """
    entry = _entry_bytes(data_dir)
    users, train = contest.task.users, contest.train
    starts, items, _ = train.profiles(users, np.ones(train.users.size, np.bool_))
    entries = np.add.reduceat(train.rated_counts[items], starts[:-1])
    touched = float(np.median(entries)) * entry
    bandwidth = _bandwidth()
    return Row(
        MEMORY,
        answer_ms=touched / bandwidth * 1_000,
        note=f"{touched / 1e6:.2f} MB (median) of {entry} bytes an entry at {bandwidth / 1e9:.1f} GB a second, "
        "which a copy on one core reaches",
    )


def _entry_bytes(data_dir: Path) -> int:
    [segment, *_] = (data_dir / "generations").glob("*/users/segments/*/segment.json")
    index = json.loads(segment.read_text())["config"]["sparse_vector_data"]["ratings"]["index"]
    return ENTRY_BYTES.get(index["index_type"], _PACKED_BYTES)


def _bandwidth() -> float:
    """Bytes a second, read and written, of the best of a few copies that no cache can hold."""
    source = np.ones(_COPIED, np.uint8)
    target = np.empty_like(source)
    best = float("inf")
    for _ in range(5):
        start = perf_counter()
        np.copyto(target, source)
        best = min(best, perf_counter() - start)
    return 2 * _COPIED / best
