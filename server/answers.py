"""The recommender's answers as messages of the contract."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.struct_pb2 import ListValue

from kindred.attribute_filter import AnyOf, AttributeFilter, Condition, Equals, InRange
from kindred.catalog import Catalog
from kindred.filter_effect import FilterEffect
from kindred.ratings import RatingScale
from kindred.recipes import Recipe
from kindred.recommendation import (
    Counterfactual,
    FullExplanation,
    NeighborTerm,
    RecommendationAnswer,
    RecommendedItem,
    Source,
    Strategy,
)
from kindred.telemetry import RECOMMENDATIONS
from kindred.v1 import filter_pb2, item_pb2
from kindred.v1 import recommendation_service_pb2 as pb
from server.messages import put_item, put_value

RECIPE_NAMES: dict[pb.Recipe.ValueType, str | None] = {
    pb.RECIPE_UNSPECIFIED: None,
    pb.RECIPE_DEFAULT: "default",
    pb.RECIPE_RIDGE: "ridge",
    pb.RECIPE_TUTORIAL_SIMILARITY: "tutorial-similarity",
    pb.RECIPE_TUTORIAL_RATINGS: "tutorial-ratings",
    pb.RECIPE_POPULAR: "popular",
}
_RECIPES = {name: number for number, name in RECIPE_NAMES.items() if name is not None}
_STRATEGIES = {
    Strategy.PERSONALIZED: pb.STRATEGY_PERSONALIZED,
    Strategy.MIXED: pb.STRATEGY_MIXED,
    Strategy.POPULAR_FALLBACK: pb.STRATEGY_POPULAR_FALLBACK,
    Strategy.POPULAR: pb.STRATEGY_POPULAR,
}
_SOURCES = {
    Source.NEIGHBORS: pb.SOURCE_NEIGHBORS,
    Source.POPULAR: pb.SOURCE_POPULAR,
    Source.NEW: pb.SOURCE_NEW,
}


@dataclass(frozen=True, slots=True)
class AnswerWriter:
    """Writes answers.

    Args:
        catalog: The items.
        scale: The collection's scale.
        recipes: Recipes by name.
        names_neighbors: Whether explanations may say who the neighbors are.
    """

    catalog: Catalog
    scale: RatingScale
    recipes: Mapping[str, Recipe]
    names_neighbors: bool

    def response(self, answer: RecommendationAnswer, view: int) -> pb.RecommendResponse:
        """The contract's answer.

        Args:
            answer: The recommender's.
            view: How much of each item, an `ItemView`.
        """
        RECOMMENDATIONS.labels(answer.recipe, answer.strategy.value).inc()
        sources = [item.source for item in answer.items]
        response = pb.RecommendResponse(
            strategy=_STRATEGIES[answer.strategy],
            personalized_count=sources.count(Source.NEIGHBORS),
            popular_count=sources.count(Source.POPULAR),
            new_count=sources.count(Source.NEW),
            neighbors_used=answer.neighbors_used,
            recipe=_RECIPES[self.recipes[answer.recipe].base],
            recipe_name=answer.recipe,
            filter_effects=effect_messages(answer.filter_effects),
            as_of=pb.AsOf(
                profile_revision=answer.profile_revision,
                stored_ratings=answer.stored_ratings,
                freshness_token=answer.freshness_token,
            ),
        )
        self._put(response, answer.items, view)
        if answer.counterfactual is not None:
            self._put_counterfactual(response.counterfactual, answer.counterfactual, view)
        if answer.popular_among is not None:
            response.popular_among.CopyFrom(attribute_filter_message(answer.popular_among))
        return response

    def _put(
        self, target: pb.RecommendResponse | pb.Counterfactual, items: Sequence[RecommendedItem], view: int
    ) -> None:
        """Writes recommendations where they belong: messages that are made elsewhere are copied."""
        for item in items:
            message = target.recommendations.add(
                score=item.score,
                support=item.support,
                source=_SOURCES[item.source],
                predicted_rating=item.predicted,
            )
            put_item(message.item, self.catalog.item(item.row), view)
            for reason in item.reasons:
                put_item(
                    message.reasons.add(share=reason.share).item,
                    self.catalog.item(reason.row),
                    item_pb2.ITEM_VIEW_BASIC,
                )
            if item.explanation is not None:
                message.explanation.CopyFrom(self._explanation(item.explanation))

    def _explanation(self, explanation: FullExplanation) -> pb.FullExplanation:
        return pb.FullExplanation(
            neighbors=[self._term(term) for term in explanation.neighbors],
            other_neighbors=explanation.other_neighbors,
            other_neighbors_count=explanation.other_neighbors_count,
            adjustments=[
                pb.Adjustment(reason=each.reason, contribution=each.contribution) for each in explanation.adjustments
            ],
        )

    def _term(self, term: NeighborTerm) -> pb.NeighborTerm:
        return pb.NeighborTerm(
            user_id=term.user_id if self.names_neighbors else "",
            rating=term.rating,
            similarity=term.similarity,
            weight=term.weight,
            contribution=term.contribution,
            shared_items=[
                pb.SharedItem(item_id=self.catalog.item(row).item_id, contribution=part) for row, part in term.shared
            ],
            other_shared_items=term.other_shared,
        )

    def _put_counterfactual(self, target: pb.Counterfactual, counterfactual: Counterfactual, view: int) -> None:
        target.strategy = _STRATEGIES[counterfactual.strategy]
        target.lost_item_ids.extend(self.catalog.item(row).item_id for row in counterfactual.lost)
        target.gained_item_ids.extend(self.catalog.item(row).item_id for row in counterfactual.gained)
        self._put(target, counterfactual.items, view)


def effect_messages(effects: Iterable[FilterEffect]) -> list[pb.FilterEffect]:
    """What filters have left out."""
    return [pb.FilterEffect(field=each.field, removed=each.removed, total=each.total) for each in effects]


def attribute_filter_message(allowed: AttributeFilter) -> filter_pb2.AttributeFilter:
    """A filter as a message."""
    return filter_pb2.AttributeFilter(
        all_of=[_condition(each) for each in allowed.all_of],
        any_of=[_condition(each) for each in allowed.any_of],
        none_of=[_condition(each) for each in allowed.none_of],
    )


def _condition(condition: Condition) -> filter_pb2.AttributeCondition:
    message = filter_pb2.AttributeCondition(name=condition.name)
    match condition:
        case Equals():
            put_value(message.equals, condition.value)
        case AnyOf():
            values = ListValue()
            for value in condition.values:
                put_value(values.values.add(), value)
            message.any_of.CopyFrom(values)
        case InRange():
            message.range.CopyFrom(filter_pb2.NumberRange(at_least=condition.at_least, at_most=condition.at_most))
    return message
