from collections.abc import Callable

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from kindred.attribute_filter import AnyOf, AttributeFilter, Equals, InRange
from kindred.boosts import Boost, FromYear, GenreIs, TagIs
from kindred.events import now_ms
from kindred.item_filter import EVERY_ITEM, ItemFilter, WordFilter
from kindred.rating_period import RatingPeriod
from kindred.user_filter import EVERY_USER, UserFilter
from kindred.v1 import filter_pb2 as pb
from kindred.v1.recommendation_service_pb2 import Boost as BoostMessage
from server.boosts import read_boosts
from server.checks import Checks
from server.filters import read_item_filter, read_period, read_user_filter

YEAR = 365 * 86_400
NAN = float("nan")


def string(value: str) -> Value:
    """A string."""
    return Value(string_value=value)


def number(value: float) -> Value:
    """A number."""
    return Value(number_value=value)


def attribute(name: str = "age", **condition: object) -> pb.AttributeCondition:
    """A condition on one attribute."""
    return pb.AttributeCondition(name=name, **condition)


def wanting(*conditions: pb.AttributeCondition) -> pb.AttributeFilter:
    """A filter that wants every one of these conditions."""
    return pb.AttributeFilter(all_of=conditions)


def read(reader: Callable[..., object], message: object, field: str) -> object:
    """What is read from a message in which nothing is wrong."""
    checks = Checks()
    found = reader(message, field, checks)
    assert checks.violations == []
    return found


def problems(reader: Callable[..., object], message: object, field: str) -> dict[str, str]:
    """What is wrong with a message, by field."""
    checks = Checks()
    reader(message, field, checks)
    return {each.field: each.description for each in checks.violations}


class TestReading:
    def test_a_filter_of_items_is_read_whole(self) -> None:
        """Every criterion of the message is in what is read, and each value has its type."""
        message = pb.ItemFilter(
            genres=pb.WordFilter(any_of=["a"], all_of=["b", "c"], none_of=["d"]),
            tags=pb.WordFilter(none_of=["e"]),
            min_year=0,
            max_year=1980,
            attributes=pb.AttributeFilter(
                all_of=[attribute("x", equals=string("1")), attribute("y", equals=Value(bool_value=False))],
                any_of=[attribute("z", any_of=ListValue(values=[number(1), Value(bool_value=True), string("")]))],
                none_of=[
                    attribute("r", range=pb.NumberRange(at_least=0)),
                    attribute("s", range=pb.NumberRange(at_most=-1.5)),
                ],
            ),
            candidate_item_ids=["50", "imdb:tt1"],
        )
        assert read(read_item_filter, message, "items") == ItemFilter(
            WordFilter(("a",), ("b", "c"), ("d",)),
            WordFilter(none_of=("e",)),
            0,
            1980,
            AttributeFilter(
                (Equals("x", "1"), Equals("y", False)),
                (AnyOf("z", (1.0, True, "")),),
                (InRange("r", 0.0, None), InRange("s", None, -1.5)),
            ),
            ("50", "imdb:tt1"),
        )

    def test_a_filter_of_users_is_read_whole(self) -> None:
        """Attributes, activity and the number of ratings are read."""
        message = pb.UserFilter(
            attributes=wanting(attribute(equals=number(30))), active_since=Timestamp(seconds=5), min_ratings=7
        )
        assert read(read_user_filter, message, "f") == UserFilter(AttributeFilter((Equals("age", 30.0),)), 5_000, 7)

    def test_a_period_is_read_whole(self) -> None:
        """Times are milliseconds since 1970, and so is the half-life; one alone is fine."""
        message = pb.RatingPeriod(
            since=Timestamp(seconds=1), until=Timestamp(seconds=2), half_life=Duration(seconds=3, nanos=500_000)
        )
        assert read(read_period, message, "period") == RatingPeriod(1_000, 2_000, 3_000.5)
        assert read(read_period, pb.RatingPeriod(since=Timestamp()), "period") == RatingPeriod(since=0)
        assert read(read_period, pb.RatingPeriod(until=Timestamp(seconds=-1)), "period") == RatingPeriod(until=-1_000)
        century = pb.RatingPeriod(half_life=Duration(seconds=36_525 * 86_400))
        assert read(read_period, century, "period") == RatingPeriod(half_life=36_525 * 86_400_000.0)

    def test_a_fraction_of_a_millisecond_is_rounded_to_the_next_one(self) -> None:
        """What was rated in the millisecond before a time, not after it, is before it."""
        time = Timestamp(seconds=1, nanos=1)
        assert read(read_period, pb.RatingPeriod(since=time), "p") == RatingPeriod(since=1_001)
        assert read(read_period, pb.RatingPeriod(until=time), "p") == RatingPeriod(until=1_001)
        assert read(read_user_filter, pb.UserFilter(active_since=time), "f") == UserFilter(active_since=1_001)

    def test_boosts_are_read_whole(self) -> None:
        """Every kind of boost is read, in order; a factor of 0 is one."""
        messages = [
            BoostMessage(factor=2, genre="a"),
            BoostMessage(factor=0, tag="b"),
            BoostMessage(factor=100, min_year=0),
            BoostMessage(factor=0.5, attribute=attribute(equals=number(1))),
        ]
        assert read(read_boosts, messages, "boosts") == (
            Boost(2.0, GenreIs("a")),
            Boost(0.0, TagIs("b")),
            Boost(100.0, FromYear(0)),
            Boost(0.5, Equals("age", 1.0)),
        )

    def test_nothing_said_is_nothing_asked(self) -> None:
        """Empty messages allow everything."""
        assert read(read_item_filter, pb.ItemFilter(genres=pb.WordFilter()), "items") == EVERY_ITEM
        assert read(read_user_filter, pb.UserFilter(), "f") == EVERY_USER
        assert read(read_period, pb.RatingPeriod(), "period") is None
        assert read(read_boosts, [], "boosts") == ()


