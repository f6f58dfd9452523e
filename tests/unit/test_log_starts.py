"""Where a member of the group begins to read: after what is in its collection, and before anything that is not."""

from types import SimpleNamespace

import pytest

from kindred.eventlog.broker import AppliedTo
from kindred.eventlog.client import start_of, tag_of
from kindred.stores.port import LogPosition

HERE = SimpleNamespace(partition=1)
NEW = AppliedTo("new", (LogPosition("topic", 1, 30), LogPosition("topic", 0, 7)))
ALONE = AppliedTo("new")


def consumer(offset: int | None, tag: str | None = "") -> SimpleNamespace:
    """A consumer whose group has committed this."""
    committed = None if offset is None else SimpleNamespace(offset=offset, metadata=tag)
    return SimpleNamespace(committed=lambda partition, metadata, timeout_ms: committed)


@pytest.mark.parametrize(
    ("committed", "tag", "applied_to", "start"),
    [
        (None, "", NEW, 0),
        (None, "", ALONE, 0),
        (50, "new topic", NEW, 50),
        (10, "new topic", NEW, 10),
        (50, "old topic", NEW, 30),
        (10, "old topic", NEW, 10),
        (50, "old topic", ALONE, 50),
        (50, "new earlier", NEW, 0),
        (50, "old earlier", ALONE, 0),
        (50, "", NEW, 50),
        (5, "", NEW, 5),
        (50, None, NEW, 30),
        (50, None, ALONE, 50),
    ],
    ids=[
        "nothing committed: from the beginning",
        "nothing known: from the beginning",
        "committed for this collection",
        "committed for this collection, earlier than it says",
        "committed for another: no further than this one says",
        "committed for another, earlier",
        "committed for another, and this one says nothing",
        "committed for another topic of the name",
        "committed for another topic and collection",
        "set by a person, forward",
        "set by a person, back",
        "a broker without marks: no further than the collection says",
        "a broker without marks, and nothing said",
    ],
)
def test_the_start_of_a_partition(committed: int | None, tag: str | None, applied_to: AppliedTo, start: int) -> None:
    """A committed offset counts as far as it says something about this collection and this topic."""
    assert start_of(consumer(committed, tag), HERE, "topic", applied_to, 1_000) == start


def test_a_partition_that_the_collection_does_not_name_is_read_whole() -> None:
    """A partition that came while the collection was built has nothing in it yet."""
    assert start_of(consumer(500, "old topic"), SimpleNamespace(partition=9), "topic", NEW, 1_000) == 0


def test_a_commit_is_marked_with_collection_and_topic() -> None:
    """The mark names both, so that each can be told from another one."""
    assert tag_of("topic", NEW) == "new topic"
