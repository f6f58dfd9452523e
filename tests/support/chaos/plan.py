"""Which faults a run suffers, when, on whom and for how long: a pure function of the seed."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.chaos.seeds import seeded

SESSION_TIMEOUT = 3.0
CONSUMERS = ("consumer-1", "consumer-2")
GUEST = "guest"
SERVERS = ("server-1", "server-2")
MEMBERS = (*CONSUMERS, *SERVERS)

_CODES = ("ABORTED", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNKNOWN")
_REINDEX_SECONDS = 9.0
"""The store and the log are left in peace for so long while a collection is written anew: or it would just give up."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    Args:
        targets: Whom it can hit.
        shortest: The least seconds that it lasts.
        longest: The most seconds that it lasts.
        rest: Seconds in which its target is not hit again: it has to come back first.
        needs: Who has to be well meanwhile.
    """

    targets: tuple[str, ...]
    shortest: float
    longest: float
    rest: float = 1.0
    needs: tuple[str, ...] = ()


_BESIDE = {
    # kill -9, restarted after a while
    "kill consumer": Kind(CONSUMERS, 0.3, 3.0, 6.0),
    "stop consumer": Kind(CONSUMERS, 0.3, 2.0, 6.0),  # SIGTERM
    "freeze consumer": Kind(CONSUMERS, SESSION_TIMEOUT + 1, SESSION_TIMEOUT + 3, 4.0),  # a zombie that wakes
    "guest": Kind((GUEST,), 4.0, 8.0, 1.0),  # a third consumer that comes and goes
    "kill server": Kind(SERVERS, 0.3, 2.0, 4.0),
    "stop server": Kind(SERVERS, 0.3, 2.0, 4.0),
    "freeze server": Kind(SERVERS, 0.5, 3.0),
    "cut off": Kind(MEMBERS, 1.0, 4.0),  # from the store: refused, swallowed or broken off in mid-answer
}
_STORE = {
    "kill store": Kind(("store",), 0.3, 2.0, 2.0),
    "freeze store": Kind(("store",), 1.0, 3.0, 0.5),
    "store unavailable": Kind(("store",), 1.0, 3.0, 0.5),
    "store fails": Kind(("store",), 0.5, 2.0, 0.5),  # with another code
    "store fails after writing": Kind(("store",), 1.0, 2.5, 0.5),
    "store fails reading": Kind(("store",), 1.0, 2.0, 0.5),
    "store slow": Kind(("store",), 1.0, 3.0, 0.5),
    "store hangs": Kind(("store",), 1.0, 3.0, 0.5),
    "store writes late": Kind(("store",), 0.5, 1.5, 2.0, ("log",)),  # after the caller has given up, and done it again
    "kill in a batch": Kind(
        ("store",), 0.5, 1.5, 0.5, ("log",)
    ),  # kill -9 of a consumer that waits for the store's answer
}
_LOG = {
    "restart log": Kind(("log",), 0.2, 1.5, 7.0),
    "kill log": Kind(("log",), 0.2, 1.5, 7.0),
    "freeze log": Kind(("log",), 1.0, 2.5, 2.0),
    "cut off log": Kind(("log",), 0.5, 2.5, 2.0),
}
_TWICE = ("kill in a batch", "store writes late")
"""What finds out most."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Args:
        at: Seconds after the start.
        kind: What is done.
        target: To whom.
        seconds: Until it is undone.
        details: More about it.
    """

    at: float
    kind: str
    target: str
    seconds: float
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        details = "".join(f" {name}={value}" for name, value in self.details.items())
        return f"{self.at:7.2f} s  {self.kind} ({self.target}) for {self.seconds:.2f} s{details}"


def plan(seed: int, seconds: float, *, log_faults: bool) -> list[Fault]:
    """Plans the faults of a run: as from a deck that has every kind, shuffled anew when it is used up.

    Args:
        seed: The seed.
        seconds: How long it is to last; every fault is undone by then.
        log_faults: Whether the broker keeps its log, and so may be killed.
    """
    rng = seeded(seed, "faults")
    kinds = _BESIDE | _STORE | (_LOG if log_faults else {})
    reindexings = [*_reindexings(rng, seconds)]
    faults = list(reindexings)
    free_at = dict.fromkeys((*MEMBERS, GUEST, "store", "log"), 0.0)
    deck: list[str] = []
    now = 0.5
    while now < seconds:
        if not deck:
            deck = [*kinds, *_TWICE]
            rng.shuffle(deck)
        for name in deck:
            kind = kinds[name]
            duration = rng.uniform(kind.shortest, kind.longest)
            targets = [target for target in kind.targets if free_at[target] <= now]
            if CONSUMERS[0] in targets and _near(reindexings, now, now + duration + kind.rest):
                targets.remove(CONSUMERS[0])  # it applies events while the collection is swapped
            quiet = name not in _BESIDE and _near(reindexings, now, now + duration + kind.rest)
            well = all(free_at[target] <= now for target in kind.needs)
            if not targets or not well or now + duration > seconds or quiet:
                continue
            target = rng.choice(targets)
            faults.append(Fault(now, name, target, duration, _details(rng, name)))
            free_at |= dict.fromkeys((target, *kind.needs), now + duration + kind.rest)
            deck.remove(name)
            break
        now += rng.uniform(0.2, 1.2)
    return sorted(faults, key=lambda fault: fault.at)


def _reindexings(rng: random.Random, seconds: float) -> Iterator[Fault]:
    """Once in the middle, and in long runs every two minutes or so."""
    at = seconds * rng.uniform(0.4, 0.6)
    while at + _REINDEX_SECONDS < seconds:
        yield Fault(at, "reindex", "collection", 0.0, {"shrinkage": rng.choice((1.0, 2.5, 8.0, 12.0))})
        at += rng.uniform(90, 150)


def _near(reindexings: Sequence[Fault], start: float, end: float) -> bool:
    """Whether a stretch of time touches the time that a reindexing needs."""
    return any(start < each.at + _REINDEX_SECONDS and end > each.at - 1 for each in reindexings)


def _details(rng: random.Random, name: str) -> dict[str, Any]:
    details: dict[str, Any] = {}
    match name:
        case "guest":
            details["killed"] = rng.random() < 0.5
        case "cut off" | "cut off log":
            details["how"] = rng.choice(("refuse", "silent", "cut"))
            if details["how"] == "cut":
                details["bytes"] = rng.randrange(5_000)
        case "kill in a batch":
            details["consumer"] = rng.choice(CONSUMERS)
        case "store fails":
            details["code"] = rng.choice(_CODES)
        case "store fails after writing":
            details["code"] = rng.choice(("UNAVAILABLE", *_CODES))
        case "store slow":
            details["delay"] = round(rng.uniform(0.1, 1.0), 2)
        case "store writes late":
            details["delay"] = round(rng.uniform(2.5, 6.0), 2)
    return details
