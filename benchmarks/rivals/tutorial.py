"""What Qdrant publishes on recommending films with sparse vectors, with qdrant-client as it is published.

There are two forms of it, and both are here, line for line but for names and types:

- the tutorial https://qdrant.tech/documentation/advanced-tutorials/collaborative-filtering/, which adds up the scores
  of similar users over the items in their payloads; the posters that it downloads for every answer are left out;
- the notebook of https://github.com/qdrant/examples/tree/master/sparse-vectors-movies-reco, which asks for the vectors
  and adds up the ratings in them; its `search` is `query_points` in today's client, as it is in the tutorial.

The tutorial's client is one of a server; the notebook's is `QdrantClient(":memory:")` or one of a server.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from qdrant_client import QdrantClient, grpc
from qdrant_client.models import PointStruct, SparseVector, SparseVectorParams

Form = Literal["similarity", "ratings"]
LIMIT, SHOWN = 20, 5
"""Neighbors and films, both as published."""


class Tutorial:
    """The published code.

    Args:
        client: A client of anything.
        form: "similarity" for the tutorial, "ratings" for the notebook.
    """

    def __init__(self, client: QdrantClient, form: Form) -> None:
        self._client = client
        self._name = f"tutorial-{form}"
        self._form = form
        self._vectors: dict[int, dict[str, list[Any]]] = {}
        self._links = self._movies = pd.DataFrame()

    def load(self, folder: Path) -> None:
        """Everything before the question: from the CSV files to the collection."""
        ratings = pd.read_csv(folder / "ratings.csv", low_memory=False)
        self._movies = pd.read_csv(folder / "movies.csv", low_memory=False)
        self._links = pd.read_csv(folder / "links.csv", low_memory=False)
        movies = self._movies[["movieId", "title"]].astype({"movieId": str})
        ratings["movieId"] = ratings["movieId"].astype(str)
        rating = ratings["rating"]
        ratings["rating"] = (rating - rating.mean()) / rating.std()
        merged = ratings.merge(movies, left_on="movieId", right_on="movieId", how="inner")
        aggregated = merged.groupby(["userId", "movieId"]).rating.mean().reset_index()
        self._vectors = defaultdict(lambda: {"values": [], "indices": []})
        row: Any  # named as the columns are
        for row in aggregated.itertuples():
            self._vectors[row.userId]["values"].append(row.rating)
            self._vectors[row.userId]["indices"].append(int(row.movieId))
        if self._client.collection_exists(self._name):
            self._client.delete_collection(self._name)
        self._client.create_collection(
            self._name, vectors_config={}, sparse_vectors_config={"ratings": SparseVectorParams()}
        )
        self._client.upload_points(self._name, self._points(), wait=True)

    def _points(self) -> Iterator[PointStruct]:
        for user_id in self._vectors:
            yield self._point(user_id)

    def _point(self, user_id: int) -> PointStruct:
        vector = self._vectors[user_id]
        sparse = SparseVector(indices=vector["indices"], values=vector["values"])
        payload: dict[str, Any] = {"user_id": user_id}
        if self._form == "similarity":
            payload["movie_id"] = vector["indices"]
        return PointStruct(id=user_id, vector={"ratings": sparse}, payload=payload)

    def upsert(self, user_id: int, movie_id: int, z_score: float) -> None:
        """What the published code lacks: one rating more in the point of one user, with the z-scores as they are."""
        vector = self._vectors[user_id]
        if movie_id in vector["indices"]:
            vector["values"][vector["indices"].index(movie_id)] = z_score
        else:
            vector["indices"].append(movie_id)
            vector["values"].append(z_score)
        self._client.upsert(self._name, [self._point(user_id)], wait=True)

    def scores(self, my_ratings: Mapping[int, int]) -> list[tuple[int, float]]:
        """From the question to the films, best first."""
        results = self._client.query_points(
            collection_name=self._name,
            query=_to_vector(my_ratings),
            using="ratings",
            with_vectors=self._form == "ratings",
            limit=LIMIT,
        ).points
        if self._form == "similarity":
            movie_scores = _scores_of_payloads(results)
        else:
            movie_scores = _scores_of_vectors(results, my_ratings)
        return sorted(movie_scores.items(), key=lambda each: each[1], reverse=True)

    def query_alone(self, my_ratings: Mapping[int, int]) -> None:
        """The same question to a server and its answer over the wire, left as the messages that they are."""
        sparse = grpc.SparseVector(indices=[*my_ratings], values=[*my_ratings.values()])
        self._client.grpc_points.Query(
            grpc.QueryPoints(
                collection_name=self._name,
                query=grpc.Query(nearest=grpc.VectorInput(sparse=sparse)),
                using="ratings",
                limit=LIMIT,
                with_payload=grpc.WithPayloadSelector(enable=True),
                with_vectors=grpc.WithVectorsSelector(enable=self._form == "ratings"),
            )
        )

    def recommend(self, my_ratings: Mapping[int, int]) -> list[tuple[object, float]]:
        """The five films that are shown: what OMDb is asked for, or their titles."""
        shown = []
        for movie_id, score in self.scores(my_ratings)[:SHOWN]:
            if self._form == "similarity":
                names = self._links.loc[self._links["movieId"] == int(movie_id), "imdbId"]
            else:
                names = self._movies[self._movies.movieId == movie_id].title
            if not names.empty:
                shown.append((names.to_numpy()[0], score))
        return shown


def _to_vector(ratings: Mapping[int, int]) -> SparseVector:
    vector = SparseVector(values=[], indices=[])
    for movie_id, rating in ratings.items():
        vector.values.append(rating)  # noqa: PD011  # no data frame
        vector.indices.append(movie_id)
    return vector


def _scores_of_payloads(results: Sequence[Any]) -> dict[int, float]:
    movie_scores: dict[int, float] = defaultdict(float)
    for result in results:
        for movie_id in result.payload["movie_id"]:
            movie_scores[movie_id] += result.score
    return movie_scores


def _scores_of_vectors(results: Sequence[Any], my_ratings: Mapping[int, int]) -> dict[int, float]:
    movie_scores: dict[int, float] = defaultdict(float)
    for user in results:
        user_scores = user.vector["ratings"]
        for idx, rating in zip(user_scores.indices, user_scores.values, strict=False):
            if idx in my_ratings:
                continue
            movie_scores[idx] += rating
    return movie_scores
