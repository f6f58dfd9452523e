"""The same data and split for everybody: MovieLens, a fifth of each user's ratings held out; how lists are judged."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kindred.star_curve import LIKED_FROM
from loader.evaluation.metrics import NOTHING, judge, popularity_of, user_metrics
from loader.evaluation.options import SplitOptions
from loader.evaluation.reading import read_source
from loader.evaluation.splits import Task, split
from loader.evaluation.table import RatingTable
from loader.progress import NoProgress
from loader.readers.movielens import open_movielens

DEPTH = 10


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Ratings that everybody learns from, users who ask, and what they are to get.

    Args:
        table: All ratings.
        stored: Which of them everybody has. Shape (n,).
        train: These.
        task: The users who ask, and what of theirs is held out.
        folder: `ratings.csv`, `movies.csv` and `links.csv` of the train part, in MovieLens' latest form.
    """

    table: RatingTable
    stored: NDArray[np.bool_]
    train: RatingTable
    task: Task
    folder: Path

    @classmethod
    def prepare(cls, source: Path, folder: Path) -> Self:
        """Splits a data set and writes the train part down.

        Args:
            source: MovieLens in any of its forms. Its ids have to be whole numbers, as the tutorial's are.
            folder: Where to write.
        """
        table = read_source(open_movielens(source), NoProgress())
        found = split(table, SplitOptions())
        contest = cls(found.table, found.train, found.table.where(found.train), found.tasks[0], folder)
        folder.mkdir(parents=True)
        contest._write()
        return contest

    @property
    def asking(self) -> Sequence[str]:
        """The ids of the users who ask."""
        return [self.table.user_ids[code] for code in self.task.users.tolist()]

    def opinions(self) -> dict[str, dict[int, int]]:
        """By user who asks: item ids as whole numbers, 1 for a like and -1 for a dislike, as the tutorial has them.

        Four stars and more are a like, two and less a dislike.
        """
        starts, items, values = self.train.profiles(self.task.users, np.ones(self.train.users.size, np.bool_))
        stars = self.train.scale.stars(values)
        said = np.where(stars >= LIKED_FROM, 1, np.where(stars <= 2, -1, 0)).tolist()  # noqa: PLR2004  # two stars
        ids = [int(self.table.items[code].item_id) for code in items.tolist()]
        return {
            user_id: {ids[place]: said[place] for place in range(begin, end) if said[place]}
            for user_id, (begin, end) in zip(self.asking, pairwise(starts.tolist()), strict=True)
        }

    def rated(self) -> dict[str, set[int]]:
        """By user who asks: the ids of all items that they have rated in the train part."""
        starts, items, _ = self.train.profiles(self.task.users, np.ones(self.train.users.size, np.bool_))
        ids = [int(self.table.items[code].item_id) for code in items.tolist()]
        return {
            user_id: set(ids[begin:end])
            for user_id, (begin, end) in zip(self.asking, pairwise(starts.tolist()), strict=True)
        }

    def ndcg(self, lists: Iterable[Sequence[str]]) -> float:
        """NDCG@10 of lists.

        Args:
            lists: By user who asks, in their order: item ids, best first.
        """
        code_of = {item.item_id: code for code, item in enumerate(self.table.items)}
        found = np.full((self.task.users.size, DEPTH), NOTHING, np.int32)
        for row, ids in zip(found, lists, strict=True):
            codes = [code_of[item_id] for item_id in ids[:DEPTH]]
            row[: len(codes)] = codes
        return self.ndcg_of_codes(found)

    def ndcg_of_codes(self, lists: NDArray[np.int32]) -> float:
        """NDCG@10 of lists of item codes, filled up with -1. Shape (n_asking, 10)."""
        relevant = self.table.profiles(self.task.users, self.task.held_out & self.table.liked)
        popularity = popularity_of(self.train.rated_counts, len(self.table.user_ids))
        judged = judge(lists, relevant.starts, relevant.items)
        return float(user_metrics(judged, DEPTH, popularity)["ndcg"].mean())

    def _write(self) -> None:
        train, items = self.train, self.table.items
        users, films = self.table.user_ids, [item.item_id for item in items]
        columns = (train.users.tolist(), train.codes.tolist(), train.values.tolist(), (train.times // 1_000).tolist())
        ratings = ((users[user], films[code], value, at) for user, code, value, at in zip(*columns, strict=True))
        _write_csv(self.folder / "ratings.csv", "userId,movieId,rating,timestamp", ratings)
        movies = ((item.item_id, item.title, "|".join(item.genres)) for item in items)
        _write_csv(self.folder / "movies.csv", "movieId,title,genres", movies)
        links = ((item.item_id, item.external_ids.get("imdb", item.item_id), "") for item in items)
        _write_csv(self.folder / "links.csv", "movieId,imdbId,tmdbId", links)


def _write_csv(path: Path, heading: str, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        file.write(f"{heading}\n")
        csv.writer(file).writerows(rows)
