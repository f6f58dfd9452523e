"""What one filter of a request has left out. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FilterEffect:
    """How many a filter refuses.

    Args:
        field: The field of the request: `items.genres`, `neighbors.filter`.
        removed: How many it refuses by itself, whatever the other filters say.
        total: Of how many.
    """

    field: str
    removed: int
    total: int
