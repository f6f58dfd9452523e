from datetime import UTC, datetime

import pytest
import typer
from google.protobuf.duration_pb2 import Duration

from cli.period_options import rating_period
from kindred.v1.filter_pb2 import RatingPeriod


def test_period() -> None:
    """Beginning, end and half-life arrive, each with the option that it was typed for."""
    message, origins = rating_period("2026-01-01", "2026-07-01T12:00:00Z", "90d")
    assert message == RatingPeriod(
        since=datetime(2026, 1, 1, tzinfo=UTC),
        until=datetime(2026, 7, 1, 12, tzinfo=UTC),
        half_life=Duration(seconds=90 * 86_400),
    )
    assert origins == {
        "since": "--since 2026-01-01",
        "until": "--until 2026-07-01T12:00:00Z",
        "half_life": "--half-life 90d",
    }


def test_no_period() -> None:
    """Without an option there is no period."""
    assert rating_period(None, None, None) == (None, {})


@pytest.mark.parametrize("options", [("lately", None, None), (None, "soon", None), (None, None, "long")])
def test_wrong_periods(options: tuple[str | None, str | None, str | None]) -> None:
    """What is no time or no span is wrong usage."""
    with pytest.raises(typer.Exit) as stopped:
        rating_period(*options)
    assert stopped.value.exit_code == 2
