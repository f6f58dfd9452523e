"""What a person typed about items: likes, dislikes and ratings, as one list."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from cli.item_choice import TypedItem
from cli.origins import origin_of
from cli.output import misused, title_of
from kindred.v1.item_pb2 import Item
from kindred.v1.rating_service_pb2 import NewRating
from kindred.v1.reaction_pb2 import REACTION_DISLIKE, REACTION_LIKE
from kindred.v1.recommendation_service_pb2 import InlineRating

LikeOption = Annotated[
    list[str] | None, typer.Option("--like", metavar="ITEM", help="An item that is liked, by id or title.")
]
DislikeOption = Annotated[
    list[str] | None, typer.Option("--dislike", metavar="ITEM", help="An item that is disliked, by id or title.")
]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a person thinks of one item.

    Args:
        item: The item.
        value: On the catalog's scale; for a reaction without a number, None.
        liked: The reaction, if there is no value.
    """

    item: TypedItem
    value: float | None = None
    liked: bool = True

    def write_to(self, message: InlineRating | NewRating) -> None:
        """Sets the value or the reaction of a message."""
        if self.value is None:
            message.reaction = REACTION_LIKE if self.liked else REACTION_DISLIKE
        else:
            message.value = self.value


def reactions(likes: Iterable[str] | None, dislikes: Iterable[str] | None) -> list[Opinion]:
    """The opinions without a number.

    Args:
        likes: What was given with --like.
        dislikes: What was given with --dislike.
    """
    liked = [Opinion(typed_item("--like", text)) for text in likes or ()]
    return liked + [Opinion(typed_item("--dislike", text), liked=False) for text in dislikes or ()]


def parse_rating(text: str, option: str = "") -> Opinion:
    """Reads ITEM=VALUE; the value stands after the last equals sign.

    Args:
        text: What was typed.
        option: The option that it was typed for, if any.

    Raises:
        typer.Exit: It is of another form; standard error says so.
    """
    name, _, number = text.rpartition("=")
    value = as_number(number)
    if not name or value is None:
        raise misused(f"{origin_of(option, text)}: must be ITEM=VALUE, for instance 50=4.5 or 'toy story=4.5'")
    return Opinion(TypedItem(name, origin_of(option, text)), value)


def as_number(text: str) -> float | None:
    """The finite number that a text is, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def typed_item(option: str, text: str) -> TypedItem:
    """An item that was given to an option.

    Args:
        option: The option.
        text: An id, or words of a title.
    """
    return TypedItem(text, origin_of(option, text))


def check_distinct(typed: Sequence[TypedItem], items: Sequence[Item]) -> None:
    """Refuses two opinions on one item.

    Args:
        typed: How the items were written.
        items: What they turned out to be.

    Raises:
        typer.Exit: Two are the same; standard error names both.
    """
    first: dict[str, TypedItem] = {}
    for each, item in zip(typed, items, strict=True):
        other = first.setdefault(item.item_id, each)
        if other is not each:
            raise misused(f"{each.origin}: the same item as {other.origin}: {title_of(item)}, id {item.item_id}")
