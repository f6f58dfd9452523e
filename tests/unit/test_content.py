import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kindred.catalog import Catalog
from kindred.content import ContentIndex
from kindred.items import CatalogEntry, Item

WORDS = st.lists(st.sampled_from(["war", "War", "love", "space", "Straße"]), max_size=3).map(tuple)
ITEMS = st.lists(st.builds(Item, st.just("x"), genres=WORDS, tags=WORDS), min_size=1, max_size=8)

FILMS = [
    Item("0", genres=("Sci-Fi", "War"), tags=("space",)),
    Item("1", genres=("sci-fi", "WAR"), tags=("Space",)),
    Item("2", genres=("Sci-Fi",)),
    Item("3", genres=("Romance",)),
    Item("4"),
    Item("5", genres=("Space",)),
]


def rows(*numbers: int) -> NDArray[np.intp]:
    """Rows as an array."""
    return np.array(numbers, np.intp)


def dense(items: list[Item]) -> NDArray[np.float64]:
    """The vectors by the formula, a loop over items and words."""
    sets = [
        {("genre", word.casefold()) for word in item.genres} | {("tag", word.casefold()) for word in item.tags}
        for item in items
    ]
    words = sorted(set().union(*sets))
    worded = sum(map(bool, sets))
    idf = {word: math.log(1 + worded / sum(word in each for each in sets)) for word in words}
    matrix = np.array([[idf[word] * (word in each) for word in words] for each in sets]).reshape(len(sets), len(words))
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.divide(matrix, lengths, out=np.zeros_like(matrix), where=lengths > 0)


class TestLikeness:
    def test_words_are_compared_without_case(self) -> None:
        """Items with the same genres and tags, in whatever case, are wholly alike."""
        assert ContentIndex(FILMS).likeness(rows(0), np.ones(1))[:2] == pytest.approx([1.0, 1.0])

    def test_items_that_share_no_word_are_not_alike(self) -> None:
        """Likeness is 0 without a word in common; an item without words is like nothing, not even itself."""
        index = ContentIndex(FILMS)
        assert index.likeness(rows(0), np.ones(1))[3:].tolist() == [0.0, 0.0, 0.0]
        assert index.likeness(rows(4), np.ones(1)).tolist() == [0.0] * 6

    def test_a_genre_is_no_tag(self) -> None:
        """The genre "Space" and the tag "space" are two words."""
        assert ContentIndex(FILMS).row_likeness(rows(0), rows(5)).tolist() == [[0.0]]

    def test_a_rare_word_weighs_more(self) -> None:
        """Sharing a word that few items have makes more alike than sharing one that many have."""
        items = [Item(str(place), genres=("Drama",)) for place in range(9)]
        items += [Item("asked", genres=("Drama", "Noir")), Item("noir", genres=("Noir", "Other"))]
        items += [Item("drama", genres=("Drama", "Other"))]
        likeness = ContentIndex(items).likeness(rows(9), np.ones(1))
        assert likeness[10] > likeness[11] > 0

    def test_a_heavier_item_draws_more(self) -> None:
        """What is like an item of more weight comes before what is like one of less."""
        likeness = ContentIndex(FILMS).likeness(rows(2, 3), np.array([1.0, 3.0]))
        assert likeness[3] > likeness[2] > 0

    def test_nobody_who_likes_nothing_likes_something(self) -> None:
        """Without rows, or with weights of 0, everything is 0."""
        index = ContentIndex(FILMS)
        assert index.likeness(rows(), np.empty(0)).tolist() == [0.0] * 6
        assert index.likeness(rows(0, 3), np.zeros(2)).tolist() == [0.0] * 6

    def test_an_empty_catalog_has_no_likeness(self) -> None:
        """Neither no items nor items without words are a special case for the caller."""
        assert ContentIndex([]).likeness(rows(), np.empty(0)).shape == (0,)
        assert ContentIndex([Item("a"), Item("b")]).likeness(rows(1), np.ones(1)).tolist() == [0.0, 0.0]
        assert ContentIndex([Item("a")]).row_likeness(rows(0), rows(0, 0)).tolist() == [[0.0, 0.0]]

    @given(ITEMS, st.data())
    def test_likeness_is_the_cosine_of_the_formula(self, items: list[Item], data: st.DataObject) -> None:
        """Any items: the cosines are those of dense vectors made word by word, and within 0 and 1."""
        liked = data.draw(st.lists(st.integers(0, len(items) - 1), min_size=1, max_size=5))
        weights = np.array(data.draw(st.lists(st.floats(0.01, 9), min_size=len(liked), max_size=len(liked))))
        index, vectors = ContentIndex(items), dense(items)
        mean = weights @ vectors[liked]
        expected = vectors @ mean / (np.linalg.norm(mean) or 1.0)
        found = index.likeness(rows(*liked), weights)
        assert found == pytest.approx(expected, abs=1e-12)
        assert index.row_likeness(np.arange(len(items)), rows(*liked)) == pytest.approx(
            vectors @ vectors[liked].T, abs=1e-12
        )
        assert ((found >= 0) & (found <= 1)).all()

    def test_more_words_than_a_block_are_compared(self) -> None:
        """Items with thousands of words in common are compared by all of them."""
        tags = [tuple(f"tag {number}" for number in range(start, start + 256)) for start in range(0, 2_560, 256)]
        items = [Item(str(place), tags=each) for place, each in enumerate(tags)] * 2
        expected = np.kron(np.ones((1, 2)), np.eye(10))
        assert ContentIndex(items).row_likeness(np.arange(10), np.arange(20)) == pytest.approx(expected)


