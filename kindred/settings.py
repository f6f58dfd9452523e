"""The settings: one typed place, from environment variables named KINDRED_…; the commands' options override them."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kindred.errors import PreconditionError
from kindred.eventlog.broker import Broker, BrokerSecurity
from kindred.recipe_file import read_recipes
from kindred.recipes import BOUNDS, DEFAULT, MAX_K, RECIPES, Recipe
from kindred.segment_attributes import SegmentAttribute, parse_segment_attributes
from kindred.stores.indexes import IndexKind, parse_indexed

_TOPIC = "^[A-Za-z0-9._-]{1,249}$"


def _number(name: str, default: float) -> Any:
    return Field(default=default, ge=BOUNDS[name].least, le=BOUNDS[name].most)


class DefaultRecipeSettings(BaseModel, extra="forbid"):
    """The constants of the recipe DEFAULT; docs/recipes.md says what they do. KINDRED_RECIPE__K and so on."""

    k: int = Field(default=DEFAULT.k, ge=1, le=MAX_K)
    query_damping: float = _number("query_damping", DEFAULT.query_damping)
    sharpness: float = _number("sharpness", DEFAULT.sharpness)
    score_damping: float = _number("score_damping", DEFAULT.score_damping)


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(env_prefix="KINDRED_", env_nested_delimiter="__", extra="forbid")

    data_dir: Path = Path("data")
    """The embedded store's folder; not used with a Qdrant server."""
    qdrant_url: str = Field(default="", pattern=r"^(https?://[^\s/@]+/?)?$")
    """A Qdrant server's gRPC port, `http://host:6334` or https (6334 if left out); empty for the embedded store."""
    qdrant_api_key: SecretStr = SecretStr("")
    """Qdrant's api key."""
    qdrant_ca: Path | None = None
    """Certificates (PEM) that an https connection to Qdrant trusts, instead of the system's."""
    qdrant_timeout: float = Field(default=5.0, gt=0, le=300)
    """Seconds that a call of Qdrant may take, if its caller does not say less."""
    qdrant_shards: int | None = Field(default=None, ge=1, le=10_000)
    """Shards of a collection that Kindred makes; left out, Qdrant's default: one for each node."""
    qdrant_replicas: int | None = Field(default=None, ge=1, le=100)
    """Copies of each shard of a collection that Kindred makes; left out, Qdrant's default: one."""
    qdrant_write_consistency: int | None = Field(default=None, ge=1, le=100)
    """Copies that must have a write before it counts; left out, Qdrant's default: one."""
    qdrant_payload_on_disk: bool | None = None
    """Whether profiles stay on disk; left out, Qdrant's default: on disk."""
    qdrant_index_on_disk: bool | None = None
    """Whether posting lists stay on disk; left out, Qdrant's default: in memory."""
    collection: str = Field(default="kindred", pattern="^[A-Za-z0-9_-]{1,100}$")
    """The collection's name on a Qdrant server."""
    indexed_attributes: str = Field(default="", max_length=10_000)
    """The attributes of users that have an index, so that filters on them are fast: `age:number,country:keyword`."""
    swap_interval: float = Field(default=1.0, gt=0, le=60)
    """Seconds between looks at a Qdrant server for items that changed and for a collection that was swapped in."""
    swap_grace: float = Field(default=10.0, ge=0, le=3_600)
    """Seconds for which a replaced collection stays, for processes that have not followed yet."""
    host: str = "127.0.0.1"
    """The address that the server listens on; 0.0.0.0 for every network."""
    port: int = Field(default=50051, ge=0, le=65_535)
    """The server's port; 0 takes a free one."""
    kafka: str = Field(default="localhost:9092", pattern=r"^[^\s,]+:\d+(\s*,\s*[^\s,]+:\d+)*$")
    """Kafka's bootstrap servers, separated by commas."""
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Kafka's security protocol."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How to log in with SASL_PLAINTEXT and SASL_SSL."""
    kafka_username: str = ""
    """Who logs in."""
    kafka_password: SecretStr = SecretStr("")
    """With what password."""
    kafka_ca: Path | None = None
    """Certificates (PEM) that SSL and SASL_SSL trust, instead of the system's."""
    topic: str = Field(default="kindred.ratings.v1", pattern=_TOPIC)
    """The topic of rating events."""
    dead_letter_topic: str = Field(default="kindred.ratings.v1.dlq", pattern=_TOPIC)
    """The topic of events that can never be applied."""
    applied_topic: str = Field(default="kindred.applied.v1", pattern=_TOPIC)
    """The topic in which consumers tell servers what they have applied; only used with a Qdrant server."""
    partitions: int = Field(default=6, ge=1, le=10_000)
    """Partitions of a topic that Kindred makes."""
    replication: int = Field(default=1, ge=1, le=10)
    """Replicas of a topic that Kindred makes."""
    kafka_timeout: float = Field(default=10.0, gt=0, le=300)
    """Seconds that a connection to Kafka or an acknowledgement may take."""
    group: str = "kindred"
    """The consumer group."""
    group_instance: str = Field(default="", pattern="^[A-Za-z0-9._-]{0,249}$")
    """This consumer's name in the group, kept over restarts: static membership (KIP-345). Empty for none."""
    session_timeout: float = Field(default=45.0, ge=1, le=300)
    """Seconds without a heartbeat after which a consumer's partitions go to others."""
    poll_interval: float = Field(default=300.0, ge=1, le=86_400)
    """Seconds without a sign of life after which a consumer leaves the group (Kafka's max.poll.interval.ms)."""
    fetch_wait: float = Field(default=0.5, ge=0.001, le=30)
    """Seconds that the broker may hold a fetch that finds nothing. Apache Kafka answers when something comes."""
    batch_size: int = Field(default=1_000, ge=1, le=100_000)
    """Events that the consumer applies at once, at most."""
    unknown_items: Literal["dead-letter", "accept"] = "dead-letter"
    """What becomes of a rating of an item that the catalog lacks: it is refused (an event becomes a dead letter), or
    the item is added to the catalog under its id, without a title."""
    poison_share: float = Field(default=0.5, gt=0, le=1)
    """The share of the last 100 events, or of a larger batch, above which unusable events stop the consumer instead of
    becoming dead letters: a wrong topic, or a producer gone wrong. 1 never stops it."""
    unready_after: float = Field(default=10.0, ge=1)
    """Seconds after which a consumer that cannot apply events, because the store or the log is away, is not ready."""
    max_queue_seconds: float = Field(default=0.5, ge=0.01, le=3_600)
    """Seconds that a call may have to wait for its turn in a server process; one that would wait longer is refused."""
    max_watches: int = Field(default=1_000, ge=1, le=1_000_000)
    """Open streams of WatchRecommendations that a server process takes."""
    max_watches_per_caller: int = Field(default=250, ge=1, le=1_000_000)
    """How many of them may come from one address."""
    cache_bytes: int = Field(default=112 * 2**20, ge=0)
    """Memory for neighbors' profiles, in bytes."""
    recount_interval: float = Field(default=30.0, gt=0)
    """Seconds between counts of who rates and likes each item, if ratings have changed; longer if counting is slow."""
    popularity_age: float = Field(default=300.0, ge=1, le=86_400)
    """Seconds for which counts of what is popular lately, or among some users, are kept. For as long again they are
    answered while they are counted anew. Longer where counting takes long: it gets a twentieth of the time at most."""
    segment_attributes: str = ""
    """User attributes, the most important first, separated by commas: users without ratings get what is popular among
    users with the same values. `age:10` stands for bands of ten. Empty: what is popular among all."""
    workers: int = Field(default=1, ge=1, le=256)
    """Server processes that share the port; more than one needs a Qdrant server."""
    max_connection_age: float = Field(default=0.0, ge=0)
    """Seconds after which clients are asked to connect anew, and so find servers that were added; 0 for never."""
    drain_grace: float = Field(default=10.0, ge=0)
    """Seconds that calls under way get to finish when the server stops."""
    metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Port for Prometheus metrics over HTTP; 0 for none."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe messages to log."""
    log_format: Literal["console", "json"] = "console"
    """How to log."""
    recipe: DefaultRecipeSettings = DefaultRecipeSettings()
    """The constants of the recipe DEFAULT."""
    default_recipe: str = ""
    """The recipe of requests that name none, one of your own or a built-in one; empty for ridge (for tutorial-ratings,
    where vectors are z-scores)."""
    recipes_file: Path | None = None
    """A TOML file with recipes of your own: see docs/recipes.md."""
    name_neighbors: bool = False
    """Whether explanations and ListSimilarUsers may say who a user's neighbors are: the ids of other people. Allow it
    only where every caller may see every user's taste: ratings are personal data."""

    @field_validator("qdrant_url")
    @classmethod
    def _has_a_host(cls, url: str) -> str:
        if url and not (urlsplit(url).hostname and urlsplit(url).port != 0):  # a port that is none raises
            raise ValueError("names no host")
        return url.rstrip("/")

    @field_validator("qdrant_api_key", "kafka_password")
    @classmethod
    def _fits_into_a_header(cls, secret: SecretStr) -> SecretStr:
        text = secret.get_secret_value().strip()  # a mounted secret often ends with a newline
        if not (text.isascii() and text.isprintable()):
            raise ValueError("must be printable ASCII")
        return SecretStr(text)

    @field_validator("indexed_attributes")
    @classmethod
    def _names_attributes(cls, text: str) -> str:
        parse_indexed(text)
        return text

    @field_validator("segment_attributes")
    @classmethod
    def _tells_apart(cls, text: str) -> str:
        parse_segment_attributes(text)
        return text

    @field_validator("host")
    @classmethod
    def _without_brackets(cls, host: str) -> str:
        return host.removeprefix("[").removesuffix("]")

    @model_validator(mode="after")
    def _grace_is_long_enough(self) -> Self:
        if self.swap_grace < 2 * self.swap_interval:
            raise ValueError(
                f"KINDRED_SWAP_GRACE={self.swap_grace:g} must be at least twice KINDRED_SWAP_INTERVAL="
                f"{self.swap_interval:g}: or a replaced collection goes before everybody has followed"
            )
        return self

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        if len({self.topic, self.dead_letter_topic, self.applied_topic}) < 3:  # noqa: PLR2004  # there are three
            raise ValueError("KINDRED_TOPIC, KINDRED_DEAD_LETTER_TOPIC and KINDRED_APPLIED_TOPIC must differ")
        return self

    def broker(self) -> Broker:
        """Where the event log is."""
        return Broker(
            bootstrap=self.kafka,
            topic=self.topic,
            dead_letter_topic=self.dead_letter_topic,
            applied_topic=self.applied_topic if self.qdrant_url else "",
            partitions=self.partitions,
            replication=self.replication,
            timeout=self.kafka_timeout,
            security=BrokerSecurity(
                protocol=self.kafka_security,
                mechanism=self.kafka_sasl_mechanism,
                username=self.kafka_username,
                password=self.kafka_password.get_secret_value(),
                ca_file=self.kafka_ca,
            ),
        )

    def indexed(self) -> dict[str, IndexKind]:
        """The kinds of the indexed attributes by name."""
        return parse_indexed(self.indexed_attributes)

    def segments(self) -> tuple[SegmentAttribute, ...]:
        """What tells users without ratings apart, the most important first."""
        return parse_segment_attributes(self.segment_attributes)

    def recipes(self) -> dict[str, Recipe]:
        """The recipes by name: the built-in ones with the constants that are set, and those of the recipes file.

        Raises:
            PreconditionError: Something is wrong with the recipes file, or the default recipe is none of them.
        """
        set_here = self.recipe.model_dump(include=self.recipe.model_fields_set)
        built_in = RECIPES | {DEFAULT.name: replace(DEFAULT, **set_here)}
        recipes = built_in | (read_recipes(self.recipes_file, built_in) if self.recipes_file else {})
        if self.default_recipe and self.default_recipe not in recipes:
            known = ", ".join(sorted(recipes))
            message = f"KINDRED_DEFAULT_RECIPE={self.default_recipe}: there is no such recipe; known: {known}"
            raise PreconditionError("RECIPES", "default_recipe", message)
        return recipes


