import numpy as np
import pytest

from kindred.catalog import Catalog
from kindred.item_filter import ItemFilter, WordFilter
from kindred.items import CatalogEntry, Item

EVERYTHING = ItemFilter()

FILMS = [
    Item("50", "Star Wars", 1977, ("Action", "Sci-Fi")),
    Item("222", "Star Trek: First Contact", 1996, ("Action", "Sci-Fi")),
    Item("449", "Star Trek: The Motion Picture", 1979, ("Sci-Fi",)),
    Item("1", "Toy Story", 1995, ("Animation", "Comedy")),
    Item("amelie", "Le fabuleux destin d'Amélie Poulain", 2001, ("Comedy", "Romance")),
    Item("8mm", "8½ Women", 1999, ("Comedy",)),
    Item("nuit", "Straße der Nacht", None, ("Drama",)),
    Item("x", "STAR", 1968, ("Drama",)),
    Item("samurai", "七人の侍", 1954, ("Drama",)),
]


def entries(items: list[Item]) -> list[CatalogEntry]:
    """Items at indexes of their own, the later ones less liked."""
    return [CatalogEntry(1_000 + 7 * place, item, 90 - place, 50 - place) for place, item in enumerate(items)]


@pytest.fixture
def films() -> Catalog:
    """A catalog of films, in the order of their likes."""
    return Catalog(entries(FILMS))


def titles(catalog: Catalog, query: str, allowed: ItemFilter = EVERYTHING) -> list[str]:
    """The ids of the items that a search finds."""
    return [catalog.item(row).item_id for row in catalog.search(query, allowed)]


class TestRows:
    def test_every_item_has_a_row(self, films: Catalog) -> None:
        """Ids, indexes and rows lead to each other."""
        assert len(films) == films.rows == len(FILMS)
        assert films.listed.all()
        for place, item in enumerate(FILMS):
            row = films.row_of(item.item_id)
            assert row is not None
            assert films.item(row) == item
            assert films.entry(row) == entries(FILMS)[place]
            assert films.index_of(item.item_id) == films.indexes[row] == 1_000 + 7 * place
        assert films.row_of("unheard-of") is films.index_of("unheard-of") is films.row_of_own_id("unheard-of") is None

    def test_rows_never_change(self, films: Catalog) -> None:
        """Items that come later, below or above the indexes that are there, leave every row where it was."""
        before = {item.item_id: films.row_of(item.item_id) for item in FILMS}
        films.put([CatalogEntry(2**32 - 1, Item("last")), CatalogEntry(0, Item("0")), CatalogEntry(1_001, Item("a"))])
        assert {item.item_id: films.row_of(item.item_id) for item in FILMS} == before
        indexes = np.array([0, 1_000, 1_001, 1_007, 2**32 - 1], np.uint32)
        rows = films.rows_of(indexes).tolist()
        assert [films.item(row).item_id for row in rows] == ["0", "50", "a", "222", "last"]
        assert films.indexes[rows].tolist() == indexes.tolist()

    def test_an_empty_catalog_is_a_catalog(self) -> None:
        """Without items there are no rows, and nothing is found."""
        empty = Catalog([])
        assert (len(empty), empty.rows, empty.search("star", EVERYTHING), empty.search("", EVERYTHING)) == (
            0,
            0,
            [],
            [],
        )
        assert empty.rows_of(np.empty(0, np.uint32)).tolist() == []

    def test_unknown_indexes_get_rows_that_are_not_listed(self, films: Catalog) -> None:
        """An index without an item gets a row to compute with, once, that is not recommended, found or counted."""
        strange = np.array([5, 1_000, 4_000_000_000, 5], np.uint32)
        rows = films.rows_of(strange)
        assert rows[0] == rows[3]
        assert films.rows_of(strange).tolist() == rows.tolist()
        assert films.rows == len(FILMS) + 2
        assert len(films) == len(FILMS)
        assert films.listed[rows].tolist() == [False, True, False, False]
        assert films.indexes[rows].tolist() == strange.tolist()
        assert films.row_of("5") is None
        assert set(titles(films, "")) == {item.item_id for item in FILMS}
        assert films.counts.rated[rows].tolist() == [0, 90, 0, 0]
        films.put([CatalogEntry(6, Item("6", "Another"))])
        assert films.listed[rows].tolist() == [False, True, False, False]

    def test_an_empty_catalog_gives_rows_to_any_index(self) -> None:
        """Users may have been read before any item is there."""
        empty = Catalog([])
        assert sorted(empty.rows_of(np.array([9, 3], np.uint32)).tolist()) == [0, 1]
        assert not empty.listed.any()

    def test_an_item_takes_over_the_row_of_its_index(self, films: Catalog) -> None:
        """An item that comes after the ratings of it keeps the row that these had, and is listed from then on."""
        [row] = films.rows_of(np.array([5], np.uint32)).tolist()
        films.put([CatalogEntry(5, Item("5", "Late Arrival"), 7, 3)])
        assert films.row_of("5") == row
        assert films.listed[row]
        assert titles(films, "late") == ["5"]
        assert (films.counts.rated[row], films.counts.liked[row]) == (7, 3)


