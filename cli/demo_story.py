"""The story of `kindred demo`, against a running system: search, recommend, rate, see the answer change, forget."""

import json
from collections.abc import Sequence
from time import perf_counter

import grpc
from rich.console import Console
from rich.text import Text

from cli.output import ID, TITLE, Column, print_table, title_of
from cli.recommendation_table import print_recommendations
from kindred.errors import PreconditionError
from kindred.eventlog.broker import Message
from kindred.eventlog.producer import EventProducer
from kindred.settings import Settings
from kindred.v1.catalog_service_pb2 import SearchItemsRequest
from kindred.v1.catalog_service_pb2_grpc import CatalogServiceStub
from kindred.v1.item_pb2 import Item
from kindred.v1.rating_service_pb2 import ForgetUserRequest, ListRatingsRequest
from kindred.v1.rating_service_pb2_grpc import RatingServiceStub
from kindred.v1.reaction_pb2 import REACTION_DISLIKE, REACTION_LIKE
from kindred.v1.recommendation_service_pb2 import (
    EXPLANATION_SUMMARY,
    InlineRating,
    RecommendRequest,
    RecommendResponse,
)
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

LIKED, DISLIKED = ("Star Wars", "Fargo"), "Independence Day"
USER = "19"
SHOWN = 5
_PATIENCE = 30.0


class Story:
    """One telling.

    Args:
        console: Where it is told.
        channel: To the server.
        producer: To the event log.
        settings: The names of things.
    """

    def __init__(
        self, console: Console, channel: grpc.aio.Channel, producer: EventProducer, settings: Settings
    ) -> None:
        self._console = console
        self._recommendations = RecommendationServiceStub(channel)
        self._ratings = RatingServiceStub(channel)
        self._catalog = CatalogServiceStub(channel)
        self._producer = producer
        self._settings = settings
        self._step = 0

    async def tell(self) -> None:
        """Tells it from beginning to end."""
        liked_and_not = await self.search_films()
        await self.recommend_inline(liked_and_not)
        before = await self.recommend_stored()
        await self.rate_and_see(before)
        await self.forget()

    def heading(self, text: str) -> None:
        """Begins a step."""
        self._step += 1
        self._console.print()
        self._console.print(Text(f"{self._step}. {text}", style="bold"), soft_wrap=True)

    def say(self, text: str) -> None:
        """Says a sentence."""
        self._console.print(Text(f"   {text}", style="dim"), soft_wrap=True)

    async def search_films(self) -> list[Item]:
        """Searches the catalog for three films."""
        self.heading("Search the catalog for three films")
        found = []
        for title in (*LIKED, DISLIKED):
            response = await self._catalog.SearchItems(SearchItemsRequest(query=title, limit=1))
            if not response.items:
                raise PreconditionError(
                    "NOT_LOADED", title, f"the server has no film {title!r}; load them: kindred load --dataset ml-100k"
                )
            found.append(response.items[0])
        print_table([ID, TITLE], [[item.item_id, title_of(item)] for item in found])
        return found

    async def recommend_inline(self, items: Sequence[Item]) -> None:
        """Recommends for likes and dislikes, without an account."""
        *liked, disliked = items
        self.heading(
            f"Recommend: likes {' and '.join(title_of(item) for item in liked)}, dislikes {title_of(disliked)}"
        )
        ratings = [InlineRating(item_id=item.item_id, reaction=REACTION_LIKE) for item in liked]
        ratings.append(InlineRating(item_id=disliked.item_id, reaction=REACTION_DISLIKE))
        response = await self._recommendations.Recommend(
            RecommendRequest(ratings=ratings, limit=SHOWN, explanation=EXPLANATION_SUMMARY)
        )
        print_recommendations(response, explained=True)

    async def recommend_stored(self) -> RecommendResponse:
        """Recommends for a stored user."""
        self.heading(f"Recommend for the stored user {USER}")
        response = await self._recommend_user()
        print_recommendations(response, explained=False)
        return response

    async def rate_and_see(self, before: RecommendResponse) -> None:
        """Sends the user's new ratings through Kafka, and measures how long the answer takes to change."""
        first, second, third = (recommendation.item for recommendation in before.recommendations[:3])
        rated = [(first, 1), (second, 5), (third, 5)]
        self.heading(f"User {USER} rates three of them: three events on the Kafka topic {self._settings.topic}")
        messages = []
        for item, value in rated:
            event = json.dumps({"userId": USER, "rated": {"itemId": item.item_id, "value": value}})
            self._console.print(Text(f"   {event}   {title_of(item)}"), soft_wrap=True)
            messages.append(Message(USER.encode(), event.encode(), [("content-type", b"application/json")]))
        known = before.as_of.stored_ratings
        start = perf_counter()
        await self._producer.send(self._settings.topic, messages, _PATIENCE)
        acknowledged = perf_counter() - start
        response = await self._recommend_user()
        while response.as_of.stored_ratings < known + len(rated) and perf_counter() - start < _PATIENCE:
            response = await self._recommend_user()
        changed = perf_counter() - start
        old = [recommendation.item.item_id for recommendation in before.recommendations]
        rows = []
        for place, each in enumerate(response.recommendations, start=1):
            item_id = each.item.item_id
            was = f"was {old.index(item_id) + 1}" if item_id in old else "new"
            rows.append([str(place), item_id, title_of(each.item), was])
        print_table([Column("#"), ID, TITLE, Column("before")], rows)
        self.say(
            f"From sending the events to an answer that includes all three: {changed * 1000:.1f} ms "
            f"(the broker had them after {acknowledged * 1000:.1f} ms)."
        )

    async def forget(self) -> None:
        """Forgets the user, and shows that they are gone."""
        self.heading(f"Forget user {USER}")
        receipt = await self._ratings.ForgetUser(ForgetUserRequest(user_id=USER))
        self.say(f"Removed: {receipt.ratings_removed} ratings, {receipt.attributes_removed} attributes.")
        left = await self._ratings.ListRatings(ListRatingsRequest(user_id=USER))
        self.say(f"Ratings stored now: {left.total_size}. What they are recommended is what anybody would be:")
        print_recommendations(await self._recommend_user(), explained=False)

    async def _recommend_user(self) -> RecommendResponse:
        response: RecommendResponse = await self._recommendations.Recommend(RecommendRequest(user_id=USER, limit=SHOWN))
        return response
