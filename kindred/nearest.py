"""Which known names are like one that is not known: what somebody may have meant. Pure."""

from collections.abc import Iterable
from difflib import get_close_matches

MAX_COMPARED = 1_000
"""How many names one is compared with: a comparison takes some microseconds."""
_MAX_PAIRS = 400_000
"""How many pairs of characters are compared: a comparison of two long names that are much alike takes a millisecond."""


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Finds the names that are most like one, whatever their case.

    Args:
        name: What somebody wrote.
        known: Known names; only the first 1,000 are looked at, or as many as have 400,000 characters divided by those
            of the name.
        most: How many to find.

    Returns:
        The nearest first; empty if none is near.
    """
    compared: dict[str, str] = {}
    folded_name, pairs = name.casefold(), 0
    for each in known:
        folded = each.casefold()
        pairs += len(folded) * len(folded_name)
        if len(compared) == MAX_COMPARED or pairs > _MAX_PAIRS:
            break
        compared.setdefault(folded, each)
    return [compared[folded] for folded in get_close_matches(folded_name, compared, most)]
