"""The formulas once more, said slowly: dictionaries and loops over all users, from the definitions alone."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import sqrt

from tests.support.reference_ridge import affinity, ridge_weights

Ratings = Mapping[str, float]
"""Somebody's ratings in stars by item id."""

SAME = 1e-10
"""Numbers that differ by less than this part of the largest one are ties."""

NOTHING = 1e-13
"""Numbers smaller than this part of the largest one are what rounding leaves of 0."""

NEIGHBORS = {"default": 200, "ridge": 400, "tutorial-similarity": 20, "tutorial-ratings": 20}


@dataclass(frozen=True)
class Expected:
    """An item that must be recommended; `shares` says what part of the score came through each item of the query."""

    item_id: str
    score: float
    support: int = 0
    popular: bool = False
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ExpectedAnswer:
    """The items, best first, and the neighbors, the most similar first."""

    items: list[Expected]
    neighbors: list[str]


def phi(stars: float) -> float:
    """Piecewise linear through (2, -1/4), (3, 1/4), (4, 1), flat outside."""
    if stars <= 2:
        return -1 / 4
    if stars <= 3:
        return -1 / 4 + (stars - 2) / 2
    if stars <= 4:
        return 1 / 4 + (stars - 3) * 3 / 4
    return 1.0


def mean_and_std(ratings: Mapping[str, Ratings]) -> tuple[float, float]:
    """The mean and the sample standard deviation of all ratings."""
    values = [stars for profile in ratings.values() for stars in profile.values()]
    mean = sum(values) / len(values)
    return mean, sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def positive(numbers: Mapping[str, float]) -> dict[str, float]:
    """The numbers above 0; what rounding leaves where everything cancels out is no number above 0."""
    margin = NOTHING * max(map(abs, numbers.values()), default=0.0)
    return {name: number for name, number in numbers.items() if number > margin}


def ranked(numbers: Mapping[str, float], tie: Callable[[str], object]) -> list[str]:
    """The names with the highest numbers first; those of one tie in the order of `tie`."""
    by_number = sorted(numbers, key=lambda name: -numbers[name])
    margin = SAME * max(map(abs, numbers.values()), default=0.0)
    ties: list[list[str]] = []
    for name in by_number:
        if ties and numbers[ties[-1][0]] - numbers[name] <= margin:
            ties[-1].append(name)
        else:
            ties.append([name])
    return [name for each in ties for name in sorted(each, key=tie)]  # type: ignore[arg-type]  # strings or tuples


