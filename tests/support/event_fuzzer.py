"""Fuzzes the event decoder: mutated events in, events or `EventError` out, and nothing else.

Every input follows from the seed and its number alone. `python -m tests.support.event_fuzzer --help`.
"""

import argparse
import json
import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from time import perf_counter

from google.protobuf import json_format

from consumers.dead_letters import dead_letter
from kindred.catalog import Catalog
from kindred.eventlog.broker import Record
from kindred.events import EARLIEST_MS, FUTURE_TOLERANCE_MS, MAX_EVENT_BYTES, EventDecoder, EventError
from kindred.items import CatalogEntry, Item, check_attributes, check_id
from kindred.ratings import EMPTY_PROFILE, AttributesSet, ProfileEvent, Rated, RatingScale, Retracted, merge
from kindred.stores.payload import read_user, user_payload
from kindred.stores.port import StoredUser, point_id_of
from kindred.v1 import rating_event_pb2 as pb
from tests.support.bad_events import BAD
from tests.support.event_mutations import ITEMS, NOW, Fuzzer
from tests.support.profile_oracle import bits

SCALE = RatingScale(0.0, 5.0)


def new_decoder() -> EventDecoder:
    """A decoder of a small catalog whose scale begins with zero, so that signs of zeros show."""
    entries = [
        CatalogEntry(index, Item(item_id, external_ids={"imdb": f"tt{index}"})) for item_id, index in ITEMS.items()
    ]
    return EventDecoder(Catalog(entries), SCALE, lambda: NOW)


REASONS = {bad.reason for bad in BAD.values()}


def check(decode: Callable[[Record], tuple[str, ProfileEvent]], record: Record) -> str:
    """Decodes a record and checks what comes of it.

    Args:
        decode: The decoder's method.
        record: The record.

    Returns:
        The reason of a refusal, or the kind of the event.

    Raises:
        Exception: The decoder broke, or let through what it should not.
    """
    first, second = _outcome(decode, record), _outcome(decode, record)
    assert repr(first) == repr(second), "decoding is not deterministic"
    if isinstance(first, EventError):
        message = str(first)
        assert first.reason in REASONS, "the reason is not one of the known ones"
        assert message.isprintable(), "the message is no line of text"
        assert 0 < len(message) <= 510, "the message is too long"
        message.encode()
        letter = dead_letter(record, first)
        assert (letter.key, letter.value or None) == (record.key, record.value or None), "the letter is not the record"
        return first.reason
    _check_event(record, *first)
    return type(first[1]).__name__


def _outcome(
    decode: Callable[[Record], tuple[str, ProfileEvent]], record: Record
) -> EventError | tuple[str, ProfileEvent]:
    try:
        return decode(record)
    except EventError as error:
        return error


def _check_event(record: Record, user_id: str, event: ProfileEvent) -> None:
    assert user_id.encode() == record.key, "the user is not the key"
    assert not check_id(user_id, "user_id"), "the user's id is none"
    assert len(record.value or b"") <= MAX_EVENT_BYTES, "the event is too large"
    assert isinstance(event.at, int)
    assert EARLIEST_MS <= event.at <= NOW + FUTURE_TOLERANCE_MS, "the time is out of bounds"
    if isinstance(event, Rated | Retracted):
        assert event.item in ITEMS.values(), "the item is unknown"
    if isinstance(event, Rated):
        assert isinstance(event.value, float)
        assert SCALE.minimum <= event.value <= SCALE.maximum, "the rating is off the scale"
        assert math.copysign(1, event.value) > 0, "the rating is a negative zero"
    if isinstance(event, AttributesSet):
        assert not check_attributes(event.attributes, "attributes"), "the attributes are none"
        json.dumps(event.attributes, ensure_ascii=False, allow_nan=False).encode()
    profile = merge(EMPTY_PROFILE, [event])
    stored = read_user(point_id_of(user_id), user_payload(StoredUser(user_id, profile, 1)))
    assert bits(stored.profile) == bits(profile), "the store keeps another profile"
    value, content_type = record.value or b"", record.header("content-type") or b""
    if value.lstrip().startswith(b"{") and b"protobuf" not in content_type.lower():
        _check_json(value, event)


def _check_json(value: bytes, event: ProfileEvent) -> None:
    """What was read from JSON is what protobuf's own reader reads from it."""
    other = json_format.Parse(value, pb.RatingEvent())
    if isinstance(event, Rated) and other.rated.WhichOneof("opinion") == "value":
        assert other.rated.value == event.value, "protobuf reads another rating"
    if other.HasField("occurred_at"):
        assert other.occurred_at.seconds * 1_000 + other.occurred_at.nanos // 1_000_000 == event.at, "another time"
    kinds = {"rated": "Rated", "retracted": "Retracted", "forgotten": "Forgotten", "attributes_set": "AttributesSet"}
    assert kinds[other.WhichOneof("kind") or ""] == type(event).__name__, "protobuf reads another kind"


class FoundError(AssertionError):
    """An input that breaks the decoder, in a form to paste into a test."""

    def __init__(self, seed: int, number: int, record: Record, error: BaseException) -> None:
        super().__init__(
            f"seed {seed}, input {number}: {type(error).__name__}: {error}\n"
            f"check(new_decoder().decode, Record('ratings', 3, 14, {record.key!r}, {record.value!r}, "
            f"{record.headers!r}, {record.timestamp}))"
        )


def fuzz(
    seed: int, numbers: Sequence[int], decode: Callable[[Record], tuple[str, ProfileEvent]] | None = None
) -> Counter[str]:
    """Checks inputs.

    Args:
        seed: Decides about the inputs.
        numbers: Which of them.
        decode: What is fuzzed, if not the decoder.

    Returns:
        How many came to which end.

    Raises:
        FoundError: One breaks the decoder.
    """
    fuzzer, decode = Fuzzer(seed), decode or new_decoder().decode
    ends: Counter[str] = Counter()
    for number in numbers:
        record = fuzzer.input(number)
        try:
            ends[check(decode, record)] += 1
        except Exception as error:
            raise FoundError(seed, number, record, error) from error
    return ends


def main() -> None:
    """Fuzzes from the command line."""
    parser = argparse.ArgumentParser(description="Fuzzes the decoder of rating events.")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many inputs (1000000)")
    parser.add_argument("--seed", type=int, default=None, help="as a run before has printed it; a new one if left out")
    parser.add_argument("--only", type=int, default=None, help="one input of that seed, by its number")
    chosen = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if chosen.seed is None else chosen.seed
    print(f"seed {seed}", flush=True)
    if chosen.only is not None:
        print(Fuzzer(seed).input(chosen.only))
        print(dict(fuzz(seed, [chosen.only])))
        return
    start, ends = perf_counter(), Counter[str]()
    bounds = [*range(0, chosen.inputs, 100_000), chosen.inputs]
    try:
        for first, last in pairwise(bounds):
            ends += fuzz(seed, range(first, last))
            print(f"{last:>12,} inputs, {perf_counter() - start:6.1f} s", flush=True)
    except FoundError as found:
        sys.exit(str(found))
    for end, number in ends.most_common():
        print(f"{number:>12,} {end}")


if __name__ == "__main__":
    main()