class TestWrong:
    @pytest.mark.parametrize(
        ("message", "fields"),
        [
            (pb.ItemFilter(genres=pb.WordFilter(any_of=[""])), ["genres.any_of[0]"]),
            (pb.ItemFilter(genres=pb.WordFilter(any_of=["a"] * 65)), ["genres"]),
            (pb.ItemFilter(tags=pb.WordFilter(all_of=["a", "A"])), ["tags.all_of[1]"]),
            (pb.ItemFilter(tags=pb.WordFilter(all_of=["a"], none_of=["b", "A"])), ["tags.none_of[1]"]),
            (pb.ItemFilter(min_year=-10_001), ["min_year"]),
            (pb.ItemFilter(min_year=2, max_year=1), ["max_year"]),
            (pb.ItemFilter(candidate_item_ids=["a", "a"]), ["candidate_item_ids[1]"]),
            (pb.ItemFilter(candidate_item_ids=map(str, range(10_001))), ["candidate_item_ids"]),
            (
                pb.ItemFilter(min_year=10_001, attributes=wanting(attribute("")), candidate_item_ids=["\x00"]),
                ["min_year", "attributes.all_of[0]", "attributes.all_of[0].name", "candidate_item_ids[0]"],
            ),
        ],
    )
    def test_filters_of_items(self, message: pb.ItemFilter, fields: list[str]) -> None:
        """Every field that is wrong is named, all at once."""
        assert sorted(problems(read_item_filter, message, "items")) == sorted(f"items.{field}" for field in fields)

    @pytest.mark.parametrize(
        ("conditions", "fields"),
        [
            ([attribute()], ["all_of[0]"]),
            ([attribute("", equals=number(1))], ["all_of[0].name"]),
            ([attribute(equals=number(1)), attribute(equals=Value())], ["all_of[1].equals"]),
            ([attribute(equals=number(NAN))], ["all_of[0].equals"]),
            ([attribute(equals=Value(null_value=0))], ["all_of[0].equals"]),
            ([attribute(equals=Value(struct_value=Struct()))], ["all_of[0].equals"]),
            ([attribute(equals=Value(list_value=ListValue()))], ["all_of[0].equals"]),
            ([attribute(equals=string("x" * 1_001))], ["all_of[0].equals"]),
            ([attribute(any_of=ListValue())], ["all_of[0].any_of"]),
            ([attribute(any_of=ListValue(values=[number(1)] * 257))], ["all_of[0].any_of"]),
            ([attribute(any_of=ListValue(values=[number(1), Value()]))], ["all_of[0].any_of[1]"]),
            ([attribute(range=pb.NumberRange())], ["all_of[0].range"]),
            ([attribute(range=pb.NumberRange(at_least=2, at_most=1))], ["all_of[0].range"]),
            ([attribute(range=pb.NumberRange(at_least=NAN))], ["all_of[0].range.at_least"]),
            ([attribute(range=pb.NumberRange(at_most=float("inf")))], ["all_of[0].range.at_most"]),
            ([attribute()] * 2 + [attribute(equals=Value())], ["all_of[0]", "all_of[1]", "all_of[2].equals"]),
            ([attribute(equals=number(1))] * 33, [""]),
        ],
    )
    @pytest.mark.parametrize("reader", [read_item_filter, read_user_filter])
    def test_conditions(
        self, reader: Callable[..., object], conditions: list[pb.AttributeCondition], fields: list[str]
    ) -> None:
        """A condition without a name, a value or a range in order is named by its path, for items and users alike."""
        message = (pb.ItemFilter if reader is read_item_filter else pb.UserFilter)(attributes=wanting(*conditions))
        expected = [f"x.attributes.{field}".removesuffix(".") for field in fields]
        assert sorted(problems(reader, message, "x")) == expected

    def test_a_long_list_is_counted_not_read(self) -> None:
        """Too many conditions or values are one problem that says how many there are."""
        many = wanting(*[attribute()] * 1_000)
        assert problems(read_user_filter, pb.UserFilter(attributes=many), "f") == {
            "f.attributes": "has 1,000 conditions, at most 32 are allowed"
        }
        values = wanting(attribute(any_of=ListValue(values=[number(1)] * 1_000)))
        assert problems(read_user_filter, pb.UserFilter(attributes=values), "f") == {
            "f.attributes.all_of[0].any_of": "has 1,000 values, at most 256 are allowed"
        }

    @pytest.mark.parametrize(
        ("message", "fields"),
        [
            (pb.UserFilter(min_ratings=0), ["min_ratings"]),
            (pb.UserFilter(min_ratings=-1), ["min_ratings"]),
            (pb.UserFilter(min_ratings=1_000_001), ["min_ratings"]),
            (pb.UserFilter(active_since=Timestamp(seconds=10**12)), ["active_since"]),
            (pb.UserFilter(active_since=Timestamp(nanos=-1), min_ratings=0), ["active_since", "min_ratings"]),
        ],
    )
    def test_filters_of_users(self, message: pb.UserFilter, fields: list[str]) -> None:
        """Times are between the years 1 and 9999, and so many ratings can be asked for."""
        expected = [f"neighbors.filter.{field}" for field in fields]
        assert sorted(problems(read_user_filter, message, "neighbors.filter")) == expected

    @pytest.mark.parametrize(
        ("message", "fields"),
        [
            (pb.RatingPeriod(since=Timestamp(seconds=2), until=Timestamp(seconds=2)), ["until"]),
            (pb.RatingPeriod(since=Timestamp(seconds=2, nanos=1), until=Timestamp(seconds=2)), ["until"]),
            (pb.RatingPeriod(since=Timestamp(seconds=10**12)), ["since"]),
            (pb.RatingPeriod(until=Timestamp(seconds=-(10**12))), ["until"]),
            (pb.RatingPeriod(until=Timestamp(nanos=10**9)), ["until"]),
            (pb.RatingPeriod(half_life=Duration()), ["half_life"]),
            (pb.RatingPeriod(half_life=Duration(seconds=-1)), ["half_life"]),
            (pb.RatingPeriod(half_life=Duration(seconds=1, nanos=-1)), ["half_life"]),
            (pb.RatingPeriod(half_life=Duration(nanos=10**9)), ["half_life"]),
            (pb.RatingPeriod(half_life=Duration(seconds=36_525 * 86_400, nanos=1_000_000)), ["half_life"]),
            (pb.RatingPeriod(half_life=Duration(seconds=2**63 - 1)), ["half_life"]),
            (
                pb.RatingPeriod(
                    since=Timestamp(seconds=10**12), until=Timestamp(seconds=-(10**12)), half_life=Duration()
                ),
                ["half_life", "since", "until"],
            ),
        ],
    )
    def test_periods(self, message: pb.RatingPeriod, fields: list[str]) -> None:
        """A period begins before it ends, at times that there are, and its half-life is a span of at most 100 years."""
        assert sorted(problems(read_period, message, "period")) == [f"period.{field}" for field in fields]

    def test_a_period_that_begins_in_the_future(self) -> None:
        """Without an end a period ends now: it cannot begin later."""
        later = Timestamp()
        later.FromMilliseconds(now_ms() + 1_000 * YEAR)
        assert problems(read_period, pb.RatingPeriod(since=later), "period") == {
            "period.since": "is in the future, where nothing has been rated"
        }

    @pytest.mark.parametrize(
        ("message", "fields"),
        [
            (BoostMessage(factor=1), [""]),
            (BoostMessage(factor=-1), ["", ".factor"]),
            (BoostMessage(factor=-0.1, genre="a"), [".factor"]),
            (BoostMessage(factor=100.1, genre="a"), [".factor"]),
            (BoostMessage(factor=NAN, genre="a"), [".factor"]),
            (BoostMessage(factor=float("inf"), tag="a"), [".factor"]),
            (BoostMessage(factor=1, genre=""), [".genre"]),
            (BoostMessage(factor=1, tag="x" * 101), [".tag"]),
            (BoostMessage(factor=1, min_year=10_001), [".min_year"]),
            (BoostMessage(factor=1, attribute=attribute()), [".attribute"]),
            (BoostMessage(factor=1, attribute=attribute(equals=Value())), [".attribute.equals"]),
            (BoostMessage(factor=1, attribute=attribute("", equals=number(1))), [".attribute.name"]),
            (BoostMessage(factor=101, attribute=attribute(range=pb.NumberRange())), [".attribute.range", ".factor"]),
        ],
    )
    def test_boosts(self, message: BoostMessage, fields: list[str]) -> None:
        """A boost has a factor of 0 to 100, and says what it is on; the wrong one is named by its place."""
        right = BoostMessage(factor=1, genre="a")
        assert sorted(problems(read_boosts, [right, message], "boosts")) == [f"boosts[1]{field}" for field in fields]

    def test_too_many_boosts(self) -> None:
        """There are at most 32 boosts."""
        right = BoostMessage(factor=1, genre="a")
        assert problems(read_boosts, [right] * 32, "boosts") == {}
        assert problems(read_boosts, [right] * 33, "boosts").keys() == {"boosts"}
