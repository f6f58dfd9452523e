"""The named formulas. A recipe is a set of numbers; kindred/scoring.py computes them all by the same steps. Pure."""

from dataclasses import dataclass


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
class Recipe:
    """A formula from the neighbors' ratings to the scores of items.

    Args:
        name: Its name.
        weighting: The weighting that the collection must have; empty if any will do.
        k: How many neighbors; 0 recommends what is popular.
        query_damping: a: the query's preferences are divided by max(d_i, 1)^a.
        sharpness: p: a neighbor weighs (similarity / the highest similarity)^p.
        relative: Whether similarities are divided by the highest one before they are weights.
        counts_preferences: Whether an item counts with the neighbor's preference for it; else with 1.
        score_damping: beta: scores are divided by (d_i + 1)^beta.
        short_profiles: Rules for users with few likes; the first that applies is used.
    """

    name: str
    weighting: str
    k: int
    query_damping: float = 0.0
    sharpness: float = 1.0
    relative: bool = False
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


DEFAULT = Recipe(
    name="default",
    weighting="default",
    k=200,
    query_damping=0.3,
    sharpness=2.5,
    relative=True,
    score_damping=0.2,
    short_profiles=(ShortProfileRule(3, 1.0, 0.1), ShortProfileRule(10, 1.5, 0.2)),
)
"""The rules for short profiles are provisional."""

TUTORIAL_SIMILARITY = Recipe(name="tutorial-similarity", weighting="zscore", k=20, counts_preferences=False)
"""The published tutorial: every item in a neighbor's list counts with the neighbor's similarity."""

TUTORIAL_RATINGS = Recipe(name="tutorial-ratings", weighting="zscore", k=20, sharpness=0.0)
"""The tutorial's other form: the sum of the neighbors' z-scored ratings."""

POPULAR = Recipe(name="popular", weighting="", k=0)
"""What most users like."""

RECIPES = {recipe.name: recipe for recipe in (DEFAULT, TUTORIAL_SIMILARITY, TUTORIAL_RATINGS, POPULAR)}
DEFAULT_OF_WEIGHTING = {"default": "default", "zscore": "tutorial-ratings"}
