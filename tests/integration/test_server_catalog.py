import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from google.protobuf.struct_pb2 import Value

from cli.runtime import running
from kindred.v1 import catalog_service_pb2 as pb
from kindred.v1 import recommendation_service_pb2 as recommendation
from kindred.v1.item_pb2 import ITEM_VIEW_FULL, ITEM_VIEW_ID, Item
from tests.support.films import FILMS
from tests.support.place import Place
from tests.support.system import BOUND, System, connected

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


@pytest_asyncio.fixture(loop_scope="module")
async def own(own_films: Place) -> AsyncIterator[System]:
    """A server over data that only this test has."""
    settings = own_films.settings(port=0)
    async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
        yield System(settings, parts.address, client)


async def search(system: System, **fields: object) -> list[str]:
    """The ids of the items that a search finds."""
    found = await system.client.catalog.SearchItems(pb.SearchItemsRequest(**fields), timeout=BOUND)
    return [item.item_id for item in found.items]


async def get(system: System, item_id: str) -> pb.GetItemResponse:
    """One item."""
    return await system.client.catalog.GetItem(pb.GetItemRequest(item_id=item_id), timeout=BOUND)


async def upsert(system: System, *items: Item) -> pb.UpsertItemsResponse:
    """Writes items."""
    return await system.client.catalog.UpsertItems(pb.UpsertItemsRequest(items=items), timeout=BOUND)


class TestSearchItems:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("star wars", ["50"]),
            ("WARS sta", ["50"]),
            ("terminator", ["195", "96"]),
            ("Terminator, The", ["195"]),
            ("terminator 2", ["96"]),
            ("amelie", ["amélie"]),
            ("AMÉLIE", ["amélie"]),
            ("  sense   AND  ", ["275"]),
            ("secrets & lies", ["a/b c?d=e&f"]),
            ("star trek", []),
            ("ars", []),
        ],
    )
    async def test_words_are_found_whole_or_begun(self, server: System, query: str, expected: list[str]) -> None:
        """Words match in any order, whole or begun, whatever the case and the accents."""
        assert await search(server, query=query) == expected

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({"genres": ["thriller"]}, {"195", "96"}),
            ({"genres": ["HORROR", "Comedy"]}, {"alien-1979", "amélie"}),
            ({"genres": ["no such genre"]}, set()),
            ({"min_year": 1996}, {"amélie", "a/b c?d=e&f"}),
            ({"max_year": 1977}, {"50", "七人の侍"}),
            ({"min_year": 1979, "max_year": 1980}, {"172", "alien-1979"}),
            ({"min_year": 1980, "max_year": 1979}, set()),
            ({"query": "the", "genres": ["thriller"], "max_year": 1990}, {"195"}),
        ],
    )
    async def test_filters_narrow(self, server: System, filters: dict[str, object], expected: set[str]) -> None:
        """Genres match without case, years include their bounds, and an item without a year passes no bound."""
        assert set(await search(server, limit=100, **filters)) == expected

    async def test_every_item_is_found_by_nothing(self, server: System) -> None:
        """Without words every item matches, the most liked first; `total_size` counts beyond the limit."""
        found = await server.client.catalog.SearchItems(pb.SearchItemsRequest(limit=100), timeout=BOUND)
        counts = [(await get(server, item.item_id)).liked_count for item in found.items]
        assert len(found.items) == found.total_size == len(FILMS)
        assert counts == sorted(counts, reverse=True)
        assert found.items[-1].item_id == "unrated"
        short = await server.client.catalog.SearchItems(pb.SearchItemsRequest(limit=1), timeout=BOUND)
        assert (list(short.items), short.total_size) == ([found.items[0]], len(FILMS))
        assert len(await search(server)) == 10

    async def test_an_exact_title_comes_first(self, own: System) -> None:
        """A title that is exactly the words of the query is listed before more liked ones that begin with it."""
        await upsert(own, Item(item_id="star", title="Star"))
        assert await search(own, query="star") == ["star", "50"]

    async def test_a_view_decides_how_much_is_returned(self, server: System) -> None:
        """The smallest view has the id alone."""
        found = await server.client.catalog.SearchItems(
            pb.SearchItemsRequest(query="amelie", item_view=ITEM_VIEW_ID), timeout=BOUND
        )
        assert list(found.items) == [Item(item_id="amélie")]


class TestGetItems:
    @pytest.mark.parametrize("film", FILMS, ids=lambda film: film.item_id)
    async def test_every_loaded_item_is_returned_whole(self, server: System, film: object) -> None:
        """An item is returned with everything that was loaded, whatever its id looks like."""
        item = (await get(server, film.item_id)).item
        assert (item.item_id, item.title, tuple(item.genres)) == (film.item_id, film.title, film.genres)
        assert (item.year if item.HasField("year") else None) == film.year

    @pytest.mark.parametrize("item_id", ["50", "imdb:tt0076759", "tmdb:11"])
    async def test_external_ids_work_as_well(self, server: System, item_id: str) -> None:
        """An external id names the same item, with the counts of who rates and likes it."""
        answer = await get(server, item_id)
        assert answer.item.item_id == "50"
        assert (answer.rated_count, answer.liked_count) == (7, 5)

    async def test_missing_items_are_listed(self, server: System) -> None:
        """A batch gives the items in the order of the ids, twice if named twice, and lists those that are missing."""
        answer = await server.client.catalog.BatchGetItems(
            pb.BatchGetItemsRequest(item_ids=["七人の侍", "nope", "tmdb:11", "50", "imdb:tt1", "nope"]), timeout=BOUND
        )
        assert [item.item_id for item in answer.items] == ["七人の侍", "50", "50"]
        assert answer.missing_item_ids == ["nope", "imdb:tt1", "nope"]


