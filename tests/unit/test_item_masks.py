import numpy as np
import pytest

from kindred.attribute_filter import AnyOf, AttributeFilter, Condition, Equals, Has, InRange
from kindred.catalog import Catalog
from kindred.errors import ItemNotFoundError
from kindred.filter_effect import FilterEffect
from kindred.item_filter import EVERY_ITEM, ItemFilter, WordFilter
from kindred.items import CatalogEntry, Item

FILMS = [
    Item(
        "50", "Star Wars", 1977, ("Action", "Sci-Fi"), ("space",), {"imdb": "tt0076759"}, {"minutes": 121, "uk": False}
    ),
    Item("1", "Toy Story", 1995, ("Animation", "Comedy"), ("toys", "Pixar"), {}, {"minutes": 81, "studio": "Pixar"}),
    Item("nuit", "Straße der Nacht", None, ("Drama",), (), {}, {"uk": True, "minutes": "long"}),
    Item("alien", "Alien", 1979, ("Horror", "SCI-FI"), ("Space", "space"), {}, {"minutes": 117.0, "uk": 1}),
]


@pytest.fixture
def films() -> Catalog:
    """A catalog of four films."""
    return Catalog(CatalogEntry(place, item) for place, item in enumerate(FILMS))


def allowed(catalog: Catalog, wanted: ItemFilter) -> list[str]:
    """The ids of the items that pass."""
    return [catalog.item(row).item_id for row in np.flatnonzero(catalog.masks.allowed(wanted))]


def problems(catalog: Catalog, wanted: ItemFilter) -> dict[str, str]:
    """What is wrong with a filter, by field."""
    return {each.field: each.description for each in catalog.masks.check(wanted, "items")}


