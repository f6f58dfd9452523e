"""Kindred: asked over its own gRPC server, over the embedded engine and over Qdrant's API."""

import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from time import perf_counter

import grpc

from benchmarks.processes import consuming, free_port, serving, up
from benchmarks.rivals.contest import DEPTH, Contest
from benchmarks.rivals.rival import Rival
from cli.local_broker import local_broker
from kindred.stores.edge import EdgeBuilder
from kindred.stores.qdrant.builder import QdrantBuilder
from kindred.stores.qdrant.collections import Layout
from kindred.stores.qdrant.server import QdrantServer
from kindred.v1.rating_service_pb2 import NewRating, RecordRatingsRequest
from kindred.v1.rating_service_pb2_grpc import RatingServiceStub
from kindred.v1.recommendation_service_pb2 import (
    RECIPE_DEFAULT,
    RECIPE_RIDGE,
    RECIPE_TUTORIAL_RATINGS,
    Recipe,
    RecommendRequest,
)
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from loader.evaluation.product import TableSource
from loader.load import load
from loader.options import LoadOptions, WeightingName

EVENTS = 40
EMBEDDED, ON_QDRANT = "Kindred, embedded engine", "Kindred, Qdrant's API"
WITH_RIDGE = "Kindred, embedded engine, recipe ridge"
SAME_FORMULA = "Kindred, Qdrant's API, the notebook's formula"
_PATIENCE = 60.0


def load_embedded(contest: Contest, data_dir: Path) -> None:
    """Loads the stored ratings into an embedded store.

    Args:
        contest: The ratings.
        data_dir: Where.
    """
    with EdgeBuilder(data_dir) as builder:
        load(TableSource(contest.train), builder)


def product_rivals(contest: Contest, data_dir: Path, url: str, stack: ExitStack) -> Iterator[Rival]:
    """Loads the stored ratings into Qdrant, too, and starts servers and consumers.

    Args:
        contest: The ratings.
        data_dir: The loaded embedded store.
        url: Of the Qdrant server.
        stack: Ends what was started.
    """
    # Brokers are forked: before this process has a channel of gRPC's open, which does not survive a fork.
    brokers = {who: stack.enter_context(local_broker(0)) for who in (ON_QDRANT, SAME_FORMULA)}
    address = f"127.0.0.1:{free_port()}"
    stack.enter_context(up(data_dir, address, free_port()))
    yield _rival(EMBEDDED, address, contest, stack, "recipe default, K = 200", RECIPE_DEFAULT)
    yield _rival(WITH_RIDGE, address, contest, stack, "recipe ridge, K = 400", RECIPE_RIDGE)
    weightings: tuple[tuple[str, WeightingName, str, Recipe.ValueType], ...] = (
        (ON_QDRANT, "default", "recipe default, K = 200", RECIPE_DEFAULT),
        (SAME_FORMULA, "zscore", "recipe tutorial-ratings, K = 20", RECIPE_TUTORIAL_RATINGS),
    )
    for who, weighting, note, recipe in weightings:
        name = f"kindred-{weighting}"
        with QdrantBuilder(QdrantServer(url), name, Layout()) as builder:
            load(TableSource(contest.train), builder, LoadOptions(weighting=weighting))
        where = ("--qdrant-url", url, "--collection", name, "--kafka", brokers[who])
        address = f"127.0.0.1:{free_port()}"
        stack.enter_context(consuming(*where))
        stack.enter_context(serving(address, *where))
        yield _rival(who, address, contest, stack, note, recipe)


def _rival(  # noqa: PLR0917  # what a rival is made of
    who: str, address: str, contest: Contest, stack: ExitStack, note: str, recipe: Recipe.ValueType
) -> Rival:
    channel = stack.enter_context(grpc.insecure_channel(address))
    recommend = RecommendationServiceStub(channel).Recommend
    record = RatingServiceStub(channel).RecordRatings
    numbers = count()

    def ranked(user_id: str) -> list[str]:
        answer = recommend(RecommendRequest(user_id=user_id, limit=DEPTH, recipe=recipe))
        return [each.item.item_id for each in answer.recommendations]

    def event(user_id: str) -> float:
        """From a rating to an answer that has it, in seconds."""
        rating = NewRating(item_id=contest.table.items[next(numbers)].item_id, value=contest.table.scale.maximum)
        start = perf_counter()
        recorded = record(RecordRatingsRequest(user_id=user_id, ratings=[rating]), timeout=_PATIENCE)
        fresh = RecommendRequest(user_id=user_id, at_least_as_fresh=recorded.freshness_token, recipe=recipe)
        recommend(fresh, timeout=_PATIENCE)
        return perf_counter() - start

    def fresh_ms() -> float:
        event(contest.asking[0])  # the consumer may still have to join its group
        return statistics.median(event(user_id) for user_id in contest.asking[:EVENTS]) * 1_000

    made = f"gRPC, ten items with titles, {note}; an event through Kafka, one at a time, median of {EVENTS}"
    return Rival(who, ranked, ranked, fresh_ms=fresh_ms, note=lambda: made)
