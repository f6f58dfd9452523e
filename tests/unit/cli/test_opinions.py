import pytest
import typer

from cli.item_choice import TypedItem
from cli.opinions import Opinion, check_distinct, parse_rating, reactions
from kindred.v1.item_pb2 import Item
from kindred.v1.reaction_pb2 import REACTION_DISLIKE, REACTION_LIKE
from kindred.v1.recommendation_service_pb2 import InlineRating


@pytest.mark.parametrize(
    ("text", "item", "value"),
    [
        ("50=4.5", "50", 4.5),
        ("toy story=0", "toy story", 0.0),
        ("imdb:tt0120338=-1", "imdb:tt0120338", -1.0),
        ("E=mc2=5", "E=mc2", 5.0),
    ],
)
def test_rating(text: str, item: str, value: float) -> None:
    """A rating is ITEM=VALUE, the value after the last equals sign."""
    opinion = parse_rating(text)
    assert (opinion.item.text, opinion.value) == (item, value)


@pytest.mark.parametrize("text", ["50", "=4", "50=", "50=four", "50=nan", "50=inf", ""])
def test_rating_of_another_form(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A rating of another form is wrong usage that quotes what was typed."""
    with pytest.raises(typer.Exit) as stopped:
        parse_rating(text, "--rating")
    assert stopped.value.exit_code == 2
    error = capsys.readouterr().err
    assert error.startswith("kindred: --rating ")
    assert text in error
    assert error.count("\n") == 1


def test_messages() -> None:
    """An opinion becomes a value, also if it is zero, or a reaction, and never both."""
    messages = []
    for opinion in [parse_rating("50=0"), *reactions(["a"], ["b"])]:
        message = InlineRating(item_id="1")
        opinion.write_to(message)
        messages.append((message.WhichOneof("opinion"), message.value, message.reaction))
    assert messages == [("value", 0.0, 0), ("reaction", 0.0, REACTION_LIKE), ("reaction", 0.0, REACTION_DISLIKE)]


def test_origins_can_be_typed_again() -> None:
    """What is quoted in messages is quoted for a shell."""
    like, dislike = reactions(["toy story"], ["50"])
    assert (like.item.origin, dislike.item.origin) == ("--like 'toy story'", "--dislike 50")
    assert parse_rating("toy story=5").item.origin == "'toy story=5'"


def test_long_text_is_quoted_in_part() -> None:
    """Of a very long text a message quotes the beginning."""
    assert reactions(["x" * 1000], None)[0].item.origin == f"--like '{'x' * 100}…'"


def test_two_opinions_on_one_item(capsys: pytest.CaptureFixture[str]) -> None:
    """Two opinions on one item, however it was named, are wrong usage that names both."""
    typed = [opinion.item for opinion in reactions(["toy story"], ["1"])]
    film = Item(item_id="1", title="Toy Story", year=1995)
    with pytest.raises(typer.Exit) as stopped:
        check_distinct(typed, [film, film])
    assert stopped.value.exit_code == 2
    assert capsys.readouterr().err == (
        "kindred: --dislike 1: the same item as --like 'toy story': Toy Story (1995), id 1\n"
    )


def test_opinions_on_different_items() -> None:
    """Opinions on different items are all right."""
    typed = [Opinion(TypedItem(text, text)).item for text in ("a", "b")]
    check_distinct(typed, [Item(item_id="1"), Item(item_id="2")])
