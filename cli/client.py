"""What the client commands share: their options, the connection, and calls that fail with one clear line."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, TypeVar

import grpc
import typer
from google.rpc.error_details_pb2 import BadRequest

from cli.origins import Origins, place_of
from cli.output import complain, misused
from kindred import timing
from kindred.v1.catalog_service_pb2_grpc import CatalogServiceStub
from kindred.v1.rating_service_pb2_grpc import RatingServiceStub
from kindred.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

if TYPE_CHECKING:
    from google.rpc.status_pb2 import Status

DEFAULT_SERVER = "localhost:50051"
DEFAULT_TIMEOUT = 10

_PANEL = "Connection and output"

ServerOption = Annotated[
    str,
    typer.Option(
        "--server", metavar="HOST:PORT", envvar="KINDRED_SERVER", help="The server to ask.", rich_help_panel=_PANEL
    ),
]
TimeoutOption = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", help="How long each call may take.", rich_help_panel=_PANEL),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Needs no server: opens this embedded data directory instead.",
        rich_help_panel=_PANEL,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the response as one JSON document.", rich_help_panel=_PANEL)
]
FreshOption = Annotated[
    str,
    typer.Option(
        "--fresh",
        metavar="TOKEN",
        show_default=False,
        help="Include at least what the call that printed this freshness token recorded.",
        rich_help_panel=_PANEL,
    ),
]
UserOption = Annotated[str, typer.Option("--user", metavar="ID", help="The user.")]

_RequestT = TypeVar("_RequestT")
_ResponseT = TypeVar("_ResponseT")


@dataclass(frozen=True, slots=True)
class CallTiming:
    """How long a call took.

    Args:
        seconds: Here, from asking to answer.
        steps: Each step in the server, by name, in seconds; none if it does not tell.
    """

    seconds: float
    steps: list[tuple[str, float]]


class Client:
    """The services of one server.

    Args:
        channel: The connection.
        address: Its other end, for messages.
        timeout: How long each call may take, seconds.
    """

    def __init__(self, channel: grpc.Channel, address: str, timeout: float) -> None:
        self.catalog = CatalogServiceStub(channel)
        self.ratings = RatingServiceStub(channel)
        self.recommendations = RecommendationServiceStub(channel)
        self._address = address
        self._timeout = timeout

    def call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[_RequestT, _ResponseT]",
        request: _RequestT,
        origins: Origins | None = None,
    ) -> _ResponseT:
        """Calls the server.

        Args:
            method: The call, of one of the services.
            request: What to send.
            origins: Where fields of the request were typed. What is wrong with one is then said of that place.

        Raises:
            typer.Exit: It failed, and standard error says why.
        """
        with self._explained(origins):
            return method(request, timeout=self._timeout)

    def timed_call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[_RequestT, _ResponseT]",
        request: _RequestT,
        origins: Origins | None = None,
    ) -> tuple[_ResponseT, CallTiming]:
        """Calls the server and asks where the time goes.

        Args:
            method: The call, of one of the services.
            request: What to send.
            origins: As in `call`.

        Raises:
            typer.Exit: It failed, and standard error says why.
        """
        with self._explained(origins):
            start = perf_counter()
            response, call = method.with_call(request, timeout=self._timeout, metadata=(timing.ASKING,))
            seconds = perf_counter() - start
        told = [value for key, value in call.trailing_metadata() if key == timing.TRAILER and isinstance(value, str)]
        return response, CallTiming(seconds, timing.read(",".join(told)))

    def stream(
        self,
        method: "grpc.UnaryStreamMultiCallable[_RequestT, _ResponseT]",
        request: _RequestT,
        origins: Origins | None = None,
    ) -> Iterator[_ResponseT]:
        """Calls the server, and yields what it answers for as long as it does.

        Args:
            method: The call, of one of the services.
            request: What to send.
            origins: As in `call`.

        Raises:
            typer.Exit: It failed, and standard error says why.
        """
        with self._explained(origins):
            yield from method(request)

    @contextmanager
    def _explained(self, origins: Origins | None) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            self._explain(error, origins or {})
            raise typer.Exit(1) from error

    def _explain(self, error: grpc.RpcError, origins: Origins) -> None:
        from grpc_status import rpc_status  # only calls that fail pay for it

        status: Status | None = rpc_status.from_call(error) if isinstance(error, grpc.Call) else None
        violations = _violations(status)
        if status is None and error.code() is grpc.StatusCode.UNAVAILABLE:
            complain(f"no server at {self._address}; start one with `kindred up`, or name another: --server HOST:PORT")
        elif status is None and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            complain(f"no answer from {self._address} within {self._timeout:g} s; --timeout SECONDS waits longer")
        elif error.code() is grpc.StatusCode.UNIMPLEMENTED:
            complain(f"{self._address} does not serve this call: it is no Kindred server, or one of another version")
        elif not violations:
            complain(error.details() or error.code().name.replace("_", " ").lower())
        for violation in violations:
            complain(f"{place_of(violation.field, origins)}: {violation.description}")


@contextmanager
def connect(ctx: typer.Context, server: str, timeout: float, data_dir: Path | None = None) -> Iterator[Client]:
    """Connects to the server, or to one that it starts in this process over a data directory.

    Args:
        ctx: Tells what was typed.
        server: HOST:PORT.
        timeout: How long each call may take, seconds.
        data_dir: An embedded data directory, instead of a server.

    Raises:
        typer.Exit: The options make no sense, or a call failed; standard error says why.
    """
    if not 0 < timeout <= 86_400:  # noqa: PLR2004  # a day; gRPC cannot count to much more
        raise misused(f"--timeout {timeout:g}: must be more than 0 and at most 86400 seconds")
    with _serving(ctx, server, data_dir) as address:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise misused(f"--server {address}: must be HOST:PORT, for instance {DEFAULT_SERVER}")
        # A proxy for the way out is no way to this machine.
        options = [("grpc.enable_http_proxy", 0)] if host in ("localhost", "127.0.0.1", "[::1]") else []
        with grpc.insecure_channel(address, options=options) as channel:
            yield Client(channel, address, timeout)


@contextmanager
def _serving(ctx: typer.Context, server: str, data_dir: Path | None) -> Iterator[str]:
    if data_dir is None:
        yield server
        return
    source = ctx.get_parameter_source("server")
    if source is not None and source.name == "COMMANDLINE":
        raise misused("--server and --data-dir exclude each other: ask a server, or open its data without one")
    from server.app import serve_in_background  # the whole server; only --data-dir pays for it

    with serve_in_background(data_dir) as address:
        yield address


def _violations(status: "Status | None") -> list[BadRequest.FieldViolation]:
    found: list[BadRequest.FieldViolation] = []
    for detail in status.details if status else ():
        bad_request = BadRequest()
        if detail.Unpack(bad_request):
            found += bad_request.field_violations
    return found
