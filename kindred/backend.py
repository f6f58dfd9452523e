"""Everything that the doors share in one process, made from a store."""

from dataclasses import dataclass
from typing import Self

from kindred.catalog import Catalog
from kindred.catalog_writer import CatalogWriter
from kindred.events import EventDecoder
from kindred.freshness import Freshness
from kindred.profile_cache import ProfileCache
from kindred.recommender import Recommender
from kindred.settings import Settings
from kindred.stores.edge import EdgeStore
from kindred.stores.port import Store
from kindred.updater import ProfileUpdater


@dataclass(frozen=True, slots=True)
class Backend:
    """An open collection and what works on it.

    Args:
        store: Users and items.
        catalog: The items in memory.
        items: Writes items.
        recommender: Answers.
        updater: Applies events.
        decoder: Reads events.
        freshness: Waits for events to be applied.
    """

    store: Store
    catalog: Catalog
    items: CatalogWriter
    recommender: Recommender
    updater: ProfileUpdater
    decoder: EventDecoder
    freshness: Freshness

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Opens the embedded store that the settings name, and loads its catalog.

        Args:
            settings: The settings.

        Raises:
            PreconditionError: It is in use, not loaded or of another form.
            UnavailableError: The engine cannot read it.
        """
        store = EdgeStore.open(settings.data_dir)
        try:
            catalog = Catalog(await store.items())
        except BaseException:
            await store.close()
            raise
        freshness = Freshness(store)
        return cls(
            store=store,
            catalog=catalog,
            items=CatalogWriter(store, catalog),
            recommender=Recommender(store, catalog, settings.recipes(), ProfileCache(settings.cache_bytes)),
            updater=ProfileUpdater(store, freshness.announce),
            decoder=EventDecoder(catalog, store.metadata.scale),
            freshness=freshness,
        )
