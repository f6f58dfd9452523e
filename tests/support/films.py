"""A small catalog whose users fall into two camps, so that every answer can be told in advance."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from kindred.item_index import first_probe, natural_index
from kindred.items import CatalogEntry, Item
from kindred.popularity import count_ratings
from kindred.ratings import EMPTY_PROFILE, Attributes, AttributesSet, Rated, RatingScale, merge
from kindred.stores.edge import EdgeBuilder
from kindred.stores.port import CollectionBuilder, CollectionMetadata, StoredUser, UserWrite
from kindred.weighting import LikingWeighting, Weighting, stored_vector

SCALE = RatingScale(0.5, 5.0)
LOADED_AT = 1_600_000_000_000
"""When every loaded rating was given, in milliseconds since 1970."""

FILMS = (
    Item(
        "50",
        "Star Wars",
        1977,
        ("Action", "Sci-Fi"),
        ("space", "classic"),
        {"imdb": "tt0076759", "tmdb": "11"},
        {"minutes": 121.0, "color": True, "studio": "Lucasfilm"},
    ),
    Item("172", "Empire Strikes Back, The", 1980, ("Action", "Sci-Fi"), (), {"imdb": "tt0080684"}),
    Item("181", "Return of the Jedi", 1983, ("Action", "Sci-Fi"), (), {"imdb": "tt0086190"}),
    Item("195", "Terminator, The", 1984, ("Action", "Sci-Fi", "Thriller")),
    Item("96", "Terminator 2: Judgment Day", 1991, ("Action", "Sci-Fi", "Thriller")),
    Item("alien-1979", "Alien", 1979, ("Horror", "Sci-Fi"), ("space",), {"imdb": "tt0078748"}),
    Item("14", "Postino, Il", 1994, ("Drama", "Romance")),
    Item("amélie", "Amélie", 2001, ("Comedy", "Romance"), (), {"imdb": "tt0211915"}),
    Item("七人の侍", "Seven Samurai", 1954, ("Drama",)),
    Item("213", "Room with a View, A", 1986, ("Drama", "Romance")),
    Item("275", "Sense and Sensibility", 1995, ("Drama", "Romance")),
    Item("a/b c?d=e&f", "Secrets & Lies", 1996, ("Drama",)),
    Item("unrated", "Nobody Saw This", None, ("Drama",)),
)
"""The first six are of one camp, the next six of the other; nobody has rated the last one."""

INDEX = {film.item_id: natural_index(film.item_id) or first_probe(film.item_id) for film in FILMS}
"""Each film's dimension."""

SPACE = [film.item_id for film in FILMS[:6]]
ROMANCE = [film.item_id for film in FILMS[6:12]]


def _ratings(own: list[str], other: list[str], gap: int) -> dict[str, float]:
    """All of one's own camp but one film, liked; two films of the other camp, disliked."""
    liked = {film: 5.0 - 0.5 * (place % 3) for place, film in enumerate(own) if place != gap}
    return liked | {other[gap % 6]: 1.0, other[(gap + 3) % 6]: 1.5}


USERS = {
    **{name: _ratings(SPACE, ROMANCE, gap) for gap, name in enumerate(["7", "11", "ann", "Σωκράτης", "42", "18"])},
    **{name: _ratings(ROMANCE, SPACE, gap) for gap, name in enumerate(["8", "12", "bob", "用户-1", "43", "👩‍🚀"])},
}
"""Ratings by user and item id: six space travellers, then six romantics; each has missed one film of their own."""


def load_films(path: Path, weighting: Weighting | None = None) -> Path:
    """Builds a collection of these films and users.

    Args:
        path: The data directory to make.
        weighting: The weighting; the default one if left out.

    Returns:
        The data directory.
    """
    fill_with_films(EdgeBuilder(path), weighting)
    return path


CROWD = {
    f"{camp}{number}": _ratings(own, other, number % 6)
    for camp, own, other in (("traveller", SPACE, ROMANCE), ("romantic", ROMANCE, SPACE))
    for number in range(20)
}
"""The same camps, larger: enough people for items to be similar by their raters."""


def fill_with_films(
    builder: CollectionBuilder,
    weighting: Weighting | None = None,
    users: Mapping[str, Mapping[str, float]] = USERS,
    attributes_of: Callable[[str], Attributes] = lambda _: {"country": "NL"},
) -> None:
    """Builds a collection of these films and users, and commits it.

    Args:
        builder: A builder that was not entered yet.
        weighting: The weighting; the default one if left out.
        users: Ratings by user and item id.
        attributes_of: The attributes of a user.
    """
    weighting = weighting or LikingWeighting(SCALE)
    profiles = {
        user_id: merge(
            EMPTY_PROFILE,
            [
                *(
                    Rated(INDEX[item_id], value, LOADED_AT + place)
                    for place, (item_id, value) in enumerate(own.items())
                ),
                AttributesSet(attributes_of(user_id), LOADED_AT),
            ],
        )
        for user_id, own in users.items()
    }
    indexes = np.array(sorted(INDEX.values()), np.uint32)
    rated, liked = count_ratings(profiles.values(), indexes, SCALE)
    place = {index: number for number, index in enumerate(indexes.tolist())}
    with builder:
        builder.add_items(
            CatalogEntry(index, film, int(rated[place[index]]), int(liked[place[index]]))
            for film, index in zip(FILMS, INDEX.values(), strict=True)
        )
        builder.add_users(_writes(profiles.items(), weighting))
        builder.commit(CollectionMetadata("films", SCALE, weighting, "2024-05-06T07:08:09+00:00"))


def _writes(profiles: Iterable[tuple[str, object]], weighting: Weighting) -> Iterable[UserWrite]:
    for user_id, profile in profiles:
        yield UserWrite(StoredUser(user_id, profile, 1), stored_vector(weighting, profile))