def load_settings(**options: Any) -> Settings:
    """The settings from the environment, overridden by options.

    Args:
        options: Settings by name; None leaves one as it is. A `data_dir` means the embedded store, whatever Qdrant
            server the environment names.

    Raises:
        PreconditionError: A value is out of its range, or two exclude each other; the message names them.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if "data_dir" in given and given.setdefault("qdrant_url", ""):
        message = "a data directory and a Qdrant server exclude each other: give --data-dir or --qdrant-url"
        raise PreconditionError("SETTINGS", "settings", message)
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = [_wrong(each["loc"], each["input"], each["msg"]) for each in error.errors(include_url=False)]
        raise PreconditionError("SETTINGS", "settings", "; ".join(wrong)) from None


_FORMS = {
    "KINDRED_QDRANT_URL": "http://HOST:PORT or https://HOST:PORT, without a password",
    "KINDRED_KAFKA": "HOST:PORT, or several separated by commas",
}


def unknown_variables(environment: Iterable[str]) -> list[str]:
    """The variables that begin as ours do and are none: probably misspelt.

    Args:
        environment: Names of variables.
    """
    known = {f"KINDRED_{name.upper()}" for name in Settings.model_fields} | {"KINDRED_SERVER"}
    others = ("KINDRED_RECIPE__", "KINDRED_TEST_", "KINDRED_BENCH_")
    return sorted(
        name
        for name in environment
        if name.startswith("KINDRED_") and name not in known and not name.startswith(others)
    )


def _wrong(place: tuple[int | str, ...], value: Any, why: str) -> str:
    if not place:
        return why
    name = f"KINDRED_{'__'.join(map(str, place)).upper()}"
    secret = any(word in name for word in ("KEY", "PASSWORD")) or "@" in str(value)  # a URL may have one before the @
    why = why.removeprefix("Value error, ")
    if name in _FORMS:
        why = f"must be {_FORMS[name]}"
    return f"{name}{'' if secret else f'={value}'}: {why}"
