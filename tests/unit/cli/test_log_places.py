"""How places in the log are read from the command line."""

from datetime import UTC, datetime

import pytest
import typer

from cli.log_places import log_place
from loader.log_span import Moment, Offsets

NOW = datetime(2026, 5, 6, 7, 8, 9, 250_000, UTC)


def ms(*parts: int) -> int:
    """Milliseconds since 1970 of a time in UTC."""
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("earliest", "earliest"),
        ("latest", "latest"),
        ("2026-05-06T07:08:09Z", Moment(ms(2026, 5, 6, 7, 8, 9))),
        ("2026-05-06T09:08:09+02:00", Moment(ms(2026, 5, 6, 7, 8, 9))),
        ("2026-05-06T07:08:09", Moment(ms(2026, 5, 6, 7, 8, 9))),
        ("2026-05-06 07:08:09.123456", Moment(ms(2026, 5, 6, 7, 8, 9) + 123)),
        ("2026-05-06", Moment(ms(2026, 5, 6))),
        ("1970-01-01", Moment(0)),
        ("-7d", Moment(ms(2026, 4, 29, 7, 8, 9) + 250)),
        ("-12h", Moment(ms(2026, 5, 5, 19, 8, 9) + 250)),
        ("-30m", Moment(ms(2026, 5, 6, 6, 38, 9) + 250)),
        ("-9s", Moment(ms(2026, 5, 6, 7, 8, 0) + 250)),
        ("-0s", Moment(ms(2026, 5, 6, 7, 8, 9) + 250)),
        ("0:120", Offsets({0: 120})),
        ("1:98,0:120", Offsets({0: 120, 1: 98})),
    ],
)
def test_a_place(text: str, place: object) -> None:
    """Names, times with and without a zone, times ago, and offsets by partition."""
    assert log_place("--from", text, NOW) == place


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must be earliest"),
        ("yesterday", "must be earliest"),
        ("7d", "must be earliest"),
        ("-7", "must be earliest"),
        ("-7y", "must be earliest"),
        ("--7d", "must be earliest"),
        ("-1.5h", "must be earliest"),
        ("-999999d", "is before 1970"),
        ("12", "must be earliest"),
        ("0:", "must be earliest"),
        ("0:1,", "must be earliest"),
        ("0:-1", "must be earliest"),
        ("0:1 1:2", "must be earliest"),
        ("2026-13-01", "must be earliest"),
        ("0:1,1:2,0:3", "names a partition twice"),
        ("1969-12-31T23:59:59Z", "is before 1970"),
        ("2026-05-06T07:08:10Z", "is in the future"),
    ],
)
def test_no_place(text: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no place is refused with exit code 2, the option and an example."""
    with pytest.raises(typer.Exit) as refused:
        log_place("--from", text, NOW)
    assert refused.value.exit_code == 2
    assert capsys.readouterr().err.startswith(f"kindred: --from {text}: {why}")


def test_a_moment_reads_as_a_time() -> None:
    """Messages show times in UTC, to the millisecond."""
    assert str(Moment(ms(2026, 5, 6, 7, 8, 9) + 5)) == "2026-05-06T07:08:09.005Z"
