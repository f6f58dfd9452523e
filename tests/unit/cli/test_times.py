import pytest
import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from cli.times import typed_span, typed_timestamp


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1_800), ("12h", 43_200), ("90d", 7_776_000), ("2w", 1_209_600), ("1.5h", 5_400), ("0d", 0)],
)
def test_spans(text: str, seconds: int) -> None:
    """A span of time is a number and a unit."""
    assert typed_span("--half-life", text) == Duration(seconds=seconds)


@pytest.mark.parametrize("text", ["", "90", "d", "-7d", "1y", "1,5h", "1e3d", "9999999999d", " 1d"])
def test_texts_that_are_no_span(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no span of time is wrong usage, and the error says what would be one."""
    with pytest.raises(typer.Exit):
        typed_span("--half-life", text)
    assert capsys.readouterr().err == f"kindred: --half-life {text}: must be a span of time: 90s, 30m, 12h, 7d or 2w\n"


@pytest.mark.parametrize("text", ["999999999w", "999999999d"])
def test_spans_beyond_all_measure(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A span that no message holds is wrong usage, too."""
    with pytest.raises(typer.Exit):
        typed_span("--half-life", text)
    assert "must be a span of time" in capsys.readouterr().err


def test_timestamps() -> None:
    """A time becomes a timestamp, in UTC unless it says otherwise."""
    assert typed_timestamp("--since", "1970-01-02T01:00:00+01:00") == Timestamp(seconds=86_400)