class TestReplacing:
    def test_an_item_is_replaced_as_a_whole(self, films: Catalog) -> None:
        """A new version of an item has its row, and nothing of the old version is found any more."""
        row = films.row_of("50")
        films.put([CatalogEntry(1_000, Item("50", "A New Hope", 1978, ("Fantasy",)), 1, 0)])
        assert films.row_of("50") == row
        assert len(films) == len(FILMS)
        assert titles(films, "star wars") == []
        assert titles(films, "new hope") == ["50"]
        assert titles(films, "", ItemFilter(genres=WordFilter(("fantasy",)))) == ["50"]
        assert films.entry(row).rated_count == 1

    def test_counts_are_replaced_too(self, films: Catalog) -> None:
        """What has become the most liked comes first."""
        assert titles(films, "trek") == ["222", "449"]
        films.put([CatalogEntry(1_014, FILMS[2], 200, 100)])
        assert titles(films, "trek") == ["449", "222"]


class TestExternalIds:
    def test_items_are_found_by_external_ids(self) -> None:
        """An item is named by scheme and id as well as by its own id, but not by the bare external id."""
        item = Item("2571", "The Matrix", external_ids={"imdb": "tt0133093", "tmdb": "603"})
        catalog = Catalog([CatalogEntry(2571, item)])
        assert catalog.row_of("2571") == catalog.row_of("imdb:tt0133093") == catalog.row_of("tmdb:603") == 0
        assert catalog.index_of("tmdb:603") == 2571
        assert catalog.row_of("603") is catalog.row_of("tmdb:2571") is catalog.row_of("imdb:603") is None
        assert catalog.row_of_own_id("tmdb:603") is None

    def test_an_own_id_goes_before_an_external_one(self) -> None:
        """Where an item's own id looks like another's external one, the own one counts."""
        first = Item("1", external_ids={"imdb": "tt1"})
        catalog = Catalog([CatalogEntry(1, first), CatalogEntry(2**31, Item("imdb:tt1"))])
        assert catalog.row_of("imdb:tt1") == catalog.row_of_own_id("imdb:tt1") == 1

    def test_external_ids_change_with_the_item(self) -> None:
        """After a new version, external ids that the item has no more name nothing."""
        catalog = Catalog([CatalogEntry(1, Item("1", external_ids={"imdb": "tt1", "tmdb": "9"}))])
        catalog.put([CatalogEntry(1, Item("1", external_ids={"imdb": "tt2"}))])
        assert (catalog.row_of("imdb:tt1"), catalog.row_of("tmdb:9"), catalog.row_of("imdb:tt2")) == (None, None, 0)

    def test_an_external_id_can_move(self) -> None:
        """An external id belongs to the item that had it last; what its former item becomes does not take it away."""
        catalog = Catalog([CatalogEntry(1, Item("1", external_ids={"imdb": "tt1"})), CatalogEntry(2, Item("2"))])
        catalog.put([CatalogEntry(2, Item("2", external_ids={"imdb": "tt1"}))])
        assert catalog.row_of("imdb:tt1") == 1
        catalog.put([CatalogEntry(1, Item("1"))])
        assert catalog.row_of("imdb:tt1") == 1


