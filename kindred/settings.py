"""The settings: one typed place, from environment variables named KINDRED_…; the commands' options override them."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from kindred.errors import PreconditionError
from kindred.eventlog import Broker
from kindred.recipes import DEFAULT, RECIPES, Recipe

_TOPIC = "^[A-Za-z0-9._-]{1,249}$"


class DefaultRecipeSettings(BaseModel, extra="forbid"):
    """The constants of the recipe DEFAULT; docs/recipes.md says what they do. KINDRED_RECIPE__K and so on."""

    k: int = Field(default=DEFAULT.k, ge=1, le=1_000)
    query_damping: float = Field(default=DEFAULT.query_damping, ge=0, le=2)
    sharpness: float = Field(default=DEFAULT.sharpness, ge=0, le=10)
    score_damping: float = Field(default=DEFAULT.score_damping, ge=0, le=2)


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(env_prefix="KINDRED_", env_nested_delimiter="__", extra="forbid")

    data_dir: Path = Path("data")
    """The embedded store's folder."""
    host: str = "127.0.0.1"
    """The address that the server listens on; 0.0.0.0 for every network."""
    port: int = Field(default=50051, ge=0, le=65_535)
    """The server's port; 0 takes a free one."""
    kafka: str = Field(default="localhost:9092", pattern=r"^[^\s,]+:\d+(\s*,\s*[^\s,]+:\d+)*$")
    """Kafka's bootstrap servers, separated by commas."""
    topic: str = Field(default="kindred.ratings.v1", pattern=_TOPIC)
    """The topic of rating events."""
    dead_letter_topic: str = Field(default="kindred.ratings.v1.dlq", pattern=_TOPIC)
    """The topic of events that can never be applied."""
    partitions: int = Field(default=6, ge=1, le=10_000)
    """Partitions of a topic that Kindred makes."""
    replication: int = Field(default=1, ge=1, le=10)
    """Replicas of a topic that Kindred makes."""
    kafka_timeout: float = Field(default=10.0, gt=0, le=300)
    """Seconds that a connection to Kafka or an acknowledgement may take."""
    group: str = "kindred"
    """The consumer group."""
    session_timeout: float = Field(default=45.0, ge=1, le=300)
    """Seconds without a heartbeat after which a consumer's partitions go to others."""
    fetch_wait: float = Field(default=0.5, ge=0.001, le=30)
    """Seconds that the broker may hold a fetch that finds nothing. Apache Kafka answers when something comes."""
    batch_size: int = Field(default=1_000, ge=1, le=100_000)
    """Events that the consumer applies at once, at most."""
    cache_bytes: int = Field(default=256 * 2**20, ge=0)
    """Memory for neighbors' decoded profiles, in bytes."""
    recount_interval: float = Field(default=30.0, gt=0)
    """Seconds between counts of who rates and likes each item, if ratings have changed; longer if counting is slow."""
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

    def broker(self) -> Broker:
        """Where the event log is."""
        return Broker(
            bootstrap=self.kafka,
            topic=self.topic,
            dead_letter_topic=self.dead_letter_topic,
            partitions=self.partitions,
            replication=self.replication,
            timeout=self.kafka_timeout,
        )

    def recipes(self) -> dict[str, Recipe]:
        """The recipes by name, with the constants that are set."""
        return RECIPES | {DEFAULT.name: replace(DEFAULT, **self.recipe.model_dump())}


def load_settings(**options: Any) -> Settings:
    """The settings from the environment, overridden by options.

    Args:
        options: Settings by name; None leaves one as it is.

    Raises:
        PreconditionError: A value is out of its range; the message names the variable.
    """
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        wrong = [
            f"KINDRED_{'__'.join(map(str, each['loc'])).upper()}={each['input']}: {each['msg']}"
            for each in error.errors(include_url=False)
        ]
        raise PreconditionError("SETTINGS", "settings", "; ".join(wrong)) from None
