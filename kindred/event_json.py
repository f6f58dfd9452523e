"""Rating events as JSON: protobuf's own mapping, without what it lets through that nobody can have meant. Pure.

https://protobuf.dev/programming-guides/json/
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from google.protobuf import json_format

from kindred.rfc3339 import NotATimeError, milliseconds_of
from kindred.v1.rating_event_pb2 import Rated, RatingEvent

_BYTE_ORDER_MARK = "\ufeff"


class NotAnEventError(ValueError):
    """A value that is no event; the message goes on after the value's name."""


def read_json(value: bytes) -> RatingEvent:
    """Reads an event.

    Args:
        value: One JSON object in UTF-8, nothing before or after it.

    Raises:
        NotATimeError: `occurredAt` is no time.
        NotAnEventError: It is no event.
    """
    document = _load(value)
    stated = document.pop("occurredAt", None)
    at = None
    if isinstance(stated, str):
        at = milliseconds_of(stated)
    elif stated is not None:
        raise NotATimeError("must be a string, like 2024-05-06T07:08:09Z")
    try:
        event = _plain_rating(document) or json_format.ParseDict(_checked(document), RatingEvent())
    except NotAnEventError:
        raise
    except json_format.ParseError as error:
        raise NotAnEventError(f"is no RatingEvent: {error}") from error
    except Exception as error:  # what the library stumbles over is any of a dozen; one let through stops the stream
        raise NotAnEventError(f"has something in a field that does not belong there: {error}") from error
    if at is not None:
        if event.HasField("occurred_at"):
            raise NotAnEventError("has both occurredAt and occurred_at")
        event.occurred_at.seconds, milliseconds = divmod(at, 1_000)
        event.occurred_at.nanos = milliseconds * 1_000_000
    return event


def _load(value: bytes) -> dict[str, Any]:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise NotAnEventError(f"is no UTF-8 text: {error.reason} at byte {error.start:,}") from error
    if text.startswith(_BYTE_ORDER_MARK):
        raise NotAnEventError("begins with a byte order mark; JSON is sent without one")
    try:
        document = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise NotAnEventError(f"is no JSON: {error}") from error
    except UnicodeEncodeError as error:
        raise NotAnEventError(r"has half a surrogate pair, such as \ud800, which is no text") from error
    except RecursionError as error:
        raise NotAnEventError("is nested too deeply") from error
    except NotAnEventError:
        raise
    except ValueError as error:
        raise NotAnEventError("has a number of thousands of digits") from error  # see sys.set_int_max_str_digits
    if not isinstance(document, dict):
        raise NotAnEventError("is JSON, but no object")
    return document


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise NotAnEventError(f"has {name!r} more than once in one object")
    return document


def _no_number(name: str) -> None:
    raise NotAnEventError(f"is no JSON, which has no {name}")


_DECODER = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_no_number)


def _plain_rating(document: dict[str, Any]) -> RatingEvent | None:
    """A rating in its usual form, four times as fast; None for anything else, which is left to the library."""
    match document:
        case {"userId": str(user_id), "rated": {"itemId": str(item_id), "value": float() | int() as value} as rated}:
            if len(document) == len(rated) == 2 and not isinstance(value, bool):  # noqa: PLR2004  # nothing else
                return RatingEvent(user_id=user_id, rated=Rated(item_id=item_id, value=value))
    return None


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    """Refuses what the library would read as something else: a truth as a number, and a number as its neighbor."""
    rated = document.get("rated")
    if isinstance(rated, dict):
        if isinstance(rated.get("value"), bool):
            raise NotAnEventError("has a boolean for rated.value; a reaction says like or dislike")
        if isinstance(rated.get("reaction"), bool | float):
            raise NotAnEventError("has neither a name nor a whole number for rated.reaction")
    for name in ("attributesSet", "attributes_set"):
        attributes = kind.get("attributes") if isinstance(kind := document.get(name), dict) else None
        for key, number in attributes.items() if isinstance(attributes, dict) else ():
            if isinstance(number, int) and not _is_double(number):
                raise NotAnEventError(f"has an integer for attribute {key!r} that no double holds: send it as a string")
    return document


def _is_double(number: int) -> bool:
    try:
        return float(number) == number
    except OverflowError:
        return False
