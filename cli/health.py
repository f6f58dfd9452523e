"""`kindred health`: is the server ready?"""

import typer

from cli.client import DEFAULT_SERVER, DEFAULT_TIMEOUT, ServerOption, TimeoutOption


def health(server: ServerOption = DEFAULT_SERVER, timeout: TimeoutOption = DEFAULT_TIMEOUT) -> None:
    """Asks a server whether it is ready: exit code 0 if it serves, 1 if not. For health checks of containers.

    [bold]Example[/bold]

      kindred health --server localhost:50051
    """
    import grpc
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
    from grpc_health.v1.health_pb2_grpc import HealthStub

    with grpc.insecure_channel(server) as channel:
        try:
            check = HealthStub(channel).Check  # type: ignore[attr-defined]  # the published stubs lack it
            status = check(HealthCheckRequest(), timeout=timeout).status
        except grpc.RpcError:
            typer.echo(f"no server at {server}")
            raise typer.Exit(1) from None
    typer.echo(HealthCheckResponse.ServingStatus.Name(status))
    raise typer.Exit(0 if status == HealthCheckResponse.SERVING else 1)
