"""Filters on users as Qdrant's messages, and the messages of the indexes that make them fast."""

from collections.abc import Iterator, Mapping

from google.protobuf.timestamp_pb2 import Timestamp
from qdrant_client.grpc import (
    Condition,
    CreateFieldIndexCollection,
    DatetimeRange,
    FieldCondition,
    FieldType,
    Filter,
    IsEmptyCondition,
    Match,
    PayloadSchemaInfo,
    PayloadSchemaType,
    Range,
    RepeatedStrings,
)

from kindred.stores.clauses import BooleanIs, Clause, Clauses, NumberIn, OneOf, Present, TextIn, TimeFrom, clauses_of
from kindred.stores.indexes import IndexKind, plain_path
from kindred.user_filter import UserFilter

_FIELD_TYPES = {
    IndexKind.NUMBER: FieldType.FieldTypeFloat,
    IndexKind.KEYWORD: FieldType.FieldTypeKeyword,
    IndexKind.BOOL: FieldType.FieldTypeBool,
    IndexKind.COUNT: FieldType.FieldTypeInteger,
    IndexKind.TIME: FieldType.FieldTypeDatetime,
}
_SCHEMA_TYPES = {
    IndexKind.NUMBER: PayloadSchemaType.Float,
    IndexKind.KEYWORD: PayloadSchemaType.Keyword,
    IndexKind.BOOL: PayloadSchemaType.Bool,
    IndexKind.COUNT: PayloadSchemaType.Integer,
    IndexKind.TIME: PayloadSchemaType.Datetime,
}


def user_filter(allowed: UserFilter | None) -> Filter | None:
    """Qdrant's filter; None for everybody.

    Args:
        allowed: Which users; None for all.
    """
    return filter_of(clauses_of(allowed)) if allowed else None


def filter_of(clauses: Clauses) -> Filter:
    """Qdrant's filter for clauses."""
    must, should, must_not = (
        [_condition(each) for each in part] for part in (clauses.must, clauses.should, clauses.must_not)
    )
    return Filter(must=must, should=should, must_not=must_not)


def missing_indexes(
    collection: str, indexes: Mapping[str, IndexKind], schema: Mapping[str, PayloadSchemaInfo]
) -> Iterator[CreateFieldIndexCollection]:
    """The requests for the indexes that a collection lacks; the server works on them while others go on.

    Args:
        collection: The collection.
        indexes: Those that are wanted, by the path of the field.
        schema: What the server says of those that are there.
    """
    there = {plain_path(path): info.data_type for path, info in schema.items()}
    for path, kind in indexes.items():
        if there.get(plain_path(path)) != _SCHEMA_TYPES[kind]:
            yield CreateFieldIndexCollection(
                collection_name=collection, field_name=path, field_type=_FIELD_TYPES[kind], wait=False
            )


def _condition(clause: Clause) -> Condition:
    match clause:
        case TextIn(key, values):
            return Condition(field=FieldCondition(key=key, match=Match(keywords=RepeatedStrings(strings=values))))
        case BooleanIs(key, value):
            return Condition(field=FieldCondition(key=key, match=Match(boolean=value)))
        case NumberIn(key, at_least, at_most):
            return Condition(field=FieldCondition(key=key, range=Range(gte=at_least, lte=at_most)))
        case TimeFrom(key, at):
            moment = Timestamp()
            moment.FromMilliseconds(at)
            return Condition(field=FieldCondition(key=key, datetime_range=DatetimeRange(gte=moment)))
        case Present(key):
            return Condition(filter=Filter(must_not=[Condition(is_empty=IsEmptyCondition(key=key))]))
        case OneOf(clauses):
            return Condition(filter=Filter(should=[_condition(each) for each in clauses]))
