import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ResourceInfo

from kindred.events import now_ms
from kindred.v1 import catalog_service_pb2 as catalog
from kindred.v1 import filter_pb2 as filters
from kindred.v1 import item_pb2
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as recommendation
from kindred.v1.filter_pb2 import AttributeCondition, AttributeFilter, ItemFilter, UserFilter, WordFilter
from tests.support.kafka_log import read_records
from tests.support.system import BOUND, Client, System, failure_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

LONG = "x" * 257
WRONG_IDS = {
    "empty": "",
    "of 257 characters": LONG,
    "of a megabyte": "x" * 2**20,
    "with a NUL": "7\0",
    "with a line break": "7\n",
    "with an escape": "\x1b[31m7",
    "with a C1 control": "7\x85",
    "with DEL": "7\x7f",
}
WRONG_VALUES = {
    "above the scale": 5.5,
    "below the scale": 0.0,
    "negative": -3.0,
    "NaN": math.nan,
    "infinite": math.inf,
    "minus infinite": -math.inf,
    "just above": math.nextafter(5.0, 6.0),
    "huge": 1e308,
}
WRONG_LIMITS = (0, -1, 501, 1_000_000, -(2**31), 2**31 - 1)
WRONG_TIMES = {
    "before 1970": Timestamp(seconds=-1),
    "never set": Timestamp(),
    "in milliseconds called seconds": Timestamp(seconds=1_700_000),
    "in 1970": Timestamp(seconds=365 * 86_400 - 1, nanos=999_999_999),
    "in the year 1": Timestamp(seconds=-62_135_596_800),
    "in 2200": Timestamp(seconds=7_258_118_400),
    "tomorrow": Timestamp(seconds=now_ms() // 1000 + 86_400),
    "beyond all calendars": Timestamp(seconds=2**62),
    "with too many nanoseconds": Timestamp(seconds=1_700_000_000, nanos=10**9),
    "with negative nanoseconds": Timestamp(seconds=1_700_000_000, nanos=-1),
}
WRONG_ATTRIBUTES = {
    "null": Value(null_value=0),
    "nothing": Value(),
    "a list": Value(list_value=ListValue(values=[Value(number_value=1)])),
    "a struct": Value(struct_value=Struct(fields={"a": Value(number_value=1)})),
    "NaN": Value(number_value=math.nan),
    "infinite": Value(number_value=math.inf),
    "1,001 characters": Value(string_value="x" * 1_001),
}


@dataclass(frozen=True, slots=True)
class Bad:
    """A wrong request.

    Args:
        request: The request.
        fields: The paths of the fields that are wrong, in order.
    """

    request: Message
    fields: list[str]


def record(*ratings: rating.NewRating, user_id: str = "newcomer") -> rating.RecordRatingsRequest:
    """A request to record ratings."""
    return rating.RecordRatingsRequest(user_id=user_id, ratings=ratings)


def new(item_id: str = "50", **fields: Any) -> rating.NewRating:
    """A rating to record, right unless a field is given."""
    return rating.NewRating(item_id=item_id, **(fields or {"value": 4.0}))


def recommend(**fields: Any) -> recommendation.RecommendRequest:
    """A request to recommend, right unless a field is given."""
    return recommendation.RecommendRequest(**({"user_id": "7"} | fields))


def inline(item_id: str = "50", **fields: Any) -> recommendation.InlineRating:
    """An inline rating, right unless a field is given."""
    return recommendation.InlineRating(item_id=item_id, **(fields or {"value": 4.0}))


def similar_items(**fields: Any) -> recommendation.ListSimilarItemsRequest:
    """A request for similar items, right unless a field is given."""
    return recommendation.ListSimilarItemsRequest(**({"item_id": "50"} | fields))


def similar_users(**fields: Any) -> recommendation.ListSimilarUsersRequest:
    """A request for similar users, right unless a field is given."""
    return recommendation.ListSimilarUsersRequest(**({"user_id": "7"} | fields))


def popular(**fields: Any) -> recommendation.ListPopularItemsRequest:
    """A request for popular items, right unless a field is given."""
    return recommendation.ListPopularItemsRequest(**fields)


def upsert(*items: item_pb2.Item) -> catalog.UpsertItemsRequest:
    """A request to write items."""
    return catalog.UpsertItemsRequest(items=items)


def item(**fields: Any) -> item_pb2.Item:
    """An item, right unless a field is given."""
    return item_pb2.Item(**({"item_id": "newcomer", "title": "New"} | fields))


NEIGHBORS = recommendation.NeighborOptions
OVERRIDES = recommendation.RecipeOverrides
HALVING = filters.RatingPeriod(half_life=Duration(seconds=3_600))
COLOR = filters.AttributeFilter(
    all_of=[filters.AttributeCondition(name="no such color", equals=Value(string_value="red"))]
)


def words(**lists: list[str]) -> filters.ItemFilter:
    """A filter for any of some words."""
    return filters.ItemFilter(**{name: filters.WordFilter(any_of=given) for name, given in lists.items()})


NOBODY_HAS = AttributeCondition(name="contry", equals=Value(string_value="NL"))

BAD: dict[str, Bad] = {
    # Recommend
    "recommend: nobody": Bad(recommend(user_id=""), ["user_id"]),
    **{
        f"recommend: user id {name}": Bad(recommend(user_id=value), ["user_id"])
        for name, value in WRONG_IDS.items()
        if value
    },
    **{f"recommend: limit {limit}": Bad(recommend(limit=limit), ["limit"]) for limit in WRONG_LIMITS},
    **{
        f"recommend: k {k}": Bad(recommend(neighbors=NEIGHBORS(k=k)), ["neighbors.k"])
        for k in (0, -1, 1_001, 1_000_000)
    },
    "recommend: unknown recipe": Bad(recommend(recipe=99), ["recipe"]),
    "recommend: negative recipe": Bad(recommend(recipe=-1), ["recipe"]),
    "recommend: unknown explanation": Bad(recommend(explanation=4), ["explanation"]),
    "recommend: unknown view": Bad(recommend(item_view=4), ["item_view"]),
    "recommend: 10,001 exclusions": Bad(recommend(exclude_item_ids=["50"] * 10_001), ["exclude_item_ids"]),
    "recommend: 1,001 ratings": Bad(recommend(ratings=[inline()] * 1_001), ["ratings"]),
    "recommend: bad token": Bad(recommend(at_least_as_fresh="nonsense!"), ["at_least_as_fresh"]),
    "recommend: endless token": Bad(recommend(at_least_as_fresh="A" * 2**20), ["at_least_as_fresh"]),
    **{
        f"recommend: value {name}": Bad(recommend(ratings=[inline("172"), inline(value=value)]), ["ratings[1].value"])
        for name, value in WRONG_VALUES.items()
    },
    **{
        f"recommend: item id {name}": Bad(recommend(ratings=[inline(), inline(value)]), ["ratings[1].item_id"])
        for name, value in WRONG_IDS.items()
    },
    "recommend: no opinion": Bad(recommend(ratings=[recommendation.InlineRating(item_id="50")]), ["ratings[0]"]),
    "recommend: unspecified reaction": Bad(recommend(ratings=[inline(reaction=0)]), ["ratings[0].reaction"]),
    "recommend: unknown reaction": Bad(recommend(ratings=[inline(reaction=7)]), ["ratings[0].reaction"]),
    "recommend: an item twice": Bad(recommend(ratings=[inline("50"), inline("50")]), ["ratings[1].item_id"]),
    "recommend: an item under two ids": Bad(
        recommend(ratings=[inline("50"), inline("imdb:tt0076759")]), ["ratings[1].item_id"]
    ),
    "recommend: recipe twice": Bad(recommend(recipe=1, recipe_name="ridge"), ["recipe_name"]),
    "recommend: recipe name of 101 characters": Bad(recommend(recipe_name="r" * 101), ["recipe_name"]),
    "recommend: unknown recipe name": Bad(recommend(recipe_name="rigde"), ["recipe_name"]),
    "recommend: full reasons of 51 items": Bad(recommend(explanation=3, limit=51), ["limit"]),
    "recommend: neighbors of popular items": Bad(recommend(recipe=4, neighbors=NEIGHBORS(k=3)), ["neighbors"]),
    "recommend: period of popular items": Bad(recommend(recipe=4, period=HALVING), ["period"]),
    "recommend: neighbors and period of popular items by name": Bad(
        recommend(recipe_name="popular", neighbors=NEIGHBORS(min_overlap=2), period=HALVING), ["neighbors", "period"]
    ),
    **{
        f"recommend: overlap {value}": Bad(recommend(neighbors=NEIGHBORS(min_overlap=value)), ["neighbors.min_overlap"])
        for value in (0, -1, 101)
    },
    **{
        f"recommend: {field} {value}": Bad(recommend(**{field: value}), [field])
        for field, most in (("diversity", 1), ("new_item_share", 0.5))
        for value in (-0.1, most + 0.01, math.nan, math.inf)
    },
    **{
        f"recommend: {name} {value}": Bad(
            recommend(recipe=5 if name.startswith("fit") else 1, overrides=OVERRIDES(**{name: value})),
            [f"overrides.{name}"],
        )
        for name in ("query_damping", "sharpness", "score_damping", "recency_half_life", "fit_penalty", "fit_damping")
        for value in (-1.0, 20_000.0, math.nan)
    },
    "recommend: a number of another recipe": Bad(
        recommend(recipe=1, overrides=OVERRIDES(fit_penalty=1, sharpness=1)), ["overrides.fit_penalty"]
    ),
    "recommend: without what was not rated": Bad(recommend(without_item_ids=["unrated"]), ["without_item_ids[0]"]),
    "recommend: without an item twice": Bad(recommend(without_item_ids=["50", "50"]), ["without_item_ids[1]"]),
    "recommend: without 101 items": Bad(
        recommend(without_item_ids=[str(item) for item in range(101)]), ["without_item_ids"]
    ),
    "recommend: unknown genre": Bad(recommend(items=words(genres=["Komedy"])), ["items.genres.any_of[0]"]),
    "recommend: unknown tag": Bad(recommend(items=words(tags=["x"])), ["items.tags.any_of[0]"]),
    "recommend: excluded candidate": Bad(
        recommend(items=filters.ItemFilter(candidate_item_ids=["50"]), exclude_item_ids=["50"]), ["exclude_item_ids"]
    ),
    "recommend: unknown attribute of an item": Bad(
        recommend(items=filters.ItemFilter(attributes=COLOR)), ["items.attributes.all_of[0].name"]
    ),
    "recommend: unknown attribute of a neighbor": Bad(
        recommend(neighbors=NEIGHBORS(filter=filters.UserFilter(attributes=COLOR))),
        ["neighbors.filter.attributes.all_of[0].name"],
    ),
    "recommend: boost of an unknown genre": Bad(
        recommend(boosts=[recommendation.Boost(factor=2, genre="Komedy")]), ["boosts[0].genre"]
    ),
    "recommend: 33 boosts": Bad(recommend(boosts=[recommendation.Boost(factor=1, min_year=1990)] * 33), ["boosts"]),
    "recommend: boosts by a hundred million": Bad(
        recommend(boosts=[recommendation.Boost(factor=100, genre="Drama")] * 4), ["boosts"]
    ),
    "recommend: boost of nothing": Bad(recommend(boosts=[recommendation.Boost(factor=2)]), ["boosts[0]"]),
    "recommend: boost by -1": Bad(
        recommend(boosts=[recommendation.Boost(factor=-1, min_year=1990)]), ["boosts[0].factor"]
    ),
    "recommend: everything": Bad(
        recommend(user_id=LONG, limit=0, neighbors=NEIGHBORS(k=0), recipe=9, explanation=9, item_view=9),
        ["user_id", "limit", "neighbors.k", "recipe", "explanation", "item_view"],
    ),
    # BatchRecommend
    "batch: empty": Bad(recommendation.BatchRecommendRequest(), ["requests"]),
    "batch: 101": Bad(recommendation.BatchRecommendRequest(requests=[recommend()] * 101), ["requests"]),
    "batch: full reasons of 210 items": Bad(
        recommendation.BatchRecommendRequest(
            requests=[recommend(explanation=3, limit=50)] * 4 + [recommend(explanation=3)]
        ),
        ["requests"],
    ),
    # ListSimilarItems
    **{
        f"similar items: item id {name}": Bad(similar_items(item_id=value), ["item_id"])
        for name, value in WRONG_IDS.items()
    },
    **{f"similar items: limit {limit}": Bad(similar_items(limit=limit), ["limit"]) for limit in WRONG_LIMITS},
    "similar items: everything": Bad(
        similar_items(item_id="", limit=0, item_view=9), ["item_id", "limit", "item_view"]
    ),
    "similar items: a genre twice": Bad(
        similar_items(items=ItemFilter(genres=WordFilter(any_of=["Drama"], none_of=["Drama"]))),
        ["items.genres.none_of[0]"],
    ),
    "similar items: an unknown genre": Bad(
        similar_items(items=ItemFilter(genres=WordFilter(any_of=["Drama", "Dramaa"]))), ["items.genres.any_of[1]"]
    ),
    # ListSimilarUsers
    "similar users: nobody": Bad(similar_users(user_id=""), ["user_id"]),
    **{
        f"similar users: user id {name}": Bad(similar_users(user_id=value), ["user_id"])
        for name, value in WRONG_IDS.items()
        if value
    },
    **{f"similar users: limit {limit}": Bad(similar_users(limit=limit), ["limit"]) for limit in WRONG_LIMITS},
    **{
        f"similar users: overlap {overlap}": Bad(similar_users(min_overlap=overlap), ["min_overlap"])
        for overlap in (0, -1, 101, 2**31 - 1)
    },
    "similar users: 1,001 ratings": Bad(similar_users(ratings=[inline()] * 1_001), ["ratings"]),
    **{
        f"similar users: item id {name}": Bad(similar_users(ratings=[inline(), inline(value)]), ["ratings[1].item_id"])
        for name, value in WRONG_IDS.items()
    },
    "similar users: no opinion": Bad(
        similar_users(ratings=[recommendation.InlineRating(item_id="50")]), ["ratings[0]"]
    ),
    "similar users: unknown reaction": Bad(similar_users(ratings=[inline(reaction=7)]), ["ratings[0].reaction"]),
    "similar users: a filter": Bad(similar_users(filter=UserFilter(min_ratings=0)), ["filter.min_ratings"]),
    "similar users: everything": Bad(
        similar_users(user_id=LONG, ratings=[inline("", reaction=0)], limit=0, min_overlap=0),
        ["user_id", "ratings[0].item_id", "ratings[0].reaction", "limit", "min_overlap"],
    ),
    # ListPopularItems
    **{f"popular: limit {limit}": Bad(popular(limit=limit), ["limit"]) for limit in WRONG_LIMITS},
    "popular: unknown window": Bad(popular(window=6), ["window"]),
    "popular: negative window": Bad(popular(window=-1), ["window"]),
    **{
        f"popular: until {name}": Bad(popular(until=value), ["until"])
        for name, value in WRONG_TIMES.items()
        if name.startswith(("beyond", "with"))
    },
    "popular: filters": Bad(
        popular(items=ItemFilter(min_year=10_001), users=UserFilter(min_ratings=0)),
        ["items.min_year", "users.min_ratings"],
    ),
    "popular: an attribute that nobody has": Bad(
        popular(users=UserFilter(attributes=AttributeFilter(none_of=[NOBODY_HAS]))),
        ["users.attributes.none_of[0].name"],
    ),
    "popular: an unknown tag": Bad(popular(items=ItemFilter(tags=WordFilter(all_of=["no"]))), ["items.tags.all_of[0]"]),
    "popular: everything": Bad(
        popular(limit=0, window=9, until=Timestamp(nanos=-1), item_view=9), ["limit", "window", "until", "item_view"]
    ),
    # RecordRatings
    **{f"record: user id {name}": Bad(record(new(), user_id=value), ["user_id"]) for name, value in WRONG_IDS.items()},
    **{
        f"record: value {name}": Bad(record(new("172"), new(value=value)), ["ratings[1].value"])
        for name, value in WRONG_VALUES.items()
    },
    **{
        f"record: time {name}": Bad(record(new("172"), new(value=4, rated_at=value)), ["ratings[1].rated_at"])
        for name, value in WRONG_TIMES.items()
    },
    **{
        f"record: item id {name}": Bad(record(new(), new(value)), ["ratings[1].item_id"])
        for name, value in WRONG_IDS.items()
    },
    "record: no ratings": Bad(record(), ["ratings"]),
    "record: 1,001 ratings": Bad(record(*[new()] * 1_001), ["ratings"]),
    "record: unknown items": Bad(
        record(new("51"), new(), new("imdb:nope")), ["ratings[0].item_id", "ratings[2].item_id"]
    ),
    "record: an item twice": Bad(record(new(), new("172"), new()), ["ratings[2].item_id"]),
    "record: an item under two ids": Bad(record(new(), new("imdb:tt0076759")), ["ratings[1].item_id"]),
    "record: no opinion": Bad(record(rating.NewRating(item_id="50")), ["ratings[0]"]),
    "record: unspecified reaction": Bad(record(new(reaction=0)), ["ratings[0].reaction"]),
    "record: unknown reaction": Bad(record(new(reaction=3)), ["ratings[0].reaction"]),
    "record: everything": Bad(
        record(new("51", value=9, rated_at=Timestamp(seconds=-5)), user_id=""),
        ["user_id", "ratings[0].item_id", "ratings[0].value", "ratings[0].rated_at"],
    ),
    # RetractRatings
    **{
        f"retract: user id {name}": Bad(
            rating.RetractRatingsRequest(user_id=value, item_ids=["50"]),
            ["user_id"],
        )
        for name, value in WRONG_IDS.items()
    },
    "retract: nothing": Bad(rating.RetractRatingsRequest(user_id="7"), ["item_ids"]),
    "retract: 1,001": Bad(rating.RetractRatingsRequest(user_id="7", item_ids=["50"] * 1_001), ["item_ids"]),
    "retract: an item twice": Bad(
        rating.RetractRatingsRequest(user_id="7", item_ids=["50", "imdb:tt0076759"]), ["item_ids[1]"]
    ),
    "retract: unknown items": Bad(
        rating.RetractRatingsRequest(user_id="7", item_ids=["51", "50", LONG]), ["item_ids[0]", "item_ids[2]"]
    ),
    # ListRatings
    **{
        f"list: user id {name}": Bad(rating.ListRatingsRequest(user_id=value), ["user_id"])
        for name, value in WRONG_IDS.items()
    },
    **{
        f"list: page size {size}": Bad(rating.ListRatingsRequest(user_id="7", page_size=size), ["page_size"])
        for size in (0, -1, 1_001, 1_000_000)
    },
    **{
        f"list: page token {token[:20]!r}": Bad(
            rating.ListRatingsRequest(user_id="7", page_token=token), ["page_token"]
        )
        for token in ("x", "nonsense", "é", "////", "AAAA", "Og==", "eA==", "OTk5", "9" * 100_000)
    },
    "list: bad token": Bad(rating.ListRatingsRequest(user_id="7", at_least_as_fresh="?"), ["at_least_as_fresh"]),
    # ForgetUser and SetUserAttributes
    **{
        f"forget: user id {name}": Bad(rating.ForgetUserRequest(user_id=value), ["user_id"])
        for name, value in WRONG_IDS.items()
    },
    **{
        f"attributes: user id {name}": Bad(rating.SetUserAttributesRequest(user_id=value), ["user_id"])
        for name, value in WRONG_IDS.items()
    },
    **{
        f"attributes: {name}": Bad(
            rating.SetUserAttributesRequest(
                user_id="newcomer", attributes={"age": Value(number_value=4), "bad": value}
            ),
            ["attributes[bad]"],
        )
        for name, value in WRONG_ATTRIBUTES.items()
    },
    "attributes: 65": Bad(
        rating.SetUserAttributesRequest(
            user_id="newcomer", attributes={str(number): Value(bool_value=True) for number in range(65)}
        ),
        ["attributes"],
    ),
    "attributes: no name": Bad(
        rating.SetUserAttributesRequest(user_id="newcomer", attributes={"": Value(bool_value=True)}), ["attributes key"]
    ),
    "attributes: a long name": Bad(
        rating.SetUserAttributesRequest(user_id="newcomer", attributes={"x" * 101: Value(bool_value=True)}),
        ["attributes key"],
    ),
    # CatalogService
    "search: limit 0": Bad(catalog.SearchItemsRequest(limit=0), ["limit"]),
    "search: limit 101": Bad(catalog.SearchItemsRequest(limit=101), ["limit"]),
    "search: limit a million": Bad(catalog.SearchItemsRequest(limit=1_000_000), ["limit"]),
    "search: a long query": Bad(catalog.SearchItemsRequest(query="x" * 201), ["query"]),
    "search: unknown view": Bad(catalog.SearchItemsRequest(item_view=9), ["item_view"]),
    "search: years": Bad(catalog.SearchItemsRequest(min_year=-10_001, max_year=10_001), ["min_year", "max_year"]),
    "search: 65 genres": Bad(catalog.SearchItemsRequest(genres=["Drama"] * 65), ["genres"]),
    "search: an empty genre": Bad(catalog.SearchItemsRequest(genres=["Drama", ""]), ["genres[1]"]),
    **{
        f"get: item id {name}": Bad(catalog.GetItemRequest(item_id=value), ["item_id"])
        for name, value in WRONG_IDS.items()
    },
    "batch get: nothing": Bad(catalog.BatchGetItemsRequest(), ["item_ids"]),
    "batch get: 1,001": Bad(catalog.BatchGetItemsRequest(item_ids=["50"] * 1_001), ["item_ids"]),
    "batch get: wrong ids": Bad(
        catalog.BatchGetItemsRequest(item_ids=["50", "", LONG], item_view=9),
        ["item_ids[1]", "item_ids[2]", "item_view"],
    ),
    "upsert: nothing": Bad(upsert(), ["items"]),
    "upsert: 1,001": Bad(upsert(*[item()] * 1_001), ["items"]),
    "upsert: an item twice": Bad(upsert(item(), item(item_id="b"), item()), ["items[2].item_id"]),
    **{
        f"upsert: item id {name}": Bad(upsert(item(), item(item_id=value)), ["items[1].item_id"])
        for name, value in WRONG_IDS.items()
    },
    "upsert: a long title": Bad(upsert(item(title="x" * 1_001)), ["items[0].title"]),
    "upsert: a year": Bad(upsert(item(year=10_001)), ["items[0].year"]),
    "upsert: 65 genres": Bad(upsert(item(genres=[str(number) for number in range(65)])), ["items[0].genres"]),
    "upsert: 257 tags": Bad(upsert(item(tags=[str(number) for number in range(257)])), ["items[0].tags"]),
    "upsert: an empty genre": Bad(upsert(item(genres=["Drama", ""])), ["items[0].genres[1]"]),
    "upsert: a long tag": Bad(upsert(item(tags=["x" * 101])), ["items[0].tags[0]"]),
    "upsert: a scheme": Bad(upsert(item(external_ids={"IMDB": "tt1"})), ["items[0].external_ids"]),
    "upsert: an empty scheme": Bad(upsert(item(external_ids={"": "tt1"})), ["items[0].external_ids"]),
    "upsert: an external id": Bad(upsert(item(external_ids={"imdb": "tt1\0"})), ["items[0].external_ids[imdb]"]),
    "upsert: 17 external ids": Bad(
        upsert(item(external_ids={f"s{number}": "1" for number in range(17)})), ["items[0].external_ids"]
    ),
    **{
        f"upsert: attribute {name}": Bad(upsert(item(attributes={"bad": value})), ["items[0].attributes[bad]"])
        for name, value in WRONG_ATTRIBUTES.items()
    },
}


def method_of(client: Client, request: Message) -> Callable[..., Any]:
    """The call that takes a request."""
    name = type(request).__name__.removesuffix("Request")
    [method] = [
        getattr(stub, name) for stub in (client.recommendations, client.ratings, client.catalog) if hasattr(stub, name)
    ]
    return method


class TestBadInput:
    @pytest.mark.parametrize("case", BAD)
    async def test_every_wrong_field_is_named(self, server: System, case: str) -> None:
        """A wrong request is INVALID_ARGUMENT with exactly the fields that are wrong, each with a description."""
        bad = BAD[case]
        failure = await failure_of(method_of(server.client, bad.request)(bad.request, timeout=BOUND))
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        assert failure.reason == "INVALID_ARGUMENT"
        assert failure.paths == bad.fields
        assert all(description for _, description in failure.fields)
        assert failure.message == "; ".join(f"{field}: {description}" for field, description in failure.fields)

    async def test_nothing_of_it_was_kept(self, server: System) -> None:
        """After all wrong requests of this module, and once more all at once, no event and no item is there."""
        before = await server.client.catalog.SearchItems(catalog.SearchItemsRequest(), timeout=BOUND)
        for bad in BAD.values():
            await failure_of(method_of(server.client, bad.request)(bad.request, timeout=BOUND))
        assert await read_records(server.settings.kafka, server.settings.topic) == []
        found = await server.client.catalog.SearchItems(catalog.SearchItemsRequest(), timeout=BOUND)
        assert found.total_size == before.total_size == 13
        listed = await server.client.ratings.ListRatings(rating.ListRatingsRequest(user_id="newcomer"), timeout=BOUND)
        assert listed == rating.ListRatingsResponse()
        star_wars = await server.client.catalog.GetItem(catalog.GetItemRequest(item_id="50"), timeout=BOUND)
        assert star_wars.item.title == "Star Wars"

    async def test_a_message_stays_small(self, server: System) -> None:
        """A thousand wrong fields do not make an answer that no client can read."""
        request = record(*[new("y" * 300, value=math.nan) for _ in range(1_000)])
        failure = await failure_of(server.client.ratings.RecordRatings(request, timeout=BOUND))
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        assert failure.paths[:2] == ["ratings[0].item_id", "ratings[0].value"]

    @pytest.mark.parametrize("item_id", ["51", "imdb:tt9999999", "IMDB:tt0076759", "Amélie", "AMÉLIE", " 50", "050"])
    async def test_an_unknown_item_is_not_found(self, server: System, item_id: str) -> None:
        """An id that the catalog lacks is NOT_FOUND, and the details name it as it was given."""
        for call in (
            server.client.catalog.GetItem(catalog.GetItemRequest(item_id=item_id), timeout=BOUND),
            server.client.recommendations.Recommend(recommend(ratings=[inline(item_id)]), timeout=BOUND),
        ):
            failure = await failure_of(call)
            assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "ITEM_NOT_FOUND")
            assert failure.details[ResourceInfo].resource_name == item_id

    @pytest.mark.parametrize(
        "recipe", [recommendation.RECIPE_TUTORIAL_RATINGS, recommendation.RECIPE_TUTORIAL_SIMILARITY]
    )
    async def test_a_recipe_of_another_weighting_is_a_precondition(self, server: System, recipe: int) -> None:
        """A recipe that needs another weighting is FAILED_PRECONDITION, and the message says how to get it."""
        failure = await failure_of(server.client.recommendations.Recommend(recommend(recipe=recipe), timeout=BOUND))
        assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WEIGHTING")
        assert "--weighting zscore" in failure.message

    @pytest.mark.parametrize(
        ("path", "data"),
        [
            ("RecommendationService/Recommend", b"\x0a\x02\xff\xfe"),
            ("RatingService/RecordRatings", b"\x0a\x03\xed\xa0\x80"),
            ("CatalogService/GetItem", b"\x0a\xff\xff\xff\xff\x0f"),
        ],
    )
    async def test_bytes_that_are_no_message_are_refused(self, server: System, path: str, data: bytes) -> None:
        """Invalid UTF-8, encoded surrogates and truncated messages fail, and the server goes on."""
        call = server.client.channel.unary_unary(f"/kindred.v1.{path}")
        failure = await failure_of(call(data, timeout=BOUND))
        assert failure.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)
        assert "Error" not in failure.message
        assert await server.client.recommendations.Recommend(recommend(), timeout=BOUND)

    async def test_unknown_fields_of_newer_clients_are_ignored(self, server: System) -> None:
        """A field that this version does not know changes nothing: protobuf's rule for newer clients."""
        call = server.client.channel.unary_unary("/kindred.v1.RecommendationService/Recommend")
        known = recommend(limit=3).SerializeToString()
        assert await call(known + b"\xfa\x7f\x03abc", timeout=BOUND) == await call(known, timeout=BOUND)
