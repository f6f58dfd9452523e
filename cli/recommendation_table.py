"""Recommendations as a table, and the line below it that says what answered."""

from cli.output import ID, TITLE, Column, print_table, say, title_of
from kindred.v1.recommendation_service_pb2 import (
    SOURCE_POPULAR,
    STRATEGY_MIXED,
    STRATEGY_PERSONALIZED,
    STRATEGY_POPULAR,
    STRATEGY_POPULAR_FALLBACK,
    Recipe,
    Recommendation,
    RecommendResponse,
)

_STRATEGIES = {
    STRATEGY_PERSONALIZED: "personalized",
    STRATEGY_MIXED: "mixed",
    STRATEGY_POPULAR_FALLBACK: "popular fallback (no neighbor was found)",
    STRATEGY_POPULAR: "popular",
}


def print_recommendations(response: RecommendResponse, *, explained: bool) -> None:
    """Prints the items with their scores and reasons, and what answered.

    Args:
        response: The answer.
        explained: Whether reasons were asked for.
    """
    explained = explained and any(each.reasons for each in response.recommendations)
    if response.recommendations:
        columns = [
            ID,
            TITLE,
            Column("score", justify="right", keep=True),
            Column("support", justify="right", keep=True),
        ]
        if explained:
            columns.append(Column("because you liked"))
        print_table(columns, [_row(each, explained=explained) for each in response.recommendations])
    else:
        say("nothing left to recommend")
    say(_footer(response), quietly=True)


def _row(recommendation: Recommendation, *, explained: bool) -> list[str]:
    popular = recommendation.source == SOURCE_POPULAR
    score = f"{recommendation.score:.0f}" if popular else f"{recommendation.score:.3f}"
    row = [
        recommendation.item.item_id,
        title_of(recommendation.item),
        score,
        "" if popular else str(recommendation.support),
    ]
    if explained:
        reasons = ", ".join(f"{title_of(each.item)} {each.share:.0%}" for each in recommendation.reasons)
        row.append("(popular)" if popular else reasons)
    return row


def _footer(response: RecommendResponse) -> str:
    strategy = _STRATEGIES.get(response.strategy, "unknown strategy")
    if response.strategy == STRATEGY_MIXED:
        strategy += f" ({response.personalized_count} from neighbors, {response.popular_count} popular)"
    recipe = Recipe.Name(response.recipe) if response.recipe in Recipe.values() else "RECIPE_UNKNOWN"
    parts = [
        strategy,
        f"{response.neighbors_used:,} neighbors used",
        f"recipe {recipe.removeprefix('RECIPE_').replace('_', '-').lower()}",
    ]
    if response.popular_count:
        parts.append("score of popular items: how many users like them")
    if response.as_of.profile_revision:
        parts.append(f"{response.as_of.stored_ratings:,} stored ratings, revision {response.as_of.profile_revision}")
    return " · ".join(parts)
