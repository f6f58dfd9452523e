"""RatingService: every write becomes events in the log; reads come from the store."""

import asyncio
import base64
import binascii
import math
from collections.abc import AsyncIterator, Awaitable

import numpy as np

from kindred.errors import FieldViolation, FreshnessError, InvalidArgumentError, OutOfTimeError
from kindred.events import attributes_of, check_time, now_ms, time_of
from kindred.freshness import FreshnessToken
from kindred.items import check_attributes
from kindred.ratings import EMPTY_PROFILE, Reaction
from kindred.stores.port import point_id_of
from kindred.v1 import item_pb2
from kindred.v1 import rating_event_pb2 as events
from kindred.v1 import rating_service_pb2 as pb
from kindred.v1.rating_service_pb2_grpc import RatingServiceServicer
from server.checks import Checks
from server.grpc_types import Context
from server.messages import item_message, put_attributes, timestamp
from server.opinions import read_opinion
from server.rating_stream import answer_in_order
from server.state import ServerState, patience

MAX_RATINGS = 1_000
MAX_PAGE = 1_000
DEFAULT_PAGE = 100


class RatingService(RatingServiceServicer):
    """See protos/kindred/v1/rating_service.proto.

    Args:
        state: The server's parts.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state

    async def RecordRatings(self, request: pb.RecordRatingsRequest, context: Context) -> pb.RecordRatingsResponse:
        """Records ratings of one user, all or none."""
        checks = Checks()
        checks.id(request.user_id, "user_id")
        now = now_ms()
        recorded = []
        if checks.count(request.ratings, "ratings", MAX_RATINGS):
            await self._state.backend.follower.look_for(rating.item_id for rating in request.ratings)
            recorded = [
                self._event(request.user_id, rating, f"ratings[{place}]", now, checks)
                for place, rating in enumerate(request.ratings)
            ]
            checks.unique([event.rated.item_id for event in recorded], "ratings", within=".item_id")
        checks.done()
        token = await self._state.record(recorded, patience(context))
        return pb.RecordRatingsResponse(freshness_token=token.encode())

    async def StreamRatings(
        self, requests: AsyncIterator[pb.StreamRatingsRequest], context: Context
    ) -> AsyncIterator[pb.StreamRatingsResponse]:
        """Records ratings of many users; answers each request when the broker has it."""

        async def begin(request: pb.StreamRatingsRequest) -> Awaitable[pb.StreamRatingsResponse]:
            recorded, response = await self._read_some(request)
            # Begun in order, so that the log has them in order; what is waited for is the broker's word alone.
            sent = asyncio.create_task(self._state.record_many(recorded, patience(context)))
            return self._acknowledge(response, sent, with_tokens=request.want_freshness_tokens)

        async for response in answer_in_order(requests, begin, self._state.watches.until_closing):
            yield response

    async def _read_some(
        self, request: pb.StreamRatingsRequest
    ) -> tuple[list[events.RatingEvent], pb.StreamRatingsResponse]:
        """The events of a request's ratings that are right, and the response that refuses the others."""
        checks = Checks()
        checks.count(request.ratings, "ratings", MAX_RATINGS)
        checks.done()
        await self._state.backend.follower.look_for(each.rating.item_id for each in request.ratings)
        response, recorded, now = pb.StreamRatingsResponse(), [], now_ms()
        for index, each in enumerate(request.ratings):
            checks = Checks()
            checks.id(each.user_id, "user_id")
            event = self._event(each.user_id, each.rating, "rating", now, checks)
            for violation in checks.violations[:1]:
                response.refused.add(index=index, field=violation.field, description=violation.description)
            if not checks.violations:
                recorded.append(event)
        response.recorded_count = len(recorded)
        return recorded, response

    @staticmethod
    async def _acknowledge(
        response: pb.StreamRatingsResponse, sent: Awaitable[dict[str, FreshnessToken]], *, with_tokens: bool
    ) -> pb.StreamRatingsResponse:
        tokens = await sent
        if with_tokens:
            for user_id, token in tokens.items():
                response.freshness_tokens[user_id] = token.encode()
        return response

    async def RetractRatings(self, request: pb.RetractRatingsRequest, context: Context) -> pb.RetractRatingsResponse:
        """Takes ratings of one user back."""
        checks = Checks()
        checks.id(request.user_id, "user_id")
        now = timestamp(now_ms())
        items = []
        if checks.count(request.item_ids, "item_ids", MAX_RATINGS):
            await self._state.backend.follower.look_for(request.item_ids)
            items = [
                self._item(item_id, f"item_ids[{place}]", checks) for place, item_id in enumerate(request.item_ids)
            ]
            checks.unique(items, "item_ids")
        checks.done()
        retractions = [
            events.RatingEvent(user_id=request.user_id, occurred_at=now, retracted=events.Retracted(item_id=item_id))
            for item_id in items
        ]
        token = await self._state.record(retractions, patience(context))
        return pb.RetractRatingsResponse(freshness_token=token.encode())

    async def ListRatings(self, request: pb.ListRatingsRequest, context: Context) -> pb.ListRatingsResponse:
        """Lists the stored ratings of one user, newest first."""
        checks = Checks()
        checks.id(request.user_id, "user_id")
        size = checks.bounded(request, "page_size", MAX_PAGE, DEFAULT_PAGE)
        checks.done()
        after = _read_page_token(request.page_token)
        await self._state.be_fresh(request.at_least_as_fresh, patience(context))
        backend = self._state.backend
        [user] = await backend.store.users([point_id_of(request.user_id)])
        profile = EMPTY_PROFILE if user is None else user.profile
        catalog = backend.catalog
        items, values, rated_at = profile.ratings
        rows = catalog.rows_of(items).tolist()
        ratings = sorted(
            zip(
                (-rated_at).tolist(),
                [catalog.item(row).item_id for row in rows],
                rows,
                values.tolist(),
                strict=True,
            )
        )
        rest = [rating for rating in ratings if after is None or rating[:2] > after]
        response = pb.ListRatingsResponse(total_size=len(ratings))
        for negative_time, _, row, value in rest[:size]:
            item = item_message(catalog.item(row), item_pb2.ITEM_VIEW_BASIC)
            response.ratings.add(item=item, value=_shortest(value), rated_at=timestamp(-negative_time))
        if len(rest) > size:
            response.next_page_token = _page_token(*rest[size - 1][:2])
        put_attributes(response.attributes, profile.attributes)
        return response

    async def ForgetUser(self, request: pb.ForgetUserRequest, context: Context) -> pb.ForgetUserResponse:
        """Removes everything of a user, and answers when it is gone."""
        checks = Checks()
        checks.id(request.user_id, "user_id")
        checks.done()
        at = now_ms()
        event = events.RatingEvent(user_id=request.user_id, occurred_at=timestamp(at), forgotten=events.Forgotten())
        wait = patience(context)
        token = await self._state.record([event], wait)
        try:
            user = await self._state.backend.freshness.wait(token, wait)
        except FreshnessError as error:
            raise OutOfTimeError(
                "the request to forget is recorded, but was not applied in time; it will be when a consumer runs"
            ) from error
        ratings, attributes = (user.removal if user else None) or (0, 0)
        return pb.ForgetUserResponse(
            ratings_removed=ratings,
            attributes_removed=attributes,
            forgotten_at=timestamp(at),
            freshness_token=token.encode(),
        )

    async def SetUserAttributes(
        self, request: pb.SetUserAttributesRequest, context: Context
    ) -> pb.SetUserAttributesResponse:
        """Replaces the attributes of a user."""
        checks = Checks()
        checks.id(request.user_id, "user_id")
        checks.violations += check_attributes(attributes_of(request.attributes), "attributes")
        checks.done()
        event = events.RatingEvent(
            user_id=request.user_id,
            occurred_at=timestamp(now_ms()),
            attributes_set=events.AttributesSet(attributes=request.attributes),
        )
        token = await self._state.record([event], patience(context))
        return pb.SetUserAttributesResponse(freshness_token=token.encode())

    def _event(self, user_id: str, rating: pb.NewRating, field: str, now: int, checks: Checks) -> events.RatingEvent:
        item_id = self._item(rating.item_id, f"{field}.item_id", checks)
        wrong = len(checks.violations)
        opinion = read_opinion(rating, field, checks)
        scale = self._state.backend.store.metadata.scale
        value = scale.value_of(opinion) if isinstance(opinion, Reaction) else opinion
        if value is None:
            value = math.nan
            checks.wrong(f"{field}.reaction", f"must not be a dislike: no rating on the scale, {scale}, stands for one")
        elif len(checks.violations) == wrong and not scale.contains(value):
            checks.wrong(f"{field}.value", f"must be {scale}")
        at = now
        try:
            if rating.HasField("rated_at"):
                at = time_of(rating.rated_at)
            problem = check_time(at, now)
        except ValueError as error:
            problem = str(error)
        if problem:
            checks.wrong(f"{field}.rated_at", problem)
        rated = events.Rated(item_id=item_id, value=value)
        return events.RatingEvent(user_id=user_id, occurred_at=timestamp(at), rated=rated)

    def _item(self, item_id: str, field: str, checks: Checks) -> str:
        """The catalog's own id of an item that the caller named."""
        catalog = self._state.backend.catalog
        row = catalog.row_of(item_id)
        if row is None:
            if self._state.accept_unknown:
                checks.id(item_id, field)
            else:
                checks.wrong(field, "is no item of the catalog; SearchItems finds ids by title")
            return item_id
        return catalog.item(row).item_id


def _shortest(value: float) -> float:
    """The number that a person typed: 4.3, not the 4.300000190734863 that single precision makes of it."""
    return float(str(np.float32(value)))


def _page_token(negative_time: int, item_id: str) -> str:
    return base64.urlsafe_b64encode(f"{negative_time}:{item_id}".encode()).decode()


def _read_page_token(token: str) -> tuple[int, str] | None:
    if not token:
        return None
    try:
        negative_time, item_id = base64.b64decode(token, b"-_", validate=True).decode().split(":", 1)
        return int(negative_time), item_id
    except (binascii.Error, ValueError) as error:
        violation = FieldViolation("page_token", "is no next_page_token of this call")
        raise InvalidArgumentError([violation]) from error
