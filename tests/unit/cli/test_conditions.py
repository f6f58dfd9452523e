import pytest
import typer
from google.protobuf.json_format import ParseDict

from cli.conditions import attribute_filter, read_condition, shown_filter
from kindred.v1.filter_pb2 import AttributeCondition, AttributeFilter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("country=NL", {"name": "country", "equals": "NL"}),
        ("country = NL ", {"name": "country", "equals": "NL"}),
        ("home town=New York", {"name": "home town", "equals": "New York"}),
        ("age=24", {"name": "age", "equals": 24}),
        ("age=-1.5e1", {"name": "age", "equals": -15}),
        ("member=true", {"name": "member", "equals": True}),
        ("member=True", {"name": "member", "equals": "True"}),
        ("zip=01012", {"name": "zip", "equals": "01012"}),
        ('zip="1012"', {"name": "zip", "equals": "1012"}),
        ('member="true"', {"name": "member", "equals": "true"}),
        ("score=nan", {"name": "score", "equals": "nan"}),
        ("country=NL,BE", {"name": "country", "anyOf": ["NL", "BE"]}),
        ("x= 1, true ,a b", {"name": "x", "anyOf": [1, True, "a b"]}),
        ('x="a, b" , "say \\"c\\""', {"name": "x", "anyOf": ["a, b", 'say "c"']}),
        ('"a=b"=1', {"name": "a=b", "equals": 1}),
        ("url=https://a?b=c", {"name": "url", "equals": "https://a?b=c"}),
        ("age=20..30", {"name": "age", "range": {"atLeast": 20, "atMost": 30}}),
        ("age= 20 .. 30 ", {"name": "age", "range": {"atLeast": 20, "atMost": 30}}),
        ("age=20..", {"name": "age", "range": {"atLeast": 20}}),
        ("age=..-0.5", {"name": "age", "range": {"atMost": -0.5}}),
        ("age=7..7", {"name": "age", "range": {"atLeast": 7, "atMost": 7}}),
        ('age="1..2"', {"name": "age", "equals": "1..2"}),
    ],
)
def test_conditions(text: str, expected: dict[str, object]) -> None:
    """A condition is a name and a value, several values or a range; numbers and booleans are told from texts."""
    condition = read_condition("--neighbor", text)
    assert condition.message == ParseDict(expected, AttributeCondition())
    assert not condition.negated


def test_negated_condition() -> None:
    """With != the same is not to hold."""
    condition = read_condition("--neighbor", "country!=NL,BE")
    assert condition.negated
    assert condition.message == read_condition("--neighbor", "country=NL,BE").message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the name of an attribute is missing (character 1)"),
        ("=3", "the name of an attribute is missing (character 1)"),
        ("age", "= or != has to follow the name (character 4)"),
        ("age==3", "= or != has to follow the name (character 4)"),
        ("a!b=3", "= or != has to follow the name (character 2)"),
        ("age>=20", "a comparison is written as a range, age=20.. or age=..30 (character 4)"),
        ("age=", "a value is missing (character 5)"),
        ("age=1,", "a value is missing (character 7)"),
        ("age=,1", "a value is missing (character 5)"),
        ("age=..", "a range has a number at one end at least"),
        ("age=a..b", "a range has a number at one end at least"),
        ("age=30..20", "the range ends before it begins (character 5)"),
        ("age=1,2..3", "a range stands alone"),
        ("age=1e999", "the number is too large (character 5)"),
        ('x="a', "the double quotes have no end"),
        ('x="a"b', "only a comma may follow a text in quotes (character 6)"),
        ('x=a"b"', "quotes stand around the whole of a text (character 4)"),
        ('x="\\ud800"', "the text is not Unicode (character 3)"),
        ("x=\udcff", "the text is not Unicode (character 3)"),
        ("\udcff=1", "the text is not Unicode (character 1)"),
    ],
)
def test_texts_that_are_no_condition(text: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no condition is wrong usage: one line with the option, the problem, its place and examples."""
    with pytest.raises(typer.Exit) as stopped:
        read_condition("--neighbor", text)
    assert stopped.value.exit_code == 2
    error = capsys.readouterr().err
    assert error.startswith("kindred: --neighbor ")
    assert problem in error
    assert error.endswith("; for instance age=20..30, country=NL,BE or country!=NL\n")
    assert error.count("\n") == 1


def test_filter() -> None:
    """Conditions with = all have to hold, those with != must not, and of the others one has to; each has its origin."""
    every = ["age=20..30", "country!=NL", "member=true"]
    message, origins = attribute_filter(every, ["a=1", "b=2"], option="--item", some_option="--any-item")
    assert message == AttributeFilter(
        all_of=[read_condition("", text).message for text in ("age=20..30", "member=true")],
        any_of=[read_condition("", text).message for text in ("a=1", "b=2")],
        none_of=[read_condition("", "country=NL").message],
    )
    assert origins == {
        "all_of": ["--item age=20..30", "--item member=true"],
        "any_of": ["--any-item a=1", "--any-item b=2"],
        "none_of": ["--item 'country!=NL'"],
    }
    assert shown_filter(message) == "age=20..30 and member=true and country!=NL and (a=1 or b=2)"


def test_no_condition_makes_no_filter() -> None:
    """Where nothing was typed there is no filter."""
    assert attribute_filter(None, [], option="--item", some_option="--any-item") == (None, {})


def test_negation_has_no_place_among_alternatives(capsys: pytest.CaptureFixture[str]) -> None:
    """A != cannot be one of several alternatives, and the error says where it can stand."""
    with pytest.raises(typer.Exit):
        attribute_filter(None, ["a!=1"], option="--item", some_option="--any-item")
    assert capsys.readouterr().err == (
        "kindred: --any-item 'a!=1': one of several conditions has to be one with =; != stands with --item\n"
    )
