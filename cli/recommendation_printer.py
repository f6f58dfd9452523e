"""Prints answers to one request for recommendations: as one JSON document each, or as tables."""

from collections.abc import Mapping, Sequence

from cli.client import Client
from cli.counterfactual_table import print_counterfactual
from cli.explanation_table import items_of_terms, print_explanations
from cli.item_names import ItemNames
from cli.origins import Origins
from cli.output import print_json
from cli.recommendation_table import print_recommendations
from kindred.v1.item_pb2 import Item
from kindred.v1.recommendation_service_pb2 import RecommendResponse


class Printer:
    """Prints answers.

    Args:
        client: Whom to ask for titles.
        chosen: The items that were typed, by the field of the request that they stand in.
        origins: Where the fields of the request were typed.
        as_json: Whether to print the response as it is.
        explained: Whether reasons were asked for.
    """

    def __init__(
        self, client: Client, chosen: Mapping[str, Sequence[Item]], origins: Origins, *, as_json: bool, explained: bool
    ) -> None:
        self._names = ItemNames(client, [item for items in chosen.values() for item in items])
        self._without = [item.item_id for item in chosen["without_item_ids"]]
        self._origins = origins
        self._as_json = as_json
        self._explained = explained

    def show(self, response: RecommendResponse) -> None:
        """Prints an answer: the JSON document, or the tables."""
        if self._as_json:
            print_json(response)
            return
        other = response.counterfactual
        self._names.know(each.item for each in (*response.recommendations, *other.recommendations))
        self._names.learn([*items_of_terms(response), *other.lost_item_ids, *other.gained_item_ids])
        print_recommendations(response, explained=self._explained)
        print_explanations(response, self._names.of, self._origins)
        if response.HasField("counterfactual"):
            print_counterfactual(response, self._without, self._names.of)
