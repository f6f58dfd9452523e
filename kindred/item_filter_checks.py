"""What is wrong with a filter of items in itself, whatever the catalog has: bounds and contradictions. Pure.

The paths of the violations are those of the contract's messages.
"""

from collections.abc import Iterable, Sequence

from kindred.errors import FieldViolation
from kindred.filter_checks import check_attribute_filter
from kindred.item_filter import ItemFilter, WordFilter
from kindred.items import YEARS, check_id, check_name

MAX_WORDS = 64
MAX_CANDIDATES = 10_000


def check_item_filter(wanted: ItemFilter, field: str) -> list[FieldViolation]:
    """What is wrong with a filter of items.

    Args:
        wanted: The filter.
        field: Its path.
    """
    found = check_words(wanted.genres, f"{field}.genres") + check_words(wanted.tags, f"{field}.tags")
    for year, name in ((wanted.min_year, "min_year"), (wanted.max_year, "max_year")):
        if year is not None:
            found += check_year(year, f"{field}.{name}")
    if wanted.min_year is not None and wanted.max_year is not None and wanted.min_year > wanted.max_year:
        found.append(FieldViolation(f"{field}.max_year", f"must not be before min_year, which is {wanted.min_year}"))
    found += check_attribute_filter(wanted.attributes, f"{field}.attributes")
    candidates = f"{field}.candidate_item_ids"
    if len(wanted.candidates) > MAX_CANDIDATES:
        return [*found, _too_many(candidates, len(wanted.candidates), "entries", MAX_CANDIDATES)]
    for place, item_id in enumerate(wanted.candidates):
        found += check_id(item_id, f"{candidates}[{place}]")
    return found + _repeated(wanted.candidates, candidates)


def check_words(wanted: WordFilter, field: str) -> list[FieldViolation]:
    """What is wrong with a filter of words: at most 64 in all, each list has each word once, none wanted and refused.

    Args:
        wanted: The filter.
        field: Its path.
    """
    lists = {"any_of": wanted.any_of, "all_of": wanted.all_of, "none_of": wanted.none_of}
    if (count := sum(map(len, lists.values()))) > MAX_WORDS:
        return [_too_many(field, count, "words", MAX_WORDS)]
    found = []
    for name, words in lists.items():
        for place, word in enumerate(words):
            found += check_name(word, f"{field}.{name}[{place}]")
        found += _repeated([word.casefold() for word in words], f"{field}.{name}")
    needed = {word.casefold(): f"{name}[{place}]" for name in ("any_of", "all_of") for place, word in _of(lists, name)}
    for place, word in _of(lists, "none_of"):
        if (where := needed.get(word.casefold())) is not None:
            found.append(FieldViolation(f"{field}.none_of[{place}]", f"is also in {field}.{where}: wanted and refused"))
    return found


def check_year(year: int, field: str) -> list[FieldViolation]:
    """What is wrong with a year: -10,000 to 10,000.

    Args:
        year: The year.
        field: Its path.
    """
    return [] if year in YEARS else [FieldViolation(field, f"must be {YEARS[0]} to {YEARS[-1]}")]


def _of(lists: dict[str, tuple[str, ...]], name: str) -> Iterable[tuple[int, str]]:
    return enumerate(lists[name])


def _repeated(values: Sequence[str], field: str) -> list[FieldViolation]:
    first: dict[str, int] = {}
    found = []
    for place, value in enumerate(values):
        if (before := first.setdefault(value, place)) != place:
            found.append(FieldViolation(f"{field}[{place}]", f"is the same as {field}[{before}]"))
    return found


def _too_many(field: str, count: int, what: str, most: int) -> FieldViolation:
    return FieldViolation(field, f"has {count:,} {what}, at most {most:,} are allowed")
