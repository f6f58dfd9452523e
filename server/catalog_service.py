"""CatalogService: finds, reads and writes items."""

from kindred.errors import ItemNotFoundError
from kindred.events import attributes_of
from kindred.item_filter import ItemFilter, WordFilter
from kindred.items import MAX_GENRES, YEARS, check_item
from kindred.v1 import catalog_service_pb2 as pb
from kindred.v1 import item_pb2
from kindred.v1.catalog_service_pb2_grpc import CatalogServiceServicer
from server.checks import Checks
from server.grpc_types import Context
from server.messages import item_message, item_messages, item_of
from server.state import ServerState, patience

MAX_FOUND = 100
DEFAULT_FOUND = 10
MAX_QUERY = 200
MAX_ITEMS = 1_000


class CatalogService(CatalogServiceServicer):
    """See protos/kindred/v1/catalog_service.proto.

    Args:
        state: The server's parts.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state

    async def SearchItems(self, request: pb.SearchItemsRequest, context: Context) -> pb.SearchItemsResponse:
        """Finds items by the words of their titles."""
        checks = Checks()
        limit = checks.bounded(request, "limit", MAX_FOUND, DEFAULT_FOUND)
        if len(request.query) > MAX_QUERY:
            checks.wrong("query", f"has {len(request.query):,} characters, at most {MAX_QUERY} are allowed")
        checks.known(request.item_view, item_pb2.ItemView, "item_view")
        checks.ids(request.genres, "genres", MAX_GENRES, least=0)
        for field in ("min_year", "max_year"):
            if getattr(request, field) not in YEARS:
                checks.wrong(field, f"must be {YEARS[0]} to {YEARS[-1]}")
        checks.done()
        allowed = ItemFilter(
            genres=WordFilter(any_of=tuple(request.genres)),
            min_year=request.min_year if request.HasField("min_year") else None,
            max_year=request.max_year if request.HasField("max_year") else None,
        )
        catalog = self._state.backend.catalog
        rows = catalog.search(request.query, allowed)
        return pb.SearchItemsResponse(
            items=item_messages(catalog, rows[:limit], request.item_view), total_size=len(rows)
        )

    async def GetItem(self, request: pb.GetItemRequest, context: Context) -> pb.GetItemResponse:
        """Reads one item."""
        checks = Checks()
        checks.id(request.item_id, "item_id")
        checks.done()
        backend = self._state.backend
        await backend.follower.look_for([request.item_id])
        catalog = backend.catalog
        row = catalog.row_of(request.item_id)
        if row is None:
            raise ItemNotFoundError(request.item_id)
        entry = catalog.entry(row)
        return pb.GetItemResponse(
            item=item_message(entry.item, item_pb2.ITEM_VIEW_FULL),
            rated_count=entry.rated_count,
            liked_count=entry.liked_count,
        )

    async def BatchGetItems(self, request: pb.BatchGetItemsRequest, context: Context) -> pb.BatchGetItemsResponse:
        """Reads many items."""
        checks = Checks()
        checks.ids(request.item_ids, "item_ids", MAX_ITEMS)
        checks.known(request.item_view, item_pb2.ItemView, "item_view")
        checks.done()
        backend = self._state.backend
        await backend.follower.look_for(request.item_ids)
        catalog = backend.catalog
        rows = [catalog.row_of(item_id) for item_id in request.item_ids]
        return pb.BatchGetItemsResponse(
            items=item_messages(catalog, [row for row in rows if row is not None], request.item_view),
            missing_item_ids=[item_id for item_id, row in zip(request.item_ids, rows, strict=True) if row is None],
        )

    async def UpsertItems(self, request: pb.UpsertItemsRequest, context: Context) -> pb.UpsertItemsResponse:
        """Adds and replaces items."""
        checks = Checks()
        items = []
        if checks.count(request.items, "items", MAX_ITEMS):
            for place, message in enumerate(request.items):
                items.append(item_of(message, attributes_of(message.attributes)))
                checks.violations += check_item(items[-1], f"items[{place}]")
            checks.unique([item.item_id for item in items], "items", within=".item_id")
        checks.done()
        created, updated = await self._state.upsert(items, patience(context))
        return pb.UpsertItemsResponse(created_count=created, updated_count=updated)
