import pytest

from kindred.attribute_filter import Equals
from kindred.segment_attributes import SegmentAttribute, conditions_of, parse_segment_attributes

AGE = SegmentAttribute("age", 10.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" , ", ()),
        ("gender", (SegmentAttribute("gender"),)),
        ("gender, country", (SegmentAttribute("gender"), SegmentAttribute("country"))),
        ("age:10,country", (AGE, SegmentAttribute("country"))),
        ("weight:0.5", (SegmentAttribute("weight", 0.5),)),
    ],
)
def test_names_and_widths_are_read(text: str, expected: tuple[SegmentAttribute, ...]) -> None:
    """Names are separated by commas, with the width of bands after a colon."""
    assert parse_segment_attributes(text) == expected


@pytest.mark.parametrize(
    "text", ["age:", "age:x", "age:0", "age:-1", "age:nan", "age:inf", ":10", "x" * 101, 'a"b', "a\\b:10"]
)
def test_other_forms_are_refused(text: str) -> None:
    """What is no name, or no width above 0, is refused with the form that would be right."""
    with pytest.raises(ValueError, match="age:10"):
        parse_segment_attributes(text)


def test_a_name_stands_once() -> None:
    """An attribute that is named twice is refused."""
    with pytest.raises(ValueError, match="'age' is named twice"):
        parse_segment_attributes("age,age:10")


@pytest.mark.parametrize(
    ("age", "inside", "outside"),
    [
        (33.0, [30.0, 39.0, 39.999], [29.999, 40.0]),
        (30.0, [30.0], [29.0]),
        (-3.0, [-10.0, -0.5], [0.0, -11.0]),
        (0.0, [0.0, 9.5], [-1.0, 10.0]),
    ],
)
def test_a_band_has_its_beginning_and_not_its_end(age: float, inside: list[float], outside: list[float]) -> None:
    """A band begins at a multiple of its width, and the next one begins where it ends."""
    condition = AGE.condition({"age": age})
    assert condition is not None
    assert all(condition.holds({"age": other}) for other in inside)
    assert not any(condition.holds({"age": other}) for other in outside)


@pytest.mark.parametrize("band", [0.1, 0.3, 1 / 3, 7.0, 1e-5])
def test_everybody_is_in_their_own_band(band: float) -> None:
    """A multiple of the width is in the band that it begins, however it is rounded, and in no other."""
    attribute = SegmentAttribute("age", band)
    bands = [attribute.condition({"age": number * band}) for number in range(-50, 200)]
    for place, number in enumerate(range(-50, 200)):
        within = [each.holds({"age": number * band}) for each in bands if each is not None]
        assert within == [other == place for other in range(250)]


@pytest.mark.parametrize("value", [1e308, -1e308, 1e300])
def test_what_is_too_large_to_be_in_a_band_is_in_none(value: float) -> None:
    """A number so large that its band has no number is in no band, or in one that it is in."""
    for band in (1e-300, 0.5, 10.0, 1e308):
        condition = SegmentAttribute("age", band).condition({"age": value})
        assert condition is None or condition.holds({"age": value})


@pytest.mark.parametrize("value", ["33", True])
def test_what_is_no_number_is_in_no_band(value: object) -> None:
    """Text and booleans are in no band of numbers."""
    assert AGE.condition({"age": value}) is None


def test_conditions_end_at_the_first_attribute_that_is_not_known() -> None:
    """The most important attributes count as far as they are known."""
    telling = parse_segment_attributes("gender,age:10,country")
    assert conditions_of(telling, {"gender": "F", "country": "NL"}) == (Equals("gender", "F"),)
    assert conditions_of(telling, {"country": "NL"}) == ()
    assert len(conditions_of(telling, {"gender": "F", "age": 3.0, "country": "NL"})) == 3
