"""Records that can never be applied, of every kind that we could think of: what each is, and what is said of it."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from kindred.events import MAX_EVENT_BYTES
from kindred.v1 import rating_event_pb2 as pb
from tests.support.kafka_log import Headers, Raw

JSON: Headers = [("content-type", b"application/json")]
PROTOBUF: Headers = [("content-type", b"application/protobuf")]
GOOD = '{"userId":USER,"rated":{"itemId":"50","value":5}}'
"""The event that the README sends with kcat."""
IN_2200 = 7_258_118_400


class Bad(NamedTuple):
    """A record that can never be applied.

    Args:
        reason: Its reason.
        says: What the message for people must contain.
        of: The record, if it is to be of this user.
    """

    reason: str
    says: str
    of: Callable[[str], Raw]


def of(value: str | bytes, headers: Headers = (), **more: Any) -> Callable[[str], Raw]:
    """A record of a user; `USER` in its value stands for the user's id in JSON."""

    def make(user: str) -> Raw:
        text = value.encode() if isinstance(value, str) else value
        whole = text.replace(b"USER", json.dumps(user, ensure_ascii=False).encode())
        return Raw(**{"key": user.encode(), "value": whole, "headers": headers, **more})

    return make


def packed(**fields: Any) -> Callable[[str], Raw]:
    """An event in protobuf."""
    return lambda user: Raw(user.encode(), pb.RatingEvent(**{"user_id": user, **fields}).SerializeToString())


def rated(**fields: Any) -> Callable[[str], Raw]:
    """A rating in protobuf."""
    return packed(rated=pb.Rated(**fields))


def attributes(values: Mapping[str, Value]) -> Callable[[str], Raw]:
    """Attributes in protobuf."""
    return packed(attributes_set=pb.AttributesSet(attributes=values))


def opinion(text: str) -> Callable[[str], Raw]:
    """A rating in JSON, with this for an opinion."""
    return of(f'{{"userId":USER,"rated":{{"itemId":"50",{text}}}}}')


def attribute(text: str) -> Callable[[str], Raw]:
    """An attribute in JSON, with this for its value."""
    return of(f'{{"userId":USER,"attributesSet":{{"attributes":{{"a":{text}}}}}}}')


def at(**fields: int) -> Callable[[str], Raw]:
    """A rating at a protobuf timestamp."""
    return packed(rated=pb.Rated(item_id="50", value=5), occurred_at=fields)


def said_at(text: str) -> Callable[[str], Raw]:
    """A rating in JSON at a time."""
    return of(GOOD[:-1] + f',"occurredAt":{text}}}')


_HALF = "half a surrogate pair"
_NO_TIME = "is no RFC 3339 time"
_NO_NUMBER = "must be a string, a finite number or a boolean"
_TEXT = GOOD.replace("USER", '"7"').encode("utf-16")

