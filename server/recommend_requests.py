"""Reads requests for recommendations: every field that is wrong is named, all at once."""

from kindred.item_filter import EVERY_ITEM
from kindred.items import MAX_NAME_LENGTH
from kindred.recipes import BOUNDS, MAX_K
from kindred.recommendation import Explained, InlineRating, RecommendationRequest
from kindred.user_filter import EVERY_USER, UserFilter
from kindred.v1 import item_pb2
from kindred.v1 import recommendation_service_pb2 as pb
from server.answers import RECIPE_NAMES
from server.boosts import read_boosts
from server.checks import Checks
from server.filters import read_item_filter, read_period, read_user_filter
from server.opinions import read_opinion

MAX_LIMIT = 500
DEFAULT_LIMIT = 10
MAX_INLINE_RATINGS = 1_000
MAX_EXCLUDED = 10_000
MAX_OVERLAP = 100
MAX_WITHOUT = 100
MAX_NEW_SHARE = 0.5
MAX_EXPLAINED = 50
"""Items with every term of their scores: each may have a thousand."""
_EXPLAINED = {
    pb.EXPLANATION_UNSPECIFIED: Explained.NONE,
    pb.EXPLANATION_NONE: Explained.NONE,
    pb.EXPLANATION_SUMMARY: Explained.SUMMARY,
    pb.EXPLANATION_FULL: Explained.FULL,
}


def read_request(request: pb.RecommendRequest) -> RecommendationRequest:
    """Checks a request.

    Raises:
        InvalidArgumentError: Something is wrong with it.
    """
    checks = Checks()
    if request.user_id:
        checks.id(request.user_id, "user_id")
    limit = checks.bounded(request, "limit", MAX_LIMIT, DEFAULT_LIMIT)
    # What most requests leave out is not read: an empty message says nothing.
    k, min_overlap, neighbors = None, 1, EVERY_USER
    if request.HasField("neighbors"):
        k, min_overlap, neighbors = _read_neighbors(request.neighbors, checks)
    recipe = _read_recipe(request, checks)
    checks.known(request.explanation, pb.Explanation, "explanation")
    checks.known(request.item_view, item_pb2.ItemView, "item_view")
    checks.count(request.exclude_item_ids, "exclude_item_ids", MAX_EXCLUDED, least=0)
    if request.explanation == pb.EXPLANATION_FULL and limit > MAX_EXPLAINED:
        checks.wrong("limit", f"is {limit}, at most {MAX_EXPLAINED} with EXPLANATION_FULL")
    items = read_item_filter(request.items, "items", checks) if request.HasField("items") else EVERY_ITEM
    if request.exclude_item_ids and items.candidates:
        both = set(request.exclude_item_ids) & set(items.candidates)
        if both:
            checks.wrong("exclude_item_ids", f"names {min(both)!r}, which items.candidate_item_ids names, too")
    read = RecommendationRequest(
        user_id=request.user_id or None,
        ratings=read_ratings(request, checks) if request.ratings else (),
        limit=limit,
        excluded=tuple(request.exclude_item_ids),
        include_rated=request.include_rated,
        items=items,
        k=k,
        min_overlap=min_overlap,
        neighbors=neighbors,
        period=read_period(request.period, "period", checks) if request.HasField("period") else None,
        recipe=recipe,
        overrides=_read_overrides(request, checks) if request.HasField("overrides") else {},
        boosts=read_boosts(request.boosts, "boosts", checks) if request.boosts else (),
        diversity=_read_share(request, "diversity", 1.0, checks),
        new_item_share=_read_share(request, "new_item_share", MAX_NEW_SHARE, checks),
        without=_read_without(request, checks) if request.without_item_ids else (),
        explained=_EXPLAINED.get(request.explanation, Explained.NONE),
    )
    checks.done()
    return read


def explained_items(request: pb.RecommendRequest) -> int:
    """For how many items a request, unless it is wrong, asks for every term of their scores."""
    if request.explanation != pb.EXPLANATION_FULL:
        return 0
    limit = request.limit if request.HasField("limit") else DEFAULT_LIMIT
    return limit if 0 < limit <= MAX_EXPLAINED else 0


def read_ratings(request: pb.RecommendRequest | pb.ListSimilarUsersRequest, checks: Checks) -> list[InlineRating]:
    """The ratings in a request."""
    ratings = []
    if checks.count(request.ratings, "ratings", MAX_INLINE_RATINGS, least=0):
        for place, rating in enumerate(request.ratings):
            checks.id(rating.item_id, f"ratings[{place}].item_id")
            opinion = read_opinion(rating, f"ratings[{place}]", checks)
            ratings.append(InlineRating(rating.item_id, opinion))
    return ratings


def _read_neighbors(message: pb.NeighborOptions, checks: Checks) -> tuple[int | None, int, UserFilter]:
    """K if it is given, the least overlap, and who may be a neighbor."""
    k = checks.bounded(message, "k", MAX_K, 1, above="neighbors.")
    min_overlap = checks.bounded(message, "min_overlap", MAX_OVERLAP, 1, above="neighbors.")
    allowed = EVERY_USER
    if message.HasField("filter"):
        allowed = read_user_filter(message.filter, "neighbors.filter", checks)
    return k if message.HasField("k") else None, min_overlap, allowed


def _read_recipe(request: pb.RecommendRequest, checks: Checks) -> str | None:
    checks.known(request.recipe, pb.Recipe, "recipe")
    if not request.recipe_name:
        return RECIPE_NAMES.get(request.recipe)
    if request.recipe:
        checks.wrong("recipe_name", "give recipe or recipe_name, not both")
    if len(request.recipe_name) > MAX_NAME_LENGTH:
        checks.wrong(
            "recipe_name", f"has {len(request.recipe_name):,} characters, at most {MAX_NAME_LENGTH} are allowed"
        )
    return request.recipe_name


def _read_overrides(request: pb.RecommendRequest, checks: Checks) -> dict[str, float]:
    overrides = {field.name: value for field, value in request.overrides.ListFields()}
    for name, value in overrides.items():
        if not BOUNDS[name].contain(value):
            checks.wrong(f"overrides.{name}", f"is {value:g}, must be {BOUNDS[name]}")
    return overrides


def _read_share(request: pb.RecommendRequest, field: str, most: float, checks: Checks) -> float:
    value: float = getattr(request, field)
    if not 0 <= value <= most:  # NaN neither
        checks.wrong(field, f"is {value:g}, must be 0 to {most:g}")
    return value


def _read_without(request: pb.RecommendRequest, checks: Checks) -> tuple[str, ...]:
    checks.ids(request.without_item_ids, "without_item_ids", MAX_WITHOUT, least=0)
    checks.unique(request.without_item_ids, "without_item_ids")
    return tuple(request.without_item_ids)
