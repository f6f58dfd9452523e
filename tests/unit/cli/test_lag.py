import pytest

from cli.lag import shown_age


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"),
        (0.25, "0.2 s"),
        (59.9, "59.9 s"),
        (60, "1 min 0 s"),
        (3_599, "59 min 59 s"),
        (3_600, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (90_000, "1 d 1 h"),
        (86_400 * 2_000, "2,000 d 0 h"),
    ],
)
def test_ages(seconds: float, shown: str) -> None:
    """How long something has waited is told in its two largest units."""
    assert shown_age(seconds) == shown