class TestUpsertItems:
    async def test_new_items_are_there_at_once_and_after_a_restart(self, own_films: Place) -> None:
        """Items of every kind of id are created, found, and still the same when the server is started again."""
        items = [
            Item(
                item_id=item_id,
                title=f"New {number}",
                year=2000 + number,
                genres=["New", "Émile"],
                tags=["a", "b"],
                external_ids={"imdb": f"new{number}"},
                attributes={
                    "s": Value(string_value="x"),
                    "n": Value(number_value=-1.5),
                    "b": Value(bool_value=False),
                    "zero": Value(number_value=0),
                },
            )
            for number, item_id in enumerate(["51", "0", "2147483648", "007", "new", "új/🎬", "18446744073709551616"])
        ]
        for start in range(2):
            settings = own_films.settings(port=0)
            async with running(settings, serve=True, consume=False) as parts, connected(parts.address) as client:
                system = System(settings, parts.address, client)
                if start == 0:
                    assert await upsert(system, *items) == pb.UpsertItemsResponse(created_count=7)
                for number, item in enumerate(items):
                    assert (await get(system, item.item_id)).item == item
                    assert (await get(system, f"imdb:new{number}")).item == item
                found = await client.catalog.SearchItems(
                    pb.SearchItemsRequest(query="new", genres=["émile"], item_view=ITEM_VIEW_FULL), timeout=BOUND
                )
                assert sorted(map(str, found.items)) == sorted(map(str, items))

    async def test_an_item_is_replaced_whole(self, own: System) -> None:
        """Replacing leaves nothing of the old item but its counts; its old external ids and title words are gone."""
        assert await upsert(own, Item(item_id="50", title="La guerre")) == pb.UpsertItemsResponse(updated_count=1)
        answer = await get(own, "50")
        assert answer == pb.GetItemResponse(item=Item(item_id="50", title="La guerre"), rated_count=7, liked_count=5)
        assert await search(own, query="star wars") == []
        assert await search(own, query="guerre") == ["50"]
        missing = await own.client.catalog.BatchGetItems(pb.BatchGetItemsRequest(item_ids=["tmdb:11"]), timeout=BOUND)
        assert missing.missing_item_ids == ["tmdb:11"]

    async def test_a_mixture_is_counted(self, own: System) -> None:
        """New and known items in one call are counted apart; doing it again replaces them all."""
        items = [Item(item_id="50", title="A"), Item(item_id="x", title="B"), Item(item_id="y", title="C")]
        assert await upsert(own, *items) == pb.UpsertItemsResponse(created_count=2, updated_count=1)
        assert await upsert(own, *items) == pb.UpsertItemsResponse(updated_count=3)

    async def test_an_external_id_that_moved_stays_where_it_is(self, own: System) -> None:
        """When a second item takes over an external id, replacing the first one later does not take it away."""
        await upsert(own, Item(item_id="new", title="Remaster", external_ids={"imdb": "tt0076759"}))
        assert (await get(own, "imdb:tt0076759")).item.item_id == "new"
        await upsert(own, Item(item_id="50", title="Star Wars"))
        assert (await get(own, "imdb:tt0076759")).item.item_id == "new"

    async def test_an_own_id_wins_over_an_external_one(self, own: System) -> None:
        """An item whose own id looks like an external id is the one that is found under it."""
        await upsert(own, Item(item_id="imdb:tt0076759", title="Impostor"))
        assert (await get(own, "imdb:tt0076759")).item.title == "Impostor"
        assert (await get(own, "tmdb:11")).item.item_id == "50"

    async def test_parallel_writes_of_one_new_item_make_one_item(self, own: System) -> None:
        """Twenty calls that create the same items at once leave each of them once."""
        items = [Item(item_id=f"p{number}", title="Parallel") for number in range(5)]
        answers = await asyncio.gather(*(upsert(own, *items) for _ in range(20)))
        assert sum(answer.created_count for answer in answers) == 5
        assert sorted(await search(own, query="parallel")) == [item.item_id for item in items]

    async def test_a_thousand_items_are_written(self, own: System) -> None:
        """The largest number of items is written in one call, and all of them can be recommended against."""
        items = [Item(item_id=f"item-{number}", title=f"Item {number}") for number in range(1_000)]
        assert (await upsert(own, *items)).created_count == 1_000
        found = await own.client.catalog.SearchItems(pb.SearchItemsRequest(query="item"), timeout=BOUND)
        assert found.total_size == 1_000
        answer = await own.client.recommendations.Recommend(
            recommendation.RecommendRequest(user_id="7", limit=1), timeout=BOUND
        )
        assert answer.recommendations[0].item.item_id == "50"
