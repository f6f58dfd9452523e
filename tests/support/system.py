"""A Kindred to talk to: the real server on a real port, and its failures in a form that tests can compare."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from kindred.settings import Settings
from kindred.v1.catalog_service_pb2_grpc import CatalogServiceStub
from kindred.v1.rating_service_pb2_grpc import RatingServiceStub
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

BOUND = 30.0
"""Seconds after which a call that has not ended, or a condition that has not come true, is taken for stuck."""


class Client:
    """The services behind one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.recommendations = RecommendationServiceStub(channel)
        self.ratings = RatingServiceStub(channel)
        self.catalog = CatalogServiceStub(channel)


@dataclass(frozen=True, slots=True)
class System:
    """A running Kindred and how to reach it."""

    settings: Settings
    address: str
    client: Client


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Client]:
    """A client of the server at an address, over a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield Client(channel)


TOPICS: list[str] = []
"""The topics of this run, for whoever has to clean up after it."""


def fresh_names() -> dict[str, str]:
    """Settings of topics and a group that no other test uses."""
    name = uuid4().hex
    topics = {"topic": f"ratings-{name}", "dead_letter_topic": f"dead-{name}", "applied_topic": f"applied-{name}"}
    TOPICS.extend(topics.values())
    return {**topics, "group": f"group-{name}"}


@dataclass(frozen=True, slots=True)
class Failure:
    """What a failed call said.

    Args:
        code: The status code.
        message: The status message.
        reason: ErrorInfo's reason; empty without one.
        fields: BadRequest's fields and descriptions, in order.
        details: All details by type.
    """

    code: grpc.StatusCode
    message: str
    reason: str
    fields: list[tuple[str, str]]
    details: dict[type, object]

    @property
    def paths(self) -> list[str]:
        """The fields that are wrong."""
        return [field for field, _ in self.fields]


def unpack(status: Status) -> dict[type, object]:
    """The details of a status by type."""
    found: dict[type, object] = {}
    for packed in status.details:
        for kind in (ErrorInfo, BadRequest, RetryInfo, ResourceInfo, PreconditionFailure):
            detail = kind()
            if AnyMessage.Is(packed, kind.DESCRIPTOR) and packed.Unpack(detail):
                found[kind] = detail
    assert len(found) == len(status.details), "every detail is of a known type, and of another one"
    return found


async def failure_of(call: Awaitable[object]) -> Failure:
    """What a call fails with; it must fail."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return read_failure(error)
    raise AssertionError(f"the call succeeded: {answer}")


def read_failure(error: grpc.aio.AioRpcError) -> Failure:
    """What an error of a call says."""
    status = Status()
    for key, value in error.trailing_metadata() or ():
        if key == rpc_status.GRPC_DETAILS_METADATA_KEY:
            status = Status.FromString(value)
            assert (status.code, status.message) == (error.code().value[0], error.details())
    details = unpack(status)
    bad = details.get(BadRequest, BadRequest())
    info = details.get(ErrorInfo, ErrorInfo())
    fields = [(each.field, each.description) for each in bad.field_violations]
    return Failure(error.code(), error.details() or "", info.reason, fields, details)
