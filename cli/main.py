"""The `kindred` command: registers the commands, and turns errors into one clear line and an exit code."""

import signal
import sys

import typer

from cli.consume import consume
from cli.dead_letters import dead_letters
from cli.demo import demo
from cli.evaluate import evaluate
from cli.forget import forget
from cli.health import health
from cli.lag import lag
from cli.load import load
from cli.popular import popular
from cli.rate import rate
from cli.ratings import ratings
from cli.recommend import recommend
from cli.reindex import reindex
from cli.replay import replay
from cli.search import search
from cli.serve import serve
from cli.similar_items import similar_items
from cli.similar_users import similar_users
from cli.up import up
from kindred.errors import KindredError

app = typer.Typer(
    name="kindred",
    help="Recommendations from people who rate alike: load, serve, stream, recommend.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
RUN, USE = "Run it", "Use it"
for panel, commands in (
    (RUN, (demo, load, up, serve, consume, reindex, replay, evaluate, health, lag)),
    (USE, (recommend, similar_items, similar_users, popular, rate, ratings, search, forget)),
):
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(dead_letters, rich_help_panel=RUN)


def main() -> None:
    """Runs the command line. Exit codes: 0 done, 1 it failed (standard error says why), 2 wrong usage."""
    # SIGTERM ends a command as Ctrl-C does, so that what it has begun is undone. Servers and consumers do better.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except UnicodeEncodeError as error:
        # Bytes on the command line that are no text reach us as halves of surrogate pairs, which no message can carry.
        sys.stderr.write(f"kindred: {error.object!a} is not UTF-8 text\n")
        sys.exit(2)
    except (KindredError, OSError) as error:
        sys.stderr.write(f"kindred: {error}\n")
        sys.exit(1)
