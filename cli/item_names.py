"""What to call the items that an answer names by their ids alone."""

from collections.abc import Iterable

from cli.client import Client
from cli.output import title_of
from kindred.v1.catalog_service_pb2 import BatchGetItemsRequest
from kindred.v1.item_pb2 import Item

_IDS_A_CALL = 1_000


class ItemNames:
    """Titles by item id; what is not known is asked for once.

    Args:
        client: Whom to ask.
        known: Items whose titles are known already.
    """

    def __init__(self, client: Client, known: Iterable[Item] = ()) -> None:
        self._client = client
        self._names: dict[str, str] = {}
        self.know(known)

    def know(self, items: Iterable[Item]) -> None:
        """Takes note of items that came with their titles."""
        self._names |= {item.item_id: title_of(item) for item in items if item.title}

    def learn(self, item_ids: Iterable[str]) -> None:
        """Asks for the titles that are not known yet.

        Args:
            item_ids: The catalog's own ids.

        Raises:
            typer.Exit: The server does not answer.
        """
        unknown = [item_id for item_id in dict.fromkeys(item_ids) if item_id not in self._names]
        for start in range(0, len(unknown), _IDS_A_CALL):
            request = BatchGetItemsRequest(item_ids=unknown[start : start + _IDS_A_CALL])
            response = self._client.call(self._client.catalog.BatchGetItems, request)
            self._names |= {item.item_id: title_of(item) for item in response.items}

    def of(self, item_id: str) -> str:
        """The title with the year; the id of an item without a title, or of one that is not known."""
        return self._names.get(item_id, item_id)
