"""Everything that the doors share in one process, made from a store."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Self

from kindred.attribute_names import AttributeNames
from kindred.catalog import Catalog
from kindred.catalog_follower import CatalogFollower
from kindred.catalog_writer import CatalogWriter
from kindred.errors import UnavailableError
from kindred.eventlog.broker import AppliedTo
from kindred.events import EventDecoder
from kindred.freshness import Freshness
from kindred.popular_lists import PopularLists
from kindred.profile_cache import ProfileCache
from kindred.recipes import SIMILARITY_OF_WEIGHTING, Recipe
from kindred.recommender import Recommender
from kindred.segments import Segments
from kindred.settings import Settings
from kindred.similar_items import SimilarItems
from kindred.similar_users import SimilarUsers
from kindred.stores.choice import open_store
from kindred.stores.port import Store
from kindred.updater import ProfileUpdater


@dataclass(frozen=True, slots=True)
class Backend:
    """An open collection and what works on it.

    Args:
        store: Users and items.
        catalog: The items in memory.
        items: Writes items.
        follower: Sees the items that other processes write.
        recommender: Answers.
        recipes: The recipes by name.
        names_neighbors: Whether users may be told who their neighbors are.
        similar_items: Finds items like an item.
        similar_users: Finds users like a user.
        popular: Counts what is popular lately, and among some.
        updater: Applies events.
        decoder: Reads events.
        freshness: Waits for events to be applied.
    """

    store: Store
    catalog: Catalog
    items: CatalogWriter
    follower: CatalogFollower
    recommender: Recommender
    recipes: Mapping[str, Recipe]
    names_neighbors: bool
    similar_items: SimilarItems
    similar_users: SimilarUsers
    popular: PopularLists
    updater: ProfileUpdater
    decoder: EventDecoder
    freshness: Freshness

    @classmethod
    async def open(cls, settings: Settings, freshness: Freshness | None = None) -> Self:
        """Opens the current collection that the settings name, and loads its catalog.

        Args:
            settings: The settings.
            freshness: Who waits for events, if this collection follows another one; who waits goes on waiting.

        Raises:
            PreconditionError: It is in use, not loaded or of another form.
            UnavailableError: The engine cannot read it, or the server does not answer.
        """
        store = await open_store(settings)
        try:
            entries = await store.items()
            # The most rated first: then the numbers that nearly every call needs lie together in the arrays by row.
            entries.sort(key=lambda entry: entry.rated_count, reverse=True)
            # In a thread: while a collection is swapped in, the calls on the one before go on.
            catalog = await asyncio.to_thread(lambda: Catalog(entries).prepare())
            return cls.over(store, catalog, settings, freshness)
        except BaseException:
            await store.close()
            raise

    @classmethod
    def over(cls, store: Store, catalog: Catalog, settings: Settings, freshness: Freshness | None = None) -> Self:
        """Puts the parts together.

        Args:
            store: The open store.
            catalog: Its items.
            settings: The settings.
            freshness: As in `open`.
        """
        freshness = freshness or Freshness(store)
        follower = CatalogFollower(store, catalog)
        recipes = settings.recipes()
        names = AttributeNames(store)
        popular = PopularLists(store, catalog, names, settings.popularity_age)
        segments = Segments(store, popular, settings.segments(), settings.popularity_age)
        cache = ProfileCache(settings.cache_bytes)
        recommender = Recommender(store, catalog, recipes, cache, segments=segments, default=settings.default_recipe)
        return cls(
            store=store,
            catalog=catalog,
            items=CatalogWriter(store, catalog, follower),
            follower=follower,
            recommender=recommender,
            recipes=recipes,
            names_neighbors=settings.name_neighbors,
            similar_items=SimilarItems(recommender.finder, catalog),
            similar_users=SimilarUsers(
                store,
                catalog,
                names,
                reader=recommender.reader,
                finder=recommender.finder,
                recipe=recipes[SIMILARITY_OF_WEIGHTING[store.metadata.weighting.name]],
                allowed=settings.name_neighbors,
            ),
            popular=popular,
            updater=ProfileUpdater(store, freshness.announce),
            decoder=EventDecoder(catalog, store.metadata.scale),
            freshness=freshness,
        )

    @property
    def applied_to(self) -> AppliedTo:
        """What committed offsets say something about."""
        return AppliedTo(self.store.generation, self.store.metadata.included)


class Current:
    """The backend over the current collection, whichever that is: a swap puts another one in its place.

    Args:
        backend: The backend; None while there is none yet.
    """

    def __init__(self, backend: Backend | None = None) -> None:
        self._backend = backend
        self._settled_at = 0.0

    @property
    def backend(self) -> Backend:
        """The backend.

        Raises:
            UnavailableError: It is still being opened.
        """
        if self._backend is None:
            raise UnavailableError("store", "the server is starting: its store is not open yet")
        return self._backend

    @property
    def settling(self) -> bool:
        """Whether it was adopted so short a time ago that what others wrote last may still be brought over."""
        return monotonic() < self._settled_at

    def adopt(self, backend: Backend, settle_in: float) -> None:
        """Puts a backend in its place; who waits for events waits for them there.

        Args:
            backend: Over the collection that was swapped in.
            settle_in: Seconds until everything is in it that was written to the one before.
        """
        backend.freshness.follow(backend.store)
        self._settled_at = backend.follower.settled_at = monotonic() + settle_in
        self._backend = backend