class Community:
    """Everybody's ratings, and what they recommend.

    Args:
        ratings: Stars by user id and item id.
        z_scores: Mean and standard deviation if vectors are z-scores, for the tutorial's recipes, not the liking.
    """

    def __init__(self, ratings: Mapping[str, Ratings], z_scores: tuple[float, float] | None = None) -> None:
        self.z_scores = z_scores
        self.stars = ratings
        self.preferences = {user: self.query(profile) for user, profile in ratings.items()}
        self.raters: dict[str, dict[str, float]] = {}
        """By item, the stored vectors' values of those who rated it."""
        self.liked: dict[str, int] = {}
        for user, profile in ratings.items():
            preferences = self.preferences[user]
            norm = sqrt(5 + sum(value**2 for value in preferences.values())) if z_scores is None else 1.0
            for item, stars in profile.items():
                self.raters.setdefault(item, {})[user] = preferences[item] / norm
                self.liked[item] = self.liked.get(item, 0) + (stars >= 4)

    def preference(self, stars: float) -> float:
        """The liking, or the z-score."""
        if self.z_scores is None:
            return phi(stars)
        mean, std = self.z_scores
        return (stars - mean) / std

    def query(self, profile: Ratings) -> dict[str, float]:
        """The preferences of somebody who rates like this."""
        return {item: self.preference(stars) for item, stars in profile.items()}

    def by_popularity(self, item: str) -> tuple[int, str]:
        """Sorts items by likes, then by id."""
        return -self.liked.get(item, 0), item

    def recommend(
        self,
        preferences: Mapping[str, float],
        recipe: str = "default",
        *,
        limit: int = 500,
        k: int | None = None,
        myself: str | None = None,
        dropped: Iterable[str] = (),
        explained: bool = False,
        stars: Ratings | None = None,
    ) -> ExpectedAnswer:
        """What to recommend to somebody with these preferences.

        Args:
            preferences: By item.
            recipe: Its name.
            limit: How many items.
            k: How many neighbors; the recipe's own if None.
            myself: Who cannot be a neighbor.
            dropped: What cannot be recommended.
            explained: Whether to work out the shares, which only similarities as weights have here.
            stars: The same opinions in stars, for the recipe ridge; a dislike without a number has none.
        """
        likes = sum(value == 1 for value in preferences.values())
        power, damping = _exponents(recipe, likes)
        query = {
            item: value / max(len(self.raters.get(item, ())), 1) ** (0.3 if recipe in ("default", "ridge") else 0.0)
            for item, value in preferences.items()
        }
        similar = dict.fromkeys(self.preferences, 0.0)
        for item, value in query.items():
            for user, stored in self.raters.get(item, {}).items():
                similar[user] += value * stored
        similar = positive({user: value for user, value in similar.items() if user != myself})
        neighbors = ranked(similar, tie=str)[: k or NEIGHBORS[recipe]]
        closest = max((similar[user] for user in neighbors), default=0.0) if recipe == "default" else 1.0
        weights = {user: (similar[user] / closest) ** power for user in neighbors}
        if recipe == "ridge":
            affinities = {item: affinity(stars[item]) if stars and item in stars else 0.0 for item in preferences}
            counts = {item: len(raters) for item, raters in self.raters.items()}
            weights = ridge_weights(affinities, neighbors, self.stars, similar, counts)
        sums, support = dict.fromkeys(self.raters, 0.0), dict.fromkeys(self.raters, 0)
        for user, weight in weights.items():
            for item, preference in self.preferences[user].items():
                support[item] += 1
                if recipe == "ridge":
                    preference = affinity(self.stars[user][item])  # noqa: PLW2901  # it counts instead
                sums[item] += weight if recipe == "tutorial-similarity" else weight * preference
        scores = {item: value / (len(self.raters[item]) + 1) ** damping for item, value in sums.items()}
        out = set(dropped)
        liked = {item: score for item, score in positive(scores).items() if item not in out}
        items = [
            Expected(
                item,
                scores[item],
                support=support[item],
                shares=self._shares(query, similar, weights, item, recipe) if explained else {},
            )
            for item in ranked(liked, tie=self.by_popularity)[:limit]
        ]
        out |= {item.item_id for item in items} | set(positive({item: -score for item, score in scores.items()}))
        popular = sorted(
            (item for item, likes in self.liked.items() if likes and item not in out), key=self.by_popularity
        )
        items += [Expected(item, self.liked[item], popular=True) for item in popular[: limit - len(items)]]
        return ExpectedAnswer(items, neighbors)

    def _shares(
        self,
        query: Mapping[str, float],
        similar: Mapping[str, float],
        weights: Mapping[str, float],
        of: str,
        recipe: str,
    ) -> dict[str, float]:
        """The sum over neighbors of their part of the score times the item's part of their similarity."""
        terms = {
            user: weight * (1.0 if recipe == "tutorial-similarity" else self.preferences[user][of])
            for user, weight in weights.items()
            if of in self.preferences[user]
        }
        through = {
            item: sum(
                term * value * self.raters[item][user] / similar[user]
                for user, term in terms.items()
                if user in self.raters.get(item, {})
            )
            for item, value in query.items()
        }
        return {item: part / sum(terms.values()) for item, part in through.items()}


def _exponents(recipe: str, likes: int) -> tuple[float, float]:
    """How sharp the weights are, and how much popular items are damped."""
    if recipe == "tutorial-similarity":
        return 1.0, 0.0
    if recipe == "tutorial-ratings":
        return 0.0, 0.0
    if recipe == "ridge":
        return 1.0, 0.0 if likes < 3 else 0.2
    if likes < 3:
        return 1.0, 0.0
    return (1.5, 0.2) if likes < 10 else (2.5, 0.2)
