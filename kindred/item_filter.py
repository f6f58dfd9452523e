"""Which items a caller wants: by genre, tag, year, attribute and name, and what that means. Pure.

This is the reference: whatever is computed for many items at once is what `allows` says of each of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kindred.attribute_filter import EVERY_ATTRIBUTE, AttributeFilter
from kindred.items import Item


@dataclass(frozen=True, slots=True)
class WordFilter:
    """Which lists of words are allowed, whatever their case; an empty filter allows all and is false.

    Args:
        any_of: At least one of these is in the list, if there are any.
        all_of: All of these are.
        none_of: None of these is.
    """

    any_of: tuple[str, ...] = ()
    all_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.any_of or self.all_of or self.none_of)

    def allows(self, words: Iterable[str]) -> bool:
        """Whether something with these words is allowed."""
        there = folded(words)
        return (
            folded(self.all_of) <= there
            and (not self.any_of or not there.isdisjoint(folded(self.any_of)))
            and there.isdisjoint(folded(self.none_of))
        )


EVERY_WORD = WordFilter()
"""Allows all."""


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items are allowed; an empty filter allows all and is false.

    Args:
        genres: What is asked of an item's genres.
        tags: What is asked of its tags.
        min_year: This year or later. An item without a year passes no bound on years.
        max_year: This year or earlier.
        attributes: What is asked of its attributes.
        candidates: Only these, by own or external id, if there are any.
    """

    genres: WordFilter = EVERY_WORD
    tags: WordFilter = EVERY_WORD
    min_year: int | None = None
    max_year: int | None = None
    attributes: AttributeFilter = EVERY_ATTRIBUTE
    candidates: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.bounds_years or bool(self.genres or self.tags or self.attributes or self.candidates)

    @property
    def bounds_years(self) -> bool:
        """Whether it asks for a year."""
        return self.min_year is not None or self.max_year is not None

    def allows(self, item: Item) -> bool:
        """Whether an item passes. Which items the candidates are is for the catalog to say: they are not looked at."""
        return (
            self.genres.allows(item.genres)
            and self.tags.allows(item.tags)
            and self._allows_year(item.year)
            and self.attributes.allows(item.attributes)
        )

    def _allows_year(self, year: int | None) -> bool:
        if year is None:
            return not self.bounds_years
        return (self.min_year is None or year >= self.min_year) and (self.max_year is None or year <= self.max_year)


EVERY_ITEM = ItemFilter()
"""Allows all."""


def folded(words: Iterable[str]) -> frozenset[str]:
    """Words without their case."""
    return frozenset(word.casefold() for word in words)
