import pytest
import typer

from cli.conditions import read_condition
from cli.ranking_options import read_boosts
from kindred.v1.recommendation_service_pb2 import Boost


@pytest.mark.parametrize(
    ("text", "boost"),
    [
        ("genre:Drama=1.5", Boost(factor=1.5, genre="Drama")),
        ("genre:Sci-Fi: Space=0", Boost(factor=0, genre="Sci-Fi: Space")),
        ("tag:based on a=b=0.5", Boost(factor=0.5, tag="based on a=b")),
        ("from-year:1990=2", Boost(factor=2, min_year=1990)),
        ("from-year:-300=2", Boost(factor=2, min_year=-300)),
        ("item:country=NL,BE=2", Boost(factor=2, attribute=read_condition("", "country=NL,BE").message)),
        ("item:length=..90=1.1", Boost(factor=1.1, attribute=read_condition("", "length=..90").message)),
        ('item:"a:b"="x"=3', Boost(factor=3, attribute=read_condition("", '"a:b"="x"').message)),
    ],
)
def test_boosts(text: str, boost: Boost) -> None:
    """A boost says of which genre, tag, year or condition, and after the last equals sign by how much."""
    assert read_boosts([text])[0] == [boost]


def test_origins() -> None:
    """Each boost knows where it was typed, in their order."""
    _, origins = read_boosts(["genre:Drama=2", "tag:old man=3"])
    assert origins == {"boosts": ["--boost genre:Drama=2", "--boost 'tag:old man=3'"]}
    assert read_boosts(None) == ([], {"boosts": []})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must be genre:NAME=FACTOR, "),
        ("genre:Drama", "must be genre:NAME=FACTOR, "),
        ("genre:=2", "must be genre:NAME=FACTOR, "),
        ("Drama=2", "must be genre:NAME=FACTOR, "),
        ("genre:Drama=lots", "for instance genre:Drama=1.5, "),
        ("genre:Drama=inf", "must be genre:NAME=FACTOR, "),
        ("country:NL=2", "country is nothing that can be boosted"),
        ("from-year:long ago=2", "long ago is no year from -10000 to 10000"),
        ("from-year:10001=2", "10001 is no year from -10000 to 10000"),
        ("item:country=2", "= or != has to follow the name (character 8); for instance age=20..30"),
        ("item:country!=NL=2", "a condition with != boosts nothing"),
    ],
)
def test_wrong_boosts(text: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What boosts nothing is wrong usage, on one line that quotes it."""
    with pytest.raises(typer.Exit) as stopped:
        read_boosts([text])
    assert stopped.value.exit_code == 2
    error = capsys.readouterr().err
    assert error.startswith("kindred: --boost ")
    assert problem in error
    assert error.count("\n") == 1
