"""What users do in a chaos run, step by step: pure functions of the seed, with times relative to the run's start."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.support.chaos.seeds import seeded
from tests.support.films import FILMS, USERS

HOT = ("7", "ann", "hot-1")
"""Who is in a third of all events, of every producer at once."""
OTHERS = (*USERS, *(f"user-{number}" for number in range(120)), *map(str, range(90_001, 90_031)), "Zoë 🎬", "a/b?c=d")
"""So many that most of what is lost on the way is not covered up by later events."""
FILM_IDS = tuple(film.item_id for film in FILMS if film.item_id != "unrated")
GENERATED = tuple(map(str, range(1_001, 1_081)))
"""Items beside the films."""
EXTERNAL = {f"{kind}:{name}": film.item_id for film in FILMS for kind, name in film.external_ids.items()}
"""What else items are called."""
POISON = (
    *("undecodable", "off scale", "unknown item", "no key", "key mismatch", "no kind", "no opinion"),
    *("future", "before 1970", "empty", "content type", "bad id"),
)
_COPIED = 200
"""How many records back a copy is taken from."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a user does.

    Args:
        name: Its name, unique in the run.
        at: When it is done, in seconds after the start.
        user: Who.
        kind: `rated`, `retracted`, `forgotten`, `attributes` or `item`, a new one.
        occurred: When it is said to have happened, in milliseconds after the start; None to leave it to others.
        ratings: Values by item: a number, or `LIKE` or `DISLIKE`.
        attributes: The attributes.
        form: `json` or `protobuf`, for a record.
        place: Where a record says when it happened: `field`, `ce_time` or `timestamp`.
        poison: What is wrong with it; empty for nothing.
        server: Which server is called first.
    """

    name: str
    at: float
    user: str
    kind: str
    occurred: int | None = None
    ratings: Mapping[str, float | str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    form: str = ""
    place: str = "field"
    poison: str = ""
    server: int = 0


def record_steps(seed: int, producer: str, form: str, rate: float) -> Iterator[Step]:
    """What a producer writes to the log itself, without end: copies of earlier records and poison as well.

    Args:
        seed: The seed.
        producer: The producer's name.
        form: `json` or `protobuf`.
        rate: Records a second.
    """
    rng, at, number = seeded(seed, producer), 0.0, 0
    history: list[Step] = []
    while True:
        at += rng.expovariate(rate)
        number += 1
        if history and rng.random() < 0.08:
            copied = rng.choice(history[-_COPIED:])
            yield replace(copied, at=at)
            continue
        kind = rng.choices(("rated", "retracted", "forgotten", "attributes"), (80, 12, 1.5, 6.5))[0]
        poison = rng.choice(POISON) if rng.random() < 0.02 else ""
        user = _user(rng)
        step = Step(
            name=f"{producer}-{number}",
            at=at,
            user=user,
            kind="rated" if poison else kind,
            occurred=_occurred(rng, at),
            ratings={_item(rng, user): _value(rng)} if poison or kind in ("rated", "retracted") else {},
            attributes=_attributes(rng, f"{producer}-{number}") if kind == "attributes" else {},
            form=form,
            place=rng.choices(("field", "ce_time", "timestamp"), (8, 1, 1))[0],
            poison=poison,
        )
        history.append(step)
        yield step


def call_steps(seed: int, producer: str, rate: float) -> Iterator[Step]:
    """What a producer asks of the servers, without end.

    Args:
        seed: The seed.
        producer: The producer's name.
        rate: Calls a second.
    """
    rng, at, number = seeded(seed, producer), 0.0, 0
    while True:
        at += rng.expovariate(rate)
        number += 1
        name, user = f"{producer}-{number}", _user(rng)
        kind = rng.choices(("rated", "retracted", "forgotten", "attributes", "item"), (72, 12, 4, 8, 4))[0]
        items = rng.sample(FILM_IDS if user in HOT else FILM_IDS + GENERATED, rng.randint(1, 4))
        step = Step(name, at, user, kind, server=rng.randrange(2))
        match kind:
            case "rated":
                occurred = _occurred(rng, at) if rng.random() < 0.8 else None
                yield replace(step, occurred=occurred, ratings={item: _value(rng) for item in items})
            case "retracted":
                yield replace(step, ratings=dict.fromkeys(items, 0.0))
            case "attributes":
                yield replace(step, attributes=_attributes(rng, name))
            case "item":
                yield replace(step, ratings={f"new-{name}": _value(rng)})
            case _:
                yield step


def _user(rng: Random) -> str:
    return rng.choice(HOT if rng.random() < 0.35 else OTHERS)


def _item(rng: Random, user: str) -> str:
    if rng.random() < 0.1:
        return rng.choice([*EXTERNAL])
    return rng.choice(FILM_IDS if user in HOT else FILM_IDS + GENERATED)


def _value(rng: Random) -> float | str:
    if rng.random() < 0.15:
        return rng.choice(("LIKE", "DISLIKE"))
    return rng.uniform(0.5, 5.0) if rng.random() < 0.3 else rng.randint(1, 10) / 2


def _attributes(rng: Random, name: str) -> dict[str, Any]:
    if rng.random() < 0.1:
        return {}
    return {
        "country": rng.choice(("NL", "日本", "")),
        "age": rng.randrange(100) / 2,
        "member": rng.random() < 0.5,
        "by": name,
    }


def _occurred(rng: Random, at: float) -> int:
    """Mostly a moment ago; now and then much earlier than what is in the log already, at the same time, or later."""
    now = round(at * 1000)
    match rng.choices(("now", "late", "tie", "ahead", "ancient"), (60, 20, 12, 4, 4))[0]:
        case "now":
            return now - rng.randrange(50)
        case "late":
            return now - rng.randrange(20_000)
        case "tie":
            return now // 2_000 * 2_000
        case "ahead":  # what is rated after it loses against it
            return now + rng.randrange(60_000)
        case _:  # before the collection was loaded
            return -400_000_000_000 - rng.randrange(1_000)