class TestSearch:
    def test_every_word_must_be_in_the_title(self, films: Catalog) -> None:
        """Words are found in any order and place; a word that is missing refuses the title."""
        assert titles(films, "contact trek") == ["222"]
        assert titles(films, "star toy") == []
        assert titles(films, "story") == ["1"]

    def test_words_may_be_just_begun(self, films: Catalog) -> None:
        """The beginning of a word finds it, its middle does not."""
        assert titles(films, "st tr") == ["222", "449"]
        assert titles(films, "tory") == []
        assert titles(films, "stor") == ["1"]
        assert titles(films, "trekk") == []

    @pytest.mark.parametrize(
        "query", ["Amélie", "amelie", "AMÉLIE", "ame\u0301lie", "d'amelie", "poulain, AMELI!", "  destin\tfabuleux "]
    )
    def test_accents_case_and_punctuation_do_not_matter(self, films: Catalog, query: str) -> None:
        """A title is found however it is accented, capitalised and punctuated."""
        assert titles(films, query) == ["amelie"]

    @pytest.mark.parametrize(
        ("query", "item_id"),
        [("strasse", "nuit"), ("STRASSE", "nuit"), ("straß", "nuit"), ("七人", "samurai"), ("8", "8mm")],
    )
    def test_other_scripts_are_text_too(self, films: Catalog, query: str, item_id: str) -> None:
        """Letters of any script and digits make words."""
        assert titles(films, query) == [item_id]

    def test_exact_titles_come_first(self, films: Catalog) -> None:
        """A title that is the query goes before more popular ones that only contain it; then likes decide."""
        assert titles(films, "star") == ["x", "50", "222", "449"]
        assert titles(films, "wars star") == ["50"]
        assert titles(films, "sta") == ["50", "222", "449", "x"]

    def test_likes_then_ids_order_the_rest(self) -> None:
        """Equally liked items come by id."""
        catalog = Catalog(CatalogEntry(index, Item(str(index), "Same Title"), 5, 2) for index in (9, 10, 2))
        catalog.put([CatalogEntry(50, Item("50", "Same Title"), 5, 3)])
        assert titles(catalog, "same") == ["50", "10", "2", "9"]

    @pytest.mark.parametrize("query", ["", "  ", "?!"])
    def test_no_word_finds_everything(self, films: Catalog, query: str) -> None:
        """A query without words finds every item, the most liked first."""
        assert titles(films, query) == [item.item_id for item in FILMS]

    def test_titles_change_with_the_item(self) -> None:
        """After a new title the old one's words find nothing; an item that only ratings know is not found at all."""
        catalog = Catalog([CatalogEntry(1, Item("1", "Star Wars")), CatalogEntry(2, Item("2", "Wars of the Roses"))])
        catalog.rows_of(np.array([7], np.uint32))
        catalog.put([CatalogEntry(1, Item("1", "Episode Four"))])
        assert [titles(catalog, query) for query in ("star", "wars", "epi", "")] == [[], ["2"], ["1"], ["1", "2"]]
        catalog.put([CatalogEntry(7, Item("7", "Star Trek"))])
        assert [titles(catalog, query) for query in ("star", "star trek", "")] == [["7"], ["7"], ["1", "2", "7"]]

    def test_a_word_said_twice_is_one_word(self, films: Catalog) -> None:
        """Repeating a word changes nothing about what is found."""
        assert titles(films, "toy toy") == ["1"]


class TestItemFilter:
    def test_one_of_the_genres_is_enough(self, films: Catalog) -> None:
        """An item passes with any of the genres, whatever its case."""
        assert titles(films, "star", ItemFilter(genres=WordFilter(("action",)))) == ["50", "222"]
        assert titles(films, "", ItemFilter(genres=WordFilter(("animation", "romance")))) == ["1", "amelie"]
        assert titles(films, "", ItemFilter(genres=WordFilter(("western",)))) == []

    @pytest.mark.parametrize(
        ("first", "last", "found"),
        [
            (1977, None, ["50", "222", "449"]),
            (1978, 1996, ["222", "449"]),
            (None, 1977, ["x", "50"]),
            (1979, 1979, ["449"]),
            (1997, 1978, []),
        ],
    )
    def test_years_are_bounds_that_belong(
        self, films: Catalog, first: int | None, last: int | None, found: list[str]
    ) -> None:
        """The years of a range belong to it."""
        assert titles(films, "star", ItemFilter(min_year=first, max_year=last)) == found

    def test_items_without_a_year_pass_no_bound(self, films: Catalog) -> None:
        """An item without a year passes only where no year is asked for."""
        assert titles(films, "nacht") == ["nuit"]
        assert (
            titles(films, "nacht", ItemFilter(min_year=0)) == titles(films, "nacht", ItemFilter(max_year=9_999)) == []
        )

    def test_filters_add_up(self, films: Catalog) -> None:
        """Genres and years must both pass."""
        assert titles(films, "", ItemFilter(WordFilter(("comedy",)), min_year=1996, max_year=2000)) == ["8mm"]
