"""A small Kindred behind a real gRPC port, and the command line that talks to it."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from typer.testing import CliRunner, Result

from cli.main import app
from kindred.timing import ASKING, TRAILER
from kindred.title_search import TitleIndex
from kindred.v1 import catalog_service_pb2 as catalog
from kindred.v1 import rating_service_pb2 as rating
from kindred.v1 import recommendation_service_pb2 as recommendation
from kindred.v1.catalog_service_pb2_grpc import CatalogServiceServicer, add_CatalogServiceServicer_to_server
from kindred.v1.item_pb2 import Item
from kindred.v1.rating_service_pb2_grpc import RatingServiceServicer, add_RatingServiceServicer_to_server
from kindred.v1.recommendation_service_pb2_grpc import (
    RecommendationServiceServicer,
    add_RecommendationServiceServicer_to_server,
)

FILMS = [
    Item(item_id="50", title="Star Wars", year=1977, genres=["Action", "Sci-Fi"], external_ids={"imdb": "tt0076759"}),
    Item(item_id="1", title="Toy Story", year=1995, genres=["Animation"], external_ids={"imdb": "tt0114709"}),
    Item(item_id="1078", title="Toy Story 2", year=1999),
    Item(item_id="100", title="Fargo", year=1996),
    Item(item_id="222", title="Star Trek: First Contact", year=1996),
    Item(item_id="7", title="Solaris", year=1972),
    Item(item_id="8", title="Solaris", year=2002),
    Item(item_id="666", title="Ev\x1b[31mil\x07 [bold]Dead[/bold]\u202e", year=1981),
]

_PLAIN = {"FORCE_COLOR": None, "TTY_COMPATIBLE": None, "COLUMNS": "80"}


@dataclass
class FakeKindred:
    """A server of a few films, most liked first, that keeps what it is asked.

    Args:
        address: Where it listens.
        requests: What it was asked, in order.
        failures: What calls answer instead of their answer, by the name of the call.
        answers: What calls answer, by name.
        reached: Set when a call that is told to hang begins.
        hanging: Calls that wait until the test is over, by name.
        timing: What it tells callers who ask where the time goes; nothing if it is empty.
    """

    address: str = ""
    requests: list[Message] = field(default_factory=list)
    failures: dict[str, Status] = field(default_factory=dict)
    answers: dict[str, list[Message]] = field(default_factory=dict)
    reached: threading.Event = field(default_factory=threading.Event)
    hanging: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)
    timing: str = ""

    def run(self, *args: str, env: dict[str, str | None] | None = None) -> Result:
        """Runs `kindred` with arguments, against this server if they name no other."""
        return CliRunner().invoke(
            app,
            args,
            env=_PLAIN | {"KINDRED_SERVER": self.address} | (env or {}),
            catch_exceptions=False,
            prog_name="kindred",
        )

    def refuse(self, call: str, *violations: tuple[str, str]) -> None:
        """Lets a call fail with violations of fields."""
        bad_request = BadRequest(
            field_violations=[BadRequest.FieldViolation(field=name, description=text) for name, text in violations]
        )
        detail = AnyMessage()
        detail.Pack(bad_request)
        self.failures[call] = Status(code=code_pb2.INVALID_ARGUMENT, message="invalid", details=[detail])

    def last(self, kind: type[Message]) -> Message:
        """The last request of a kind."""
        return [request for request in self.requests if isinstance(request, kind)][-1]

    def take(self, call: str, request: Message, context: grpc.ServicerContext, default: Message) -> Message:
        """What a call answers."""
        self.requests.append(request)
        if call in self.failures:
            context.abort_with_status(rpc_status.to_status(self.failures[call]))
        if call in self.hanging:
            self.reached.set()
            self.over.wait(60)
        if self.timing and ASKING in [tuple(each) for each in context.invocation_metadata()]:
            context.set_trailing_metadata(((TRAILER, self.timing),))
        prepared = self.answers.get(call)
        return prepared.pop(0) if prepared else default


class _Catalog(CatalogServiceServicer):
    def __init__(self, fake: FakeKindred) -> None:
        self._fake = fake
        self._index = TitleIndex()
        self._row_of = {}
        for row, item in enumerate(FILMS):
            self._index.put(row, item.title)
            self._row_of[item.item_id] = row
            self._row_of |= {f"{scheme}:{value}": row for scheme, value in item.external_ids.items()}

    def SearchItems(  # noqa: N802  # the generated name
        self, request: catalog.SearchItemsRequest, context: grpc.ServicerContext
    ) -> Message:
        found, exact = self._index.find(request.query)
        items = [
            FILMS[row]
            for row in sorted(found, key=lambda row: (row not in exact, row))
            if request.min_year <= FILMS[row].year <= (request.max_year or 9999)
        ]
        default = catalog.SearchItemsResponse(items=items[: request.limit or 10], total_size=len(items))
        return self._fake.take("SearchItems", request, context, default)

    def BatchGetItems(  # noqa: N802  # the generated name
        self, request: catalog.BatchGetItemsRequest, context: grpc.ServicerContext
    ) -> Message:
        default = catalog.BatchGetItemsResponse(
            items=[FILMS[self._row_of[each]] for each in request.item_ids if each in self._row_of],
            missing_item_ids=[each for each in request.item_ids if each not in self._row_of],
        )
        return self._fake.take("BatchGetItems", request, context, default)


def _answers(base: type, calls: dict[str, Message], fake: FakeKindred) -> object:
    def method(call: str, default: Message):  # noqa: ANN202  # a servicer's method
        return lambda _self, request, context: fake.take(call, request, context, default)

    return type("_Servicer", (base,), {call: method(call, default) for call, default in calls.items()})()


@pytest.fixture
def kindred() -> Iterator[FakeKindred]:
    """A server that knows a few films."""
    fake = FakeKindred()
    toy_story, fargo = FILMS[1], FILMS[3]
    recommend = recommendation.RecommendResponse(
        recommendations=[
            recommendation.Recommendation(
                item=Item(item_id="50", title="Star Wars", year=1977),
                score=1.23456,
                support=42,
                source=recommendation.SOURCE_NEIGHBORS,
                reasons=[
                    recommendation.Reason(item=toy_story, share=0.38),
                    recommendation.Reason(item=fargo, share=0.2),
                ],
            ),
            recommendation.Recommendation(
                item=Item(item_id="666", title=FILMS[-1].title), score=501, source=recommendation.SOURCE_POPULAR
            ),
        ],
        strategy=recommendation.STRATEGY_MIXED,
        personalized_count=1,
        popular_count=1,
        neighbors_used=178,
        recipe=recommendation.RECIPE_DEFAULT,
        as_of=recommendation.AsOf(profile_revision=12, stored_ratings=20),
    )
    server = grpc.server(ThreadPoolExecutor(4))
    add_CatalogServiceServicer_to_server(_Catalog(fake), server)
    lists = {
        "Recommend": recommend,
        "ListSimilarItems": recommendation.ListSimilarItemsResponse(
            items=[
                recommendation.SimilarItem(
                    item=FILMS[0], score=9.40371, similarity=recommendation.SIMILARITY_RATERS, support=1_356
                ),
                recommendation.SimilarItem(item=FILMS[5], score=0.5, similarity=recommendation.SIMILARITY_CONTENT),
            ],
            raters_used=1_000,
        ),
        "ListSimilarUsers": recommendation.ListSimilarUsersResponse(
            users=[recommendation.SimilarUser(user_id="94", similarity=1.82219, shared_items=218, rated_items=1_400)]
        ),
        "ListPopularItems": recommendation.ListPopularItemsResponse(
            items=[recommendation.PopularItem(item=FILMS[3], likes=1_035, ratings=1_041)],
            counted_at=Timestamp(seconds=1_777_666_555),
            users_counted=1_115,
        ),
    }
    add_RecommendationServiceServicer_to_server(_answers(RecommendationServiceServicer, lists, fake), server)
    calls = {
        "RecordRatings": rating.RecordRatingsResponse(freshness_token="recorded-1"),  # noqa: S106  # no secret
        "RetractRatings": rating.RetractRatingsResponse(freshness_token="retracted-2"),  # noqa: S106  # no secret
        "ListRatings": rating.ListRatingsResponse(),
        "ForgetUser": rating.ForgetUserResponse(
            ratings_removed=23,
            attributes_removed=2,
            forgotten_at=Timestamp(seconds=1_777_666_555),
            freshness_token="forgotten-3",  # noqa: S106  # no secret
        ),
    }
    add_RatingServiceServicer_to_server(_answers(RatingServiceServicer, calls, fake), server)
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield fake
    fake.over.set()
    server.stop(None).wait()


@pytest.fixture
def command() -> list[str]:
    """The command line in a process of its own."""
    return [sys.executable, "-c", "from cli.main import main; main()"]
