"""What the answer has: how many items, how much of each, and how much of the reasons."""

from enum import StrEnum
from typing import Annotated

import typer

from kindred.v1.item_pb2 import ItemView
from kindred.v1.recommendation_service_pb2 import Explanation

ANSWER = "Answer"


class Explain(StrEnum):
    """How much of the reasons to show."""

    NONE = "none"
    SUMMARY = "summary"
    FULL = "full"

    @property
    def message(self) -> Explanation.ValueType:
        """The same in the contract."""
        return Explanation.Value(f"EXPLANATION_{self.name}")


class View(StrEnum):
    """How much of each item to show."""

    ID = "id"
    BASIC = "basic"
    FULL = "full"

    @property
    def message(self) -> ItemView.ValueType:
        """The same in the contract."""
        return ItemView.Value(f"ITEM_VIEW_{self.name}")


LimitOption = Annotated[
    int, typer.Option("--limit", metavar="N", min=1, max=500, help="How many items.", rich_help_panel=ANSWER)
]
ExplainOption = Annotated[
    Explain,
    typer.Option(
        "--explain",
        metavar="|".join(Explain),
        help="The reasons: none, the liked items behind each item, or every term of every score.",
        rich_help_panel=ANSWER,
    ),
]
ViewOption = Annotated[
    View,
    typer.Option(
        "--item-view",
        metavar="|".join(View),
        help="How much of each item: its id, title and year too, or everything (all of it with --json).",
        rich_help_panel=ANSWER,
    ),
]
WithoutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="ITEM",
        help="Also what the answer would be without the rating of this item, by id or title; may be repeated.",
        rich_help_panel=ANSWER,
    ),
]
TimingOption = Annotated[
    bool,
    typer.Option(
        "--timing",
        help="Also where the time of the call went, step by step, on standard error.",
        rich_help_panel=ANSWER,
    ),
]
WatchOption = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Print a new list whenever the user's ratings change it; Ctrl-C ends it.",
        rich_help_panel=ANSWER,
    ),
]
