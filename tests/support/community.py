"""Small collections of plain ratings, opened as a process opens them, and answers held against the reference."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from math import isclose
from pathlib import Path

from kindred.backend import Backend
from kindred.catalog import Catalog
from kindred.errors import KindredError
from kindred.item_index import first_probe, natural_index
from kindred.items import CatalogEntry, Item
from kindred.ratings import EMPTY_PROFILE, Rated, RatingScale, merge
from kindred.recommendation import RecommendationAnswer, RecommendedItem, Source, Strategy
from kindred.settings import Settings
from kindred.stores.edge import EdgeBuilder
from kindred.stores.port import CollectionMetadata, StoredUser, UserWrite
from kindred.weighting import LikingWeighting, ZScoreWeighting, stored_vector
from tests.support.reference import ExpectedAnswer, Ratings, mean_and_std

SCALE = RatingScale(0.5, 5.0)


def index_of(item_id: str) -> int:
    """The index of an item that nothing collides with."""
    natural = natural_index(item_id)
    return first_probe(item_id) if natural is None else natural


def build_community(
    path: Path, ratings: Mapping[str, Ratings], *, items: Iterable[Item] = (), z_scores: bool = False
) -> None:
    """Builds a collection of these ratings, with the items they are of and some more, the counts right."""
    known = {item.item_id: item for item in items}
    rated: dict[str, list[float]] = {item_id: [] for item_id in known}
    for profile in ratings.values():
        for item_id, stars in profile.items():
            rated.setdefault(item_id, []).append(stars)
    weighting = ZScoreWeighting(*mean_and_std(ratings)) if z_scores else LikingWeighting(SCALE)
    with EdgeBuilder(path) as builder:
        builder.add_items(
            CatalogEntry(
                index_of(item_id),
                known.get(item_id, Item(item_id, f"Title {item_id}")),
                len(stars),
                sum(each >= 4 for each in stars),
            )
            for item_id, stars in rated.items()
        )
        users = []
        for user_id, profile in ratings.items():
            events = [Rated(index_of(item_id), stars, 1_000) for item_id, stars in profile.items()]
            stored = merge(EMPTY_PROFILE, events)
            users.append(UserWrite(StoredUser(user_id, stored, 1), stored_vector(weighting, stored)))
        builder.add_users(users)
        builder.commit(CollectionMetadata("community", SCALE, weighting, "2024-05-06T07:08:09+00:00"))


@asynccontextmanager
async def opened(path: Path, *, cache_bytes: int = 2**28) -> AsyncIterator[Backend]:
    """The collection at a path, open for a while."""
    backend = await Backend.open(Settings(data_dir=path, cache_bytes=cache_bytes, default_recipe="default"))
    try:
        yield backend
    finally:
        await backend.store.close()


def ids_of(catalog: Catalog, items: Iterable[RecommendedItem]) -> list[str]:
    """The ids of recommended items."""
    return [catalog.item(item.row).item_id for item in items]


def assert_agrees(catalog: Catalog, answer: RecommendationAnswer, expected: ExpectedAnswer) -> None:
    """Asserts that an answer has the reference's items in its order, with their scores, support and origin."""
    assert ids_of(catalog, answer.items) == [item.item_id for item in expected.items]
    for item, wanted in zip(answer.items, expected.items, strict=True):
        assert isclose(item.score, wanted.score, rel_tol=1e-5)
    assert [(item.support, item.source is Source.POPULAR) for item in answer.items] == [
        (item.support, item.popular) for item in expected.items
    ]
    assert answer.neighbors_used == len(expected.neighbors)
    if not expected.neighbors:
        assert answer.strategy is Strategy.POPULAR_FALLBACK
    elif any(item.popular for item in expected.items):
        assert answer.strategy is Strategy.MIXED
    else:
        assert answer.strategy is Strategy.PERSONALIZED


def twins(count: int) -> dict[str, dict[str, float]]:
    """People who are all as similar to each other, each with one item that nobody else rates."""
    return {str(user): {"shared": 5.0, "also": 4.0, f"own {user}": 5.0} for user in range(count)}


def text(result: RecommendationAnswer | KindredError) -> str:
    """Everything in a result, every number to its last bit."""
    return f"{type(result).__name__}: {result}" if isinstance(result, KindredError) else repr(result)
