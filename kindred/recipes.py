"""The named formulas. A recipe is a set of numbers; the same steps compute them all. Pure.

The steps are in docs/recipes.md, and what the numbers were measured to do in docs/quality.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kindred.errors import FieldViolation


@dataclass(frozen=True, slots=True)
class ShortProfileRule:
    """What to use instead for users with few likes.

    Args:
        below_likes: Applies below this many likes in the query.
        sharpness: p.
        score_damping: beta.
    """

    below_likes: int
    sharpness: float
    score_damping: float


@dataclass(frozen=True, slots=True)
class Fit:
    """Local least squares over the neighbors; kindred/ridge.py has the formula.

    Args:
        penalty: The ridge penalty, in units of the neighbors' mean squared length.
        damping: Items weigh max(d_i, 1)^-damping in the fit.
        trust: A neighbor's penalty is divided by its relative similarity to twice this power.
        steps: Steps of conjugate gradients.
    """

    penalty: float
    damping: float
    trust: float
    steps: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """A formula from the neighbors' ratings to the scores of items.

    Args:
        name: Its name.
        base: The built-in recipe that it is, or builds on.
        weighting: The weighting that the collection must have; empty if any will do.
        k: How many neighbors; 0 recommends what is popular.
        query_damping: a: the query's preferences are divided by max(d_i, 1)^a.
        recency_half_life: H: a rating in the query counts half for each H newer ones; None if its age is nothing.
        recency_floor: f: what the oldest ratings in the query still count: f + (1 - f) 2^(-newer ones / H).
        sharpness: p: a neighbor weighs (similarity / the highest similarity)^p.
        relative: Whether similarities are divided by the highest one before they are weights.
        fit: Where weights are fitted instead; None if similarities are weights.
        counts_preferences: Whether an item counts with the neighbor's preference for it; else with 1.
        score_damping: beta: scores are divided by (d_i + 1)^beta.
        short_profiles: Rules for users with few likes; the first that applies is used.
    """

    name: str
    base: str
    weighting: str
    k: int
    query_damping: float = 0.0
    recency_half_life: float | None = None
    recency_floor: float = 0.0
    sharpness: float = 1.0
    relative: bool = False
    fit: Fit | None = None
    counts_preferences: bool = True
    score_damping: float = 0.0
    short_profiles: tuple[ShortProfileRule, ...] = ()

    def exponents(self, likes: int) -> tuple[float, float]:
        """The sharpness p and the score damping beta for a query.

        Args:
            likes: How many of the query's items are liked (four stars or more).
        """
        for rule in self.short_profiles:
            if likes < rule.below_likes:
                return rule.sharpness, rule.score_damping
        return self.sharpness, self.score_damping

    @property
    def numbers(self) -> frozenset[str]:
        """The names of the numbers that this recipe uses, k aside: what a request may override."""
        if not self.k:
            return frozenset()
        of_weights = ("fit_penalty", "fit_damping") if self.fit else ("sharpness",)
        return frozenset({"query_damping", "recency_half_life", "score_damping", *of_weights})

    def named(self, name: str) -> "Recipe":
        """The same numbers under another name."""
        return replace(self, name=name)

    def with_numbers(self, numbers: Mapping[str, float]) -> "Recipe":
        """The recipe with some numbers set; each holds for short profiles, too.

        Args:
            numbers: By their names, each one of `numbers` and within `BOUNDS`; `k` besides.
        """
        own = {name: value for name, value in numbers.items() if name not in ("fit_penalty", "fit_damping", "k")}
        fit = self.fit and replace(
            self.fit,
            penalty=numbers.get("fit_penalty", self.fit.penalty),
            damping=numbers.get("fit_damping", self.fit.damping),
        )
        rules = tuple(
            replace(
                rule,
                sharpness=own.get("sharpness", rule.sharpness),
                score_damping=own.get("score_damping", rule.score_damping),
            )
            for rule in self.short_profiles
        )
        k = int(numbers.get("k", self.k))
        return replace(self, k=k, fit=fit, short_profiles=rules, **own)  # type: ignore[arg-type]  # floats by name


@dataclass(frozen=True, slots=True)
class Bounds:
    """The range of a number, both ends included."""

    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.least:g} to {self.most:,g}"

    def contain(self, value: float) -> bool:
        """Whether a value is in the range; NaN is not."""
        return self.least <= value <= self.most


MAX_K = 1_000
BOUNDS = {
    "query_damping": Bounds(0, 2),
    "recency_half_life": Bounds(0.5, 10_000),
    "sharpness": Bounds(0, 10),
    "score_damping": Bounds(0, 2),
    "fit_penalty": Bounds(0.01, 1_000),
    "fit_damping": Bounds(0, 2),
}
"""What a request, a recipes file or a setting may set a recipe's numbers to."""

