"""How ratings become the values of sparse vectors. Pure.

The weighting is chosen when a collection is loaded and recorded in its metadata: every stored vector was made with it.
The formulas are in docs/recipes.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kindred.ratings import RatingScale, Reaction, UserProfile

_STARS = np.array([2.0, 3.0, 4.0])
_LIKING = np.array([-0.25, 0.25, 1.0])


class SparseVector(NamedTuple):
    """A sparse vector: dimensions (uint32, each once) and their values (float32), both of shape (n,)."""

    indices: NDArray[np.uint32]
    values: NDArray[np.float32]


class Weighting(Protocol):
    """Maps ratings to preferences; a stored vector is a user's preferences divided by their norm."""

    @property
    def name(self) -> str:
        """The name under which it stands in a collection's metadata."""

    def preferences(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Preferences of ratings on the catalog's scale, elementwise: positive for liked, negative for disliked."""

    def preference_of(self, reaction: Reaction) -> float:
        """What a reaction weighs in a query."""

    def norms(self, squared_sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """What users' preferences are divided by in the store.

        Args:
            squared_sums: The sum of each user's squared preferences. Shape (n_users,).
        """

    def parameters(self) -> Mapping[str, float]:
        """Everything needed to make it again, for the metadata."""


def liking(stars: NDArray[np.floating]) -> NDArray[np.float64]:
    """phi: piecewise linear through (2, -1/4), (3, 1/4), (4, 1) and flat outside.

    Args:
        stars: Ratings on the five-star scale, any shape.

    Returns:
        The liking, same shape, -1/4 to 1.
    """
    phi: NDArray[np.float64] = np.interp(stars, _STARS, _LIKING)
    return phi


@dataclass(frozen=True, slots=True)
class LikingWeighting:
    """The default: s_vi = phi(r_vi) / sqrt(h + sum_j phi(r_vj)^2).

    Args:
        scale: The catalog's scale.
        shrinkage: h, which keeps people with three ratings from looking like twins; above 0.
    """

    scale: RatingScale
    shrinkage: float = 5.0
    name: str = "default"

    def preferences(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """The liking, phi, of the ratings in stars."""
        return liking(self.scale.stars(values))

    def preference_of(self, reaction: Reaction) -> float:
        """LIKE is phi(5) = 1; DISLIKE weighs 0, since -1 was measured to be 3-10 % worse on short queries."""
        return 1.0 if reaction is Reaction.LIKE else 0.0

    def norms(self, squared_sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """The square root of h + sum phi^2."""
        return np.sqrt(self.shrinkage + squared_sums)

    def parameters(self) -> Mapping[str, float]:
        """The shrinkage h."""
        return {"shrinkage": self.shrinkage}


@dataclass(frozen=True, slots=True)
class ZScoreWeighting:
    """The published tutorial's: the global z-score, not normalised.

    Args:
        mean: Mean of the loaded ratings, on the catalog's scale.
        std: Their sample standard deviation, above 0.
    """

    mean: float
    std: float
    name: str = "zscore"

    def preferences(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """(r - mean) / std."""
        return (np.asarray(values, np.float64) - self.mean) / self.std

    def preference_of(self, reaction: Reaction) -> float:
        """1 and -1, as in the tutorial."""
        return 1.0 if reaction is Reaction.LIKE else -1.0

    def norms(self, squared_sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """1."""
        return np.ones_like(squared_sums)

    def parameters(self) -> Mapping[str, float]:
        """Mean and standard deviation."""
        return {"mean": self.mean, "std": self.std}


def make_weighting(name: str, scale: RatingScale, parameters: Mapping[str, Any]) -> Weighting:
    """Makes the weighting that a collection's metadata names.

    Args:
        name: "default" or "zscore".
        scale: The catalog's scale.
        parameters: As `Weighting.parameters` gave them.

    Raises:
        ValueError: The name is unknown, or a parameter is missing or out of its range.
    """
    try:
        numbers = {key: float(value) for key, value in parameters.items()}
        if name == "default" and numbers.keys() == {"shrinkage"} and 0 < numbers["shrinkage"] < math.inf:
            return LikingWeighting(scale, numbers["shrinkage"])
        if (
            name == "zscore"
            and numbers.keys() == {"mean", "std"}
            and 0 < numbers["std"] < math.inf
            and math.isfinite(numbers["mean"])
        ):
            return ZScoreWeighting(numbers["mean"], numbers["std"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"weighting {name!r} has parameters that are no numbers: {dict(parameters)}") from error
    raise ValueError(f"no weighting {name!r} with parameters {dict(parameters)}; known: default, zscore")


def stored_values(
    weighting: Weighting, values: NDArray[np.floating], starts: NDArray[np.integer]
) -> NDArray[np.float32]:
    """The values of many users' stored vectors at once: each user's preferences divided by their norm.

    Args:
        weighting: The collection's weighting.
        values: The users' ratings one after the other, no retractions. Shape (n_ratings,).
        starts: Where each user's begin, ascending, each user with one rating at least. Shape (n_users,).

    Returns:
        Shape (n_ratings,).
    """
    preferences = weighting.preferences(values)
    if not starts.size:
        return preferences.astype(np.float32)
    norms = weighting.norms(np.add.reduceat(preferences * preferences, starts))
    lengths = np.diff(starts, append=values.size)
    return (preferences / np.repeat(norms, lengths)).astype(np.float32)


def stored_vectors(weighting: Weighting, profiles: Sequence[UserProfile]) -> list[SparseVector]:
    """The vectors to find users by, all at once; without dimensions for a user who has no ratings.

    Args:
        weighting: The collection's weighting.
        profiles: The users' profiles.
    """
    if not profiles:
        return []
    values = np.concatenate([profile.values for profile in profiles])
    items = np.concatenate([profile.items for profile in profiles])
    current = ~np.isnan(values)
    lengths = [profile.items.size for profile in profiles]
    owners = np.repeat(np.arange(len(profiles)), lengths)[current]
    counts = np.bincount(owners, minlength=len(profiles))
    ends = np.cumsum(counts)
    items, values = items[current], stored_values(weighting, values[current], (ends - counts)[counts > 0])
    return [
        SparseVector(items[end - count : end], values[end - count : end])
        for end, count in zip(ends.tolist(), counts.tolist(), strict=True)
    ]


def stored_vector(weighting: Weighting, profile: UserProfile) -> SparseVector:
    """The vector to find a user by; without dimensions if the user has no ratings."""
    return stored_vectors(weighting, [profile])[0]
