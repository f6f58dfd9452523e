from datetime import UTC, datetime, timedelta

import pytest
import typer

from cli.letter_selection import Selection, place_of, selection_of, time_of
from consumers.letters import DeadLetter
from kindred.eventlog.broker import Record

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)


def letter(reason: str = "off_scale", key: bytes | None = b"7", failed_at: int = 1_000) -> DeadLetter:
    """A letter."""
    return DeadLetter(Record("ratings", 0, 0, key, b"", (), 0), 1, 2, failed_at, reason, "")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("-90s", NOW - timedelta(seconds=90)),
        ("-30m", NOW - timedelta(minutes=30)),
        ("-12h", NOW - timedelta(hours=12)),
        ("-7d", NOW - timedelta(days=7)),
        ("-2w", NOW - timedelta(weeks=2)),
        ("2026-07-01", datetime(2026, 7, 1, tzinfo=UTC)),
        ("2026-07-01T12:30", datetime(2026, 7, 1, 12, 30, tzinfo=UTC)),
        ("2026-07-01T12:00:00Z", datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ("2026-07-01T12:00:00.250+02:00", datetime(2026, 7, 1, 10, 0, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_times(text: str, time: datetime) -> None:
    """A time is a date or a time in UTC, or with its own offset, or so long ago."""
    assert time_of("--since", text, NOW) == time.timestamp() * 1000


@pytest.mark.parametrize("text", ["-99999d", "-999999999w", "0001-01-01", "1969-12-31"])
def test_times_before_all_letters(text: str) -> None:
    """A time before 1970 is before every letter."""
    assert time_of("--since", text, NOW) == 1


@pytest.mark.parametrize(
    "text", ["", "yesterday", "7d", "-7", "-7y", "--7d", "-1.5h", "- 7d", "2026-13-01", "-\u0667d"]
)
def test_texts_that_are_no_time(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no time is wrong usage, and the error says what would be right."""
    with pytest.raises(typer.Exit) as stopped:
        time_of("--until", text)
    assert stopped.value.exit_code == 2
    assert capsys.readouterr().err.startswith(f"kindred: --until {text}: must be a time: 2026-07-01,")


def test_places() -> None:
    """A letter is named by its partition and offset."""
    assert place_of("0:17") == (0, 17)
    assert place_of("12:123456789012345678") == (12, 123456789012345678)


@pytest.mark.parametrize("text", ["", "17", "0:", ":1", "0:-1", "0:1:2", "a:b", "0:1234567890123456789", " 0:1", "0/1"])
def test_texts_that_are_no_place(text: str) -> None:
    """What is no place is wrong usage."""
    with pytest.raises(typer.Exit) as stopped:
        place_of(text)
    assert stopped.value.exit_code == 2


def test_everything_is_taken_without_a_filter() -> None:
    """Without any option every letter is meant, also one that Kindred did not write."""
    assert selection_of() == Selection()
    assert Selection().takes(letter(reason="", key=None, failed_at=-1))


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (selection_of(["off_scale"]), True),
        (selection_of(["no_key", "off_scale"]), True),
        (selection_of(["no_key"]), False),
        (selection_of(user="7"), True),
        (selection_of(user="70"), False),
        (selection_of(user=""), False),
        (Selection(since=1_000), True),
        (Selection(since=1_001), False),
        (Selection(until=1_001), True),
        (Selection(until=1_000), False),
        (selection_of(["off_scale"], user="8"), False),
    ],
)
def test_filters(selection: Selection, taken: bool) -> None:
    """A letter has to be like everything that is asked for: the reason, the key, from a time on and before another."""
    assert selection.takes(letter()) is taken


@pytest.mark.parametrize(
    "options", [{"reasons": ["x"]}, {"user": ""}, {"partition": 0}, {"since": "-7d"}, {"until": "-7d"}]
)
def test_places_and_filters_exclude_each_other(options: dict[str, object]) -> None:
    """Letters are either named or selected."""
    with pytest.raises(typer.Exit):
        selection_of(places=["0:1"], **options)


def test_a_place_counts_once() -> None:
    """A letter that is named twice is meant once, in the order in which they are named."""
    assert selection_of(places=["3:1", "0:2", "3:1"]).places == ((3, 1), (0, 2))