BAD: dict[str, Bad] = {
    "a tombstone": Bad("empty", "no value", lambda user: Raw(user.encode(), None)),
    "no bytes": Bad("empty", "no value", of("")),
    "neither key nor value": Bad("empty", "no value", lambda _: Raw(None, None)),
    "what no client could read": Bad("unreadable", "no text", of("", [("kindred-unreadable", b"a header is no text")])),
    "too large": Bad("too_large", "at most 524,288", of(b"{" + b" " * MAX_EVENT_BYTES)),
    "unknown content type": Bad("content_type", "neither", of(GOOD, [("content-type", b"text/plain")])),
    "CloudEvents' structured mode": Bad(
        "content_type", "neither", of(GOOD, [("content-type", b"application/cloudevents+json; charset=UTF-8")])
    ),
    "content type in no text": Bad("content_type", "neither", of(GOOD, [("content-type", b"\xff\xfe")])),
    "JSON called protobuf": Bad("undecodable", "no RatingEvent", of(GOOD, PROTOBUF)),
    "protobuf called JSON": Bad("undecodable", "is no JSON", of(b"\n\x017", JSON)),
    "text": Bad("undecodable", "no RatingEvent", of("hello")),
    "garbage": Bad("undecodable", "no RatingEvent", of(b"\xff\x00garbage")),
    "truncated protobuf": Bad(
        "undecodable", "no RatingEvent", lambda user: Raw(user.encode(), (value_of(user))[:-3], PROTOBUF)
    ),
    "no text in protobuf": Bad("undecodable", "UTF-8", of(b"\n\x02\xc3\x28", PROTOBUF)),
    "half a surrogate pair in protobuf": Bad("undecodable", "UTF-8", of(b"\n\x03\xed\xa0\x80", PROTOBUF)),
    "half a JSON": Bad("undecodable", "is no JSON", of(GOOD[:20])),
    "a byte order mark": Bad("undecodable", "byte order mark", of("\ufeff" + GOOD)),
    "a byte order mark and a header": Bad("undecodable", "byte order mark", of("\ufeff" + GOOD, JSON)),
    "garbage after JSON": Bad("undecodable", "Extra data", of(GOOD + "x")),
    "two events in one record": Bad("undecodable", "Extra data", of(f"{GOOD}\n{GOOD}")),
    "an unknown field": Bad("undecodable", '"rates"', of('{"userId":USER,"rates":{"itemId":"50","value":5}}')),
    "a misspelt field": Bad("undecodable", '"item"', of('{"userId":USER,"rated":{"item":"50","value":5}}')),
    "text for a number": Bad("undecodable", "five", opinion('"value":"five"')),
    "a list for a number": Bad("undecodable", "value", opinion('"value":[]')),
    "a number for an id": Bad("undecodable", "itemId", of('{"userId":USER,"rated":{"itemId":50,"value":5}}')),
    "true for a number": Bad("undecodable", "boolean", opinion('"value":true')),
    "true for a reaction": Bad("undecodable", "reaction", opinion('"reaction":true')),
    "one and a half for a reaction": Bad("undecodable", "reaction", opinion('"reaction":1.5')),
    "a list for a reaction": Bad("undecodable", "reaction", opinion('"reaction":[]')),
    "a number for a message": Bad("undecodable", "rated", of('{"userId":USER,"rated":1}')),
    "a list for a map": Bad("undecodable", "attributes", of('{"userId":USER,"attributesSet":{"attributes":[]}}')),
    "a reaction of no name": Bad("undecodable", "LOVE", opinion('"reaction":"LOVE"')),
    "a reaction beyond integers": Bad("undecodable", "reaction", opinion('"reaction":99999999999')),
    "two kinds": Bad("undecodable", "kind", of('{"userId":USER,"forgotten":{},"rated":{"itemId":"50","value":5}}')),
    "two opinions": Bad("undecodable", "opinion", opinion('"value":5,"reaction":"REACTION_LIKE"')),
    "the time twice": Bad(
        "undecodable", "both", said_at('"2024-05-06T07:08:09Z","occurred_at":"2024-05-06T07:08:09Z"')
    ),
    "a key twice": Bad("undecodable", "'userId' more than once", of('{"userId":USER,"userId":USER,"forgotten":{}}')),
    "a key twice inside": Bad("undecodable", "'value' more than once", opinion('"value":1,"value":5')),
    "a list": Bad("undecodable", "no object", of('["userId"]', JSON)),
    "a number": Bad("undecodable", "no object", of("17", JSON)),
    "null": Bad("undecodable", "no object", of("null", JSON)),
    "another encoding": Bad("undecodable", "no UTF-8", of(_TEXT, JSON)),
    "no UTF-8 in JSON": Bad("undecodable", "no UTF-8", of(b'{"userId":"\xff","forgotten":{}}')),
    "deep lists": Bad("undecodable", "deep", attribute("[" * 20_000 + "]" * 20_000)),
    "deep objects": Bad("undecodable", "deep", attribute('{"a":' * 20_000 + "1" + "}" * 20_000)),
    "rather deep lists": Bad("undecodable", "deep", attribute("[" * 300 + "]" * 300)),
    "half a surrogate pair in an item": Bad(
        "undecodable", _HALF, of(r'{"userId":USER,"rated":{"itemId":"\ud800","value":5}}')
    ),
    "half a surrogate pair in a name": Bad("undecodable", _HALF, of(r'{"userId":USER,"\udfff":1}')),
    "half a surrogate pair in a number": Bad("undecodable", _HALF, opinion(r'"value":"\ud800"')),
    "half a surrogate pair in an attribute": Bad("undecodable", _HALF, attribute(r'"\ud800"')),
    "half a surrogate pair twice": Bad("undecodable", r"\ud800", of(r'{"\ud800":1,"\ud800":1}')),
    "NUL in a name": Bad("undecodable", r"\x00", of(r'{"userId":USER,"\u0000":1}')),
    "NaN": Bad("undecodable", "no NaN", opinion('"value":NaN')),
    "infinity in an attribute": Bad("undecodable", "no -Infinity", attribute("-Infinity")),
    "an integer beyond all numbers": Bad("undecodable", "value", opinion('"value":1' + "0" * 400)),
    "an integer of 5,000 digits": Bad("undecodable", "thousands of digits", attribute("1" * 5_000)),
    "an attribute beyond a double's precision": Bad("undecodable", "send it as a string", attribute(str(2**53 + 1))),
    "an integer attribute beyond all numbers": Bad("undecodable", "send it as a string", attribute("1" + "0" * 400)),
    "no key": Bad("no_key", "the user id", lambda user: Raw(None, of(GOOD)(user).value)),
    "an empty key": Bad("no_key", "the user id", of(GOOD, key=b"")),
    "a key that is no text": Bad("bad_key", "UTF-8", of(GOOD, key=b"\xff\xfe")),
    "a key with half a surrogate pair": Bad("bad_key", "UTF-8", of(GOOD, key=b"\xed\xa0\x80")),
    "the key of another user": Bad("key_mismatch", "user_id", of(GOOD, key=b"somebody")),
    "a key that looks alike": Bad("key_mismatch", "user_id", lambda user: of(GOOD, key=b"0" + user.encode())(user)),
    "a key of a megabyte": Bad("key_mismatch", "user_id", of(GOOD, key=b"k" * 1_000_000)),
    "no user": Bad("bad_id", "user_id must not be empty", of('{"rated":{"itemId":"50","value":5}}')),
    "a long user id": Bad("bad_id", "at most 256", of('{"userId":"%s","forgotten":{}}' % ("7" * 257), key=b"7" * 257)),
    "NUL in a user id": Bad("bad_id", "control", of(r'{"userId":"7\u0000","forgotten":{}}', key=b"7\0")),
    "no kind": Bad("no_kind", "rated", of('{"userId":USER}')),
    "no kind in protobuf": Bad("no_kind", "rated", packed()),
    "no item": Bad("bad_id", "item_id must not be empty", of('{"userId":USER,"rated":{"value":5}}')),
    "a long item id": Bad("bad_id", "at most 256", rated(item_id="x" * 257, value=5)),
    "NUL in an item id": Bad("bad_id", "control", rated(item_id="50\0", value=5)),
    "an unknown item": Bad("unknown_item", "'no such'", rated(item_id="no such", value=5)),
    "an unknown external id": Bad("unknown_item", "'imdb:tt1'", packed(retracted=pb.Retracted(item_id="imdb:tt1"))),
    "above the scale": Bad("off_scale", "0.5 to 5", opinion('"value":5.01')),
    "below the scale": Bad("off_scale", "0.5 to 5", opinion('"value":0')),
    "below zero": Bad("off_scale", "-5", rated(item_id="50", value=-5)),
    "minus zero": Bad("off_scale", "-0", rated(item_id="50", value=-0.0)),
    "hardly anything": Bad("off_scale", "e-324", opinion('"value":5e-324')),
    "NaN in words": Bad("off_scale", "nan", opinion('"value":"NaN"')),
    "NaN in protobuf": Bad("off_scale", "nan", rated(item_id="50", value=math.nan)),
    "infinity": Bad("off_scale", "inf", opinion('"value":"Infinity"')),
    "minus infinity": Bad("off_scale", "-inf", rated(item_id="50", value=-math.inf)),
    "beyond doubles": Bad("off_scale", "inf", opinion('"value":1e400')),
    "no opinion": Bad("no_opinion", "neither", of('{"userId":USER,"rated":{"itemId":"50"}}')),
    "an opinion that is null": Bad("no_opinion", "neither", opinion('"value":null')),
    "an unspecified reaction": Bad("no_opinion", "neither", rated(item_id="50", reaction=0)),
    "an unknown reaction": Bad("no_opinion", "neither", rated(item_id="50", reaction=77)),
    "an attribute that is null": Bad("bad_attributes", _NO_NUMBER, attribute("null")),
    "an attribute that is a list in JSON": Bad("bad_attributes", _NO_NUMBER, attribute("[1]")),
    "an attribute without a value": Bad("bad_attributes", _NO_NUMBER, attributes({"a": Value()})),
    "an attribute that is a list": Bad("bad_attributes", _NO_NUMBER, attributes({"a": Value(list_value=ListValue())})),
    "an attribute that is a struct": Bad("bad_attributes", _NO_NUMBER, attributes({"a": Value(struct_value=Struct())})),
    "an attribute that is NaN": Bad("bad_attributes", _NO_NUMBER, attributes({"a": Value(number_value=math.nan)})),
    "an attribute beyond doubles": Bad("bad_attributes", _NO_NUMBER, attribute("-1e400")),
    "an attribute without a name": Bad("bad_attributes", "empty", attributes({"": Value(bool_value=True)})),
    "a long attribute": Bad("bad_attributes", "at most 1,000", attributes({"a": Value(string_value="x" * 1_001)})),
    "a long name": Bad("bad_attributes", "at most 100", attributes({"x" * 101: Value(bool_value=True)})),
    "65 attributes": Bad(
        "bad_attributes", "at most 64", attributes({f"a{number}": Value(bool_value=True) for number in range(65)})
    ),
    "20,000 attributes": Bad(
        "bad_attributes", "at most 64", attributes({str(number): Value(bool_value=True) for number in range(20_000)})
    ),
    "1970": Bad("bad_time", "occurred_at must not be before 1971: a clock", at(seconds=0)),
    "seconds for milliseconds": Bad("bad_time", "seconds taken for milliseconds", at(seconds=1_700_000)),
    "1969": Bad("bad_time", "before 1971", at(seconds=-1)),
    "2200": Bad("bad_time", "five minutes in the future", at(seconds=IN_2200)),
    "the largest seconds": Bad("bad_time", "between the years", at(seconds=2**63 - 1)),
    "the smallest seconds": Bad("bad_time", "between the years", at(seconds=-(2**63))),
    "negative nanoseconds": Bad("bad_time", "no time", at(seconds=1_700_000_000, nanos=-1)),
    "many nanoseconds": Bad("bad_time", "no time", at(seconds=1_700_000_000, nanos=2**31 - 1)),
    "1970 in JSON": Bad("bad_time", "before 1971", said_at('"1970-01-20T16:13:20Z"')),
    "2200 in JSON": Bad("bad_time", "five minutes in the future", said_at('"2200-01-01T00:00:00Z"')),
    "a time without an offset": Bad("bad_time", f"occurredAt {_NO_TIME}", said_at('"2024-05-06T07:08:09"')),
    "a month that is none": Bad("bad_time", "occurredAt is no time: month", said_at('"2024-13-06T07:08:09Z"')),
    "a number for a time": Bad("bad_time", "must be a string", said_at("1700000000")),
    "an object for a time": Bad("bad_time", "must be a string", said_at('{"seconds":1700000000}')),
    "a header that is no time": Bad("bad_time", f"header ce_time {_NO_TIME}", of(GOOD, [("ce_time", b"now")])),
    "a header that is no text": Bad("bad_time", f"header ce_time {_NO_TIME}", of(GOOD, [("ce_time", b"\xff")])),
    "1970 in a header": Bad(
        "bad_time", "the header ce_time must not be before 1971", of(GOOD, [("ce_time", b"1970-06-01T00:00:00Z")])
    ),
    "a record of 1969": Bad("bad_time", "the record's timestamp must not be before 1971", of(GOOD, timestamp=-1)),
    "a record of 1970": Bad("bad_time", "seconds taken for milliseconds", of(GOOD, timestamp=1_700_000_000)),
    "a dead letter from before": Bad(
        "off_scale",
        "0.5 to 5",
        of(GOOD.replace("5}", "11}"), [("kindred-reason", b"another"), ("kindred-x", b"")]),
    ),
    "ten thousand headers": Bad(
        "empty", "no value", lambda user: Raw(user.encode(), b"", [(f"h{number}", b"x") for number in range(10_000)])
    ),
}


def value_of(user: str) -> bytes:
    """A good rating in protobuf."""
    return rated(item_id="50", value=4)(user).value or b""
