"""The event log's address and records, as plain data: nothing here connects."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kindred.errors import PreconditionError
from kindred.stores.port import LogPosition

UNREADABLE = "kindred-unreadable"
"""Header of a record that could not be read, with the reason; nothing else of it is known but its place."""


class RecordTooLargeError(Exception):
    """The broker does not take a record of this size."""


@dataclass(frozen=True, slots=True)
class BrokerSecurity:
    """How to prove who we are to Kafka, and it to us.

    Args:
        protocol: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
        mechanism: SASL's mechanism: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
        username: Who logs in.
        password: With what password.
        ca_file: Certificates, PEM, to trust instead of the system's.
    """

    protocol: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None

    def options(self) -> dict[str, Any]:
        """As kafka-python's clients take it.

        Raises:
            PreconditionError: The CA's file is missing.
        """
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if "SASL" in self.protocol:
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        if "SSL" in self.protocol and self.ca_file is not None:
            if not self.ca_file.is_file():
                raise PreconditionError("KAFKA_CA", str(self.ca_file), f"KINDRED_KAFKA_CA: no file {self.ca_file}")
            options["ssl_cafile"] = str(self.ca_file)
        return options


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the log is.

    Args:
        bootstrap: `host:port`, or several separated by commas.
        topic: The topic of rating events.
        dead_letter_topic: The topic of events that can never be applied.
        applied_topic: The topic in which consumers tell servers what they have applied; empty for none.
        partitions: How many partitions a topic gets that Kindred makes.
        replication: How many replicas it gets.
        timeout: Seconds that a connection or an acknowledgement may take.
        security: How to log in.
    """

    bootstrap: str
    topic: str = "kindred.ratings.v1"
    dead_letter_topic: str = "kindred.ratings.v1.dlq"
    applied_topic: str = ""
    partitions: int = 6
    replication: int = 1
    timeout: float = 10.0
    security: BrokerSecurity = BrokerSecurity()

    def connection(self) -> dict[str, Any]:
        """What every client of kafka-python needs to connect."""
        return {
            "bootstrap_servers": self.servers(),
            "bootstrap_timeout_ms": int(self.timeout * 1000),
            **self.security.options(),
        }

    def servers(self) -> list[str]:
        """The bootstrap servers."""
        return [server.strip() for server in self.bootstrap.split(",")]


@dataclass(frozen=True, slots=True)
class Message:
    """A record to produce. Names of headers may repeat."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Record(NamedTuple):
    """A record as read: `timestamp` in milliseconds since 1970; headers in order, names may repeat, values be null.

    `leader_epoch` is that of the partition's leader who wrote it; -1 if nobody says (KIP-320).
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int
    leader_epoch: int = -1

    def header(self, name: str) -> bytes | None:
        """The last value of a header; None if there is none."""
        return dict(self.headers).get(name)


@dataclass(frozen=True, slots=True)
class AppliedTo:
    """The collection that events are applied to.

    A committed offset carries the generation that everything before it is in. One that was committed for another
    generation says nothing about this one, which then has what it says itself.

    Args:
        generation: The collection's generation.
        included: By partition where the log goes on for a collection that was just swapped in.
    """

    generation: str = ""
    included: Sequence[LogPosition] = ()

    def start(self, topic_id: str, partition: int) -> int:
        """The first offset of a partition that may not be in the collection; 0 if nobody knows."""
        for position in self.included:
            if (position.topic_id, position.partition) == (topic_id, partition):
                return position.offset
        return 0
