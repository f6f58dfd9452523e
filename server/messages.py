"""Between the contract's messages and the heart's own types."""

from collections.abc import Iterable, Mapping

from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from kindred.catalog import Catalog
from kindred.items import Item
from kindred.ratings import Attributes, AttributeValue
from kindred.v1 import item_pb2

_ID, _FULL = item_pb2.ITEM_VIEW_ID, item_pb2.ITEM_VIEW_FULL
"""Looked up in the module at each item, they take as long as a field."""


def item_message(item: Item, view: int) -> item_pb2.Item:
    """An item, as much of it as a view shows.

    Args:
        item: The item.
        view: An `ItemView`; unspecified is BASIC.
    """
    message = item_pb2.Item()
    put_item(message, item, view)
    return message


def put_item(message: item_pb2.Item, item: Item, view: int) -> None:
    """Writes an item into a message, as `item_message` does."""
    message.item_id = item.item_id
    if view == _ID:
        return
    message.title = item.title
    if item.year is not None:
        message.year = item.year
    if view == _FULL:
        message.genres.extend(item.genres)
        message.tags.extend(item.tags)
        message.external_ids.update(item.external_ids)
        put_attributes(message.attributes, item.attributes)


def item_messages(catalog: Catalog, rows: Iterable[int], view: int) -> list[item_pb2.Item]:
    """The items of rows."""
    return [item_message(catalog.item(row), view) for row in rows]


def item_of(message: item_pb2.Item, attributes: Attributes) -> Item:
    """The item in a message; its attributes have been read before."""
    return Item(
        item_id=message.item_id,
        title=message.title,
        year=message.year if message.HasField("year") else None,
        genres=tuple(message.genres),
        tags=tuple(message.tags),
        external_ids=dict(message.external_ids),
        attributes=attributes,
    )


def put_attributes(target: Mapping[str, Value], attributes: Attributes) -> None:
    """Writes attributes into a map of protobuf values."""
    for name, value in attributes.items():
        put_value(target[name], value)


def put_value(target: Value, value: AttributeValue) -> None:
    """Writes an attribute's value into a protobuf value."""
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, str):
        target.string_value = value
    else:
        target.number_value = value


def timestamp(milliseconds: int) -> Timestamp:
    """A protobuf timestamp from milliseconds since 1970."""
    message = Timestamp()
    message.FromMilliseconds(milliseconds)
    return message
