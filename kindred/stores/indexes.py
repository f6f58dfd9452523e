"""Which fields of the users' payloads have an index, so that filters do not have to read every payload."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from kindred.items import check_name
from kindred.stores.clauses import LAST_RATED_AT, RATING_COUNT, attribute_key

MAX_INDEXED = 32


class IndexKind(Enum):
    """What an index is over. Values of other types are found without it, as if there were none."""

    NUMBER = "number"
    KEYWORD = "keyword"
    BOOL = "bool"
    COUNT = "count"
    """Whole numbers, of ours."""
    TIME = "time"
    """Times, of ours."""


NO_INDEXES: Mapping[str, IndexKind] = MappingProxyType({})
"""No attribute has an index."""
ACTIVITY = {LAST_RATED_AT: IndexKind.TIME, RATING_COUNT: IndexKind.COUNT}
"""The indexes for who was active lately and who rates much."""
_CHOICE = (IndexKind.NUMBER, IndexKind.KEYWORD, IndexKind.BOOL)


def parse_indexed(text: str) -> dict[str, IndexKind]:
    """Reads which attributes are indexed.

    Args:
        text: `age:number,country:keyword,member:bool`; empty for none. A name may have a colon in it, but no comma.

    Returns:
        The kinds by attribute name.

    Raises:
        ValueError: It has another form; the message says how.
    """
    found: dict[str, IndexKind] = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        name, colon, kind = (part.strip() for part in entry.rpartition(":"))
        kinds = {each.value: each for each in _CHOICE}
        if not colon or kind not in kinds:
            raise ValueError(f"{entry[:100]!r} is no NAME:KIND with a kind of {', '.join(kinds)}")
        if check_name(name, "name") or '"' in name or "\\" in name:
            raise ValueError(f'{entry[:100]!r} names no attribute that can be indexed: 1 to 100 characters, no " or \\')
        if found.setdefault(name, kinds[kind]) is not kinds[kind]:
            raise ValueError(f"{name!r} has one kind, not {found[name].value} and {kind}")
    if len(found) > MAX_INDEXED:
        raise ValueError(f"names {len(found)} attributes, at most {MAX_INDEXED} can be indexed")
    return found


def user_indexes(indexed: Mapping[str, IndexKind]) -> dict[str, IndexKind]:
    """The indexes of the users' payloads, by the path of the field.

    Args:
        indexed: The kinds by attribute name.
    """
    return ACTIVITY | {attribute_key(name): kind for name, kind in indexed.items()}


def plain_path(path: str) -> str:
    """A path without the quotes, which engines leave out where they are not needed: equal for equal fields."""
    return path.replace('"', "")
