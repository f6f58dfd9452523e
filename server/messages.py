"""Between the contract's messages and the heart's own types."""

from collections.abc import Iterable, Mapping

from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from kindred.catalog import Catalog
from kindred.items import Item
from kindred.ratings import Attributes
from kindred.recommendation import RecommendationAnswer, Strategy
from kindred.v1 import item_pb2
from kindred.v1 import recommendation_service_pb2 as pb

RECIPE_NAMES: dict[pb.Recipe.ValueType, str | None] = {
    pb.RECIPE_UNSPECIFIED: None,
    pb.RECIPE_DEFAULT: "default",
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


def item_message(item: Item, view: int) -> item_pb2.Item:
    """An item, as much of it as a view shows.

    Args:
        item: The item.
        view: An `ItemView`; unspecified is BASIC.
    """
    message = item_pb2.Item(item_id=item.item_id)
    if view == item_pb2.ITEM_VIEW_ID:
        return message
    message.title = item.title
    if item.year is not None:
        message.year = item.year
    if view == item_pb2.ITEM_VIEW_FULL:
        message.genres.extend(item.genres)
        message.tags.extend(item.tags)
        message.external_ids.update(item.external_ids)
        put_attributes(message.attributes, item.attributes)
    return message


def item_messages(catalog: Catalog, rows: Iterable[int], view: int) -> list[item_pb2.Item]:
    """The items of rows."""
    return [item_message(catalog.item(row), view) for row in rows]


def item_of(message: item_pb2.Item, attributes: Attributes) -> Item:
    """The item in a message; its attributes have been read before."""
    return Item(
        item_id=message.item_id,
        title=message.title,
        year=message.year if message.HasField("year") else None,
        genres=tuple(message.genres),
        tags=tuple(message.tags),
        external_ids=dict(message.external_ids),
        attributes=attributes,
    )


def put_attributes(target: Mapping[str, Value], attributes: Attributes) -> None:
    """Writes attributes into a map of protobuf values."""
    for name, value in attributes.items():
        if isinstance(value, bool):
            target[name].bool_value = value
        elif isinstance(value, str):
            target[name].string_value = value
        else:
            target[name].number_value = value


def timestamp(milliseconds: int) -> Timestamp:
    """A protobuf timestamp from milliseconds since 1970."""
    message = Timestamp()
    message.FromMilliseconds(milliseconds)
    return message


def recommend_response(answer: RecommendationAnswer, catalog: Catalog, view: int) -> pb.RecommendResponse:
    """The contract's answer."""
    recommendations = [
        pb.Recommendation(
            item=item_message(catalog.item(item.row), view),
            score=item.score,
            support=item.support,
            source=pb.SOURCE_POPULAR if item.popular else pb.SOURCE_NEIGHBORS,
            reasons=[
                pb.Reason(
                    item=item_message(catalog.item(reason.row), item_pb2.ITEM_VIEW_BASIC),
                    share=reason.share,
                )
                for reason in item.reasons
            ],
        )
        for item in answer.items
    ]
    popular = sum(item.popular for item in answer.items)
    return pb.RecommendResponse(
        recommendations=recommendations,
        strategy=_STRATEGIES[answer.strategy],
        personalized_count=len(answer.items) - popular,
        popular_count=popular,
        neighbors_used=answer.neighbors_used,
        recipe=_RECIPES[answer.recipe],
        as_of=pb.AsOf(
            profile_revision=answer.profile_revision,
            stored_ratings=answer.stored_ratings,
            freshness_token=answer.freshness_token,
        ),
    )
