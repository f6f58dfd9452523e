from consumers.dead_letters import dead_letter, shortened
from kindred.eventlog.broker import Record
from kindred.events import EventError

RECORD = Record("topic", 3, 14, b"7", b"value", [("a", b"1"), ("b", None)], 15)


def test_any_message_makes_a_letter() -> None:
    """A message that quotes half a character is no reason for the letter to fail, which would stop the stream."""
    assert dict(dead_letter(RECORD, EventError("x", "no \ud800")).headers)["kindred-error"] == rb"no \ud800"


def test_nothing_at_all_gets_an_empty_value() -> None:
    """The letter of a record without key and value has an empty value: a client insists on one of the two."""
    letter = dead_letter(Record("topic", 0, 0, None, None, (), 0), EventError("empty", "no value"))
    assert (letter.key, letter.value) == (None, b"")


def test_a_letter_can_be_shortened_further() -> None:
    """For a topic that takes little a letter keeps as much as it is told to, and its reason."""
    short = shortened(dead_letter(RECORD, EventError("off_scale", "11")), 2)
    assert (short.key, short.value) == (b"7", b"va")
    headers = dict(short.headers)
    assert (headers["kindred-reason"], headers["kindred-value-bytes"]) == (b"off_scale", b"5")
    assert "a" not in headers
