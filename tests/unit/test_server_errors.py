import pytest
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, ResourceInfo, RetryInfo

from kindred import errors
from kindred.errors import (
    FieldViolation,
    FreshnessError,
    InvalidArgumentError,
    ItemNotFoundError,
    KindredError,
    OutOfTimeError,
    PoisonedLogError,
    PreconditionError,
    ResourceExhaustedError,
    SchemaError,
    StaleTokenError,
    StoreInUseError,
    StoreLoadedError,
    StoreNotLoadedError,
    UnavailableError,
)
from server.errors import DOMAIN, status_of
from tests.support.system import unpack

VIOLATIONS = [FieldViolation("ratings[2].value", "must be 0.5 to 5"), FieldViolation("user_id", "must not be empty")]

TABLE: list[tuple[KindredError, int, str, type | None]] = [
    (InvalidArgumentError(VIOLATIONS), Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", BadRequest),
    (ItemNotFoundError("imdb:tt1"), Code.NOT_FOUND, "ITEM_NOT_FOUND", ResourceInfo),
    (UnavailableError("store", "m", 0.25), Code.UNAVAILABLE, "STORE_UNAVAILABLE", RetryInfo),
    (UnavailableError("log", "m"), Code.UNAVAILABLE, "LOG_UNAVAILABLE", RetryInfo),
    (ResourceExhaustedError("m"), Code.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS", None),
    (ResourceExhaustedError("m", "TOO_MANY_COUNTS"), Code.RESOURCE_EXHAUSTED, "TOO_MANY_COUNTS", None),
    (ResourceExhaustedError("m", "OVERLOADED", 0.25), Code.RESOURCE_EXHAUSTED, "OVERLOADED", RetryInfo),
    (OutOfTimeError("m"), Code.DEADLINE_EXCEEDED, "OUT_OF_TIME", None),
    (PreconditionError("WEIGHTING", "ridge", "m"), Code.FAILED_PRECONDITION, "WEIGHTING", PreconditionFailure),
    (FreshnessError("7"), Code.FAILED_PRECONDITION, "FRESHNESS_NOT_REACHED", PreconditionFailure),
    (StaleTokenError("topic"), Code.FAILED_PRECONDITION, "TOPIC_MADE_ANEW", PreconditionFailure),
    (PoisonedLogError("topic", "m"), Code.FAILED_PRECONDITION, "POISONED_LOG", PreconditionFailure),
    (SchemaError("data", "m"), Code.FAILED_PRECONDITION, "SCHEMA", PreconditionFailure),
    (StoreNotLoadedError("data", "--data-dir data"), Code.FAILED_PRECONDITION, "NOT_LOADED", PreconditionFailure),
    (StoreLoadedError("data"), Code.FAILED_PRECONDITION, "ALREADY_LOADED", PreconditionFailure),
    (StoreInUseError("data", "process 1"), Code.FAILED_PRECONDITION, "STORE_IN_USE", PreconditionFailure),
]


def all_errors(base: type[KindredError] = KindredError) -> set[type[KindredError]]:
    """Every kind of error that is raised: the base itself is not."""
    return {kind for child in base.__subclasses__() for kind in ({child} | all_errors(child))}


class TestTable:
    @pytest.mark.parametrize(("error", "code", "reason", "detail"), TABLE, ids=lambda value: type(value).__name__)
    def test_every_error_has_a_code_and_details(
        self, error: KindredError, code: int, reason: str, detail: type | None
    ) -> None:
        """Each error becomes its code with its own message, an ErrorInfo, and the detail that belongs to it."""
        status = status_of(error)
        details = unpack(status)
        assert (status.code, status.message) == (code, str(error))
        assert details.pop(ErrorInfo) == ErrorInfo(reason=reason, domain=DOMAIN)
        assert set(details) == ({detail} if detail else set())

    def test_no_error_is_left_out(self) -> None:
        """The table above has every error of the heart, so that none becomes INTERNAL unseen."""
        of_the_heart = {kind for kind in all_errors() if kind.__module__ == errors.__name__}
        assert {type(error) for error, *_ in TABLE} == of_the_heart

    def test_every_field_that_is_wrong_is_named(self) -> None:
        """BadRequest lists all violations in their order, and the message is made of them."""
        status = status_of(InvalidArgumentError(VIOLATIONS))
        found = unpack(status)[BadRequest].field_violations
        assert [(each.field, each.description) for each in found] == [
            ("ratings[2].value", "must be 0.5 to 5"),
            ("user_id", "must not be empty"),
        ]
        assert status.message == "ratings[2].value: must be 0.5 to 5; user_id: must not be empty"

    def test_a_missing_item_is_named(self) -> None:
        """ResourceInfo says which item there is not."""
        info = unpack(status_of(ItemNotFoundError("imdb:tt1")))[ResourceInfo]
        assert (info.resource_type, info.resource_name) == ("item", "imdb:tt1")

    @pytest.mark.parametrize(("seconds", "milliseconds"), [(0.25, 250), (1.0, 1_000), (90.5, 90_500)])
    def test_when_to_try_again_is_said(self, seconds: float, milliseconds: int) -> None:
        """RetryInfo carries the time after which a retry makes sense."""
        info = unpack(status_of(UnavailableError("log", "m", seconds)))[RetryInfo]
        assert info.retry_delay.ToMilliseconds() == milliseconds

    def test_a_condition_is_described(self) -> None:
        """PreconditionFailure says what kind of condition, about what, and how to mend it."""
        [violation] = unpack(status_of(StoreNotLoadedError("data", "--data-dir data")))[PreconditionFailure].violations
        assert (violation.type, violation.subject) == ("NOT_LOADED", "data")
        assert "kindred load" in violation.description


class TestDefects:
    @pytest.mark.parametrize(
        "kind", [Exception, ValueError, KeyError, AssertionError, MemoryError, OSError, KindredError]
    )
    def test_nothing_of_a_defect_is_shown(self, kind: type[Exception]) -> None:
        """Whatever was not foreseen is INTERNAL, and not a word of its text reaches the caller."""
        status = status_of(kind("password=hunter2 at /srv/secret"))
        assert status.code == Code.INTERNAL
        assert "hunter2" not in str(status)
        assert "secret" not in str(status)
        assert unpack(status) == {ErrorInfo: ErrorInfo(reason="INTERNAL", domain=DOMAIN)}
