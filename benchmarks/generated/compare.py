"""How generated data sets compare with real ones of the same size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.generated.ratings import Community
from benchmarks.generated.shape import Shape
from loader.bad_rows import BadRows
from loader.ids import Codes
from loader.readers.movielens import open_movielens
from loader.source import WHOLE_STARS

_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
_RANKS = (1, 10, 100, 500, 1_000)
_NEIGHBORS = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What a data set is like.

    Args:
        activity: Ratings of each user, ascending. Shape (n_users,).
        popularity: Ratings of each rated item, descending. Shape (n_items,).
        values: How many ratings have each value, by value.
        density: The share of all pairs of user and rated item that are ratings.
        overlap: How many items two users have in common, on average.
        cosine: The same, divided by the square roots of how many each has.
        near: The cosine of the twenty nearest users of each.
        days: Days between a user's first and last rating, ascending. Shape (n_users,).
    """

    activity: NDArray[np.int64]
    popularity: NDArray[np.int64]
    values: dict[float, int]
    density: float
    overlap: float
    cosine: float
    near: float
    days: NDArray[np.float64]


def figures_of(
    users: NDArray[np.integer], items: NDArray[np.integer], values: NDArray[np.floating], seconds: NDArray[np.integer]
) -> Figures:
    """Measures a data set that is small enough for all pairs of users.

    Args:
        users: Codes from 0. Shape (n,).
        items: Codes from 0. Shape (n,).
        values: Stars. Shape (n,).
        seconds: Seconds since 1970. Shape (n,).
    """
    rated = np.zeros((int(users.max()) + 1, int(items.max()) + 1), np.float32)
    rated[users, items] = 1
    activity = rated.sum(axis=1)
    common = rated @ rated.T
    cosine = common / np.sqrt(np.outer(activity, activity))
    others = ~np.eye(activity.size, dtype=bool)
    nearest = np.sort(np.where(others, cosine, -1.0), axis=1)[:, -_NEIGHBORS:]
    first, last = np.full(activity.size, np.iinfo(np.int64).max), np.zeros(activity.size, np.int64)
    np.minimum.at(first, users, seconds)
    np.maximum.at(last, users, seconds)
    stars, counts = np.unique(values, return_counts=True)
    popularity = np.bincount(items)
    popularity = np.sort(popularity[popularity > 0])[::-1]
    return Figures(
        activity=np.sort(activity.astype(np.int64)),
        popularity=popularity,
        values=dict(zip(stars.tolist(), counts.tolist(), strict=True)),
        density=users.size / (activity.size * popularity.size),
        overlap=float(common[others].mean()),
        cosine=float(cosine[others].mean()),
        near=float(nearest.mean()),
        days=np.sort((last - first) / 86_400),
    )


def compare(paths: Sequence[Path], seed: int) -> str:
    """A table in Markdown: each real data set, and a generated one of the same size beside it.

    Args:
        paths: MovieLens sets, in any of their forms.
        seed: Of the generated ones.
    """
    columns: list[Figures] = []
    names: list[str] = []
    for path in paths:
        real, shape = _real(path)
        columns += [real, _generated(shape, seed)]
        names += [path.stem, "generated"]
    lines = [f"| | {' | '.join(names)} |", f"|---{'|---' * len(names)}|"]
    lines += [f"| {label} | {' | '.join(cells)} |" for label, cells in _rows(columns)]
    return "\n".join(lines)


def distance(one: NDArray[np.number], other: NDArray[np.number]) -> float:
    """The largest difference between two distribution functions, as Kolmogorov and Smirnov define it.

    Args:
        one: A sample. Shape (n,).
        other: Another. Shape (m,).
    """
    at = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(sample), at, side="right") / sample.size for sample in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def _real(path: Path) -> tuple[Figures, Shape]:
    source, bad_rows = open_movielens(path), BadRows()
    catalog = source.items(bad_rows) or []
    user_codes, item_codes = Codes(), Codes()
    chunks = [part.chunk for part in source.ratings(bad_rows) if part.chunk is not None]
    users = np.concatenate([user_codes.encode(chunk.users) for chunk in chunks])
    items = np.concatenate([item_codes.encode(chunk.items) for chunk in chunks])
    values = np.concatenate([chunk.values for chunk in chunks])
    seconds = np.concatenate([chunk.times for chunk in chunks]) // 1_000
    shape = Shape(len(user_codes.ids), len(catalog), users.size, whole_stars=source.scale == WHOLE_STARS)
    return figures_of(users, items, values, seconds), shape


def _generated(shape: Shape, seed: int) -> Figures:
    parts = list(Community.of(shape, seed).ratings())
    users, items, values, times = (
        np.concatenate([getattr(part, column) for part in parts]) for column in ("users", "items", "values", "times")
    )
    return figures_of(users - 1, items - 1, values, times)


def _rows(columns: list[Figures]) -> list[tuple[str, list[str]]]:
    rows = [("users, rated items", [f"{each.activity.size:,}, {each.popularity.size:,}" for each in columns])]
    rows.append(("ratings a user, at 10, 25, 50, 75, 90, 99, 100 %", [_quantiles(each.activity) for each in columns]))
    rows.append(("their Kolmogorov-Smirnov distance", _distances([each.activity for each in columns])))
    at = ", ".join(f"{rank:,}" for rank in _RANKS)
    rows.append((f"ratings of the item at rank {at}", [_at_ranks(each.popularity) for each in columns]))
    rows.append(("their Kolmogorov-Smirnov distance", _distances([each.popularity for each in columns])))
    stars = sorted({value for each in columns for value in each.values})
    for value in stars:
        shares = [each.values.get(value, 0) / sum(each.values.values()) for each in columns]
        rows.append((f"rated {value:g} stars", [f"{share:.1%}" if share else "" for share in shares]))
    rows.append(("density", [f"{each.density:.2%}" for each in columns]))
    rows.append(("items that two users have in common, mean", [f"{each.overlap:.1f}" for each in columns]))
    rows.append(("their cosine, mean", [f"{each.cosine:.3f}" for each in columns]))
    rows.append((f"cosine of the {_NEIGHBORS} nearest, mean", [f"{each.near:.3f}" for each in columns]))
    quartiles = [", ".join(f"{day:.2f}" for day in np.quantile(each.days, (0.25, 0.5, 0.75))) for each in columns]
    rows.append(("days from a user's first rating to the last, at 25, 50, 75 %", quartiles))
    return rows


def _quantiles(values: NDArray[np.int64]) -> str:
    return ", ".join(f"{value:,.0f}" for value in np.quantile(values, _QUANTILES))


def _at_ranks(popularity: NDArray[np.int64]) -> str:
    return ", ".join(f"{popularity[rank - 1]:,}" for rank in _RANKS)


def _distances(samples: list[NDArray[np.int64]]) -> list[str]:
    """Beside each real one nothing, beside the generated one how far it is from it."""
    pairs = zip(samples[::2], samples[1::2], strict=True)
    return [text for real, made in pairs for text in ("", f"{distance(real, made):.2f}")]
