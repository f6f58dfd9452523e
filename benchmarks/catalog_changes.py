"""What a change of a large catalog costs, and what the first call after it has to make again.

Run by itself: `python -m benchmarks.catalog_changes`. It has no target; docs/performance.md shows what it printed.
"""

from collections.abc import Callable
from dataclasses import replace
from statistics import median
from time import thread_time

import numpy as np

from kindred.catalog import Catalog
from kindred.item_filter import ItemFilter, WordFilter
from kindred.items import CatalogEntry, Item

ITEMS = 62_000
ROUNDS = 11
FILTER = ItemFilter(genres=WordFilter(("genre 0", "genre 3")), min_year=1990)
Change = Callable[[], object]


def main() -> None:
    """Measures and prints."""
    random = np.random.default_rng(5)
    catalog = Catalog(_entry(index, random) for index in random.permutation(4 * ITEMS)[:ITEMS].tolist())
    every = np.arange(50)
    uses: dict[str, Change] = {
        "order, damping, terms": lambda: (catalog.counts.rank, catalog.counts.damping(0.2), catalog.counts.terms),
        "filter": lambda: catalog.masks.allowed(FILTER),
        "content": lambda: catalog.content.likeness(every, np.ones(50)),
    }
    for use in uses.values():
        use()
    print(f"| {ITEMS:,} items, ms | change | {' | '.join(uses)} |\n|---|" + "---:|" * (1 + len(uses)))
    print(_row("none", [lambda: None] * ROUNDS, uses))
    for name, count in (("one new item", 1), ("500 new items", 500)):
        fresh = [[_entry(4 * ITEMS + n, random) for n in _next(count, random)] for _ in range(ROUNDS)]
        print(_row(name, [lambda entries=entries: catalog.put(entries) for entries in fresh], uses))
    for name, count in (("one item replaced", 1), ("500 items replaced", 500)):
        changed = [[_changed(catalog, row, random) for row in _rows(count, random)] for _ in range(ROUNDS)]
        print(_row(name, [lambda entries=entries: catalog.put(entries) for entries in changed], uses))
    unknown = [np.array([2**31 + n], np.uint32) for n in range(ROUNDS)]
    print(_row("a rating of an unknown item", [lambda one=one: catalog.rows_of(one) for one in unknown], uses))
    for name, count in (("20 counts", 20), ("20,000 counts", 20_000)):
        counted = [_rows(count, random) for _ in range(ROUNDS)]
        print(_row(name, [lambda rows=rows: _count(catalog, rows) for rows in counted], uses))


def _row(name: str, changes: list[Change], uses: dict[str, Change]) -> str:
    """Makes each change, and uses the catalog after it; the medians."""
    times: list[list[float]] = []
    for change in changes:
        times.append([])
        for each in (change, *uses.values()):
            start = thread_time()
            each()
            times[-1].append(1_000 * (thread_time() - start))
    return f"| {name} | {' | '.join(f'{median(column):.2f}' for column in zip(*times, strict=True))} |"


def _entry(index: int, random: np.random.Generator) -> CatalogEntry:
    """An item with one to three of 20 genres and up to seven of 6,000 tags, the first ones more often."""
    words = (random.pareto(0.8, 11) * 3).astype(int)
    genres = tuple({f"Genre {word % 20}": None for word in words[: random.integers(1, 4)]})
    tags = tuple({f"tag {word % 6_000}": None for word in words[3 : 3 + random.integers(0, 8)]})
    liked = int(random.pareto(0.8) * 5)
    year = int(random.integers(1920, 2024))
    item = Item(str(index), f"Title {words[10]} of {index}", year, genres, tags, {"imdb": f"tt{index}"})
    return CatalogEntry(index, item, 2 * liked + 1, liked)


def _changed(catalog: Catalog, row: int, random: np.random.Generator) -> CatalogEntry:
    entry = catalog.entry(row)
    other = _entry(entry.index, random).item
    return replace(entry, item=replace(entry.item, title=other.title, genres=other.genres, tags=other.tags))


def _next(count: int, random: np.random.Generator) -> list[int]:
    return random.integers(0, 2**30, count).tolist()


def _rows(count: int, random: np.random.Generator) -> list[int]:
    return random.choice(ITEMS, count, replace=False).tolist()


def _count(catalog: Catalog, rows: list[int]) -> None:
    counts = catalog.counts
    counts.put(np.array(rows), counts.rated[rows] + 1, counts.liked[rows] + 1)


if __name__ == "__main__":
    main()
