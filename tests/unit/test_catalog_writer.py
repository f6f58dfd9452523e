import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kindred import catalog_writer
from kindred.catalog import Catalog
from kindred.catalog_follower import CatalogFollower
from kindred.catalog_writer import CatalogWriter
from kindred.errors import UnavailableError
from kindred.items import CatalogEntry, Item
from tests.support.edge import EdgeBackend
from tests.support.stores import build
from tests.support.watched_store import WatchedStore

HALF = 2**31
LAST = 2**32 - 1
LOADED = [
    CatalogEntry(7, Item("7", "Seven", 1995, external_ids={"imdb": "tt0114369"}), 12, 8),
    CatalogEntry(HALF, Item("loaded", "Loaded"), 3, 1),
]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[WatchedStore]:
    """A store with two items."""
    build(backend := EdgeBackend(tmp_path / "data"), items=LOADED)
    store = await backend.open()
    yield WatchedStore(store)
    await store.close()


@pytest.fixture
async def catalog(store: WatchedStore) -> Catalog:
    """The store's items in memory."""
    return Catalog(await store.items())


@pytest.fixture
def collisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every allocation begins at the same index, the last but one."""
    monkeypatch.setattr(catalog_writer, "first_probe", lambda item_id: LAST - 1)


def _writer(store: WatchedStore, catalog: Catalog) -> CatalogWriter:
    return CatalogWriter(store, catalog, CatalogFollower(store, catalog))


async def assert_same(store: WatchedStore, catalog: Catalog) -> None:
    """Asserts that a catalog read from the store now is the one in memory."""
    stored = {entry.index: entry for entry in await store.items()}
    assert stored == {entry.index: entry for entry in map(catalog.entry, range(catalog.rows))}


class TestUpsert:
    async def test_decimal_ids_are_their_own_index(self, store: WatchedStore, catalog: Catalog) -> None:
        """A decimal below 2^31 in its shortest form is its own index, whatever else there is."""
        items = [Item("0"), Item("8"), Item(str(HALF - 1))]
        assert await _writer(store, catalog).upsert(items) == (3, 0)
        assert [catalog.index_of(item.item_id) for item in items] == [0, 8, HALF - 1]
        await assert_same(store, catalog)

    async def test_other_ids_get_an_index_of_the_upper_half(self, store: WatchedStore, catalog: Catalog) -> None:
        """Any other id, also a number that is no index or not in its shortest form, gets a free index above 2^31."""
        items = [Item(name) for name in ("tt0133093", str(HALF), "007", "-1", "7.0", "七", "imdb:1", "8" * 256)]
        assert await _writer(store, catalog).upsert(items) == (8, 0)
        indexes = [catalog.index_of(item.item_id) for item in items]
        assert all(index is not None and HALF <= index <= LAST for index in indexes)
        assert len({*indexes, HALF}) == 9
        await assert_same(store, catalog)

    async def test_an_index_follows_from_the_id(self, store: WatchedStore, catalog: Catalog, tmp_path: Path) -> None:
        """Without collisions the same id gets the same index in another collection."""
        await _writer(store, catalog).upsert([Item("a"), Item("b")])
        build(backend := EdgeBackend(tmp_path / "other"))
        other = await backend.open()
        others = Catalog(await other.items())
        await _writer(other, others).upsert([Item("b"), Item("c"), Item("a")])
        await other.close()
        assert [others.index_of(name) for name in "ab"] == [catalog.index_of(name) for name in "ab"]

    async def test_known_items_are_replaced_in_their_place(self, store: WatchedStore, catalog: Catalog) -> None:
        """An item that is there keeps its index and counts and is otherwise as it comes, in memory and on disk."""
        new = [Item("loaded", "Reloaded", 2003), Item("9", "Nine"), Item("7", "Se7en")]
        assert await _writer(store, catalog).upsert(new) == (1, 2)
        assert catalog.entry(catalog.row_of("7")) == CatalogEntry(7, Item("7", "Se7en"), 12, 8)
        assert catalog.entry(catalog.row_of("loaded")) == CatalogEntry(HALF, new[0], 3, 1)
        assert catalog.row_of("imdb:tt0114369") is None
        await assert_same(store, catalog)

    async def test_an_external_id_names_no_item_to_replace(self, store: WatchedStore, catalog: Catalog) -> None:
        """An item whose own id is another's external id is a new item."""
        assert await _writer(store, catalog).upsert([Item("imdb:tt0114369", "Other")]) == (1, 0)
        assert catalog.item(catalog.row_of("7")).title == "Seven"
        await assert_same(store, catalog)

    async def test_collisions_take_the_next_free_index(
        self, store: WatchedStore, catalog: Catalog, collisions: None
    ) -> None:
        """Ids with the same first probe get one index each, over the end of the range to its beginning."""
        items = [Item("a"), Item("b"), Item("c"), Item("d")]
        assert await _writer(store, catalog).upsert(items) == (4, 0)
        assert {catalog.index_of(item.item_id) for item in items} == {LAST - 1, LAST, HALF + 1, HALF + 2}
        assert catalog.index_of("loaded") == HALF
        assert len(catalog) == 6
        await assert_same(store, catalog)

    async def test_a_collision_with_a_later_upsert(
        self, store: WatchedStore, catalog: Catalog, collisions: None
    ) -> None:
        """An item keeps its index when others with the same first probe come, and when it comes again."""
        await _writer(store, catalog).upsert([Item("a")])
        await _writer(store, catalog).upsert([Item("b", "B"), Item("a", "A")])
        assert (catalog.index_of("a"), catalog.index_of("b")) == (LAST - 1, LAST)
        await assert_same(store, catalog)

    async def test_another_process_may_have_taken_the_index(
        self, store: WatchedStore, catalog: Catalog, collisions: None
    ) -> None:
        """What somebody else wrote and the catalog in memory does not know yet is not overwritten."""
        await store.insert_items([CatalogEntry(LAST - 1, Item("theirs", "Theirs"))])
        assert await _writer(store, catalog).upsert([Item("ours", "Ours")]) == (1, 0)
        titles = {entry.index: entry.item.title for entry in await store.items()}
        assert (titles[LAST - 1], titles[LAST]) == ("Theirs", "Ours")
        assert catalog.index_of("ours") == LAST

    async def test_upserts_at_once_get_indexes_of_their_own(
        self, store: WatchedStore, catalog: Catalog, collisions: None
    ) -> None:
        """Two upserts that begin before either has written give every item an index of its own."""
        store.hanging = asyncio.Event()
        upserts = [
            _writer(store, catalog).upsert([Item("a"), Item("b")]),
            _writer(store, catalog).upsert([Item("c")]),
        ]
        running = asyncio.gather(*upserts)
        await store.until("insert_items", 2)
        store.back()
        assert await running == [(2, 0), (1, 0)]
        assert {catalog.index_of(name) for name in "abc"} == {LAST - 1, LAST, HALF + 1}
        await assert_same(store, catalog)

    async def test_upserts_of_one_item_at_once_agree(self, store: WatchedStore, catalog: Catalog) -> None:
        """Two upserts of one new item leave one item, the same in memory and on disk."""
        store.hanging = asyncio.Event()
        writer = _writer(store, catalog)
        running = asyncio.gather(*(writer.upsert([Item("new", title)]) for title in ("One", "Two")))
        await store.until("insert_items", 1)
        store.back()
        await running
        assert len(catalog) == 3
        await assert_same(store, catalog)

    async def test_nothing_costs_nothing(self, store: WatchedStore, catalog: Catalog) -> None:
        """Without items nothing is written."""
        calls = store.calls.copy()
        assert await _writer(store, catalog).upsert([]) == (0, 0)
        assert store.calls == calls

    @pytest.mark.parametrize("method", ["insert_items", "replace_items"])
    async def test_a_failed_upsert_can_be_done_again(self, store: WatchedStore, catalog: Catalog, method: str) -> None:
        """If the store is away, memory holds nothing that the store has not; doing it again completes it."""
        items = [Item("7", "Se7en"), Item("new", "New")]
        store.away(method)
        with pytest.raises(UnavailableError):
            await _writer(store, catalog).upsert(items)
        store.back()
        await assert_same(store, catalog)
        await _writer(store, catalog).upsert(items)
        assert [catalog.item(catalog.row_of(item.item_id)) for item in items] == items
        await assert_same(store, catalog)
