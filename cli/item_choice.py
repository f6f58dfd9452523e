"""Turns what a person typed for an item into the item: an id of the catalog, or else the words of a title."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from cli.client import Client
from cli.output import ID, TITLE, YEAR, complain, print_table, year_of
from kindred.title_search import words_of
from kindred.v1.catalog_service_pb2 import BatchGetItemsRequest, SearchItemsRequest, SearchItemsResponse
from kindred.v1.item_pb2 import Item

_IDS_A_CALL = 1_000
_TITLE_AND_YEAR = re.compile(r"(.*\S)\s*\((\d{4})\)")


@dataclass(frozen=True, slots=True)
class TypedItem:
    """An item as a person wrote it.

    Args:
        text: An id, or words of a title.
        origin: Where it was written, for messages: `--like 'toy story'`, `ratings.csv:7`.
        is_id: Whether it can only be an id.
    """

    text: str
    origin: str
    is_id: bool = False


def choose_items(client: Client, typed: Sequence[TypedItem]) -> list[Item]:
    """Finds the item that each text means: by id in one call for all, what is left by title.

    Args:
        client: Whom to ask.
        typed: The texts.

    Returns:
        The items (id, title and year), one for each text.

    Raises:
        typer.Exit: A text means no item, or several; standard error says which, and lists them.
    """
    chosen = _by_id(client, typed)
    wrong = False
    for each in typed:
        if each.text not in chosen:
            item = None if each.is_id else _by_title(client, each)
            if item is not None:
                chosen[each.text] = item
            elif each.is_id:
                complain(f"{each.origin}: the catalog has no item {each.text}")
            wrong |= item is None
    if wrong:
        raise typer.Exit(1)
    return [chosen[each.text] for each in typed]


def _by_id(client: Client, typed: Sequence[TypedItem]) -> dict[str, Item]:
    origin_of: dict[str, str] = {}
    for each in typed:
        origin_of.setdefault(each.text, each.origin)
    texts = list(origin_of)
    found: dict[str, Item] = {}
    for start in range(0, len(texts), _IDS_A_CALL):
        asked = texts[start : start + _IDS_A_CALL]
        response = client.call(
            client.catalog.BatchGetItems,
            BatchGetItemsRequest(item_ids=asked),
            {"item_ids": [origin_of[text] for text in asked]},
        )
        missing = set(response.missing_item_ids)
        found |= zip((text for text in asked if text not in missing), response.items, strict=True)
    return found


def _by_title(client: Client, typed: TypedItem) -> Item | None:
    title, year = _without_year(typed.text)
    response = SearchItemsResponse()
    if year is not None:
        request = SearchItemsRequest(query=title, min_year=year, max_year=year)
        response = client.call(client.catalog.SearchItems, request)
    if response.total_size == 0 and words_of(typed.text):
        response = client.call(client.catalog.SearchItems, SearchItemsRequest(query=typed.text))
    if response.total_size == 0:
        complain(f"{typed.origin}: no such id and no such title in the catalog; `kindred search WORD` finds titles")
        return None
    wanted = [sorted(words_of(text)) for text in (typed.text, title)]
    exact = [item for item in response.items if sorted(words_of(item.title)) in wanted]
    if response.total_size == 1 or len(exact) == 1:
        return (exact or response.items)[0]
    complain(f"{typed.origin}: {response.total_size:,} titles match; use the id of the one you mean:")
    print_table(
        (ID, TITLE, YEAR), [(item.item_id, item.title, year_of(item)) for item in response.items], on_stderr=True
    )
    if response.total_size > len(response.items):
        rest = response.total_size - len(response.items)
        complain(f"and {rest:,} more: kindred search {shlex.quote(typed.text)} --limit 100")
    return None


def _without_year(text: str) -> tuple[str, int | None]:
    match = _TITLE_AND_YEAR.fullmatch(text)
    return (match[1], int(match[2])) if match else (text, None)
