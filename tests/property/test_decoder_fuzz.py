"""The decoder's fuzzer: a small run, and that it finds what it is there to find. `make fuzz` runs a million."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kindred.eventlog.broker import Record
from kindred.events import EventError
from kindred.ratings import AttributesSet, Forgotten, ProfileEvent, Rated, Retracted
from tests.support.bad_events import BAD
from tests.support.event_fuzzer import FoundError, fuzz, new_decoder
from tests.support.event_mutations import Fuzzer

INPUTS = 20_000

Decode = Callable[[Record], tuple[str, ProfileEvent]]


def test_whatever_comes_is_an_event_or_has_a_reason() -> None:
    """Thousands of mutated events are read or refused, always alike, and what is read keeps every rule."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # pytest shows it where something fails
    ends = fuzz(seed, range(INPUTS))
    assert {bad.reason for bad in BAD.values()} - set(ends) <= {"too_large"}
    assert sum(ends[kind] for kind in ("Rated", "Retracted", "Forgotten", "AttributesSet")) > INPUTS / 20


def test_an_input_follows_from_its_number() -> None:
    """The same seed and number give the same input, whatever was made before."""
    first, second = Fuzzer(7), Fuzzer(7)
    inputs = [first.input(number) for number in range(200)]
    assert [second.input(number) for number in reversed(range(200))] == inputs[::-1]
    assert Fuzzer(8).input(3) != inputs[3]


def breaks(decode: Decode) -> Decode:
    """Stumbles over a rating that is off the scale."""

    def broken(record: Record) -> tuple[str, ProfileEvent]:
        try:
            return decode(record)
        except EventError as error:
            if error.reason == "off_scale":
                raise KeyError(error.reason) from error
            raise

    return broken


def forgets(decode: Decode) -> Decode:
    """Reads every other record as if it were later."""
    calls = 0

    def forgetting(record: Record) -> tuple[str, ProfileEvent]:
        nonlocal calls
        calls += 1
        user_id, event = decode(record)
        return user_id, replace(event, at=event.at + calls % 2)

    return forgetting


def changes(kind: type[ProfileEvent], **fields: Callable[[Any], object]) -> Callable[[Decode], Decode]:
    """Reads something else than what is said, in events of a kind."""

    def changing(decode: Decode) -> Decode:
        def changed(record: Record) -> tuple[str, ProfileEvent]:
            user_id, event = decode(record)
            if isinstance(event, kind):
                event = replace(event, **{name: make(event) for name, make in fields.items()})
            return user_id, event

        return changed

    return changing


DEFECTS: dict[str, tuple[str, Callable[[Decode], Decode]]] = {
    "breaks": ("KeyError", breaks),
    "is not deterministic": ("not deterministic", forgets),
    "reads 1970": ("out of bounds", changes(Forgotten, at=lambda _: 7)),
    "reads what is off the scale": ("off the scale", changes(Rated, value=lambda _: 5.001)),
    "reads a negative zero": ("negative zero", changes(Rated, value=lambda _: -0.0)),
    "reads an unknown item": ("item is unknown", changes(Retracted, item=lambda _: 51)),
    "reads half a character": ("attributes are none", changes(AttributesSet, attributes=lambda _: {"a": "\ud800"})),
    "reads another rating": ("another rating", changes(Rated, value=lambda event: event.value / 2)),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_found(defect: str) -> None:
    """A decoder that breaks, or lets through what it should not, is found, with an input that can be pasted."""
    says, broken = DEFECTS[defect]
    with pytest.raises(FoundError, match=says) as found:
        fuzz(1, range(INPUTS), broken(new_decoder().decode))
    pasted = str(found.value).splitlines()[-1]
    assert pasted.startswith("check(new_decoder().decode, Record('ratings', 3, 14, ")
    assert isinstance(eval(pasted[len("check(new_decoder().decode, ") : -1]), Record)  # noqa: S307  # our own text
