"""The settings that are compared: recipes, numbers of neighbors, and what of a query goes to the engine. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kindred.recipes import DEFAULT, RIDGE
from kindred.weighting import SparseVector

KS: Mapping[str, Sequence[int]] = {DEFAULT.name: (25, 50, 100, 200, 400), RIDGE.name: (50, 100, 200, 400, 800)}
"""By recipe how many neighbors it is tried with."""
DIMENSIONS = (16, 32, 64, 128, 256, 512)
_NOBODYS = 2**31 - 1
"""A dimension that no user of a MovieLens set has."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What of a query's vector goes to the engine. What comes back is compared by the whole query all the same.

    Args:
        dimensions: How many dimensions, those with the largest weights, whatever their sign; None for all.
        likes_only: Whether negative weights are left out.
        unprunable: Whether a negative weight for a dimension that nobody has is added: the engine finds the same, but
            may skip nothing while it looks.
    """

    dimensions: int | None = None
    likes_only: bool = False
    unprunable: bool = False

    def of(self, query: SparseVector) -> SparseVector:
        """The part of a query; the whole one where nothing else would be left.

        Args:
            query: The vector, no value 0.
        """
        kept = np.flatnonzero(query.values > 0) if self.likes_only else np.arange(query.values.size)
        if not kept.size:
            return query
        if self.dimensions is not None and kept.size > self.dimensions:
            order = np.argsort(-np.abs(query.values[kept]), kind="stable")
            kept = np.sort(kept[order[: self.dimensions]])
        indices, values = query.indices[kept], query.values[kept]
        if self.unprunable:
            indices, values = np.append(indices, np.uint32(_NOBODYS)), np.append(values, -values.max())
        return SparseVector(indices, values)

    def __str__(self) -> str:
        what = "all" if self.dimensions is None else f"the {self.dimensions} largest"
        if self.likes_only:
            what = "the positive" if self.dimensions is None else f"the {self.dimensions} largest positive"
        return f"{what}, and a negative that nobody has" if self.unprunable else what


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to answer.

    Args:
        recipe: The recipe's name.
        k: How many neighbors.
        cut: What goes to the engine.
    """

    recipe: str
    k: int
    cut: Cut = Cut()


WHOLE = Cut()
OWN = {recipe.name: Setting(recipe.name, recipe.k) for recipe in (DEFAULT, RIDGE)}
"""By recipe how it answers: what others are compared with."""


def grid(*, unprunable: bool = False) -> list[Setting]:
    """The settings: each recipe with other numbers of neighbors, and with its own one and parts of the query.

    Args:
        unprunable: Whether to try what pruning is worth, too.
    """
    cuts = [Cut(dimensions) for dimensions in DIMENSIONS] + [Cut(likes_only=True)]
    if unprunable:
        cuts.append(Cut(likes_only=True, unprunable=True))
    return [
        setting
        for name, own in OWN.items()
        for setting in (*(Setting(name, k) for k in KS[name]), *(Setting(name, own.k, cut) for cut in cuts))
    ]


def turns(users: int, settings: int) -> Iterator[tuple[int, int]]:
    """Who asks next, and with which setting: places of a user and of a setting.

    Every setting has every user once. They take turns, in another order each time, so that all have the same machine;
    and each turn has another user, so that none finds in the processor's caches what the one before has read.

    Args:
        users: How many users.
        settings: How many settings.
    """
    stride = max(users // max(settings, 1), 1)
    random = np.random.default_rng(0)
    for step in range(users):
        for setting in random.permutation(settings).tolist():
            yield (step + setting * stride) % users, setting
