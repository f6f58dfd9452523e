"""What changes the order of the answer: boosts, diversity and a share for new items."""

from collections.abc import Sequence
from typing import Annotated

import typer

from cli.conditions import parse_condition
from cli.opinions import as_number
from cli.origins import Origins, origin_of
from cli.output import misused
from cli.recipe_options import FORMULA
from kindred.v1.recommendation_service_pb2 import Boost

_FORMS = "genre:NAME=FACTOR, tag:NAME=FACTOR, from-year:YEAR=FACTOR or item:CONDITION=FACTOR"
_EXAMPLES = "genre:Drama=1.5, tag:space=0.5, from-year:1990=2 or item:country=NL,BE=2"
_YEARS = 10_000

BoostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--boost",
        metavar="WHAT=FACTOR",
        help=f"Multiplies the scores of some items; 0 leaves them out; may be repeated: {_EXAMPLES}.",
        rich_help_panel=FORMULA,
    ),
]
DiversityOption = Annotated[
    float | None,
    typer.Option(
        "--diversity",
        metavar="0..1",
        min=0,
        max=1,
        show_default="0",
        help="How much the items are to differ from one another.",
        rich_help_panel=FORMULA,
    ),
]
NewShareOption = Annotated[
    float | None,
    typer.Option(
        "--new-share",
        metavar="0..0.5",
        help="The share of the answer that goes to items which hardly anybody has rated yet.",
        rich_help_panel=FORMULA,
    ),
]


def read_boosts(texts: Sequence[str] | None) -> tuple[list[Boost], Origins]:
    """Reads boosts.

    Args:
        texts: Each WHAT=FACTOR; the factor stands after the last equals sign.

    Returns:
        The boosts, and where each was typed.

    Raises:
        typer.Exit: One is of another form; standard error says what would be right.
    """
    boosts = [_boost(text) for text in texts or ()]
    return boosts, {"boosts": [origin_of("--boost", text) for text in texts or ()]}


def _boost(text: str) -> Boost:
    origin = origin_of("--boost", text)
    what, _, number = text.rpartition("=")
    kind, colon, name = (part.strip() for part in what.partition(":"))
    factor = as_number(number)
    if factor is None or not colon or not name:
        raise misused(f"{origin}: must be {_FORMS}, for instance {_EXAMPLES}")
    if kind == "genre":
        return Boost(factor=factor, genre=name)
    if kind == "tag":
        return Boost(factor=factor, tag=name)
    if kind == "from-year":
        return Boost(factor=factor, min_year=_year(name, origin))
    if kind != "item":
        raise misused(f"{origin}: {kind} is nothing that can be boosted; write {_FORMS}")
    condition = parse_condition(name, origin)
    if condition.negated:
        raise misused(
            f"{origin}: a condition with != boosts nothing; boost what is to come first, or hold it back: =0.5"
        )
    return Boost(factor=factor, attribute=condition.message)


def _year(text: str, origin: str) -> int:
    try:
        year = int(text)
    except ValueError:
        year = _YEARS + 1
    if abs(year) > _YEARS:
        raise misused(f"{origin}: {text} is no year from -10000 to 10000")
    return year