class TestAllowed:
    @pytest.mark.parametrize(
        ("wanted", "passes"),
        [
            (EVERY_ITEM, ["50", "1", "nuit", "alien"]),
            (ItemFilter(WordFilter(("sci-fi",))), ["50", "alien"]),
            (ItemFilter(WordFilter(("sci-fi",), none_of=("HORROR",))), ["50"]),
            (ItemFilter(WordFilter(all_of=("sci-fi", "horror"))), ["alien"]),
            (ItemFilter(WordFilter(("western",))), []),
            (ItemFilter(WordFilter(none_of=("western",))), ["50", "1", "nuit", "alien"]),
            (ItemFilter(tags=WordFilter(("SPACE",))), ["50", "alien"]),
            (ItemFilter(min_year=1979), ["1", "alien"]),
            (ItemFilter(max_year=1979), ["50", "alien"]),
            (ItemFilter(min_year=1978, max_year=1978), []),
            (ItemFilter(candidates=("imdb:tt0076759", "nuit")), ["50", "nuit"]),
            (ItemFilter(min_year=1900, candidates=("50", "nuit")), ["50"]),
            (ItemFilter(attributes=AttributeFilter((InRange("minutes", 100),))), ["50", "alien"]),
            (ItemFilter(attributes=AttributeFilter(none_of=(Has("uk"),))), ["1"]),
        ],
    )
    def test_what_is_asked_for_passes(self, films: Catalog, wanted: ItemFilter, passes: list[str]) -> None:
        """Genres, tags, years, attributes and candidates let in what they name."""
        assert allowed(films, wanted) == passes
        assert allowed(films, wanted) == passes  # and again from what is kept

    @pytest.mark.parametrize(
        ("condition", "met"),
        [
            (Equals("uk", True), [2]),
            (Equals("uk", 1), [3]),
            (Equals("uk", False), [0]),
            (Equals("uk", "true"), []),
            (Equals("minutes", 117), [3]),
            (Equals("minutes", "long"), [2]),
            (AnyOf("minutes", (81, "long", True)), [1, 2]),
            (AnyOf("minutes", ()), []),
            (InRange("minutes", 81, 117), [1, 3]),
            (InRange("minutes", at_most=1_000), [0, 1, 3]),
            (InRange("uk", 0, 1), [3]),
            (Has("studio"), [1]),
            (Has("Studio"), []),
        ],
    )
    def test_conditions_look_at_types(self, films: Catalog, condition: Condition, met: list[int]) -> None:
        """A number is no boolean and no string, a range holds for numbers only, and names are exact."""
        assert np.flatnonzero(films.masks.attribute(condition)).tolist() == met

    def test_the_caller_owns_the_answer(self, films: Catalog) -> None:
        """What a caller does with an answer changes no other one, and what is kept cannot be written to."""
        films.masks.allowed(ItemFilter(WordFilter(("drama",))))[:] = True
        assert allowed(films, ItemFilter(WordFilter(("drama",)))) == ["nuit"]
        with pytest.raises(ValueError, match="read-only"):
            films.masks.genre("drama")[:] = True

    def test_unknown_candidates_are_not_found(self, films: Catalog) -> None:
        """A candidate that the catalog lacks is an error that names it, not an empty answer."""
        assert films.masks.candidate_rows(("alien", "imdb:tt0076759")).tolist() == [3, 0]
        with pytest.raises(ItemNotFoundError) as raised:
            films.masks.allowed(ItemFilter(candidates=("50", "tt0076759")))
        assert raised.value.item_id == "tt0076759"

    def test_what_is_kept_is_bounded(self, films: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        """However many years and values callers ask for, the masks stay within their bytes."""
        monkeypatch.setattr("kindred.item_masks.CACHE_BYTES", 10_000)
        masks = Catalog(CatalogEntry(place, item) for place, item in enumerate(FILMS)).masks
        for number in range(100):
            masks.since_year(number)
            masks.attribute(Equals("studio", "x" * number))
        assert 0 < masks._masks.bytes <= 10_000
        assert len(masks._masks) < 25
        assert masks.attribute(AnyOf("studio", ("x" * 10_000, "Pixar"))).tolist() == [False, True, False, False]

    def test_names_that_nothing_has_leave_nothing_behind(self, films: Catalog) -> None:
        """Attributes that callers make up are asked for and forgotten."""
        for number in range(10):
            assert not films.masks.attribute(Has(f"made up {number}")).any()
        assert films.masks.indexes._columns == {}


class TestEffects:
    def test_every_criterion_counts_by_itself(self, films: Catalog) -> None:
        """Each criterion that is given says how many of the rows it refuses, whatever the others do."""
        wanted = ItemFilter(
            WordFilter(("sci-fi",)),
            WordFilter(none_of=("space",)),
            None,
            1977,
            AttributeFilter((Has("uk"),)),
            ("50", "1", "alien"),
        )
        assert films.masks.effects(wanted, films.listed) == (
            FilterEffect("items.genres", 2, 4),
            FilterEffect("items.tags", 2, 4),
            FilterEffect("items.years", 3, 4),
            FilterEffect("items.attributes", 1, 4),
            FilterEffect("items.candidate_item_ids", 1, 4),
        )
        base = np.array([True, True, False, False])
        assert films.masks.effects(ItemFilter(min_year=1979), base) == (FilterEffect("items.years", 1, 2),)
        assert films.masks.effects(EVERY_ITEM, base) == ()


class TestCheck:
    def test_names_that_no_item_has_come_with_the_nearest(self, films: Catalog) -> None:
        """An unknown genre, tag or attribute is named by its path, with what may have been meant."""
        wanted = ItemFilter(
            WordFilter(("Scifi",), none_of=("drama",)),
            WordFilter(all_of=("pixars",)),
            attributes=AttributeFilter((Has("uk"),), (InRange("Minutes", 1),)),
        )
        assert problems(films, wanted) == {
            "items.genres.any_of[0]": "no item has the genre 'Scifi'; near it: 'Sci-Fi'",
            "items.tags.all_of[0]": "no item has the tag 'pixars'; near it: 'Pixar'",
            "items.attributes.any_of[0].name": "no item has the attribute 'Minutes'; near it: 'minutes'",
        }

    def test_where_nothing_is_near_the_most_common_are_named(self, films: Catalog) -> None:
        """A name like no other comes with what most items have."""
        assert problems(films, ItemFilter(WordFilter(none_of=("zzz",)))) == {
            "items.genres.none_of[0]": "no item has the genre 'zzz'; the most common genres: 'Sci-Fi', 'Action', "
            "'Animation'"
        }

    def test_known_names_are_known_in_any_case(self, films: Catalog) -> None:
        """Genres and tags match whatever their case."""
        assert problems(films, ItemFilter(WordFilter(("sCI-fI",)), WordFilter(none_of=("TOYS",)))) == {}

    def test_a_catalog_without_any_says_so(self) -> None:
        """Where no item has genres, tags or attributes at all, the error says that this is why."""
        bare = Catalog([CatalogEntry(1, Item("1"))])
        wanted = ItemFilter(WordFilter(("a",)), WordFilter(("b",)), attributes=AttributeFilter((Has("c"),)))
        assert problems(bare, wanted) == {
            "items.genres.any_of[0]": "no item has the genre 'a': no item of the catalog has any genres",
            "items.tags.any_of[0]": "no item has the tag 'b': no item of the catalog has any tags",
            "items.attributes.all_of[0].name": "no item has the attribute 'c': no item of the catalog has any "
            "attributes",
        }

    def test_a_filter_that_is_wrong_in_itself_is_refused_first(self, films: Catalog) -> None:
        """What is wrong with the request is said before what the catalog lacks."""
        assert problems(films, ItemFilter(WordFilter(("", "western")))) == {
            "items.genres.any_of[0]": "must not be empty"
        }

    def test_many_unknown_names_are_all_named(self, films: Catalog) -> None:
        """Only the first ones are compared with what is there, which takes time; each is refused."""
        found = problems(films, ItemFilter(WordFilter(tuple(f"drama{number}" for number in range(64)))))
        assert len(found) == 64
        assert sum("near it" in description for description in found.values()) == 3


class TestGrowth:
    def test_new_and_replaced_items_count_at_once(self, films: Catalog) -> None:
        """What has been asked before is asked anew of what is there now."""
        wanted = ItemFilter(
            WordFilter(("western",)), WordFilter(("west",)), 1968, None, AttributeFilter((Equals("studio", "Rafran"),))
        )
        assert allowed(films, wanted) == []
        assert problems(films, wanted).keys() == {"items.genres.any_of[0]", "items.tags.any_of[0]"}
        west = Item("9", "C'era una volta", 1968, ("Western",), ("west",), {}, {"studio": "Rafran"})
        films.put([CatalogEntry(9, west)])
        assert (allowed(films, wanted), problems(films, wanted)) == (["9"], {})
        films.put(
            [CatalogEntry(0, Item("50", year=1969, genres=("western",), tags=("WEST",), attributes=west.attributes))]
        )
        assert allowed(films, wanted) == ["50", "9"]
        assert allowed(films, ItemFilter(WordFilter(("Action",)))) == []
        assert problems(films, ItemFilter(WordFilter(("Action",)))).keys() == {"items.genres.any_of[0]"}
        films.put([CatalogEntry(9, Item("9"))])
        assert allowed(films, wanted) == ["50"]

    def test_rows_without_an_item_are_refused_what_they_lack(self, films: Catalog) -> None:
        """A row that ratings made has no year, genre or attribute; an item that comes later has its own."""
        assert films.masks.allowed(ItemFilter(max_year=2000)).tolist() == [True, True, False, True]
        films.rows_of(np.array([77], np.uint32))
        assert films.masks.allowed(ItemFilter(max_year=2000)).tolist() == [True, True, False, True, False]
        films.put([CatalogEntry(77, Item("77", year=1999))])
        assert films.masks.allowed(ItemFilter(max_year=2000)).tolist() == [True, True, False, True, True]

    def test_counts_change_nothing(self, films: Catalog) -> None:
        """New counts keep the masks; a new version of an item does not."""
        mask = films.masks.genre("drama")
        films.counts.put(np.arange(4), np.ones(4), np.ones(4))
        assert films.masks.genre("drama") is mask
        films.put([CatalogEntry(0, FILMS[0])])
        assert films.masks.genre("drama") is not mask

    def test_values_that_come_and_go_do_not_pile_up(self, films: Catalog) -> None:
        """An attribute that changes with every write keeps no trace of its former values."""
        for number in range(3_000):
            films.put([CatalogEntry(0, Item("50", attributes={"minutes": number}))])
            if number % 100 == 0:
                films.masks.attribute(Has("minutes"))
        assert len(films.masks.indexes.column("minutes")._code_of) < 1_200
