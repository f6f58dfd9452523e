"""The lists of RecommendationService: similar items, similar users and popular items, from request to answer."""

from google.protobuf.timestamp_pb2 import Timestamp

from kindred.catalog import Catalog
from kindred.events import time_of
from kindred.popular_lists import PopularAnswer, PopularRequest, Window
from kindred.similar_items import SimilarItemsAnswer, SimilarItemsRequest, Similarity
from kindred.similar_users import SimilarUsersAnswer, SimilarUsersRequest
from kindred.v1 import item_pb2
from kindred.v1 import recommendation_service_pb2 as pb
from server.answers import effect_messages
from server.checks import Checks
from server.filters import read_item_filter, read_user_filter
from server.messages import item_message, timestamp
from server.recommend_requests import DEFAULT_LIMIT, MAX_LIMIT, MAX_OVERLAP, read_ratings

_SIMILARITIES = {Similarity.RATERS: pb.SIMILARITY_RATERS, Similarity.CONTENT: pb.SIMILARITY_CONTENT}
_WINDOWS = {
    pb.WINDOW_UNSPECIFIED: Window.ALL,
    pb.WINDOW_DAY: Window.DAY,
    pb.WINDOW_WEEK: Window.WEEK,
    pb.WINDOW_MONTH: Window.MONTH,
    pb.WINDOW_YEAR: Window.YEAR,
    pb.WINDOW_ALL: Window.ALL,
}


def read_similar_items(request: pb.ListSimilarItemsRequest) -> SimilarItemsRequest:
    """Checks a request.

    Raises:
        InvalidArgumentError: Something is wrong with it.
    """
    checks = Checks()
    checks.id(request.item_id, "item_id")
    limit = checks.bounded(request, "limit", MAX_LIMIT, DEFAULT_LIMIT)
    items = read_item_filter(request.items, "items", checks)
    checks.known(request.item_view, item_pb2.ItemView, "item_view")
    checks.done()
    return SimilarItemsRequest(request.item_id, limit, items)


def similar_items_response(answer: SimilarItemsAnswer, catalog: Catalog, view: int) -> pb.ListSimilarItemsResponse:
    """The contract's answer."""
    return pb.ListSimilarItemsResponse(
        items=[
            pb.SimilarItem(
                item=item_message(catalog.item(each.row), view),
                score=each.score,
                similarity=_SIMILARITIES[each.similarity],
                support=each.support,
            )
            for each in answer.items
        ],
        raters_used=answer.raters_used,
        filter_effects=effect_messages(answer.filter_effects),
    )


def read_similar_users(request: pb.ListSimilarUsersRequest) -> SimilarUsersRequest:
    """Checks a request.

    Raises:
        InvalidArgumentError: Something is wrong with it.
    """
    checks = Checks()
    if request.user_id:
        checks.id(request.user_id, "user_id")
    elif not request.ratings:
        checks.wrong("user_id", "give a user_id, ratings, or both")
    ratings = read_ratings(request, checks)
    limit = checks.bounded(request, "limit", MAX_LIMIT, DEFAULT_LIMIT)
    min_overlap = checks.bounded(request, "min_overlap", MAX_OVERLAP, 1)
    users = read_user_filter(request.filter, "filter", checks)
    checks.done()
    return SimilarUsersRequest(request.user_id or None, ratings, limit, min_overlap, users)


def similar_users_response(answer: SimilarUsersAnswer) -> pb.ListSimilarUsersResponse:
    """The contract's answer."""
    return pb.ListSimilarUsersResponse(
        users=[
            pb.SimilarUser(
                user_id=each.user_id,
                similarity=each.similarity,
                shared_items=each.shared_items,
                rated_items=each.rated_items,
            )
            for each in answer.users
        ],
        filter_effects=effect_messages(answer.filter_effects),
    )


def read_popular_items(request: pb.ListPopularItemsRequest) -> PopularRequest:
    """Checks a request.

    Raises:
        InvalidArgumentError: Something is wrong with it.
    """
    checks = Checks()
    limit = checks.bounded(request, "limit", MAX_LIMIT, DEFAULT_LIMIT)
    checks.known(request.window, pb.Window, "window")
    until = _moment(request.until, "until", checks) if request.HasField("until") else None
    items = read_item_filter(request.items, "items", checks)
    users = read_user_filter(request.users, "users", checks)
    checks.known(request.item_view, item_pb2.ItemView, "item_view")
    checks.done()
    return PopularRequest(limit, _WINDOWS[request.window], until, items, users)


def _moment(message: Timestamp, field: str, checks: Checks) -> int | None:
    try:
        return time_of(message)
    except ValueError as error:
        checks.wrong(field, str(error))
        return None


def popular_items_response(answer: PopularAnswer, catalog: Catalog, view: int) -> pb.ListPopularItemsResponse:
    """The contract's answer."""
    return pb.ListPopularItemsResponse(
        items=[
            pb.PopularItem(item=item_message(catalog.item(each.row), view), likes=each.likes, ratings=each.ratings)
            for each in answer.items
        ],
        counted_at=None if answer.counted_at is None else timestamp(answer.counted_at),
        users_counted=answer.users_counted,
        filter_effects=effect_messages(answer.filter_effects),
    )
