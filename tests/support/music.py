"""Music instead of films: who plays which artist how often. Two tastes, so that every answer can be told in advance."""

import random
from collections.abc import Iterable
from pathlib import Path

JAZZ = tuple(f"jazz-{number:02}" for number in range(12))
METAL = tuple(f"metal-{number:02}" for number in range(12))

LISTENERS = {"jazz": [f"j{number}" for number in range(15)], "metal": [f"m{number}" for number in range(40)]}
"""Metal has more listeners: what most people like is no answer for anybody else."""

Plays = dict[str, dict[str, int]]
"""Plays by listener and artist."""


def listening(seed: int = 7) -> Plays:
    """How often every listener has played which artist.

    A listener plays seven artists of their own taste, from twice a week to all day long, and two of the other, once
    each: what a single play says is not much.

    Args:
        seed: The same seed, the same plays.
    """
    chance = random.Random(seed)  # noqa: S311 - what is listened to is no secret
    plays: Plays = {}
    for own, other, listeners in ((JAZZ, METAL, LISTENERS["jazz"]), (METAL, JAZZ, LISTENERS["metal"])):
        for listener in listeners:
            counts = {artist: chance.choice((3, 4, 8, 25, 120, 900)) for artist in chance.sample(own, 7)}
            plays[listener] = counts | dict.fromkeys(chance.sample(other, 2), 1)
    return plays


def write_counts(path: Path, plays: Plays) -> Path:
    """Writes a row for every month in which a listener has played an artist: what was played more often has two."""
    rows = []
    for listener, counts in plays.items():
        for artist, count in counts.items():
            first = count // 3
            rows += [(listener, artist, first, 1_000), (listener, artist, count - first, 2_000)]
    return _write(path, "listener,artist,plays,month", (row for row in rows if row[2]))


def write_log(path: Path, plays: Plays) -> Path:
    """Writes a row for every single play, without a number; nobody plays anything more than 20 times."""
    rows = [
        (listener, artist, 1_000 + place)
        for listener, counts in plays.items()
        for artist, count in counts.items()
        for place in range(min(count, 20))
    ]
    return _write(path, "listener,artist,at", rows)


def write_marks(path: Path, plays: Plays, marks: tuple[int, int]) -> Path:
    """Writes a mark for every artist that somebody has played: the first for what was tried once, else the second."""
    rows = [
        (listener, artist, marks[count > 1]) for listener, counts in plays.items() for artist, count in counts.items()
    ]
    return _write(path, "listener,artist,mark", rows)


def _write(path: Path, header: str, rows: Iterable[tuple[object, ...]]) -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path