DEFAULT = Recipe(
    name="default",
    base="default",
    weighting="default",
    k=200,
    query_damping=0.3,
    sharpness=2.5,
    relative=True,
    score_damping=0.2,
    short_profiles=(ShortProfileRule(3, 1.0, 0.0), ShortProfileRule(10, 1.5, 0.2)),
)
"""Similarities, sharpened, are the neighbors' weights."""

RIDGE = Recipe(
    name="ridge",
    base="ridge",
    weighting="default",
    k=400,
    query_damping=0.3,
    recency_half_life=10.0,
    recency_floor=0.5,
    fit=Fit(penalty=4.3, damping=0.15, trust=0.15, steps=3),
    score_damping=0.2,
    short_profiles=(ShortProfileRule(3, 1.0, 0.0),),
)
"""The neighbors' weights are those with which their ratings rebuild the query's."""

TUTORIAL_SIMILARITY = Recipe(
    name="tutorial-similarity", base="tutorial-similarity", weighting="zscore", k=20, counts_preferences=False
)
"""The published tutorial: every item in a neighbor's list counts with the neighbor's similarity."""

TUTORIAL_RATINGS = Recipe(name="tutorial-ratings", base="tutorial-ratings", weighting="zscore", k=20, sharpness=0.0)
"""The tutorial's other form: the sum of the neighbors' z-scored ratings."""

POPULAR = Recipe(name="popular", base="popular", weighting="", k=0)
"""What most users like."""

RECIPES = {recipe.name: recipe for recipe in (DEFAULT, RIDGE, TUTORIAL_SIMILARITY, TUTORIAL_RATINGS, POPULAR)}
DEFAULT_OF_WEIGHTING = {"default": RIDGE.name, "zscore": TUTORIAL_RATINGS.name}
"""The recipe of requests that name none, by the collection's weighting."""
SIMILARITY_OF_WEIGHTING = {"default": DEFAULT.name, "zscore": TUTORIAL_RATINGS.name}
"""The recipe whose query tells who is similar to a user, by the collection's weighting."""


def default_recipe(recipes: Mapping[str, Recipe], weighting: str, chosen: str) -> Recipe:
    """The recipe of requests that name none.

    Args:
        recipes: The recipes by name.
        weighting: The collection's weighting.
        chosen: The name of the operator's choice, one of the recipes; empty for none.

    Returns:
        The choice, where the collection has the weighting that it needs; else the weighting's own.
    """
    own = recipes[DEFAULT_OF_WEIGHTING[weighting]]
    if not chosen or recipes[chosen].weighting not in ("", weighting):
        return own
    return recipes[chosen]


def wrong_numbers(recipe: Recipe, overrides: Mapping[str, float], field: str = "overrides") -> list[FieldViolation]:
    """What is wrong with the numbers of a request: not used by the recipe, or out of their range.

    Args:
        recipe: The recipe.
        overrides: Numbers by name.
        field: The path of the overrides.
    """
    violations = []
    for name, value in overrides.items():
        if name not in recipe.numbers:
            known = ", ".join(sorted(recipe.numbers)) or "none"
            violations.append(
                FieldViolation(f"{field}.{name}", f"is no number of recipe {recipe.name!r}; its numbers are {known}")
            )
        elif not BOUNDS[name].contain(value):
            violations.append(FieldViolation(f"{field}.{name}", f"is {value:g}, must be {BOUNDS[name]}"))
    return violations
