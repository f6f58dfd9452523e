import io
import sys

import pytest
from rich.text import Text

from cli.output import ID, TITLE, YEAR, clean, complain, decimal, print_json, print_table, say, title_of
from kindred.v1.catalog_service_pb2 import SearchItemsResponse
from kindred.v1.item_pb2 import Item


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Amélie 天気の子", "Amélie 天気の子"),
        ("a\x1b[31mb\x07c\x9b2Jd\x7f", "a[31mbc2Jd"),
        ("two\nlines\tand\u2028more\r", "two lines and more "),
        ("\u202egnp.exe\u2066", "gnp.exe"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
    ],
)
def test_clean_text(text: str, printed: str) -> None:
    """Letters of every script stay; control characters, line breaks and changes of direction do not."""
    assert clean(text) == printed


def test_title_with_year() -> None:
    """An item is called by its title and year, or by its id if it has no title."""
    assert title_of(Item(item_id="50", title="Star Wars", year=1977)) == "Star Wars (1977)"
    assert title_of(Item(item_id="50")) == "50"


@pytest.mark.parametrize(
    ("number", "shown", "signed"),
    [
        (0, "0.000", "+0.000"),
        (1.23456, "1.235", "+1.235"),
        (-0.0006, "-0.001", "-0.001"),
        (0.00049, "4.9e-04", "+4.9e-04"),
        (-3e-20, "-3.0e-20", "-3.0e-20"),
        (41234.5, "41234.500", "+41234.500"),
    ],
)
def test_decimals(number: float, shown: str, signed: str) -> None:
    """A number has three decimals, or an exponent if these would be zeros."""
    assert (decimal(number), decimal(number, "+")) == (shown, signed)


def test_table_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal a row is one line of plain text, however long, and nothing trails."""
    item_id, title = "x" * 256, "word " * 100 + "end"
    print_table((ID, TITLE, YEAR), [(item_id, title, ""), ("1", "[bold]:smile:", "1999")])
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "title", "year"]
    assert first == f"{item_id}  {title}"
    assert second.split() == ["1", "[bold]:smile:", "1999"]


def test_table_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a narrow terminal titles wrap, and the ids that people copy stay whole."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    item_id = "0191d1a0-5a4e-7c0e"
    print_table((ID, TITLE, YEAR), [(item_id, "A very long title that goes on and on " * 3, "1999")])
    lines = [Text.from_ansi(line).plain for line in screen.getvalue().splitlines()]
    assert all(len(line) <= 60 for line in lines)
    assert [line for line in lines if line.startswith(f"{item_id} ")]
    assert len(lines) > 3


def test_stream_that_lacks_a_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A title that the encoding of the output lacks is printed with a question mark, not a failure."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    say("Amélie")
    sys.stdout.flush()
    assert raw.getvalue() == b"Am?lie\n"


def test_errors_are_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever an error says, it is one line on standard error."""
    complain("first\nkindred: forged \x1b[2J")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "kindred: first kindred: forged [2J\n"


def test_json_has_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON names empty fields too, so that scripts need not ask whether they are there, and is pure ASCII."""
    print_json(SearchItemsResponse())
    assert capsys.readouterr().out == '{\n  "items": [],\n  "totalSize": 0\n}\n'
    print_json(SearchItemsResponse(items=[Item(title="Amélie")]))
    assert capsys.readouterr().out.isascii()
