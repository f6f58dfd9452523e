import re
from dataclasses import replace

import numpy as np
import pytest

from kindred.errors import PreconditionError
from kindred.items import Item
from loader.evaluation.extra import needed
from loader.evaluation.options import PeerName, SplitOptions
from loader.evaluation.peers import PEERS
from loader.evaluation.peers.base import PeerContestant, preferences_of, top_places
from loader.evaluation.peers.ease import MAX_ITEMS, Ease
from loader.evaluation.peers.popularity import Popularity
from loader.evaluation.splits import Split, Task, split
from loader.evaluation.table import Profiles, RatingTable
from loader.progress import NoProgress
from tests.support.rating_tables import SCALE, random_table, table_of

LIBRARIES = {"bm25": "implicit", "als": "implicit", "userknn": "lenskit"}
PEER_NAMES = list(PEERS)


async def ranked(name: PeerName, found: Split, task: Task, depth: int = 10) -> np.ndarray:
    """A peer's lists; the test is skipped where its library is not installed."""
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    peer = PEERS[name]()
    peer.fit(found.table.where(found.train), 0)
    return await PeerContestant(peer, found.table, found.train, 0.0).rank(task, depth, NoProgress())


def own_tastes(table: RatingTable, users: np.ndarray, lists: np.ndarray) -> float:
    """What share of the lists is of the user's own taste; see `random_table`."""
    user_numbers = np.array([int(user_id[1:]) for user_id in table.user_ids])
    item_numbers = np.array([int(item.item_id[1:]) for item in table.items])
    return float(np.mean(user_numbers[users][:, None] % 2 == item_numbers[lists] % 2))


@pytest.mark.parametrize("kind", ["random", "cold"])
@pytest.mark.parametrize("name", PEER_NAMES)
async def test_nobody_is_shown_what_they_know(name: PeerName, kind: str) -> None:
    """Lists have neither what is stored of a user nor what they ask with, each item once, and all that there are."""
    table = random_table()
    found = split(table, SplitOptions(kind, likes=(3, 8)))  # type: ignore[arg-type]  # one of the kinds
    task = found.tasks[0]
    lists = await ranked(name, found, task, 100)
    known = found.train if task.given is None else task.given | task.kept_back
    for user, shown in zip(task.users.tolist(), lists.tolist(), strict=True):
        own = set(table.codes[known & (table.users == user)].tolist())
        assert sorted(shown[: 80 - len(own)]) == sorted(set(range(80)) - own)
        assert set(shown[80 - len(own) :]) == {-1}


@pytest.mark.parametrize("kind", ["random", "cold"])
@pytest.mark.parametrize("name", [name for name in PEER_NAMES if name != "popularity"])
async def test_peers_tell_tastes_apart(name: PeerName, kind: str) -> None:
    """Where there are two tastes, lists are of the user's own one, whether the user is stored or asks with likes."""
    table = random_table()
    found = split(table, SplitOptions(kind, likes=(8,)))  # type: ignore[arg-type]  # one of the kinds
    [task] = found.tasks
    assert own_tastes(table, task.users, await ranked(name, found, task)) > 0.8
    assert own_tastes(table, task.users, await ranked("popularity", found, task)) < 0.7


@pytest.mark.parametrize("name", PEER_NAMES)
async def test_a_peer_ranks_the_same_again(name: PeerName) -> None:
    """Learning again from the same ratings with the same seed gives the same lists."""
    found = split(random_table(), SplitOptions())
    [task] = found.tasks
    assert np.array_equal(await ranked(name, found, task), await ranked(name, found, task))


def test_ease_is_its_closed_form() -> None:
    """EASE's scores are those of the ridge regression of each item on all others."""
    table = random_table(users=30, items=60)
    peer = Ease(l2=7.0)
    peer.fit(table, 0)
    users = np.arange(30, dtype=np.int32)
    profiles = table.profiles(users, np.ones(table.users.size, np.bool_))
    profiles = profiles._replace(values=preferences_of(SCALE, profiles.values))
    ratings = np.zeros((30, 60))
    ratings[profiles.owners, profiles.items] = profiles.values
    expected = np.empty((30, 60))
    for item in range(60):
        others = np.delete(ratings, item, axis=1)
        weights = np.linalg.solve(others.T @ others + 7.0 * np.eye(59), others.T @ ratings[:, item])
        expected[:, item] = others @ weights
    assert peer.scores(users, profiles) == pytest.approx(expected)


