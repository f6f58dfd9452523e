"""Our points, payloads and queries as Qdrant's messages, and back. Raw protobuf: it is several times faster.

The high-level client's models cost more than ten times the parsing of the messages themselves.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from qdrant_client.grpc import (
    Condition,
    FieldCondition,
    Filter,
    IsEmptyCondition,
    Match,
    PayloadIncludeSelector,
    PointsOperationResponse,
    PointStruct,
    Query,
    QueryPoints,
    ScoredPoint,
    UpdateStatus,
    Value,
    VectorInput,
    WithPayloadSelector,
)
from qdrant_client.grpc import (
    PointId as PointIdMessage,
)
from qdrant_client.grpc import (
    SparseVector as SparseVectorMessage,
)

from kindred.errors import UnavailableError
from kindred.stores.port import Hits, PointId
from kindred.weighting import SparseVector

VECTOR = "ratings"

EVERYTHING = WithPayloadSelector(enable=True)
NOTHING = WithPayloadSelector(enable=False)


def only(*fields: str) -> WithPayloadSelector:
    """Of the payload just these fields."""
    return WithPayloadSelector(include=PayloadIncludeSelector(fields=fields))


def point_id_message(point_id: PointId) -> PointIdMessage:
    """A point's id."""
    return PointIdMessage(num=point_id) if isinstance(point_id, int) else PointIdMessage(uuid=str(point_id))


def read_point_id(message: PointIdMessage) -> PointId:
    """A point's id."""
    return UUID(text) if (text := message.uuid) else int(message.num)


def point(point_id: PointId, vector: SparseVector | None, payload: Mapping[str, Any]) -> PointStruct:
    """A point. Without dimensions it has no vector, and is in no posting list.

    Filled in place: messages that are made first and put in afterwards are copied, which takes twice as long.
    """
    message = PointStruct(id=point_id_message(point_id))
    vectors = message.vectors.vectors.vectors
    if vector is not None and vector.indices.size:
        sparse = vectors[VECTOR].sparse
        sparse.indices.extend(vector.indices.tolist())
        sparse.values.extend(vector.values.tolist())
    else:
        message.vectors.vectors.SetInParent()
    for name, value in payload.items():
        fill_value(message.payload[name], value)
    return message


def fill_value(message: Value, value: Any) -> None:
    """Puts text, a number, a boolean, or a list or object of them into a value of a payload."""
    match value:
        case str():
            message.string_value = value
        case bool():
            message.bool_value = value
        case int():
            message.integer_value = value
        case float():
            message.double_value = value
        case Mapping():
            message.struct_value.SetInParent()
            for name, each in value.items():
                fill_value(message.struct_value.fields[name], each)
        case list() | tuple():
            message.list_value.SetInParent()
            for each in value:
                fill_value(message.list_value.values.add(), each)
        case _:
            raise TypeError(f"a payload cannot hold {type(value).__name__}")


def read_value(message: Value) -> Any:
    """What a value holds; None for a null."""
    kind = message.WhichOneof("kind")
    match kind:
        case None | "null_value":
            return None
        case "struct_value":
            return read_payload(message.struct_value.fields)
        case "list_value":
            return [read_value(each) for each in message.list_value.values]
    return getattr(message, kind)


def read_payload(fields: Mapping[str, Value]) -> dict[str, Any]:
    """What the fields of a payload hold."""
    return {name: read_value(value) for name, value in fields.items()}


def nearest(collection: str, query: SparseVector, limit: int, allowed: Filter | None = None) -> QueryPoints:
    """The search for the points with the highest dot products: ids, scores and versions only."""
    sparse = SparseVectorMessage(indices=query.indices.tolist(), values=query.values.tolist())
    return QueryPoints(
        collection_name=collection,
        query=Query(nearest=VectorInput(sparse=sparse)),
        using=VECTOR,
        filter=allowed,
        limit=limit,
        with_payload=NOTHING,
    )


def read_hits(points: Sequence[ScoredPoint]) -> Hits:
    """The columns of a search's answer."""
    ids = [each.id for each in points]
    return Hits(
        [UUID(text) if (text := message.uuid) else message.num for message in ids],
        [each.version for each in points],
        [each.score for each in points],
    )


def check_done(response: PointsOperationResponse) -> None:
    """Sees that a write was applied, not only taken.

    Raises:
        UnavailableError: Nobody knows yet.
    """
    if response.result.status != UpdateStatus.Completed:
        raise UnavailableError("store", "Qdrant has taken a write and not applied it in time")


def equals(field: str, value: int) -> Filter:
    """Points whose field is this number."""
    return Filter(must=[Condition(field=FieldCondition(key=field, match=Match(integer=value)))])


def lacks(field: str) -> Filter:
    """Points without a field: none, if every point has it. As the condition of an update: insert only."""
    return Filter(must=[Condition(is_empty=IsEmptyCondition(key=field))])
