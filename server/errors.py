"""The one table from Kindred's errors to gRPC status codes and google.rpc details. No stack trace leaves the server."""

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status

from kindred.errors import (
    InvalidArgumentError,
    ItemNotFoundError,
    OutOfTimeError,
    PreconditionError,
    UnavailableError,
)

DOMAIN = "kindred.v1"


def status_of(error: BaseException) -> Status:
    """The status that a caller sees.

    Args:
        error: What was raised. Anything but a `KindredError` is a defect: INTERNAL, with nothing of its text.

    Returns:
        Code, message and details: ErrorInfo always, the others where they apply.
    """
    match error:
        case InvalidArgumentError():
            violations = [
                BadRequest.FieldViolation(field=each.field, description=each.description) for each in error.violations
            ]
            return _status(
                Code.INVALID_ARGUMENT, str(error), "INVALID_ARGUMENT", BadRequest(field_violations=violations)
            )
        case ItemNotFoundError():
            resource = ResourceInfo(resource_type="item", resource_name=error.item_id)
            return _status(Code.NOT_FOUND, str(error), "ITEM_NOT_FOUND", resource)
        case PreconditionError():
            violation = PreconditionFailure.Violation(type=error.kind, subject=error.subject, description=str(error))
            return _status(
                Code.FAILED_PRECONDITION, str(error), error.kind, PreconditionFailure(violations=[violation])
            )
        case UnavailableError():
            delay = Duration()
            delay.FromMilliseconds(int(error.retry_after * 1000))
            reason = f"{error.service.upper()}_UNAVAILABLE"
            return _status(Code.UNAVAILABLE, str(error), reason, RetryInfo(retry_delay=delay))
        case OutOfTimeError():
            return _status(Code.DEADLINE_EXCEEDED, str(error), "OUT_OF_TIME")
        case _:
            return _status(Code.INTERNAL, "an internal error; the server's log has it", "INTERNAL")


def _status(code: int, message: str, reason: str, *details: Message) -> Status:
    packed = []
    for detail in (ErrorInfo(reason=reason, domain=DOMAIN), *details):
        any_ = Any()
        any_.Pack(detail)
        packed.append(any_)
    return Status(code=code, message=message, details=packed)
