"""The one table from Kindred's errors to gRPC status codes and google.rpc details. No stack trace leaves the server."""

from collections.abc import Sequence

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status

from kindred.errors import (
    FieldViolation,
    InvalidArgumentError,
    ItemNotFoundError,
    OutOfTimeError,
    PreconditionError,
    ResourceExhaustedError,
    UnavailableError,
)

DOMAIN = "kindred.v1"
_MAX_VIOLATIONS_BYTES = 2_500
"""A status travels in HTTP/2 trailers, as message and again as details; clients bound these to 8 KB."""


def status_of(error: BaseException) -> Status:
    """The status that a caller sees.

    Args:
        error: What was raised. Anything but a `KindredError` is a defect: INTERNAL, with nothing of its text.

    Returns:
        Code, message and details: ErrorInfo always, the others where they apply.
    """
    match error:
        case InvalidArgumentError():
            return _invalid_argument(error.violations)
        case ItemNotFoundError():
            resource = ResourceInfo(resource_type="item", resource_name=error.item_id)
            return _status(Code.NOT_FOUND, str(error), "ITEM_NOT_FOUND", resource)
        case PreconditionError():
            violation = PreconditionFailure.Violation(type=error.kind, subject=error.subject, description=str(error))
            return _status(
                Code.FAILED_PRECONDITION, str(error), error.kind, PreconditionFailure(violations=[violation])
            )
        case UnavailableError() | ResourceExhaustedError():
            return _try_again(error)
        case OutOfTimeError():
            return _status(Code.DEADLINE_EXCEEDED, str(error), "OUT_OF_TIME")
        case _:
            return _status(Code.INTERNAL, "an internal error; the server's log has it", "INTERNAL")


def _invalid_argument(violations: Sequence[FieldViolation]) -> Status:
    """Every violation that fits into the trailers of an answer, and how many more there are."""
    details, size = BadRequest(), 0
    for violation in violations:
        detail = BadRequest.FieldViolation(field=violation.field, description=violation.description)
        size += detail.ByteSize()
        if size > _MAX_VIOLATIONS_BYTES:
            break
        details.field_violations.append(detail)
    shown = len(details.field_violations)
    message = "; ".join(f"{each.field}: {each.description}" for each in violations[:shown])
    if more := len(violations) - shown:
        message += f"; and {more:,} more"
        details.field_violations.add(description=f"and {more:,} more fields are wrong")
    return _status(Code.INVALID_ARGUMENT, message, "INVALID_ARGUMENT", details)


def _try_again(error: UnavailableError | ResourceExhaustedError) -> Status:
    """What may succeed later, with the time to wait until then where somebody knows it."""
    if isinstance(error, ResourceExhaustedError):
        code, reason = Code.RESOURCE_EXHAUSTED, error.reason
    else:
        code, reason = Code.UNAVAILABLE, f"{error.service.upper()}_UNAVAILABLE"
    details = []
    if error.retry_after is not None:
        delay = Duration()
        delay.FromMilliseconds(max(1, round(error.retry_after * 1000)))
        details.append(RetryInfo(retry_delay=delay))
    return _status(code, str(error), reason, *details)


def _status(code: int, message: str, reason: str, *details: Message) -> Status:
    packed = []
    for detail in (ErrorInfo(reason=reason, domain=DOMAIN), *details):
        any_ = Any()
        any_.Pack(detail)
        packed.append(any_)
    return Status(code=code, message=message, details=packed)
