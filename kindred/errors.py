"""The errors of Kindred: few, typed, and each says what to do. The doors map them; see server/errors.py."""

from collections.abc import Sequence
from dataclasses import dataclass


class KindredError(Exception):
    """Base of every error that a caller can do something about. The message is safe to show to callers."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that is wrong.

    Args:
        field: Its path, for instance `ratings[2].value`.
        description: What is wrong and what would be right.
    """

    field: str
    description: str


class InvalidArgumentError(KindredError):
    """A request is wrong in itself.

    Args:
        violations: Every field that is wrong, at least one.
    """

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{each.field}: {each.description}" for each in self.violations))


class ItemNotFoundError(KindredError):
    """The catalog has no such item.

    Args:
        item_id: The id as the caller gave it.
    """

    def __init__(self, item_id: str) -> None:
        self.item_id = item_id
        super().__init__(f"no item {item_id!r} in the catalog; SearchItems finds ids by title")


class PreconditionError(KindredError):
    """The system is not in the state that the call needs; repeating it changes nothing.

    Args:
        kind: What kind of condition, in capitals, for programs.
        subject: What it is about.
        message: What is wrong and how to mend it.
    """

    def __init__(self, kind: str, subject: str, message: str) -> None:
        self.kind = kind
        self.subject = subject
        super().__init__(message)


class StoreInUseError(PreconditionError):
    """Another process has the data directory open."""

    def __init__(self, data_dir: str, holder: str) -> None:
        super().__init__(
            "STORE_IN_USE",
            data_dir,
            f"{data_dir} is in use by {holder}; an embedded store serves one process at a time: "
            "stop that process, or run server and consumer in one with `kindred up`",
        )


class StoreNotLoadedError(PreconditionError):
    """There is no collection yet.

    Args:
        where: Where it is missing.
        options: The options of `kindred load` that load it there.
    """

    def __init__(self, where: str, options: str) -> None:
        super().__init__(
            "NOT_LOADED", where, f"{where} holds no collection; load one: kindred load --dataset ml-100k {options}"
        )


class StoreLoadedError(PreconditionError):
    """There is a collection already."""

    def __init__(self, where: str) -> None:
        super().__init__(
            "ALREADY_LOADED",
            where,
            f"{where} holds a collection already; --replace builds a new one aside and swaps it in",
        )


class SchemaError(PreconditionError):
    """The collection was written in a form that this version does not read."""

    def __init__(self, subject: str, message: str) -> None:
        super().__init__("SCHEMA", subject, message)


class FreshnessError(PreconditionError):
    """The store had not applied an awaited event in time."""

    def __init__(self, user_id: str) -> None:
        super().__init__(
            "FRESHNESS_NOT_REACHED",
            user_id,
            "the awaited event was not applied in time; give the call a longer deadline, and see that a consumer runs",
        )


class StaleTokenError(PreconditionError):
    """A freshness token names an event of a topic that is not there any more."""

    def __init__(self, topic_id: str) -> None:
        super().__init__(
            "TOPIC_MADE_ANEW",
            topic_id,
            "the freshness token is of a topic of rating events that was made anew since, so its event will not be "
            "applied any more; call without the token, or record again what it stands for",
        )


class PoisonedLogError(PreconditionError):
    """Most events of the log can never be applied.

    Args:
        topic: The topic.
        message: What is wrong with them.
    """

    def __init__(self, topic: str, message: str) -> None:
        super().__init__("POISONED_LOG", topic, message)


class ResourceExhaustedError(KindredError):
    """The caller or the server has too much of something.

    Args:
        message: Of what, and what to do.
        reason: Of what, in capitals, for programs.
        retry_after: Seconds after which a retry makes sense; None if nobody can tell.
    """

    def __init__(self, message: str, reason: str = "TOO_MANY_STREAMS", retry_after: float | None = None) -> None:
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(message)


class UnavailableError(KindredError):
    """Qdrant or Kafka is away; the same call may succeed later.

    Args:
        service: "store" or "log".
        message: What could not be done.
        retry_after: Seconds after which a retry makes sense.
    """

    def __init__(self, service: str, message: str, retry_after: float = 1.0) -> None:
        self.service = service
        self.retry_after = retry_after
        super().__init__(message)


class OutOfTimeError(KindredError):
    """The caller's deadline came before the answer."""
