"""Conditions that are shown can be typed again."""

from google.protobuf.struct_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st

from cli.conditions import read_condition, shown_condition
from kindred.v1.filter_pb2 import AttributeCondition, NumberRange

numbers = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)  # -0 is 0
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text(' =!<>",.\\1e-', max_size=6)
values = (
    st.builds(Value, string_value=texts)
    | st.builds(Value, number_value=numbers)
    | st.builds(Value, bool_value=st.booleans())
)


@st.composite
def conditions(draw: st.DrawFn) -> AttributeCondition:
    """Any condition of the contract."""
    condition = AttributeCondition(name=draw(texts.filter(bool)))
    kind = draw(st.sampled_from(["equals", "any_of", "range"]))
    if kind == "equals":
        condition.equals.CopyFrom(draw(values))
    elif kind == "any_of":
        condition.any_of.values.extend(draw(st.lists(values, min_size=2, max_size=4)))
    else:
        ends = sorted(draw(st.tuples(numbers, numbers)))
        given_ends = draw(st.sampled_from([(True, True), (True, False), (False, True)]))
        least, most = (end if is_given else None for end, is_given in zip(ends, given_ends, strict=True))
        condition.range.CopyFrom(NumberRange(at_least=least, at_most=most))
    return condition


@given(conditions(), st.booleans())
def test_what_is_shown_can_be_typed(condition: AttributeCondition, negated: bool) -> None:
    """Reading what is shown of a condition gives the condition."""
    read = read_condition("--neighbor", shown_condition(condition, negated=negated))
    assert (read.message, read.negated) == (condition, negated)