class TestGenres:
    def test_genres_are_columns(self) -> None:
        """Every genre that one of the rows has is a column; tags are none, and cases are one."""
        assert ContentIndex(FILMS).genres(rows(3, 1, 4, 2, 0)).tolist() == [
            [0.0, 0.0, 1.0],
            [1.0, 1.0, 0.0],
            [0.0, 0.0, 0.0],
            [1.0, 0.0, 0.0],
            [1.0, 1.0, 0.0],
        ]
        assert ContentIndex(FILMS).genres(rows(4)).shape == (1, 0)


class TestCatalog:
    def test_the_index_follows_the_items(self) -> None:
        """The catalog's index is made once, and follows the items that are replaced or added."""
        catalog = Catalog(CatalogEntry(place, item) for place, item in enumerate(FILMS))
        first = catalog.content
        assert catalog.content is first
        catalog.put([CatalogEntry(3, Item("3", genres=("War",)))])
        assert catalog.content is first
        assert catalog.content.row_likeness(rows(3), rows(0))[0, 0] > 0
        catalog.rows_of(np.array([99], np.uint32))
        assert catalog.content.likeness(rows(0), np.ones(1)).shape == (catalog.rows,) == (7,)

    def test_an_item_may_lose_its_words(self) -> None:
        """An item that has no words any more is like nothing, and the others are as rare as they are now."""
        index, left = ContentIndex(FILMS), [*FILMS[:3], Item("3"), *FILMS[4:]]
        index.replace(3, FILMS[3], left[3])
        found = index.likeness(rows(0, 3), np.ones(2))
        assert found == pytest.approx(ContentIndex(left).likeness(rows(0), np.ones(1)))
        assert found[3] == 0

    def test_words_that_nobody_asks_for_do_not_pile_up(self) -> None:
        """Tags that come and go while nobody asks what items share leave no memory taken behind."""
        index = ContentIndex(FILMS)
        tracemalloc.start()
        for turn in range(100):
            index.replace(0, FILMS[0], Item("0", tags=tuple(f"tag {turn} {number}" for number in range(200))))
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert taken < 2 * 2**20  # all 20,000 are 3 million bytes or more

    def test_words_come_and_go(self) -> None:
        """However many words there have been, only those that items have now count."""
        items = [*FILMS, Item("6", tags=("passing",))]
        index = ContentIndex(items)
        for turn in range(3):
            for number in range(2_500 * turn, 2_500 * (turn + 1)):
                new = Item("6", genres=(f"genre {number}", f"{number}", "War"), tags=("space",))
                index.replace(6, items[6], new)
                items[6] = new
            index.replace(0, FILMS[0], FILMS[0])
            anew = ContentIndex(items)
            assert index.row_likeness(np.arange(7), np.arange(7)) == pytest.approx(
                anew.row_likeness(np.arange(7), np.arange(7)), abs=1e-12
            )
            assert index.likeness(rows(6, 2), np.ones(2)) == pytest.approx(anew.likeness(rows(6, 2), np.ones(2)))
            assert index.genres(rows(6, 0)).tolist() == [[0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]]
