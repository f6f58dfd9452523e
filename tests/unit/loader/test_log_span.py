"""Offsets that were named are held against what the log holds."""

import pytest

from kindred.errors import PreconditionError
from kindred.eventlog.reader import Bounds
from loader.log_span import PartitionSpan, check_offsets

BOUNDS = {0: Bounds(0, 10), 1: Bounds(1_200, 1_300)}


@pytest.mark.parametrize("offsets", [{0: 0, 1: 1_200}, {0: 10, 1: 1_300}, {1: 1_250, 0: 5}])
def test_offsets_that_the_log_holds(offsets: dict[int, int]) -> None:
    """From the oldest record to the end, the end included, everything is a place."""
    check_offsets("--from", offsets, BOUNDS)


@pytest.mark.parametrize(
    ("offsets", "why"),
    [
        ({0: 1}, r"must name every partition, 0 to 1; it lacks 1"),
        ({0: 1, 1: 1_250, 7: 0}, r"names partition 7; the topic has 0 to 1"),
        ({0: 11, 1: 1_250}, r"0:11: partition 0 ends at offset 10"),
        ({0: 1, 1: 1_199}, r"1:1199: the events of partition 1 before offset 1,200 are gone.*--from earliest"),
    ],
)
def test_offsets_that_it_does_not_hold(offsets: dict[int, int], why: str) -> None:
    """A partition left out or unknown, an offset beyond the end or trimmed: each is refused, and says what there is."""
    with pytest.raises(PreconditionError, match=rf"--until {why}|--until.*{why}"):
        check_offsets("--until", offsets, BOUNDS)


def test_events_of_a_span() -> None:
    """The end is not read."""
    assert PartitionSpan(partition=0, oldest=0, asked=5, start=3, until=10, end=12).events == 7