def test_ease_says_when_there_are_too_many_items() -> None:
    """More items than a dense matrix should have are refused with what to do."""
    many = replace(random_table(users=1), items=[Item(f"{place:06}") for place in range(MAX_ITEMS + 1)])
    with pytest.raises(PreconditionError, match=re.escape("takes 20,000 of them at most, small has 20,001")):
        Ease().fit(many, 0)


def test_popularity_counts_likes() -> None:
    """Popular is what most users like, the same for everybody."""
    table = table_of([("a", "x", 5.0, 1), ("b", "x", 4.0, 1), ("a", "y", 1.0, 1), ("b", "y", 4.0, 1)], ["z"])
    peer = Popularity()
    peer.fit(table, 0)
    users = np.array([0, 1], np.int32)
    profiles = table.profiles(users, np.zeros(4, np.bool_))
    assert peer.scores(users, profiles).tolist() == [[2.0, 1.0, 0.0]] * 2


def test_peers_learn_how_much_is_liked() -> None:
    """Two stars or less count nothing, three a half, four and more one."""
    stars = np.array([0.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0], np.float32)
    assert preferences_of(SCALE, stars).tolist() == [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_ties_keep_their_order_at_the_end_of_a_list() -> None:
    """The best come first, ties by place, also where the list ends; what is hidden is never there."""
    scores = np.array([1.0, 3.0, np.nan, 1.0, 1.0, -np.inf])
    assert top_places(scores, 3).tolist() == [1, 0, 3]
    assert top_places(scores, 9).tolist() == [1, 0, 3, 4, 5]


def test_a_missing_library_is_named() -> None:
    """A peer whose library is not installed says what installs it."""
    with pytest.raises(PreconditionError, match=re.escape("als needs no_such_library")) as caught:
        needed("no_such_library.als", "als")
    assert "pip install 'kindred[evaluation]'" in str(caught.value)


class Codes(Popularity):
    """Predicts every item's code as its rating: what is asked of whom can be seen in the answer."""

    def ratings(self, users: np.ndarray, profiles: Profiles) -> np.ndarray:
        """The codes, for each user."""
        assert profiles.starts.size == users.size + 1
        codes = np.arange(self.known, dtype=np.float64)
        return np.tile(np.where(codes == 3, np.nan, codes / 10), (users.size, 1))

    known = 80


@pytest.mark.parametrize("kind", ["random", "cold"])
async def test_predictions_are_of_what_is_held_out(kind: str) -> None:
    """Each held-out rating gets what the peer says of its item, within the scale; NaN where it says nothing."""
    found = split(random_table(), SplitOptions(kind, likes=(3,)))  # type: ignore[arg-type]  # one of the kinds
    [task] = found.tasks
    peer = Codes()
    peer.fit(found.table.where(found.train), 0)
    predicted = await PeerContestant(peer, found.table, found.train, 0.0).predict(task, NoProgress())
    assert predicted is not None
    items = found.table.profiles(task.users, task.held_out).items
    assert 3 in items
    expected = np.where(items == 3, np.nan, np.clip(items / 10, SCALE.minimum, SCALE.maximum))
    assert np.array_equal(predicted, expected, equal_nan=True)


async def test_who_ranks_alone_predicts_nothing() -> None:
    """A peer without ratings has no predictions."""
    found = split(random_table(), SplitOptions())
    peer = Popularity()
    peer.fit(found.table.where(found.train), 0)
    contestant = PeerContestant(peer, found.table, found.train, 0.0)
    assert await contestant.predict(found.tasks[0], NoProgress()) is None


async def test_userknn_predicts_ratings_of_both_tastes() -> None:
    """LensKit's neighbors predict more stars for what is of a user's own taste."""
    pytest.importorskip("lenskit")
    table = random_table()
    found = split(table, SplitOptions())
    [task] = found.tasks
    peer = PEERS["userknn"]()
    peer.fit(table.where(found.train), 0)
    predicted = await PeerContestant(peer, table, found.train, 0.0).predict(task, NoProgress())
    assert predicted is not None
    held_out = table.profiles(task.users, task.held_out)
    assert np.nanmean(predicted[held_out.values >= 4]) > np.nanmean(predicted[held_out.values < 4]) + 1
