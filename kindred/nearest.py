"""Which known names are like one that is not known: what somebody may have meant. Pure."""

from collections.abc import Iterable
from difflib import get_close_matches

MAX_COMPARED = 1_000
"""How many names one is compared with: a comparison takes some microseconds."""


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Finds the names that are most like one, whatever their case.

    Args:
        name: What somebody wrote.
        known: Known names; only the first 1,000 are looked at.
        most: How many to find.

    Returns:
        The nearest first; empty if none is near.
    """
    compared: dict[str, str] = {}
    for each in known:
        compared.setdefault(each.casefold(), each)
        if len(compared) == MAX_COMPARED:
            break
    return [compared[folded] for folded in get_close_matches(name.casefold(), compared, most)]
