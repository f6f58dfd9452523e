"""Recommendations as a table, and the lines below it that say what answered and what was left out."""

from cli.conditions import shown_filter
from cli.filter_effects import say_filter_effects
from cli.output import ID, TITLE, Column, decimal, print_table, say, title_of
from cli.recipe_options import recipe_name
from kindred.v1.recommendation_service_pb2 import (
    SOURCE_NEIGHBORS,
    SOURCE_NEW,
    SOURCE_POPULAR,
    STRATEGY_MIXED,
    STRATEGY_PERSONALIZED,
    STRATEGY_POPULAR,
    STRATEGY_POPULAR_FALLBACK,
    Recommendation,
    RecommendResponse,
)

STRATEGIES = {
    STRATEGY_PERSONALIZED: "personalized",
    STRATEGY_MIXED: "mixed",
    STRATEGY_POPULAR_FALLBACK: "popular fallback (no neighbor was found)",
    STRATEGY_POPULAR: "popular",
}
"""What answered, as a person reads it."""

_SOURCES = {SOURCE_NEIGHBORS: "neighbors", SOURCE_POPULAR: "popular", SOURCE_NEW: "new"}


def print_recommendations(response: RecommendResponse, *, explained: bool) -> None:
    """Prints the items with their scores and reasons, and what answered.

    Args:
        response: The answer.
        explained: Whether reasons were asked for.
    """
    items = response.recommendations
    explained = explained and any(each.reasons for each in items)
    # Without reasons a column says where each item comes from, if that is not the same for all.
    sourced = not explained and len({each.source for each in items}) > 1
    predicted = any(each.HasField("predicted_rating") for each in items)
    genres = any(each.item.genres for each in items)
    columns = {
        ID: True,
        TITLE: True,
        Column("genres"): genres,
        Column("score", justify="right", keep=True): True,
        Column("predicted", justify="right", keep=True): predicted,
        Column("support", justify="right", keep=True): True,
        Column("from"): sourced,
        Column("because you liked"): explained,
    }
    used = list(columns.values())
    if items:
        rows = [[cell for cell, is_used in zip(_row(each), used, strict=True) if is_used] for each in items]
        print_table([column for column, is_used in columns.items() if is_used], rows)
    else:
        say("nothing left to recommend")
    say_filter_effects(response.filter_effects)
    say(_footer(response), quietly=True)


def shown_score(recommendation: Recommendation) -> str:
    """A score: of a popular item a count, of others a number."""
    count = recommendation.source == SOURCE_POPULAR and recommendation.score.is_integer()
    return f"{recommendation.score:.0f}" if count else decimal(recommendation.score)


def _row(recommendation: Recommendation) -> list[str]:
    """A cell for every column that there may be."""
    neighbors = recommendation.source == SOURCE_NEIGHBORS
    source = _SOURCES.get(recommendation.source, "elsewhere")
    reasons = [f"{title_of(each.item)} {each.share:.0%}" for each in recommendation.reasons]
    return [
        recommendation.item.item_id,
        title_of(recommendation.item),
        ", ".join(recommendation.item.genres),
        shown_score(recommendation),
        f"{recommendation.predicted_rating:.2f}" if recommendation.HasField("predicted_rating") else "",
        str(recommendation.support) if neighbors else "",
        source,
        " ".join(([] if neighbors else [f"({source})"]) + ([", ".join(reasons)] if reasons else [])),
    ]


def _footer(response: RecommendResponse) -> str:
    strategy = STRATEGIES.get(response.strategy, "unknown strategy")
    counts = []
    if response.strategy == STRATEGY_MIXED:
        counts.append(f"{response.personalized_count} from neighbors")
        counts += [f"{response.popular_count} popular"] if response.popular_count else []
    counts += [f"{response.new_count} new"] if response.new_count else []
    if counts:
        strategy += f" ({', '.join(counts)})"
    formula = recipe_name(response.recipe)
    named = response.recipe_name or formula
    parts = [
        strategy,
        f"{response.neighbors_used:,} neighbors used",
        f"recipe {named}" if named == formula else f"recipe {named}, from {formula}",
    ]
    if response.HasField("popular_among"):
        parts.append(f"popular among users with {shown_filter(response.popular_among)}")
    if response.popular_count:
        parts.append("score of popular items: how many users like them")
    if response.new_count:
        parts.append("score of new items: how much they share with what you like, 0 to 1")
    if response.as_of.profile_revision:
        parts.append(f"{response.as_of.stored_ratings:,} stored ratings, revision {response.as_of.profile_revision}")
    return " · ".join(parts)
