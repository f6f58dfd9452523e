"""What to evaluate and how, and how a contestant of the product is written: a recipe with constants. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal, Self

from kindred.errors import FieldViolation, InvalidArgumentError
from kindred.recipes import MAX_K, Bounds

SplitKind = Literal["random", "time", "cold"]
PeerName = Literal["popularity", "ease", "bm25", "als", "userknn"]

MIN_COLD_LIKES = 20
"""Users with fewer likes are not made cold: too little would be left to find."""
REQUEST_NUMBERS = {"min_overlap": Bounds(1, 100), "diversity": Bounds(0, 1), "new_item_share": Bounds(0, 0.5)}
"""Numbers that a request has for any recipe, k aside, and what a server takes."""
MAX_CURVE = 20
"""Points of a curve."""


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """How to split.

    Args:
        kind: "random" holds out a share of each user's ratings, "time" each user's last ones, "cold" whole users.
        share: Of the ratings of a user (random), or of the users that may be made cold; above 0 and below 1.
        n_out: How many of each user's last ratings (time); at least 1.
        likes: With how many of their likes cold users ask; each at least 1 and below `MIN_COLD_LIKES`. Whatever the
            number, what they are to get is the same: none of the likes that the most of these would be.
        validation: Whether to split the train part once more in the same way, and leave the test part alone.
        seed: Of every random choice; at least 0.
    """

    kind: SplitKind = "random"
    share: float = 0.2
    n_out: int = 5
    likes: Sequence[int] = (1, 3, 5, 10)
    validation: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ProductSpec:
    """A recipe of the product as it is asked for.

    Args:
        recipe: The recipe's name.
        k: How many neighbors; None for the recipe's own.
        numbers: Other numbers by name: the recipe's own, and `REQUEST_NUMBERS`.
    """

    recipe: str
    k: int | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `recipe` or `recipe:name=number,name=number`.

        Raises:
            InvalidArgumentError: It is something else.
        """
        recipe, _, rest = text.partition(":")
        numbers: dict[str, float] = {}
        for part in rest.split(",") if rest else ():
            name, _, number = (each.strip() for each in part.partition("="))
            try:
                value = float(number)
            except ValueError:
                value = float("nan")
            if not name or name in numbers or not isfinite(value):
                raise _wrong(text, "must be RECIPE or RECIPE:NAME=NUMBER,NAME=NUMBER with each name once")
            numbers[name] = value
        k = numbers.pop("k", None)
        if k is not None and not (k.is_integer() and 1 <= k <= MAX_K):
            raise _wrong(text, f"k must be a whole number from 1 to {MAX_K:,}")
        for name, bounds in REQUEST_NUMBERS.items():
            if name in numbers and not bounds.contain(numbers[name]):
                raise _wrong(text, f"{name} must be {bounds}")
        if not numbers.get("min_overlap", 1.0).is_integer():
            raise _wrong(text, "min_overlap must be a whole number")
        return cls(recipe.strip(), None if k is None else int(k), numbers)

    @property
    def name(self) -> str:
        """As `parse` reads it."""
        parts = [] if self.k is None else [f"k={self.k}"]
        parts += [f"{name}={number:g}" for name, number in self.numbers.items()]
        return self.recipe + (":" + ",".join(parts) if parts else "")


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What to evaluate, and how.

    Args:
        split: How to split.
        products: Recipes of the product.
        peers: Other methods.
        cutoffs: The places of a list that count; the metrics are given for each.
        k_curve: With how many neighbors each recipe answers once more, where no number of them is asked for.
        most_users: How many users are asked for in a task, at most; None for all.
        predictions: Whether predicted ratings are compared with those that are held out, too.
        resamples: How often the bootstrap draws.
        shrinkage: The default weighting's h.

    Raises:
        InvalidArgumentError: Something is out of its range or there twice.
    """

    split: SplitOptions = SplitOptions()
    products: Sequence[ProductSpec] = (ProductSpec("default"),)
    peers: Sequence[PeerName] = ()
    cutoffs: Sequence[int] = (10,)
    k_curve: Sequence[int] = ()
    most_users: int | None = None
    predictions: bool = False
    resamples: int = 1_000
    shrinkage: float = 5.0

    def __post_init__(self) -> None:
        rules = (
            ("recipe", _repeated([spec.name for spec in self.products]), "names one contestant twice"),
            ("peer", _repeated(self.peers), "names one contestant twice"),
            ("at", _repeated(self.cutoffs), "names one number twice"),
            ("likes", _repeated(self.split.likes), "names one number twice"),
            ("k-curve", _repeated(self.k_curve), "names one number twice"),
            ("k-curve", not all(1 <= k <= MAX_K for k in self.k_curve), f"must be numbers from 1 to {MAX_K:,}"),
            ("k-curve", len(self.k_curve) > MAX_CURVE, f"must be {MAX_CURVE} numbers at most"),
        )
        wrong = [FieldViolation(name, why) for name, bad, why in rules if bad]
        if wrong:
            raise InvalidArgumentError(wrong)


def _wrong(text: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError([FieldViolation(f"recipe {text!r}", why)])


def _repeated(values: Sequence[object]) -> bool:
    return len(set(values)) < len(values)
